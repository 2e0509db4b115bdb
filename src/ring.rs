// SPDX-License-Identifier: GPL-2.0

//! The ring: who may write a slot, who may read it, and when it is free again.
//!
//! Positions count up for ever; the slot of a position is the position modulo the ring's size.
//!
//! # A slot's life
//!
//! 1. A sender *claims* a position: it moves `tail` past it. Only that sender may now write the
//!    slot, and nobody reads it, because `seq` still names an older position.
//! 2. It *publishes*: `seq` becomes position + 1, after everything else is written. A sender that
//!    cannot finish publishes the slot as one to be skipped; a claim never just stays.
//! 3. Receivers read it. On a **broadcast** ring each has a cursor, and the slot is free once all
//!    have passed it. On a **competing** ring (unicast, multicast) one receiver *takes* it: `claim`
//!    goes from FREE to TAKEN, and to DONE when it has been read, or back to FREE when the reader
//!    could not use it. The slot is free once it is DONE, or was published to be skipped.
//! 4. A sender that finds the ring full moves `head` over what is free. Only that makes a slot
//!    claimable again.
//!
//! `tail`, `head` and all cursors only ever go up.
//!
//! # The bad window
//!
//! Between 1 and 2 a position is claimed and not published, and later ones may be published before
//! it. Receivers **stop** there: reading on could show a sender's second message before its first.
//! The window is short (the claimer neither sleeps nor faults in it, nor is it preempted), but
//! whoever looks just then finds nothing. So the one who closes the window tells everybody if
//! something lies behind it: see [`Ring::publish_uncovers`].
//!
//! # Ordering
//!
//! | release | acquire | carries |
//! | --- | --- | --- |
//! | `seq` in [`Claim::publish`] | `seq` in [`Ring::published`] | record and payload |
//! | `claim` in [`Taken::done`] | `claim` in [`Ring::reclaim_taken`] | the reader is finished |
//! | cursor in [`Ring::pass`] | cursor where the caller of [`Ring::reclaim_passed`] reads it | the same |
//! | `head` in [`Ring::reclaim_taken`], [`Ring::reclaim_passed`] | `head` in [`Ring::claim`] | all of those |
//!
//! Comments say by "litmus:" which tests in `Documentation/litmus-tests` show that an access is
//! ordered enough. What has none comes before there is anybody else, or may be old: then a search
//! begins too early, `head` does not go as far as it could, the exchange that follows fails, or a
//! hint is wrong.

use super::rfl::atomic::{read_barrier, Word64};
use slot::{after, ClaimWord, SlotState};

// Named, because the model reads this file by a name of its own.
#[path = "ring/claim.rs"]
mod claim;
#[path = "ring/found.rs"]
mod found;
#[path = "ring/slot.rs"]
mod slot;

pub(crate) use claim::Claim;
pub(crate) use found::Found;
pub(crate) use slot::{Header, Record, Slot, SKIP};

/// Where a ring's header and slots are.
pub(crate) trait Memory {
    fn header(&self) -> &Header;

    /// The slot of a position.
    fn slot(&self, position: u64) -> &Slot;
}

/// How the messages of a ring are handed out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Every receiver reads every message.
    Broadcast,
    /// Every message is read by one receiver.
    Competing,
}

/// A ring in some memory.
pub(crate) struct Ring<M> {
    memory: M,
    entries: u64,
    sharing: Sharing,
}

