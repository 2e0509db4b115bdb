// SPDX-License-Identifier: GPL-2.0

//! A slot in the hands of a sender.

use super::{
    slot::{after, ClaimWord, Record, SKIP},
    Memory, Ring,
};

/// A claimed position. Dropped without being published it becomes a slot to be skipped.
#[must_use]
pub(crate) struct Claim<'a, M: Memory> {
    pub(super) ring: &'a Ring<M>,
    pub(super) position: u64,
}

impl<M: Memory> Claim<'_, M> {
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Makes the message visible to receivers. Its payload is in place.
    #[inline(always)]
    pub(crate) fn publish(self, record: &Record) {
        self.finish(record, 0);
        core::mem::forget(self);
    }

    #[inline(always)]
    fn finish(&self, record: &Record, flags: u32) {
        let slot = self.ring.memory.slot(self.position);

        slot.sender_data.store_relaxed(record.sender_data);
        slot.len.store_relaxed(record.len);
        slot.flags.store_relaxed(flags);
        slot.target.store_relaxed(record.target);
        slot.sender_id.store_relaxed(record.sender_id);
        slot.claim
            .store_relaxed(ClaimWord::encode(self.position, ClaimWord::FREE));
        // Release: pairs with the acquire in `Ring::published()`. litmus: publish, head
        slot.seq.store_release(after(self.position));
    }
}

impl<M: Memory> Drop for Claim<'_, M> {
    fn drop(&mut self) {
        let nothing = Record {
            sender_data: 0,
            len: 0,
            target: 0,
            sender_id: 0,
        };

        self.finish(&nothing, SKIP);
    }
}
