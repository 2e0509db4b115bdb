// SPDX-License-Identifier: GPL-2.0

//! What a lossy receiver has lost.

use super::rfl::atomic::Word64;

/// Counts of the messages that a receiver was overrun by.
///
/// Written under the lock of [`Members`](super::members::Members). Where the receiver's cursor
/// stands and what is not yet reported belong together: whoever has found the cursor where an
/// overrun has put it finds [`any`](Self::any), and takes the lock to have both as they are.
pub(crate) struct Losses {
    /// Lost since the last message that was received with a header.
    unreported: Word64,
    total: Word64,
}

impl Losses {
    pub(super) fn new() -> Self {
        Self {
            unreported: Word64::new(0),
            total: Word64::new(0),
        }
    }

    /// All that were lost.
    pub(crate) fn total(&self) -> u64 {
        self.total.load_relaxed()
    }

    /// Whether there may be any to report.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // litmus: lost
        self.unreported.load_relaxed() != 0
    }

    /// How many there are to report; for who has the lock.
    pub(super) fn unreported(&self) -> u64 {
        self.unreported.load_relaxed()
    }

    /// Counts what `overrun` does, which says how many messages that will be before the cursor is
    /// moved, each time it tries, and how many it has been in the end.
    pub(super) fn count(&self, overrun: impl FnOnce(&dyn Fn(u64)) -> u64) {
        let before = self.unreported.load_relaxed();
        let announce = |lost| self.unreported.store_relaxed(before + lost);
        let lost = overrun(&announce);

        announce(lost);
        self.total.store_relaxed(self.total.load_relaxed() + lost);
    }

    /// So many have been reported.
    pub(super) fn reported(&self, lost: u64) {
        self.unreported
            .store_relaxed(self.unreported.load_relaxed() - lost);
    }
}

#[cfg(ioipc_kunit)]
mod tests;
