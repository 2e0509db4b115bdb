// SPDX-License-Identifier: GPL-2.0

//! Notices of subscribers that have come or gone, for those receivers that have asked for them.

use super::rfl::{identity::Identity, memlock::MemlockCharge, wrapping_array::WrappingArray};
use core::mem::size_of;
use kernel::prelude::*;

/// A notice that a subscriber has come or gone.
#[derive(Clone, Copy)]
pub(crate) struct Notice {
    /// How many there have been before it.
    pub(super) number: u64,
    /// Messages below this position are older.
    pub(super) position: u64,
    /// `IOIPC_MSG_F_*`: what has happened.
    pub(crate) flags: u32,
    /// The subscriber's id.
    pub(crate) subscriber: u32,
    /// Who has attached it.
    pub(crate) identity: Identity,
}

/// The places of notices, and who pays for them.
pub(super) struct Places {
    notices: WrappingArray<Notice>,
    _memlock: MemlockCharge,
}

impl Places {
    /// For how many notices.
    pub(super) fn len(&self) -> usize {
        self.notices.len()
    }
}

/// The notices that somebody has not received yet, in the order of what they tell.
///
/// # Invariants
///
/// `first <= end`, and from one to the other there are no more than `places`.
pub(super) struct Notices {
    places: Option<Places>,
    /// The number of the oldest one kept.
    first: u64,
    /// The number of the next one.
    end: u64,
}

/// How many notices a channel keeps, and promises to keep, at most.
pub(super) const MAX_NOTICES: usize = 1 << 16;

impl Notices {
    pub(super) const fn new() -> Self {
        // INVARIANT: Nothing in no places.
        Self {
            places: None,
            first: 0,
            end: 0,
        }
    }

    /// Places for so many notices, charged to the caller; `ENOSPC` where a channel does not keep so
    /// many, `ENOMEM`. Sleeps.
    pub(super) fn places(count: usize) -> Result<Places> {
        if count > MAX_NOTICES {
            return Err(ENOSPC);
        }
        let nobody = Notice {
            number: 0,
            position: 0,
            flags: 0,
            subscriber: 0,
            identity: Identity::nobody(),
        };

        let len = count.next_power_of_two();

        Ok(Places {
            _memlock: MemlockCharge::new(len * size_of::<Notice>())?,
            notices: WrappingArray::new(len, || nobody)?,
        })
    }

    /// The number of the next one.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn len(&self) -> usize {
        (self.end - self.first) as usize
    }

    /// How many there is room for.
    pub(super) fn room(&self) -> usize {
        let all = self
            .places
            .as_ref()
            .map_or(0, |places| places.notices.len());

        all - self.len()
    }

    /// Adds one, whose number it sets. There must be [room](Self::room).
    pub(super) fn push(&mut self, notice: Notice) {
        let number = self.end;

        if self.room() == 0 {
            return;
        }
        if let Some(places) = &mut self.places {
            *places.notices.at_mut(number as usize) = Notice { number, ..notice };
            // INVARIANT: There was room.
            self.end += 1;
        }
    }

    /// The one with that number, if it is there.
    pub(super) fn get(&self, number: u64) -> Option<Notice> {
        if !(self.first..self.end).contains(&number) {
            return None;
        }
        Some(*self.places.as_ref()?.notices.at(number as usize))
    }

    /// The youngest, if it is kept.
    pub(super) fn last(&self) -> Option<Notice> {
        self.get(self.end.checked_sub(1)?)
    }

    /// Forgets those that come before `number`.
    pub(super) fn forget_before(&mut self, number: u64) {
        // INVARIANT: No further than to the end.
        self.first = self.first.max(number.min(self.end));
    }

    /// Moves all to `places` if those are more; returns what is left over.
    pub(super) fn grow(&mut self, mut places: Places) -> Option<Places> {
        if places.notices.len() <= self.len() + self.room() {
            return Some(places);
        }
        for number in self.first..self.end {
            if let Some(notice) = self.get(number) {
                *places.notices.at_mut(number as usize) = notice;
            }
        }
        // INVARIANT: There are more than before.
        self.places.replace(places)
    }

    /// Forgets all, and returns the places.
    pub(super) fn clear(&mut self) -> Option<Places> {
        // INVARIANT: Nothing in no places.
        self.first = self.end;
        self.places.take()
    }
}

#[cfg(ioipc_kunit)]
mod tests;