impl<M: Memory> Ring<M> {
    /// A ring over zeroed memory with `entries` slots, whose first message has the position
    /// `first`.
    pub(crate) fn new(memory: M, entries: u32, sharing: Sharing, first: u64) -> Self {
        let header = memory.header();

        header.tail.store_relaxed(first);
        header.head.store_relaxed(first);
        Self {
            memory,
            entries: u64::from(entries),
            sharing,
        }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// The next position to be claimed.
    pub(crate) fn tail(&self) -> u64 {
        // Where a receiver starts; to others it may be old. litmus: join-tail
        self.memory.header().tail.load_relaxed()
    }

    /// The oldest position that is still held.
    pub(crate) fn head(&self) -> u64 {
        // litmus: join
        self.memory.header().head.load_relaxed()
    }

    /// How many claims would find a slot without [reclaiming](Self::reclaim_taken).
    pub(crate) fn room(&self) -> u32 {
        let held = self.tail().saturating_sub(self.head());

        self.entries.saturating_sub(held) as u32
    }

    /// Claims the next position, or `None` where the ring is full.
    #[inline(always)]
    pub(crate) fn claim(&self) -> Option<Claim<'_, M>> {
        let header = self.memory.header();

        loop {
            let tail = header.tail.load_relaxed();
            // Acquire: pairs with `raise()` of `head` when slots are reclaimed. The readers of the
            // slot we are about to write are finished. litmus: head, pass
            let head = header.head.load_acquire();

            // What was read of `tail` may be old, and `head` past it: then the claim fails.
            if tail.wrapping_sub(head) as i64 >= self.entries as i64 {
                return None;
            }
            // Fully ordered: also for `still_held()`. litmus: claim, still-held
            if header.tail.replace(tail, after(tail)) {
                return Some(Claim {
                    ring: self,
                    position: tail,
                });
            }
        }
    }

    /// Whether the message after `position` was published before the one at `position` itself.
    ///
    /// To be asked after publishing `position` and a full barrier. If so, those who were told of
    /// the later message may have found the window still open and gone to sleep again, whatever
    /// they are waiting for: everybody has to look once more. Otherwise the later sender's own
    /// wake-up comes after this publication.
    #[inline]
    pub(crate) fn publish_uncovers(&self, position: u64) -> bool {
        // Not `==`: by now that message may have been read and its slot reused. litmus: window
        self.memory.slot(after(position)).seq.load_relaxed() >= after(after(position))
    }

    /// The slot of `position`, if its message is published and still there.
    #[inline(always)]
    fn published(&self, position: u64) -> Result<&Slot, Unpublished> {
        let slot = self.memory.slot(position);
        // Acquire: pairs with the release in `Claim::publish()`. litmus: publish, wait, destroyed
        let seq = slot.seq.load_acquire();

        if seq == after(position) {
            Ok(slot)
        } else if seq > after(position) {
            Err(Unpublished::Gone)
        } else {
            Err(Unpublished::NotYet)
        }
    }

    /// The next message from `cursor` on that is for receiver `id`, if one is published.
    ///
    /// Moves the cursor over what can never be for this receiver. Several callers may use the same
    /// cursor at once.
    #[inline(always)]
    pub(crate) fn find(&self, cursor: &Word64, id: u32) -> Option<Found<'_>> {
        let position = cursor.load_relaxed();

