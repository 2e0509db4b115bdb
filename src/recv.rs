// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_RECV`

use super::{
    channel::{Channel, Next},
    member::{Member, MAX_WAITING},
    rfl::{
        inode::Access,
        io_uring::{IssueFlags, NewRequest, Outcome, Prepared, Request, Sqe, UringLocked},
        task,
        user_buffer::UserBuffer, //
    },
    ring::Found,
    subscriber::Subscriber,
    uapi::{recv_flags, MessageHeader, CQE_MORE_WAITING},
};
use copy::Receivable;
use core::{cell::Cell, marker::PhantomData, mem::size_of};
use kernel::prelude::*;

const HEADER_LEN: usize = size_of::<MessageHeader>();

/// How often a lossy receiver is overrun by the message that it is copying before others have their
/// turn: no task is kept here by those who send faster than it can copy.
const MAX_OVERRUNS: u32 = 32;

/// How many messages a multishot receive takes before others have their turn, as
/// `MULTISHOT_MAX_RETRY` in `io_uring/net.c`.
const BURST: u32 = 32;

/// What an SQE asks for.
pub(crate) struct RecvCommand {
    /// The buffer, or 0 where one is to be selected.
    addr: u64,
    /// Its length, or the most to use of the selected one, or 0.
    len: u32,
    flags: u16,
    /// Where to select from.
    group: u16,
    /// How many messages it has received since it has told whoever waits for room.
    untold: Cell<u32>,
}

impl RecvCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline]
    pub(crate) fn parse(sqe: &Sqe, req: &Request) -> Result<Self> {
        let command = Self {
            addr: sqe.addr(),
            len: sqe.len(),
            flags: sqe.ioprio(),
            group: sqe.buf_index(),
            untold: Cell::new(0),
        };
        let selects = req.selects_buffer();

        if command.flags & !recv_flags::ALL != 0 || sqe.file_index() != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        let unused = if selects {
            command.addr
        } else {
            u64::from(command.group)
        };
        if unused != 0 {
            return Err(EINVAL);
        }
        // The last message of a multishot receive may come without `MORE`, and must not be skipped.
        if command.is_multishot() && (!selects || req.skips_cqe()) {
            return Err(EINVAL);
        }
        // How long a selected buffer is turns out when it is.
        let known = !selects || command.len != 0;
        if known && command.wants_header() && (command.len as usize) < HEADER_LEN {
            return Err(EINVAL);
        }
        Ok(command)
    }

    /// Tells the core of a request that will wait.
    #[inline(always)]
    pub(crate) fn announce(&self, req: &NewRequest) {
        if self.is_multishot() {
            req.set_multishot();
        }
        if self.waits() {
            // It may be the only one that is woken for its message. And a multishot one posts many
            // completions, so a task that waits for several must not count it as one.
            req.set_eager();
        }
    }

    #[inline(always)]
    fn is_multishot(&self) -> bool {
        self.flags & recv_flags::MULTISHOT != 0
    }

    #[inline(always)]
    fn waits(&self) -> bool {
        self.flags & (recv_flags::WAIT | recv_flags::MULTISHOT) != 0
    }

    #[inline(always)]
    fn wants_header(&self) -> bool {
        self.flags & recv_flags::HDR != 0
    }

    #[inline(always)]
    fn wants_full_length(&self) -> bool {
        self.flags & recv_flags::TRUNC != 0
    }
}

/// Receives a message, or, for a multishot request, all there are. Sleeps, for the receiver's
/// memory.
///
/// Fails with `EAGAIN` where there is none and the request does not wait, or `EPIPE` where there is
/// none and the channel has been destroyed. A failed receive leaves the message for the next.
#[inline(always)]
pub(crate) fn issue(
    req: Prepared<'_, RecvCommand>,
    subscriber: &Subscriber,
    flags: IssueFlags<'_>,
) -> Outcome {
    if subscriber.member.service.notices {
        return issue_noticed(req, subscriber, flags);
    }
    Receive::<Found<'_>>::new(req, subscriber).issue(flags)
}

