// SPDX-License-Identifier: GPL-2.0

//! A message in the hands of a receiver.

use super::slot::{after, ClaimWord, Record, Slot};
use crate::rfl::atomic::Word64;

/// A published message that a receiver has found. Until the receiver has [taken](Found::take) it, it
/// may become another's, and its slot be used again.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(super) slot: &'a Slot,
    pub(super) position: u64,
}

impl<'a> Found<'a> {
    /// Competing: takes the message, or `None` where another receiver was faster. It was found from
    /// `cursor`.
    #[inline(always)]
    pub(crate) fn take(self, cursor: &'a Word64) -> Option<Taken<'a>> {
        let Self { slot, position } = self;

        // litmus: take, give-up
        slot.claim
            .replace(
                ClaimWord::encode(position, ClaimWord::FREE),
                ClaimWord::encode(position, ClaimWord::TAKEN),
            )
            // Not `then_some()`: a `Taken` made in vain would give back what is another's.
            .then(|| Taken {
                found: self,
                cursor,
            })
    }

    pub(crate) fn position(self) -> u64 {
        self.position
    }

    /// The length in bytes.
    #[inline(always)]
    pub(crate) fn len(self) -> u32 {
        // litmus: publish, still-held
        self.slot.len.load_relaxed()
    }

    /// Whether it is for one receiver alone.
    #[inline(always)]
    pub(crate) fn is_targeted(self) -> bool {
        // litmus: publish
        self.slot.target.load_relaxed() != 0
    }

    pub(crate) fn record(self) -> Record {
        // litmus: publish, still-held
        Record {
            sender_data: self.slot.sender_data.load_relaxed(),
            len: self.len(),
            target: self.slot.target.load_relaxed(),
            sender_id: self.slot.sender_id.load_relaxed(),
        }
    }
}

/// A message that one receiver of a competing ring reads. Dropped before it is done, the message
/// goes back.
#[must_use]
pub(crate) struct Taken<'a> {
    found: Found<'a>,
    cursor: &'a Word64,
}

impl Taken<'_> {
    /// The message has been read.
    #[inline(always)]
    pub(crate) fn done(self) {
        let Found { slot, position } = self.found;

        // Release: pairs with the acquire in `Ring::reclaim_taken()`. litmus: done
        slot.claim
            .store_release(ClaimWord::encode(position, ClaimWord::DONE));
        // Only spares the next search a step, so it need not succeed.
        if self.cursor.load_relaxed() == position {
            self.cursor.replace(position, after(position));
        }
        core::mem::forget(self);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Found { slot, position } = self.found;

        // Release: whatever was read was read before somebody else takes it. litmus: give-back
        slot.claim
            .store_release(ClaimWord::encode(position, ClaimWord::FREE));
    }
}
