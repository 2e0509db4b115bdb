// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_SEND`

use super::{
    channel::{Channel, Region},
    members::Member,
    rfl::{
        identity,
        inode::Access,
        io_uring::{IssueFlags, Outcome, Request, Sqe},
        preempt,
        user_buffer::UserBuffer,
        wait_queue::events,
    },
    ring::{Claim, Record},
    subscriber::Subscriber,
    uapi::send_flags,
};
use kernel::{bindings, error::Error, prelude::*};
use zerocopy_derive::Immutable;

/// What an SQE asks for.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct SendCommand {
    addr: u64,
    len: u32,
    /// The one receiver it is for, or 0.
    target: u32,
    /// Its place among those who wait, or 0.
    ticket: u64,
    flags: u16,
    pad: [u16; 3],
}

impl SendCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline]
    pub(crate) fn parse(sqe: &Sqe) -> Result<Self> {
        let flags = sqe.ioprio();

        if flags & !send_flags::ALL != 0 || sqe.buf_index() != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        Ok(Self {
            addr: sqe.addr(),
            len: sqe.len(),
            target: sqe.file_index(),
            ticket: 0,
            flags,
            pad: [0; 3],
        })
    }

    #[inline(always)]
    fn waits(&self) -> bool {
        self.flags & send_flags::WAIT != 0
    }
}

/// Sends a message. Sleeps, for the sender's memory.
#[inline(always)]
pub(crate) fn issue(
    req: &Request,
    subscriber: &Subscriber,
    command: &SendCommand,
    flags: IssueFlags,
) -> Outcome {
    if flags.is_worker() && command.waits() {
        // A wait there would end with `EAGAIN`, and those behind it are issued by the task.
        return req.send_back();
    }
    let result = send(req, subscriber, command);

    if command.ticket != 0 || (result.is_err() && command.waits()) {
        return wait_or_end(req, subscriber, *command, result);
    }
    Outcome::Complete(result, 0)
}

/// What becomes of a send that has waited, or that may have to.
#[cold]
fn wait_or_end(
    req: &Request,
    subscriber: &Subscriber,
    command: SendCommand,
    result: Result<u32>,
) -> Outcome {
    if command.waits() && result == Err(ring_full()) {
        match wait(req, subscriber, command) {
            Ok(true) => return Outcome::Wait,
            Ok(false) => {}
            Err(error) => return Outcome::Complete(Err(error), 0),
        }
    }
    if command.ticket != 0 {
        give_up(req, subscriber, &command);
    }
    Outcome::Complete(result, 0)
}

/// Ends the wait of a send. Others have been woken for the same room.
pub(crate) fn give_up(req: &Request, subscriber: &Subscriber, command: &SendCommand) {
    subscriber.channel.count_waiting_sends(-1);
    subscriber
        .member
        .sends
        .leave(req.submitter(), command.ticket);
    req.set_needs_cleanup(false);
}

/// Gives the request a place among those that wait; false where too many do. Sleeps.
fn wait(req: &Request, subscriber: &Subscriber, mut command: SendCommand) -> Result<bool> {
    if command.ticket == 0 {
        let Some(ticket) = subscriber.member.sends.join(req.submitter())? else {
            return Ok(false);
        };

        subscriber.channel.count_waiting_sends(1);
        command.ticket = ticket;
        req.set_command(command);
        req.set_needs_cleanup(true);
    }
    Ok(true)
}

/// Sends a message if there is room and nothing comes before it; returns its length.
#[inline(always)]
fn send(req: &Request, subscriber: &Subscriber, command: &SendCommand) -> Result<u32> {
    let channel = &*subscriber.channel;
    let sender = &*subscriber.member;
    let &SendCommand {
        addr, len, target, ..
    } = command;

    subscriber.check(Access::Write)?;
    if channel.is_destroyed() {
        return Err(EPIPE);
    }
    if len > channel.parameters.max_msg_size {
        return Err(EMSGSIZE);
    }
    if target != 0 && !channel.is_receiver(target) {
        return Err(ENOENT);
    }
    if !sender.sends.may_go(req.submitter(), command.ticket) {
        // Whoever is in front shall not go on waiting for more room while this one, told by
        // `poll` that there is some, comes back again and again.
        if channel.ring().room() != 0 {
            sender.senders.wake(events::WRITABLE);
        }
        return Err(ring_full());
    }
    if command.waits() && command.ticket == 0 && channel.is_others_turn(sender) {
        return Err(ring_full());
    }

    // The pages are there now, while nothing is held: the copy below does not fault.
    let payload = UserBuffer::new_readable(addr, len as usize)?;
    let record = Record {
        sender_data: req.user_data(),
        len,
        target,
        sender_id: sender.id,
    };
    let filled = publish(channel, sender, &record, |position| {
        channel.region().fill_nofault(position, &payload)
    })?;

    if filled.is_err() {
        // The pages have gone again.
        send_copy(channel, sender, &record, &payload)?;
    }
    Ok(len)
}

/// Sends a message by way of a buffer. Sleeps.
#[cold]
fn send_copy(channel: &Channel, sender: &Member, record: &Record, payload: &UserBuffer) -> Result {
    let bytes = payload.read_all()?;

    publish(channel, sender, record, |position| {
        channel.region().write(position, &bytes);
        Ok(())
    })?
}

/// Puts a message into the ring; `fill` copies the payload to a position and does not sleep.
///
/// Fails where the ring is full. Where `fill` fails, which is the result then, nothing is sent: for
/// pages nobody shall wait, so the slot is skipped.
#[inline(always)]
fn publish(
    channel: &Channel,
    sender: &Member,
    record: &Record,
    fill: impl FnOnce(u64) -> Result,
) -> Result<Result> {
    let (busy, claim) = claim(channel)
        .or_else(|| claim_late(channel, sender))
        .ok_or_else(ring_full)?;
    let position = claim.position();
    let filled = fill(position);

    if filled.is_ok() {
        channel.senders.set(position, identity::current());
        claim.publish(record);
    } else {
        drop(claim);
    }
    drop(busy);
    channel.published(position, record.target);
    Ok(filled)
}

/// A full ring, as senders that do not wait see it.
#[cold]
fn ring_full() -> Error {
    Error::from_errno(-(bindings::ENOBUFS as i32))
}

/// A claimed slot, and preemption off until it is published: nobody gets past it before.
type BusyClaim<'a> = (preempt::Disabled, Claim<'a, Region>);

#[inline(always)]
fn claim(channel: &Channel) -> Option<BusyClaim<'_>> {
    let busy = preempt::Disabled::new();

    channel.ring().claim().map(|claim| (busy, claim))
}

/// Claims a slot where the ring seems to be full.
#[cold]
fn claim_late<'a>(channel: &'a Channel, sender: &Member) -> Option<BusyClaim<'a>> {
    let make_room = || {
        channel.make_room();
        claim(channel)
    };

    make_room().or_else(|| {
        let polled = [sender.writers.is_active(), sender.senders.is_active()];

        if polled == [false; 2] {
            return None;
        }
        // An edge-triggered poller looks here, not at `poll`, before it sleeps.
        for (polled, exclusive) in polled.into_iter().zip([false, true]) {
            if polled {
                channel.sleep_for_room(sender, exclusive);
            }
        }
        make_room()
    })
}
