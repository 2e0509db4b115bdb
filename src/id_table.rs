// SPDX-License-Identifier: GPL-2.0

//! A table from ids to things, for lookups on the way of every message.
//!
//! Open addressing with linear probing. Ids are given out in turn, so their low bits spread them
//! over the table by themselves, and a lookup mostly finds its entry at the first look.

use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*};

/// What an id stands for. Ids are not 0.
struct Entry<T> {
    id: u32,
    value: T,
}

/// Things by id.
///
/// # Invariants
///
/// The number of places is a power of two, or 0. An entry lies at the first place from
/// `id % places` on, round the end, that is not of another one; and one place in four is free.
pub(crate) struct IdTable<T> {
    places: KVVec<Option<Entry<T>>>,
    len: usize,
}

impl<T> IdTable<T> {
    const SMALLEST: usize = 8;

    pub(crate) const fn new() -> Self {
        // INVARIANT: There is nothing.
        Self {
            places: KVVec::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where a search for `id` begins, or goes on behind place `at`.
    #[inline(always)]
    fn wrap(&self, at: usize) -> usize {
        at & self.places.len().wrapping_sub(1)
    }

    /// The place of `id`, or the free one where it would be; `None` in an empty table.
    #[inline(always)]
    fn place(&self, id: u32) -> Option<usize> {
        let mut at = self.wrap(id as usize);

        loop {
            match self.places.get(at)? {
                Some(entry) if entry.id != id => at = self.wrap(at + 1),
                _ => return Some(at),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let mut at = self.wrap(id as usize);

        // By the invariant there is a free place to stop at.
        loop {
            let entry = self.places.get(at)?.as_ref()?;

            if entry.id == id {
                return Some(&entry.value);
            }
            at = self.wrap(at + 1);
        }
    }

    /// Makes room for one more; charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn reserve(&mut self) -> Result {
        let places = self.places.len();

        if (self.len + 1) * 4 <= places * 3 {
            return Ok(());
        }
        // INVARIANT: Twice as many, and so half of them free.
        let wanted = (places * 2).max(Self::SMALLEST);
        let mut larger = KVVec::with_capacity(wanted, GFP_KERNEL_ACCOUNT)?;

        for _ in 0..wanted {
            larger.push(None, GFP_KERNEL_ACCOUNT)?;
        }
        let old = core::mem::replace(&mut self.places, larger);

        for entry in old.into_iter().flatten() {
            self.put(entry);
        }
        Ok(())
    }

    /// INVARIANT: Puts the entry where it belongs.
    fn put(&mut self, entry: Entry<T>) {
        if let Some(place) = self.place(entry.id).and_then(|at| self.places.get_mut(at)) {
            *place = Some(entry);
        }
    }

    /// Adds an id that is not there. There must be [room](Self::reserve).
    pub(crate) fn insert(&mut self, id: u32, value: T) {
        self.put(Entry { id, value });
        self.len += 1;
    }

    /// Takes an id out.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let at = self.place(id)?;
        let removed = self.places.get_mut(at)?.take()?;

        self.len -= 1;
        // INVARIANT: What lies behind may belong where there is room now.
        let mut next = self.wrap(at + 1);
        while let Some(entry) = self.places.get_mut(next).and_then(Option::take) {
            self.put(entry);
            next = self.wrap(next + 1);
        }
        Some(removed.value)
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new())
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places
            .iter()
            .flatten()
            .map(|entry| (entry.id, &entry.value))
    }
}
