// SPDX-License-Identifier: GPL-2.0

//! A channel: a ring, its members, and who may use it.
//!
//! # Lock order
//!
//! 1. `uring_lock` of a ring (held by the core around everything but an `issue` in io-wq; never
//!    taken here)
//! 2. the registry's mutex
//! 3. `Channel::members`
//! 4. a wait queue's lock
//!
//! Nothing sleeps, faults or copies to or from user space under 3 and 4.

use super::{
    delivery::Mode,
    member::Member,
    members::{Members, Population, SleepCounts},
    rfl::{
        atomic::{full_barrier, Word32, Word64},
        identity::IdentityCell,
        inode::{Access, Inode, Owner},
        ipc_namespace::IpcNamespaceId,
        memlock::MemlockCharge,
        shared_region::{Layout, SharedRegion},
        wrapping_array::WrappingArray,
    },
    ring::{Found, Header, Memory, Ring, Slot},
    uapi,
};
use core::mem::size_of;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    bindings, new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

/// The memory of a channel's ring.
pub(crate) type Region = SharedRegion<Header, Slot>;

impl Memory for Region {
    #[inline(always)]
    fn header(&self) -> &Header {
        SharedRegion::header(self)
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &Slot {
        SharedRegion::slot(self, position)
    }
}

/// What a channel is made from, checked.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    pub(crate) mode: Mode,
    /// Permission is checked for every message, and the region cannot be mapped.
    pub(crate) private: bool,
    /// Broadcast: all receivers are lossy.
    pub(crate) lossy: bool,
    /// A power of two.
    pub(crate) ring_entries: u32,
    pub(crate) max_msg_size: u32,
    /// Where the region's parts are; its size fits an `i32`.
    pub(crate) layout: Layout<Slot>,
    /// How many may be attached at once.
    pub(crate) max_subscribers: u32,
    /// The first message's position.
    pub(crate) first_position: u64,
}

/// A channel.
///
/// Lives as long as anybody attached has a file, a request or a mapping, also after it has been
/// destroyed: then it only lacks its names.
#[pin_data]
pub(crate) struct Channel {
    pub(crate) id: u32,
    pub(crate) parameters: Parameters,
    ring: Ring<Region>,
    /// Who has sent the message in each slot; belongs to whoever the slot belongs to. Kept beside
    /// the ring's memory, which receivers may map.
    senders: WrappingArray<IdentityCell>,
    /// Owner, mode and security label.
    inode: Inode,
    /// Where it was made, and is found by its names.
    namespace: IpcNamespaceId,
    destroyed: Word32,
    asleep: SleepCounts,
    /// Messages received since waiting sends have been woken.
    received: Word32,
    /// Sends that wait, of all members.
    waiting_sends: Word32,
    /// Sends that have ever begun to wait.
    arrivals: Word64,
    /// How many slots are left to sends that have been woken. A hint: nothing is lost where it is
    /// one off.
    turns: Word32,
    /// Where the ring's tail was when they were woken.
    turns_from: Word64,
    /// Not 0 where there was room, a send left it to others that wait, and whoever has gone since has
    /// not seen to it.
    stood_back: Word32,
    receivers: Word32,
    /// The number of the next notice of who has come or gone; written with the members locked.
    noticed_to: Word64,
    #[pin]
    members: SpinLock<Members>,
    /// For the ring.
    _memlock: MemlockCharge,
}

