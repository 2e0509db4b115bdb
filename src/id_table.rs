// SPDX-License-Identifier: GPL-2.0

//! A table from ids to things, for lookups on the way of every message.
//!
//! Open addressing with linear probing. Ids are given out in turn, so their low bits spread them
//! over the table by themselves, and a lookup mostly finds its entry at the first look.

use super::rfl::wrapping_array::WrappingArray;
use kernel::prelude::*;

/// A place in a table: an id, and what it stands for.
struct Place<T> {
    /// 0 where there is nothing; otherwise there is a value.
    id: u32,
    value: Option<T>,
}

impl<T> Place<T> {
    const FREE: Self = Self { id: 0, value: None };
}

/// Things by id. Ids are not 0.
///
/// # Invariants
///
/// What has an id lies at the first place from `id % places` on, round the end, that is not
/// another's; and one place in four is free.
pub(crate) struct IdTable<T> {
    places: WrappingArray<Place<T>>,
    len: usize,
}

impl<T> IdTable<T> {
    const SMALLEST: usize = 8;

    /// An empty table; charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn new() -> Result<Self> {
        // INVARIANT: There is nothing.
        Ok(Self {
            places: WrappingArray::new(Self::SMALLEST, || Place::FREE)?,
            len: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of `id`, or the free one where it would be.
    fn find(&self, id: u32) -> usize {
        let mut at = id as usize;

        // By the invariant there is a free place to stop at.
        while ![0, id].contains(&self.places.at(at).id) {
            at += 1;
        }
        at
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let place = self.places.at(id as usize);

        if place.id == id {
            return place.value.as_ref();
        }
        self.get_further(id)
    }

    #[inline(never)]
    fn get_further(&self, id: u32) -> Option<&T> {
        self.places.at(self.find(id)).value.as_ref()
    }

    /// Makes room for one more; charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn reserve(&mut self) -> Result {
        let places = self.places.len();

        if (self.len + 1) * 4 <= places * 3 {
            return Ok(());
        }
        // INVARIANT: Twice as many, and so half of them free.
        let larger = WrappingArray::new(places * 2, || Place::FREE)?;
        let old = core::mem::replace(&mut self.places, larger);

        for place in old.into_iter().filter(|place| place.id != 0) {
            self.put(place);
        }
        Ok(())
    }

    /// INVARIANT: Puts it where it belongs.
    fn put(&mut self, place: Place<T>) {
        let at = self.find(place.id);

        *self.places.at_mut(at) = place;
    }

    /// Adds an id that is not there. There must be [room](Self::reserve).
    pub(crate) fn insert(&mut self, id: u32, value: T) {
        self.put(Place {
            id,
            value: Some(value),
        });
        self.len += 1;
    }

    /// Takes an id out.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let mut at = self.find(id);
        let removed = core::mem::replace(self.places.at_mut(at), Place::FREE).value?;

        self.len -= 1;
        // INVARIANT: What lies behind may belong where there is room now.
        loop {
            at += 1;
            let next = core::mem::replace(self.places.at_mut(at), Place::FREE);

            if next.id == 0 {
                return Some(removed);
            }
            self.put(next);
        }
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places
            .iter()
            .filter_map(|place| Some((place.id, place.value.as_ref()?)))
    }
}

#[cfg(ioipc_kunit)]
mod tests;
