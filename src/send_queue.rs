// SPDX-License-Identifier: GPL-2.0

//! The sends of a subscriber that wait for room, in the order in which they came.
//!
//! The core wakes and issues them in an order of its own. Here each has a ticket, and may go only
//! when no older one of its ring is left. The subscriber of those who send by channel id is shared
//! by rings; they do not wait for one another.

use super::rfl::atomic::Word32;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    new_spinlock,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::SpinLock, //
};

/// Tells the rings of waiting sends apart.
pub(crate) type RingId = usize;

/// Sends that wait.
#[pin_data]
pub(crate) struct SendQueue {
    /// How many; written under the lock of `tickets`.
    len: Word32,
    /// Taken alone.
    #[pin]
    tickets: SpinLock<Tickets>,
}

struct Tickets {
    waiting: RBTree<(RingId, u64), ()>,
    last: u64,
}

impl SendQueue {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            len: Word32::new(0),
            tickets <- new_spinlock!(
                Tickets {
                    waiting: RBTree::new(),
                    last: 0,
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

    /// Whether a send may go; `ticket` is 0 if it has none yet.
    #[inline(always)]
    pub(crate) fn may_go(&self, ring: RingId, ticket: u64) -> bool {
        // Who has waited on this ring has raised the number under the ring's `uring_lock`.
        self.len() == 0 || self.is_oldest(ring, ticket)
    }

    #[cold]
    fn is_oldest(&self, ring: RingId, ticket: u64) -> bool {
        let tickets = self.tickets.lock();

        match tickets.waiting.cursor_lower_bound(&(ring, 0)) {
            Some(first) if first.current().0 .0 == ring => first.current().0 .1 == ticket,
            _ => true,
        }
    }

    /// Makes a send wait behind all others of its ring; returns its ticket, not 0. Sleeps.
    pub(crate) fn join(&self, ring: RingId) -> Result<u64> {
        let room = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut tickets = self.tickets.lock();

        tickets.last += 1;
        let ticket = tickets.last;
        tickets.waiting.insert(room.into_node((ring, ticket), ()));
        self.len.add(1);
        Ok(ticket)
    }

    /// Ends a wait; returns whether others go on waiting.
    pub(crate) fn leave(&self, ring: RingId, ticket: u64) -> bool {
        let mut tickets = self.tickets.lock();
        let left = tickets.waiting.remove_node(&(ring, ticket));

        self.len.add(-1);
        let others = !tickets.waiting.is_empty();
        drop(tickets);
        drop(left);
        others
    }
}
