// SPDX-License-Identifier: GPL-2.0

//! The sends of a subscriber that wait for room, in the order in which they came.
//!
//! The core wakes and issues them in an order of its own. Here each has a ticket, and may go only
//! when no older one of its submitter is left. Submitters do not wait for one another: one may be
//! stopped. The oldest is issued by the same task as those behind it, so they can come back as
//! often as they like and it gets on.

use super::{
    member::MAX_WAITING,
    rfl::{
        atomic::{Word32, Word64},
        io_uring::Submitter,
        user::UserId,
    },
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    new_spinlock,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::SpinLock, //
};

/// Sends that wait.
#[pin_data]
pub(crate) struct SendQueue {
    /// How many; written under the lock of `tickets`.
    len: Word32,
    /// Which one of all its channel's waiting sends the first of them was, since when some have
    /// waited all the time; 0 where none does. Written under the same lock.
    since: Word64,
    /// Taken alone.
    #[pin]
    tickets: SpinLock<Tickets>,
}

struct Tickets {
    /// By submitter and ticket: who pays for the place.
    waiting: RBTree<(Submitter, u64), UserId>,
    last: u64,
    /// The subscriber has left: what still waits is to end, and counts no more.
    closed: bool,
}

impl Tickets {
    /// How many are this user's.
    fn of(&self, user: UserId) -> u32 {
        self.waiting.values().filter(|&&of| of == user).count() as u32
    }
}

impl SendQueue {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            len: Word32::new(0),
            since: Word64::new(0),
            tickets <- new_spinlock!(
                Tickets {
                    waiting: RBTree::new(),
                    last: 0,
                    closed: false,
                },
                "SendQueue::tickets"
            ),
        })
    }

    /// How many wait.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.len.load_relaxed()
    }

    /// Whether any has waited for longer than those of `other`, of the same channel.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        let [mine, others] = [self, other].map(|queue| queue.since.load_relaxed());

        mine != 0 && (others == 0 || mine < others)
    }

    /// Whether a send may go; `ticket` is 0 if it has none yet.
    #[inline(always)]
    pub(crate) fn may_go(&self, submitter: Submitter, ticket: u64) -> bool {
        // Who waits has raised the number in the very task that asks.
        self.len() == 0 || self.is_oldest(submitter, ticket)
    }

    #[cold]
    fn is_oldest(&self, submitter: Submitter, ticket: u64) -> bool {
        let tickets = self.tickets.lock();

        match tickets.waiting.cursor_lower_bound(&(submitter, 0)) {
            Some(first) if first.current().0 .0 == submitter => first.current().0 .1 == ticket,
            _ => true,
        }
    }

    /// Makes a send wait behind all others of its submitter; returns its ticket, not 0, or nothing
    /// where too many wait, or so many of the caller's user as are its `share`. `arrive` counts one
    /// more, and says which one of all it is. Sleeps.
    pub(crate) fn join(
        &self,
        submitter: Submitter,
        share: Option<u32>,
        arrive: impl FnOnce() -> u64,
    ) -> Result<Option<u64>> {
        let room = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let user = UserId::current();
        let mut tickets = self.tickets.lock();

        if self.len() >= MAX_WAITING || share.is_some_and(|share| tickets.of(user) >= share) {
            return Ok(None);
        }
        tickets.last += 1;
        let ticket = tickets.last;
        tickets
            .waiting
            .insert(room.into_node((submitter, ticket), user));
        if !tickets.closed {
            let number = arrive();

            if self.len() == 0 {
                self.since.store_relaxed(number);
            }
        }
        self.len.add(1);
        Ok(Some(ticket))
    }

    /// Ends a wait; `count` is told of one less.
    pub(crate) fn leave(&self, submitter: Submitter, ticket: u64, count: impl FnOnce(i32)) {
        let mut tickets = self.tickets.lock();
        let left = tickets.waiting.remove_node(&(submitter, ticket));

        if !tickets.closed {
            count(-1);
        }
        self.len.add(-1);
        if self.len() == 0 {
            self.since.store_relaxed(0);
        }
        drop(tickets);
        drop(left);
    }

    /// The subscriber has left. Its sends end when their tasks run, which may be stopped, so from
    /// now on they do not count: `count` is told of all of them.
    pub(crate) fn close(&self, count: impl FnOnce(i32)) {
        let mut tickets = self.tickets.lock();

        if !core::mem::replace(&mut tickets.closed, true) {
            count(-(self.len() as i32));
        }
    }
}

#[cfg(ioipc_kunit)]
mod tests;