impl Channel {
    /// Makes a channel in the caller's IPC namespace, charged to the caller. `inode` says who may use it.
    pub(crate) fn new(id: u32, parameters: Parameters, inode: Inode) -> Result<Arc<Self>> {
        let layout = &parameters.layout;
        let entries = parameters.ring_entries as usize;
        let memlock = MemlockCharge::new(layout.size() + entries * size_of::<IdentityCell>())?;
        let region = Region::new(*layout)?;
        let header = region.header();

        header.version.store_relaxed(uapi::RING_VERSION);
        header.ring_entries.store_relaxed(parameters.ring_entries);
        header.ring_mask.store_relaxed(parameters.ring_entries - 1);
        header.max_msg_size.store_relaxed(parameters.max_msg_size);
        header
            .desc_offset
            .store_relaxed(Layout::<Slot>::SLOTS as u32);
        header.desc_size.store_relaxed(size_of::<Slot>() as u32);
        header.data_offset.store_relaxed(layout.cells() as u32);
        header.data_stride.store_relaxed(layout.stride() as u32);
        for position in 0..u64::from(parameters.ring_entries) {
            // The mapping is the same for receivers in all namespaces: no ids.
            region.slot(position).prepare(
                region.cell_offset(position) as u32,
                bindings::DEFAULT_OVERFLOWUID,
                bindings::DEFAULT_OVERFLOWGID,
            );
        }

        let ring = Ring::new(
            region,
            parameters.ring_entries,
            parameters.mode.sharing(),
            parameters.first_position,
        );
        Arc::pin_init(
            try_pin_init!(Self {
                id,
                parameters,
                ring,
                senders: WrappingArray::new(entries, IdentityCell::new)?,
                inode,
                namespace: IpcNamespaceId::current(),
                destroyed: Word32::new(0),
                asleep: SleepCounts::new(),
                received: Word32::new(0),
                waiting_sends: Word32::new(0),
                arrivals: Word64::new(0),
                turns: Word32::new(0),
                turns_from: Word64::new(0),
                stood_back: Word32::new(0),
                receivers: Word32::new(0),
                noticed_to: Word64::new(0),
                members <- new_spinlock!(Members::new(), "Channel::members"),
                _memlock: memlock,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> &Ring<Region> {
        &self.ring
    }

    #[inline(always)]
    pub(crate) fn region(&self) -> &Region {
        self.ring.memory()
    }

    /// Who sends, or has sent, the message at `position`.
    #[inline(always)]
    pub(crate) fn sender(&self, position: u64) -> &IdentityCell {
        self.senders.at(position as usize)
    }

    #[inline(always)]
    pub(crate) fn is_destroyed(&self) -> bool {
        // Acquire: pairs with the release in `destroy()`; what was sent before is seen after.
        // litmus: destroyed
        self.destroyed.load_acquire() != 0
    }

    /// Whether the caller's credentials allow `access`. May sleep.
    #[inline(never)]
    pub(crate) fn permission(&self, access: Access) -> Result {
        self.inode.permission(access)
    }

    /// Whether the channel's names, while it has them, are the caller's namespace's.
    pub(crate) fn is_visible(&self) -> bool {
        self.namespace == IpcNamespaceId::current()
    }

    /// Whose it is, as the caller sees that, and what it allows to whom.
    pub(crate) fn owner(&self) -> Owner {
        self.inode.owner()
    }

    /// Whether the caller may destroy the channel, and detach others from it.
    pub(crate) fn may_destroy(&self) -> bool {
        self.inode.owner_or_capable()
    }

    /// Changes who may use the channel, if the caller is its owner or capable over that; `EPERM`.
    /// Sleeps.
    pub(crate) fn set_mode(&self, mode: u16) -> Result {
        if mode & !uapi::MODE_BITS != 0 {
            return Err(EINVAL);
        }
        self.inode.chmod(mode)
    }

    /// How many can receive.
    #[inline(always)]
    pub(crate) fn nr_receivers(&self) -> u32 {
        self.receivers.load_relaxed()
    }

    /// Who there is, for people to look at.
    pub(crate) fn population(&self) -> Population {
        self.members.lock().population()
    }

    /// How many notices of who has come and gone `member` has not received, and who has the most.
    pub(crate) fn unread_notices(&self, member: &Member) -> (u64, Option<u32>) {
        let members = self.members.lock();

        (members.unread_notices(member), members.slowest_to_notice())
    }

    /// Ends the channel: nothing more can be sent, and receivers find what is left.
    pub(crate) fn destroy(&self) {
        let mut members = self.members.lock();

        // First of all, so that nobody sends without asking who is asked by somebody that has seen
        // the end. litmus: last-claim
        members.revoke_sends();
        // Release: pairs with the acquire in `is_destroyed()`. litmus: destroyed, last-claim
        // Under the lock, as those are who fall asleep. litmus: granted, taken-end
        self.destroyed.store_release(1);
        // Whoever has not seen it yet is queued, and is woken. litmus: end
        members.wake_for_end(&self.asleep);
    }

    /// Whether `sender`, who was allowed to send and has claimed a slot, may use it: `ENOENT`,
    /// `EPIPE`. Does not sleep.
    ///
    /// Whoever has told of the end has seen the claim, or the end is seen here.
    /// litmus: last-claim, leaves
    #[inline(always)]
    pub(crate) fn check_claimed(&self, sender: &Member) -> Result {
        if sender.is_granted(Access::Write) {
            return Ok(());
        }
        self.check_end(sender)
    }

    #[cold]
    fn check_end(&self, sender: &Member) -> Result {
        if sender.is_detached() {
            return Err(ENOENT);
        }
        if self.is_destroyed() {
            return Err(EPIPE);
        }
        Ok(())
    }

    /// Whether `id` can receive here.
    #[inline(never)]
    pub(crate) fn is_receiver(&self, id: u32) -> bool {
        self.members.lock().is_receiver(id)
    }

    /// The next message for `member`.
    #[inline(always)]
    pub(crate) fn find(&self, member: &Member) -> Option<Found<'_>> {
        self.ring.find(&member.cursor, member.id)
    }

    /// Whether there is nothing for `member`, nor will be, when the channel has been seen to be
    /// destroyed: neither a message, nor a slot whose sender has yet to publish it, nor one that
    /// another receiver may give back.
    #[cold]
    pub(crate) fn has_nothing_left(&self, member: &Member) -> bool {
        // Whoever has claimed a slot that is not seen now sees the end. litmus: last-claim
        full_barrier();
        self.ring
            .is_passed_to(&member.cursor, member.id, self.ring.tail())
    }

    /// Whether the message at `position`, which was found for `member`, may still be for it.
    pub(crate) fn holds_for(&self, member: &Member, position: u64) -> bool {
        // Competing receivers find out when they take it.
        self.parameters.mode.receivers_compete()
            // Acquire: as for `Ring::overrun()`. litmus: lost
            || member.cursor.load_acquire() == position && self.ring.still_held(position)
    }

    /// How many messages `member` has lost since the last one whose header has said so, if its next
    /// one is still at `position`.
    pub(crate) fn lost_before(&self, member: &Member, position: u64) -> Option<u64> {
        let _members = self.members.lock();

        // Nobody is being overrun now.
        (member.cursor.load_relaxed() == position).then(|| member.losses.unreported())
    }

    /// Up to which position `member` has received, and how many messages it has lost up to there.
    pub(crate) fn progress(&self, member: &Member) -> (u64, u64) {
        let _members = self.members.lock();

        // Nobody is being overrun now.
        (member.cursor.load_relaxed(), member.losses.total())
    }

    /// As [`Ring::pass`], for a message with whose header so many losses have been reported.
    pub(crate) fn pass_and_report(&self, member: &Member, position: u64, lost: u64) -> bool {
        let _members = self.members.lock();
        let passed = self.ring.pass(&member.cursor, position);

        if passed {
            member.losses.reported(lost);
        }
        passed
    }
}

// Named, because the model reads this file by a name of its own.
#[path = "channel/membership.rs"]
mod membership;
#[path = "channel/next.rs"]
mod next;
#[path = "channel/room.rs"]
mod room;
#[path = "channel/wakeups.rs"]
mod wakeups;

pub(crate) use next::Next;

#[cfg(ioipc_kunit)]
mod tests;
