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
        user_buffer::UserBuffer, //
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
    let result = send(req, subscriber, command);

    if command.ticket != 0 || (result.is_err() && command.waits()) {
        return wait_or_end(req, subscriber, *command, flags, result);
    }
    Outcome::Complete(result, 0)
}

/// What becomes of a send that has waited, or that may have to.
#[cold]
fn wait_or_end(
    req: &Request,
    subscriber: &Subscriber,
    command: SendCommand,
    flags: IssueFlags,
    result: Result<u32>,
) -> Outcome {
    if command.waits() && result == Err(ring_full()) {
        if flags.is_worker() {
            return req.send_back();
        }
        match wait(req, subscriber, command) {
            Ok(()) => return Outcome::Wait,
            Err(error) => return Outcome::Complete(Err(error), 0),
        }
    }
    if command.ticket != 0 {
        end_wait(req, subscriber, &command, result.is_ok());
    }
    Outcome::Complete(result, 0)
}

/// Ends the wait of a send that the core has given up.
pub(crate) fn give_up(req: &Request, subscriber: &Subscriber, command: &SendCommand) {
    end_wait(req, subscriber, command, false);
}

/// Gives the request a place among those that wait. Sleeps.
fn wait(req: &Request, subscriber: &Subscriber, mut command: SendCommand) -> Result {
    if command.ticket == 0 {
        command.ticket = subscriber.member.sends.join(req.ring_id())?;
        req.set_command(command);
        req.set_needs_cleanup(true);
    }
    Ok(())
}

fn end_wait(req: &Request, subscriber: &Subscriber, command: &SendCommand, has_sent: bool) {
    let member = &*subscriber.member;
    let others = member.sends.leave(req.ring_id(), command.ticket);

    req.set_needs_cleanup(false);
    if others {
        subscriber.channel.next_send(member, has_sent);
    }
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
    if !sender.sends.may_go(req.ring_id(), command.ticket) {
        // Whoever is in front shall not go on waiting for more room while this one comes back
        // again and again.
        channel.next_send(sender, false);
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
    let (busy, claim) = claim(channel)
        .or_else(|| claim_late(channel, sender))
        .ok_or_else(ring_full)?;
    let position = claim.position();
    let filled = channel.region().fill_nofault(position, &payload);

    if filled.is_ok() {
        channel.senders.set(position, identity::current());
        claim.publish(&record);
    } else {
        // Nobody shall wait for pages: the slot is skipped.
        drop(claim);
    }
    drop(busy);
    channel.published(position, target);
    if filled.is_err() {
        send_copy(channel, sender, &record, &payload)?;
    }
    Ok(len)
}

/// Sends a message whose pages have gone again by way of a buffer. Sleeps.
#[cold]
fn send_copy(channel: &Channel, sender: &Member, record: &Record, payload: &UserBuffer) -> Result {
    let bytes = payload.read_all()?;
    let (busy, claim) = claim(channel)
        .or_else(|| claim_late(channel, sender))
        .ok_or_else(ring_full)?;
    let position = claim.position();

    channel.region().write(position, &bytes);
    channel.senders.set(position, identity::current());
    claim.publish(record);
    drop(busy);
    channel.published(position, record.target);
    Ok(())
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
        // An edge-triggered poller looks here, not at `poll`, before it sleeps.
        if !sender.writers.is_active() {
            return None;
        }
        channel.sleep_for_room(sender);
        make_room()
    })
}
