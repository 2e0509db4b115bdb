// SPDX-License-Identifier: GPL-2.0

//! A subscriber, or the door, as its channel knows it.

use super::{
    losses::Losses,
    rfl::{
        atomic::{Word32, Word64},
        identity::Identity,
        inode::Access,
        memlock::MemlockCharge,
        wait_queue::WaitQueue,
    },
    send_queue::SendQueue,
};
use core::mem::size_of;
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, c_str, prelude::*, static_lock_class, sync::Arc};

/// The id of the member that stands for all who send by the channel's id.
pub(crate) const DOOR: u32 = 0;

/// How many sends of a subscriber may wait, and how many receives: all are woken at once, under
/// locks.
pub(crate) const MAX_WAITING: u32 = 1024;

/// What a subscriber may do.
#[derive(Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) send: bool,
    pub(crate) recv: bool,
}

impl Rights {
    pub(crate) fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.recv,
            Access::Write => self.send,
        }
    }

    /// Whether `other` is no more than this.
    pub(crate) fn include(self, other: Self) -> bool {
        (self.send || !other.send) && (self.recv || !other.recv)
    }
}

/// How a receiver is served.
#[derive(Clone, Copy, Default)]
pub(crate) struct Service {
    /// Broadcast: it holds no sender up, and loses what it is too slow for.
    pub(crate) lossy: bool,
    /// It is told who comes and goes.
    pub(crate) notices: bool,
}

/// A subscriber, or the door, as its channel knows it.
#[pin_data]
pub(crate) struct Member {
    /// The subscriber's id, or [`DOOR`].
    pub(crate) id: u32,
    pub(crate) rights: Rights,
    pub(crate) service: Service,
    /// Who has attached it.
    pub(crate) identity: Identity,
    /// Receivers: everything below this position is nothing (more) for this one.
    pub(crate) cursor: Word64,
    /// Lossy receivers.
    pub(crate) losses: Losses,
    /// Receivers that are told who comes and goes: the number of the next notice. Written under
    /// the lock of [`Members`].
    pub(super) next_notice: Word64,
    /// What it may do now without further questions: [`Access`] as bits. Written under the lock of
    /// [`Members`].
    granted: Word32,
    detached: Word32,
    /// Receives that wait.
    receives: Word32,
    /// Not 0 where one of several receivers was to be woken, it was this one, and none of its
    /// receives has looked since.
    pub(super) chosen: Word32,
    /// Sends that wait.
    #[pin]
    pub(crate) sends: SendQueue,
    /// Those who wait for a message.
    #[pin]
    pub(crate) readers: WaitQueue,
    /// Those who poll for room.
    #[pin]
    pub(crate) writers: WaitQueue,
    /// Sends that wait for room, and who polls exclusively; first come, first woken.
    #[pin]
    pub(crate) senders: WaitQueue,
    /// How often somebody was woken for a message; written under the lock of [`Members`].
    pub(crate) wakeups: WakeupCount,
    /// The same for room.
    pub(crate) room_wakeups: WakeupCount,
    /// For what a subscriber takes.
    _memlock: MemlockCharge,
}

/// How often somebody was woken, which one at a time counts.
pub(crate) struct WakeupCount(Word64);

impl WakeupCount {
    fn new() -> Self {
        Self(Word64::new(0))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load_relaxed()
    }

    /// Counts one more; the caller keeps others from doing so.
    pub(super) fn add(&self) {
        self.0.store_relaxed(self.get() + 1);
    }
}

impl Member {
    /// Makes a member, charged to the caller; `ENOMEM`. Sleeps.
    pub(crate) fn new(id: u32, rights: Rights, service: Service) -> Result<Arc<Self>> {
        let memlock = MemlockCharge::new(size_of::<Self>())?;

        Arc::pin_init(
            pin_init!(Self {
                id,
                rights,
                service,
                identity: Identity::current(),
                cursor: Word64::new(0),
                losses: Losses::new(),
                next_notice: Word64::new(0),
                granted: Word32::new(0),
                detached: Word32::new(0),
                receives: Word32::new(0),
                chosen: Word32::new(0),
                sends <- SendQueue::new(),
                readers <- WaitQueue::new(c_str!("Member::readers"), static_lock_class!()),
                writers <- WaitQueue::new(c_str!("Member::writers"), static_lock_class!()),
                senders <- WaitQueue::new(c_str!("Member::senders"), static_lock_class!()),
                wakeups: WakeupCount::new(),
                room_wakeups: WakeupCount::new(),
                _memlock: memlock,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Whether the member may do this without further questions.
    #[inline(always)]
    pub(crate) fn is_granted(&self, access: Access) -> bool {
        self.granted.load_relaxed() & access as u32 != 0
    }

    /// Lets the member use its right without further questions.
    pub(super) fn grant(&self, access: Access) {
        if self.rights.allow(access) {
            self.granted
                .store_relaxed(self.granted.load_relaxed() | access as u32);
        }
    }

    /// Has the member ask again.
    pub(super) fn revoke(&self, access: Access) {
        self.granted
            .store_relaxed(self.granted.load_relaxed() & !(access as u32));
    }

    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        // Acquire: pairs with the release in `detach()`. litmus: detached
        self.detached.load_acquire() != 0
    }

    /// Takes effect with the members locked.
    pub(super) fn detach(&self) {
        // Release: pairs with the acquire in `is_detached()`. litmus: detached
        self.detached.store_release(1);
    }

    /// How many receives wait.
    pub(crate) fn receives(&self) -> u32 {
        self.receives.load_relaxed()
    }

    /// Counts a receive that begins to wait.
    pub(crate) fn receive_waits(&self) {
        self.receives.add(1);
    }

    /// Counts a receive that waits no longer.
    pub(super) fn receive_ends(&self) {
        self.receives.add(-1);
    }

    /// Whether this member was chosen for a message, and none of its receives has seen that, as far
    /// as one can tell without waiting for others.
    #[inline(always)]
    pub(crate) fn seems_chosen(&self) -> bool {
        self.chosen.load_relaxed() != 0
    }

    /// A receive that waits is about to look for messages: it sees what this member was chosen for.
    /// Whether it was: then who looks has to hand on what it does not take.
    pub(crate) fn receive_looks(&self) -> bool {
        // litmus: looks
        self.chosen.take()
    }

    /// A receive has taken a message that was for this member alone. Whatever it had been chosen
    /// for is still to be seen.
    pub(crate) fn is_chosen_still(&self) {
        self.chosen.store_relaxed(1);
    }

    /// Whether this member was chosen for a message, and none of its receives has looked since.
    pub(super) fn is_chosen(&self) -> bool {
        // Also orders the end of the receive before all that follows. litmus: chosen, poller
        self.chosen.take()
    }

    /// Tells everybody who waits, for whatever, that this subscriber or its channel has ended.
    pub(super) fn wake_for_end(&self) {
        self.readers.wake_for_end();
        self.writers.wake_for_end();
        self.senders.wake_for_end();
    }
}
