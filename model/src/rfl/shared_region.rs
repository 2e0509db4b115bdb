// SPDX-License-Identifier: GPL-2.0

//! A region: the header, slots and cells of a ring.

use super::user_buffer::UserBuffer;
use checker::{
    atomic::{AtomicU32, Ordering},
    Exclusive, SEES_RACES,
};
use kernel::{mm::virt::VmaNew, prelude::*};
use std::{marker::PhantomData, sync::atomic::Ordering as HostOrdering};

/// Where the parts are. Here they are apart.
pub(crate) struct Layout<S> {
    nr_slots: usize,
    /// Whether the test has it that whoever reads a cell keeps others from writing it. Else
    /// readers may have to find out afterwards.
    exclusive: bool,
    _slots: PhantomData<fn() -> S>,
}

impl<S> Clone for Layout<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Layout<S> {}

impl<S> Layout<S> {
    pub(crate) const SLOTS: usize = 0;

    pub(crate) fn new(nr_slots: usize, exclusive: bool) -> Self {
        Self {
            nr_slots,
            exclusive,
            _slots: PhantomData,
        }
    }

    pub(crate) fn cells(&self) -> usize {
        0
    }

    pub(crate) fn stride(&self) -> usize {
        64
    }

    pub(crate) fn size(&self) -> usize {
        0
    }
}

/// A payload: its first byte and its last.
enum Cell {
    /// Two at once are an error.
    Exclusive(Exclusive, [HostByte; 2]),
    /// Two at once may see a part of each.
    Shared([AtomicU32; 2]),
}

/// A byte that the checker need not know of.
type HostByte = std::sync::atomic::AtomicU8;

impl Cell {
    fn new<S>(layout: &Layout<S>) -> Self {
        if layout.exclusive && SEES_RACES {
            Self::Exclusive(Exclusive::default(), Default::default())
        } else {
            Self::Shared(Default::default())
        }
    }

    fn write(&self, payload: [u8; 2]) {
        match self {
            Self::Exclusive(exclusive, bytes) => {
                exclusive.write();
                for (to, from) in bytes.iter().zip(payload) {
                    to.store(from, HostOrdering::Relaxed);
                }
            }
            Self::Shared(bytes) => {
                for (to, from) in bytes.iter().zip(payload) {
                    to.store(from.into(), Ordering::Relaxed);
                }
            }
        }
    }

    fn read(&self) -> [u8; 2] {
        match self {
            Self::Exclusive(exclusive, bytes) => {
                exclusive.read();
                [0, 1].map(|at: usize| bytes[at].load(HostOrdering::Relaxed))
            }
            Self::Shared(bytes) => [0, 1].map(|at: usize| bytes[at].load(Ordering::Relaxed) as u8),
        }
    }
}

/// A region.
pub(crate) struct SharedRegion<H, S> {
    header: H,
    slots: Vec<S>,
    cells: Vec<Cell>,
    layout: Layout<S>,
}

impl<H: Default, S: Default> SharedRegion<H, S> {
    pub(crate) fn new(layout: Layout<S>) -> Result<Self> {
        Ok(Self {
            header: H::default(),
            slots: (0..layout.nr_slots).map(|_| S::default()).collect(),
            cells: (0..layout.nr_slots).map(|_| Cell::new(&layout)).collect(),
            layout,
        })
    }

    pub(crate) fn layout(&self) -> &Layout<S> {
        &self.layout
    }

    pub(crate) fn header(&self) -> &H {
        &self.header
    }

    fn index(&self, position: u64) -> usize {
        position as usize % self.slots.len()
    }

    pub(crate) fn slot(&self, position: u64) -> &S {
        &self.slots[self.index(position)]
    }

    pub(crate) fn cell_offset(&self, position: u64) -> usize {
        self.index(position) * self.layout.stride()
    }

    fn cell(&self, position: u64) -> &Cell {
        &self.cells[self.index(position)]
    }

    /// Writes a message's payload.
    pub(crate) fn write(&self, position: u64, bytes: &[u8]) {
        let ends = [bytes.first(), bytes.last()];

        self.cell(position)
            .write(ends.map(|byte| *byte.unwrap_or(&0)));
    }

    pub(crate) fn read(&self, position: u64, _len: usize) -> Result<KVVec<u8>> {
        Ok(KVVec::from(self.ends(position).to_vec()))
    }

    /// Reads a message's payload.
    pub(crate) fn ends(&self, position: u64) -> [u8; 2] {
        self.cell(position).read()
    }

    pub(crate) fn fill_nofault(&self, position: u64, from: &UserBuffer) -> Result {
        let memory = from.present();

        // Where a page is missing some bytes have been copied.
        match &memory {
            Ok(memory) => self.write(position, &memory.payload.get()),
            Err(_) => self.write(position, &[u8::MAX]),
        }
        memory.map(|_| ())
    }

    pub(crate) fn copy_nofault(&self, position: u64, to: &UserBuffer) -> Result {
        to.present()?.payload.set(self.ends(position));
        Ok(())
    }

    pub(crate) fn map(&self, vma: &VmaNew) -> Result {
        match *vma {}
    }
}
