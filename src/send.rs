// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_SEND`

use super::{
    channel::{Channel, Region},
    member::{Member, DOOR, MAX_WAITING},
    rfl::{
        inode::Access,
        io_uring::{IssueFlags, Outcome, Prepared, Sqe},
        preempt, task,
        user_buffer::UserBuffer,
        wait_queue::events,
    },
    ring::{Claim, Record},
    subscriber::Subscriber,
    uapi::send_flags,
};
use core::cell::Cell;
use kernel::{bindings, error::Error, prelude::*};

/// What an SQE asks for.
pub(crate) struct SendCommand {
    addr: u64,
    len: u32,
    /// The one receiver it is for, or 0.
    target: u32,
    flags: u64,
    /// Its place among those who wait, or 0: see [`SendQueue`](super::send_queue::SendQueue).
    ticket: Cell<u64>,
}

/// A request to send.
type Send<'a> = Prepared<'a, SendCommand>;

impl SendCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline(always)]
    pub(crate) fn parse(sqe: &Sqe) -> Result<Self> {
        let flags = sqe.ioprio();

        if flags & !send_flags::ALL != 0 || sqe.buf_index() != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        Ok(Self {
            addr: sqe.addr(),
            len: sqe.len(),
            target: sqe.file_index(),
            flags: u64::from(flags),
            ticket: Cell::new(0),
        })
    }

    #[inline(always)]
    fn waits(&self) -> bool {
        self.flags & u64::from(send_flags::WAIT) != 0
    }
}

/// Sends a message. Sleeps, for the sender's memory.
#[inline(always)]
pub(crate) fn issue(req: Send<'_>, subscriber: &Subscriber, flags: IssueFlags<'_>) -> Outcome {
    if req.command().waits() && flags.locked().is_none() {
        // A wait there would end with `EAGAIN`, and those behind it are issued by the task.
        return Outcome::SEND_BACK;
    }
    match send(req, subscriber) {
        Ok(len) if req.command().ticket.get() == 0 => req.complete(Ok(len), 0),
        result => wait_or_end(req, subscriber, result),
    }
}

/// What becomes of a send that has waited, or that may have to.
#[cold]
fn wait_or_end(req: Send<'_>, subscriber: &Subscriber, result: Result<u32>) -> Outcome {
    // A task that has been killed shall get to its end, although `poll` may say that there is room.
    if req.command().waits() && result == Err(ring_full()) && !task::is_killed() {
        match wait(req, subscriber) {
            Ok(true) => return Outcome::WAIT,
            Ok(false) => {}
            Err(error) => return req.complete(Err(error), 0),
        }
    }
    if req.command().ticket.get() != 0 {
        if result.is_ok() {
            end_wait(req, subscriber);
            subscriber.channel.waiting_send_has_gone();
        } else {
            give_up(req, subscriber);
        }
    }
    req.complete(result, 0)
}

/// Ends the wait of a send that is not sent, or that the core has given up.
pub(crate) fn give_up(req: Send<'_>, subscriber: &Subscriber) {
    end_wait(req, subscriber);
    subscriber.channel.room_is_left();
}

fn end_wait(req: Send<'_>, subscriber: &Subscriber) {
    let (channel, member) = (&*subscriber.channel, &*subscriber.member);
    let ticket = req.command().ticket.get();

    channel.turn_ends();
    member.sends.leave(req.submitter(), ticket, |by| {
        channel.count_waiting_sends(by)
    });
    req.set_needs_cleanup(false);
    // Who polls may have been told that there is room, and then that this send comes first.
    if member.writers.is_active() {
        member.writers.wake(0);
    }
    if member.sends.len() == 0 && member.senders.is_active() {
        member.senders.wake(0);
    }
}

/// Gives the request a place among those that wait; false where too many do. Sleeps.
fn wait(req: Send<'_>, subscriber: &Subscriber) -> Result<bool> {
    if req.command().ticket.get() == 0 {
        let member = &*subscriber.member;
        // The door is everybody's: one user shall not keep all others from waiting there.
        let share = (member.id == DOOR).then_some(MAX_WAITING / 4);
        let arrive = || subscriber.channel.waiting_send_arrives();
        let Some(ticket) = member.sends.join(req.submitter(), share, arrive)? else {
            return Ok(false);
        };

        req.command().ticket.set(ticket);
        req.set_needs_cleanup(true);
    }
    Ok(true)
}