/// As [`issue`], for who is told of others.
#[cold]
fn issue_noticed(
    req: Prepared<'_, RecvCommand>,
    subscriber: &Subscriber,
    flags: IssueFlags<'_>,
) -> Outcome {
    Receive::<Next<'_>>::new(req, subscriber).issue(flags)
}

/// Ends the wait of a receive that the core has given up.
pub(crate) fn give_up(req: Prepared<'_, RecvCommand>, subscriber: &Subscriber) {
    req.set_needs_cleanup(false);
    subscriber.channel.receive_ends(&subscriber.member, false);
}

/// A message received.
struct Received {
    /// For `cqe->res`.
    bytes: u32,
    /// For `cqe->flags`: which buffer.
    cqe_flags: u32,
}

/// A receive under way, of `Item`s: messages, or messages and notices.
#[derive(Clone, Copy)]
struct Receive<'a, Item> {
    req: Prepared<'a, RecvCommand>,
    subscriber: &'a Subscriber,
    items: PhantomData<Item>,
}

impl<'a, Item: Receivable<'a>> Receive<'a, Item> {
    #[inline(always)]
    fn new(req: Prepared<'a, RecvCommand>, subscriber: &'a Subscriber) -> Self {
        Self {
            req,
            subscriber,
            items: PhantomData,
        }
    }

    #[inline(always)]
    fn issue(self, flags: IssueFlags<'_>) -> Outcome {
        let (req, command) = (self.req, self.command());
        let locked = flags.locked();

        if locked.is_none() && (command.waits() || req.selects_buffer()) {
            // A buffer picked there could not be put back, and a wait there would end with
            // `EAGAIN`.
            return Outcome::SEND_BACK;
        }
        let selecting = locked.filter(|_| req.selects_buffer());
        if command.is_multishot() {
            if self.are_too_many() {
                return req.complete(Err(EAGAIN), 0);
            }
            // Before anything marks the member as sleeping for a receive.
            self.begin_wait();
        }
        if command.waits() && self.member().seems_chosen() {
            self.see_choice();
        }
        let mut outcome = match self.check() {
            Err(error) => req.complete(Err(error), 0),
            Ok(()) => match selecting {
                Some(locked) if command.is_multishot() => self.all(flags, locked),
                _ => self.one(selecting),
            },
        };

        if outcome != Outcome::COMPLETE && task::is_killed() {
            // Whatever it waits for, it shall not keep the task from its end: `poll` may say that
            // it is there, or there is more to receive.
            outcome = req.complete(Err(EINTR), 0);
        }
        if outcome == Outcome::WAIT {
            self.begin_wait();
        } else if outcome == Outcome::COMPLETE && req.needs_cleanup() {
            self.end_wait();
        }
        outcome
    }

    /// Sees what the member was chosen for, and ends as a receive that has waited then. Where too
    /// many wait it may not, and leaves that to them.
    #[cold]
    fn see_choice(self) {
        if !self.are_too_many() && self.member().receive_looks() {
            self.begin_wait();
        }
    }

    /// Whether the receiver may receive now: asked before there is a message, and of each message
    /// after it has been found. Whoever takes the right away and then sends something is sure that
    /// it is not received. litmus: publish
    #[inline(always)]
    fn check(self) -> Result {
        self.subscriber.check(Access::Read)
    }

    #[inline(always)]
    fn channel(self) -> &'a Channel {
        &self.subscriber.channel
    }

    #[inline(always)]
    fn member(self) -> &'a Member {
        &self.subscriber.member
    }

    #[inline(always)]
    fn command(self) -> &'a RecvCommand {
        self.req.command()
    }

    /// Whether the request does not wait yet, and may not.
    #[inline]
    fn are_too_many(self) -> bool {
        self.member().receives() >= MAX_WAITING && !self.req.needs_cleanup()
    }

    /// Counts the request among those that wait, unless it is.
    fn begin_wait(self) {
        if !self.req.needs_cleanup() {
            self.member().receive_waits();
            self.req.set_needs_cleanup(true);
        }
    }

    #[inline(never)]
    fn end_wait(self) {
        self.req.set_needs_cleanup(false);
        self.channel()
            .receive_ends(self.member(), !self.req.has_failed());
    }

    /// Receives one message; `selecting` a buffer is for who holds the ring's lock.
    #[inline(always)]
    fn one(self, selecting: Option<UringLocked<'_>>) -> Outcome {
        match self.next(selecting) {
            Ok(Some(received)) => self.received(received),
            Ok(None) if self.command().waits() || !self.member().readers.is_active() => {
                self.nothing()
            }
            Ok(None) => self.one_for_poller(selecting),
            Err(error) => self.req.complete(Err(error), 0),
        }
    }

    /// As [`Self::one`], where nothing was found and somebody polls: an edge-triggered poller looks
    /// here, not at `poll`, before it sleeps.
    #[cold]
    fn one_for_poller(self, selecting: Option<UringLocked<'_>>) -> Outcome {
        self.channel().sleep_for_message(self.member());
        match self.next(selecting) {
            Ok(Some(received)) => self.received(received),
            Ok(None) => self.nothing(),
            Err(error) => self.req.complete(Err(error), 0),
        }
    }

    #[inline(always)]
    fn received(self, Received { bytes, cqe_flags }: Received) -> Outcome {
        // Whoever polls does not come again to find nothing.
        self.channel()
            .room_made(1, self.member(), || self.look().is_none());
        self.req.complete(Ok(bytes), cqe_flags)
    }

    #[inline(always)]
    fn nothing(self) -> Outcome {
        self.channel().room_made(0, self.member(), || true);
        if self.command().waits() && !self.are_too_many() {
            Outcome::WAIT
        } else {
            self.req.complete(Err(EAGAIN), 0)
        }
    }

    #[inline(always)]
    fn next(self, selecting: Option<UringLocked<'_>>) -> Result<Option<Received>> {
        let mut failures = 0;

        while let Some(item) = self.find()? {
            self.check()?;
            let received = match selecting {
                Some(locked) => self.receive_to_selected(item, locked)?,
                None => self.receive(item)?,
            };

            if received.is_some() {
                return Ok(received);
            }
            failures += 1;
            if self.cannot_keep_up(failures) {
                // `poll` would say that there is something to wait for no longer.
                return if self.command().waits() {
                    Err(EAGAIN)
                } else {
                    Ok(None)
                };
            }
        }
        Ok(None)
    }

    /// Whether a receive that has got no message once more is to leave it at that.
    #[cold]
    fn cannot_keep_up(self, failures: u32) -> bool {
        self.member().service.lossy && failures >= MAX_OVERRUNS
    }

    /// Receives what is there, up to a limit, with a completion for each message.
    #[inline(never)]
    fn all(self, flags: IssueFlags<'_>, locked: UringLocked<'_>) -> Outcome {
        let outcome = self
            .burst(flags, locked)
            .unwrap_or_else(|error| Some(self.req.complete(Err(error), 0)));

        // Once for all of them. Where it has taken as many as it may `poll` is asked next, and does
        // not have it come again if those were the last.
        self.tell_of_room(|| outcome.is_some() || self.has_taken_the_last());
        outcome.unwrap_or(Outcome::later(flags))
    }

    #[cold]
    fn has_taken_the_last(self) -> bool {
        self.look().is_none()
    }

    /// Tells whoever waits for room of what a multishot request has received; `idle` as for
    /// [`Channel::room_made`].
    #[inline(always)]
    fn tell_of_room(self, idle: impl FnOnce() -> bool) {
        self.channel()
            .room_made(self.command().untold.take(), self.member(), idle);
    }

    /// Nothing where it is others' turn.
    #[inline(always)]
    fn burst(self, flags: IssueFlags<'_>, locked: UringLocked<'_>) -> Result<Option<Outcome>> {
        let mut next = self.look();
        let mut failures = 0;
        let mut messages = 0;

        while messages != BURST {
            if next.is_none() {
                next = self.find_late(flags)?;
            }
            let Some(item) = next else {
                return Ok(Some(Outcome::WAIT));
            };
            self.check()?;
            let received = self.receive_to_selected(item, locked)?;

            next = self.look();
            let Some(Received { bytes, cqe_flags }) = received else {
                failures += 1;
                if self.cannot_keep_up(failures) {
                    return Err(EAGAIN);
                }
                continue;
            };
            let cqe_flags = if next.is_some() {
                cqe_flags | CQE_MORE_WAITING
            } else {
                cqe_flags
            };

            messages += 1;
            self.command().untold.set(self.command().untold.get() + 1);
            if !self.req.post(locked, bytes, cqe_flags) {
                return Ok(Some(self.req.complete(Ok(bytes), cqe_flags)));
            }
        }
        Ok(None)
    }

    /// As [`Self::find`], for a multishot receive that has found nothing just now.
    #[inline(never)]
    fn find_late(self, flags: IssueFlags<'_>) -> Result<Option<Item>> {
        if flags.is_woken_multishot() {
            if self.member().seems_chosen() {
                self.see_choice();
            }
            // Nobody asks `poll` after this turn.
            self.channel().sleep_for_message(self.member());
        } else if !self.channel().is_destroyed() {
            return Ok(None);
        }
        self.find()
    }

    /// What comes next, if there is something.
    #[inline(always)]
    fn look(self) -> Option<Item> {
        Item::find(self.channel(), self.member())
    }

    /// What comes next, or `EPIPE` where there will be no message any more.
    #[inline(always)]
    fn find(self) -> Result<Option<Item>> {
        match self.look() {
            None if self.channel().is_destroyed() => self.find_last(),
            found => Ok(found),
        }
    }

    /// As [`Self::find`], when the channel has been destroyed: this search finds all that was sent
    /// before, and where there may be more to come that is waited for.
    #[cold]
    fn find_last(self) -> Result<Option<Item>> {
        // Asked first: a notice that hides behind a slot is found when that has been passed.
        let nothing_left = self.channel().has_nothing_left(self.member());

        match self.look() {
            None if nothing_left => Err(EPIPE),
            last => Ok(last),
        }
    }

    /// Receives what is next, or nothing where somebody else has got it.
    #[inline(always)]
    fn receive(self, item: Item) -> Result<Option<Received>> {
        let buffer = UserBuffer::new(self.command().addr, self.command().len as usize)?;

        Ok(self.copy(item, buffer)?.map(|whole| Received {
            bytes: self.result(whole, buffer),
            cqe_flags: 0,
        }))
    }

    /// As [`Self::receive`], into a buffer that is picked now.
    #[inline(always)]
    fn receive_to_selected(self, item: Item, locked: UringLocked<'_>) -> Result<Option<Received>> {
        let (group, len) = (self.command().group, self.command().len);
        let selected = self.req.select_buffer(locked, group, len)?;
        let buffer = selected.buffer();

        if self.command().wants_header() && buffer.len() < HEADER_LEN {
            return Err(EINVAL);
        }
        // No closure: the compiler would not make it part of this.
        let Some(whole) = self.copy(item, buffer)? else {
            return Ok(None);
        };

        Ok(Some(Received {
            bytes: self.result(whole, buffer),
            cqe_flags: selected.consume(whole.min(buffer.len())),
        }))
    }

    /// `cqe->res` for a message, with its header if that is wanted, of `whole` bytes.
    #[inline(always)]
    fn result(self, whole: usize, buffer: UserBuffer) -> u32 {
        if self.command().wants_full_length() {
            whole as u32
        } else {
            whole.min(buffer.len()) as u32
        }
    }
}

#[path = "recv/copy.rs"]
mod copy;