        match self.published(position) {
            Err(Unpublished::NotYet) => None,
            Ok(slot) if self.state(slot, position, id) == SlotState::Free => {
                Some(Found { slot, position })
            }
            _ => self.search(cursor, id, u32::MAX),
        }
    }

    /// Whether all is published that is below position `to`, from a cursor on.
    pub(crate) fn is_published_to(&self, cursor: &Word64, to: u64) -> bool {
        // What is below `head` has been.
        let from = cursor.load_relaxed().max(self.head());

        (from..to).all(|position| !matches!(self.published(position), Err(Unpublished::NotYet)))
    }

    /// Whether nothing that is below position `to`, from a cursor on, can be for receiver `id` any
    /// more.
    pub(crate) fn is_passed_to(&self, cursor: &Word64, id: u32, to: u64) -> bool {
        let from = cursor.load_relaxed().max(self.head());

        (from..to).all(|position| match self.published(position) {
            Ok(slot) => self.state(slot, position, id) == SlotState::Passed,
            Err(Unpublished::Gone) => true,
            Err(Unpublished::NotYet) => false,
        })
    }

    /// What the published slot of `position` is to receiver `id`.
    #[inline(always)]
    fn state(&self, slot: &Slot, position: u64, id: u32) -> SlotState {
        // litmus: publish
        let target = slot.target.load_relaxed();

        if (target != 0 && target != id) || slot.flags.load_relaxed() & SKIP != 0 {
            SlotState::Passed
        } else if self.sharing == Sharing::Broadcast {
            SlotState::Free
        } else {
            // litmus: given-back
            SlotState::of(slot.claim.load_relaxed(), position)
        }
    }

    /// Moves a cursor over up to `limit` slots that can never be for this receiver.
    pub(crate) fn advance(&self, cursor: &Word64, id: u32, limit: u32) {
        self.search(cursor, id, limit);
    }

    #[inline(never)]
    fn search(&self, cursor: &Word64, id: u32, limit: u32) -> Option<Found<'_>> {
        let start = cursor.load_relaxed();
        let mut position = start;
        // Everything below this is out of the question for good.
        let mut passed = start;
        let mut found = None;

        for _ in 0..limit {
            let slot = match self.published(position) {
                Ok(slot) => slot,
                Err(Unpublished::NotYet) => break,
                Err(Unpublished::Gone) => {
                    // Other receivers have consumed it, and senders have reused the slot. Acquire:
                    // so that what is read next is not older than `head`. litmus: gone
                    position = self.memory.header().head.load_acquire().max(position + 1);
                    passed = position;
                    continue;
                }
            };

            match self.state(slot, position, id) {
                SlotState::Free => {
                    found = Some(Found { slot, position });
                    break;
                }
                SlotState::Passed if passed == position => passed += 1,
                SlotState::Passed => {}
                // It may become free again, so the cursor stays here.
                SlotState::Taken => {}
            }
            position += 1;
        }
        if passed != start {
            // litmus: raise
            cursor.raise(passed);
        }
        found
    }

    /// Competing: whom the oldest message held is for, if that is one receiver and it has not taken
    /// it. Only a hint.
    pub(crate) fn oldest_target(&self) -> Option<u32> {
        let position = self.head();
        let slot = self.published(position).ok()?;
        let state = SlotState::of(slot.claim.load_relaxed(), position);
        let target = slot.target.load_relaxed();

        (state == SlotState::Free && target != 0).then_some(target)
    }

    /// Broadcast: moves a cursor over `position`, after its message has been read.
    ///
    /// False if the message was not this caller's to read: another one has used the same cursor.
    #[inline(always)]
    pub(crate) fn pass(&self, cursor: &Word64, position: u64) -> bool {
        // Fully ordered, so what was read was read before: pairs with the load of the cursor for
        // `reclaim_passed()`. litmus: pass
        cursor.replace(position, after(position))
    }

    /// Broadcast: moves a cursor that is below `to` there, before its receiver has passed what lies
    /// between, and says how many messages for receiver `id` those are.
    ///
    /// All below `to` is published, and still held. `announce` is told the number before the cursor
    /// is moved, and another one where the receiver has passed some meanwhile.
    pub(crate) fn overrun(&self, cursor: &Word64, id: u32, to: u64, announce: &dyn Fn(u64)) -> u64 {
        // Acquire: what the receiver has passed it has read. litmus: pass
        let mut from = cursor.load_acquire();
        let mut lost = self.count(from, to, id);

        while from < to {
            announce(lost);
            // Either this or the receiver's `pass()` succeeds. Fully ordered: pairs with the
            // acquire of the cursor by whoever looks for losses then. litmus: lost
            if cursor.replace(from, to) {
                return lost;
            }
            // Acquire: as above. litmus: pass
            let now = cursor.load_acquire();
            lost -= self.count(from, now.min(to), id);
            from = now;
        }
        0
    }

    /// Broadcast: how many messages for receiver `id` there are in published slots that are held.
    fn count(&self, from: u64, to: u64, id: u32) -> u64 {
        (from..to)
            .filter(|&position| {
                self.state(self.memory.slot(position), position, id) == SlotState::Free
            })
            .count() as u64
    }

    /// Broadcast: whether the message at `position` was still held when it had been read.
    ///
    /// `seq` would not tell: it changes only when the slot's next message is published, long after
    /// the slot's next owner has begun to write.
    #[inline(always)]
    pub(crate) fn still_held(&self, position: u64) -> bool {
        // The reads of the message come before the look at `head`. Whoever wrote over it had seen
        // `head` past it before, and moved `tail` in between, which is fully ordered: so we see
        // that too. litmus: still-held
        read_barrier();
        // Acquire: where `head` is past it because the receiver has been detached, that is seen
        // next. litmus: detached
        self.memory.header().head.load_acquire() <= position
    }

    /// Competing: moves `head` over what has been read.
    ///
    /// A message that waits for a target that `is_gone` is given up. Looks at `steps` slots.
    pub(crate) fn reclaim_taken(&self, steps: usize, is_gone: impl Fn(u32) -> bool) {
        let header = self.memory.header();
        let mut head = header.head.load_relaxed();
        let limit = header
            .tail
            .load_relaxed()
            .min(head.saturating_add(steps as u64));

        while head < limit {
            // Not published, or reclaimed by somebody else meanwhile: `head` is past it then.
            let Ok(slot) = self.published(head) else {
                break;
            };
            // litmus: publish. Where it is the slot's next message, `head` is past this one.
            if slot.flags.load_relaxed() & SKIP == 0 {
                // Acquire: pairs with the release in `Taken::done()`. litmus: done, room
                let claim = slot.claim.load_acquire();
                // litmus: publish
                let target = slot.target.load_relaxed();
                let free = ClaimWord::encode(head, ClaimWord::FREE);
                let done = ClaimWord::encode(head, ClaimWord::DONE);
                let given_up = || {
                    claim == free
                        && target != 0
                        && is_gone(target)
                        // litmus: give-up
                        && slot.claim.replace(free, done)
                };

                if claim != done && !given_up() {
                    break;
                }
            }
            head += 1;
        }
        // Fully ordered: pairs with the acquire of `head` in `claim()`. litmus: done, head, raise
        header.head.raise(head);
    }

    /// Broadcast: moves `head` up to the slowest receiver's cursor, or up to `tail` where there is
    /// no receiver.
    ///
    /// `slowest` has been read with acquire, and no receiver with a lower cursor may have come
    /// since. Looks at `steps` slots.
    pub(crate) fn reclaim_passed(&self, steps: usize, slowest: Option<u64>) {
        self.reclaim_to(self.reclaimable(steps, slowest));
    }

    /// Broadcast: moves `head` up to a position that all receivers have passed or been overrun at.
    pub(crate) fn reclaim_to(&self, head: u64) {
        // Fully ordered: pairs with the acquire of `head` in `claim()`. litmus: pass, head, raise
        self.memory.header().head.raise(head);
    }

    /// Broadcast: up to where `head` could be moved if `slowest` were the slowest receiver's cursor.
    /// Looks at `steps` slots.
    pub(crate) fn reclaimable(&self, steps: usize, slowest: Option<u64>) -> u64 {
        let header = self.memory.header();
        let tail = header.tail.load_relaxed();
        let mut head = header.head.load_relaxed();
        let limit = slowest
            .unwrap_or(tail)
            .min(tail)
            .min(head.saturating_add(steps as u64));

        // A slot that is claimed and not yet published is still its sender's.
        while head < limit && self.published(head).is_ok() {
            head += 1;
        }
        head
    }

    /// Broadcast: how many claims would find a slot if `slowest` were the slowest receiver's cursor.
    pub(crate) fn room_behind(&self, slowest: Option<u64>) -> u32 {
        // One slot at least, or none.
        if self.reclaimable(1, slowest) <= self.head() {
            return self.room();
        }
        let tail = self.tail();
        let held = tail.saturating_sub(slowest.unwrap_or(tail));

        self.entries.saturating_sub(held) as u32
    }
}

/// Why there is no message at a position.
enum Unpublished {
    /// It has not been published.
    NotYet,
    /// Its slot has been reused.
    Gone,
}

#[cfg(ioipc_kunit)]
mod tests;