/// Sends a message if there is room and nothing comes before it; returns its length.
#[inline(always)]
fn send(req: Send<'_>, subscriber: &Subscriber) -> Result<u32> {
    let (channel, sender) = (&*subscriber.channel, &*subscriber.member);
    let &SendCommand { addr, len, .. } = req.command();

    if len > channel.parameters.max_msg_size {
        return Err(EMSGSIZE);
    }
    // The pages are there now, while nothing is held: the copy below does not fault. First of all,
    // for it takes as long as the sender likes.
    let payload = UserBuffer::new_readable(addr, len as usize)?;

    check(req, subscriber)?;
    let filled = publish(req, channel, sender, |position| {
        channel.region().fill_nofault(position, &payload)
    })?;

    if filled.is_err() {
        // The pages have gone again.
        send_copy(req, subscriber, payload)?;
    }
    Ok(len)
}

/// Whether the sender may send now, the target, if there is one, can receive, and it is this send's
/// turn.
#[inline(always)]
fn check(req: Send<'_>, subscriber: &Subscriber) -> Result {
    let channel = &*subscriber.channel;
    let target = req.command().target;

    subscriber.check(Access::Write)?;
    if target != 0 && !channel.is_receiver(target) {
        return Err(ENOENT);
    }
    if channel.has_waiting_sends() && !may_go(req, subscriber) {
        return Err(ring_full());
    }
    Ok(())
}

/// Whether it is this send's turn, where some wait.
#[cold]
fn may_go(req: Send<'_>, subscriber: &Subscriber) -> bool {
    let (channel, sender) = (&*subscriber.channel, &*subscriber.member);
    let command = req.command();
    let ticket = command.ticket.get();

    if !sender.sends.may_go(req.submitter(), ticket) {
        // Whoever is in front shall not go on waiting for more room while this one, told by
        // `poll` that there is some, comes back again and again: so what that counts counts here.
        if channel.has_room() {
            sender.senders.wake(events::WRITABLE);
        }
        return false;
    }
    if ticket != 0 {
        true
    } else if command.waits() {
        !channel.is_others_turn(sender)
    } else {
        !channel.is_kept() || (mark_pollers(channel, sender) && !channel.is_kept())
    }
}

/// Sends a message by way of a buffer. Sleeps.
#[cold]
fn send_copy(req: Send<'_>, subscriber: &Subscriber, payload: UserBuffer) -> Result {
    let (channel, sender) = (&*subscriber.channel, &*subscriber.member);

    // What has been claimed is skipped. Whoever has found the ring full meanwhile shall not wait
    // until the pages come.
    channel.room_is_left();
    let bytes = payload.read_all()?;

    // Once more, as that took its time.
    check(req, subscriber)?;
    publish(req, channel, sender, |position| {
        channel.region().write(position, &bytes);
        Ok(())
    })?
}

/// Puts a message into the ring; `fill` copies the payload to a position and does not sleep.
///
/// Fails where the ring is full, or where the end has come after all. Where `fill` fails, which is
/// the result then, nothing is sent: for pages nobody shall wait, so the slot is skipped.
#[inline(always)]
fn publish(
    req: Send<'_>,
    channel: &Channel,
    sender: &Member,
    fill: impl FnOnce(u64) -> Result,
) -> Result<Result> {
    let (busy, claim) = claim(channel)
        .or_else(|| claim_late(channel, sender))
        .ok_or_else(ring_full)?;
    let position = claim.position();

    if let Err(end) = channel.check_claimed(sender) {
        drop(claim);
        drop(busy);
        channel.published(position, 0);
        channel.room_is_left();
        return Err(end);
    }
    let filled = fill(position);
    let command = req.command();

    if filled.is_ok() {
        channel.sender(position).set_current();
        claim.publish(&Record {
            sender_data: req.user_data(),
            len: command.len,
            target: command.target,
            sender_id: sender.id,
        });
    } else {
        drop(claim);
    }
    drop(busy);
    channel.published(position, command.target);
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
        if mark_pollers(channel, sender) {
            make_room()
        } else {
            None
        }
    })
}

/// Marks those as sleeping for room who poll a member that finds none; false where nobody does. The
/// caller looks once more: an edge-triggered poller looks here, not at `poll`, before it sleeps.
fn mark_pollers(channel: &Channel, sender: &Member) -> bool {
    let polled = [sender.writers.is_active(), sender.senders.is_active()];

    for (polled, exclusive) in polled.into_iter().zip([false, true]) {
        if polled {
            channel.sleep_for_room(sender, exclusive);
        }
    }
    polled != [false; 2]
}
