// SPDX-License-Identifier: GPL-2.0

//! Memory that the kernel writes and that user space may map, read-only.
//!
//! A region is a header page, an array of slots whose number is a power of two, and a cell of
//! payload for each slot. Several CPUs and user space look at it at once, so Rust never holds a
//! reference to payload, and headers and slots are made of atomics.

use super::{bindings, mayfail_vec::MayfailVec, user_buffer::UserBuffer};
use core::{
    marker::PhantomData,
    mem::{align_of, size_of},
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    mm::virt::VmaNew,
    page::{page_align, PAGE_SIZE},
    prelude::*,
};
use pin_init::Zeroable;

/// Where the parts of a region with slots of type `S` are, in bytes from its start.
///
/// # Invariants
///
/// `mask + 1`, a power of two, slots lie at [`Self::SLOTS`], and after them, at `cells`, as many
/// cells of `stride` bytes. All are within `size` bytes, a multiple of the page size.
pub(crate) struct Layout<S> {
    mask: u64,
    cells: usize,
    stride: usize,
    size: usize,
    _slots: PhantomData<fn() -> S>,
}

impl<S> Clone for Layout<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Layout<S> {}

impl<S> Layout<S> {
    /// The array of slots.
    pub(crate) const SLOTS: usize = PAGE_SIZE;

    /// The layout of `nr_slots` slots with `cell_size` bytes of payload each.
    ///
    /// `None` where `nr_slots` is no power of two, or the region would not fit `usize`.
    pub(crate) fn new(nr_slots: usize, cell_size: usize) -> Option<Self> {
        if !nr_slots.is_power_of_two() {
            return None;
        }
        let stride = cell_size.checked_next_multiple_of(64)?;
        let cells = page_align(Self::SLOTS.checked_add(nr_slots.checked_mul(size_of::<S>())?)?)?;
        let size = page_align(cells.checked_add(nr_slots.checked_mul(stride)?)?)?;

        // INVARIANT: Each part starts where the one before it ends, or later.
        Some(Self {
            mask: nr_slots as u64 - 1,
            cells,
            stride,
            size,
            _slots: PhantomData,
        })
    }

    /// The cells of payload.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// From one cell to the next.
    #[inline(always)]
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The whole.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// A region with a header of type `H` and slots of type `S`.
///
/// # Invariants
///
/// `memory` is `layout.size` bytes of mapped pages that this owns; a header lies at its start, and
/// slots and cells where `layout` says.
pub(crate) struct SharedRegion<H, S> {
    memory: NonNull<u8>,
    layout: Layout<S>,
    _parts: PhantomData<(H, S)>,
}

// SAFETY: The region owns its memory, and `H` and `S` may be sent.
unsafe impl<H: Send, S: Send> Send for SharedRegion<H, S> {}
// SAFETY: `H` and `S` may be shared; payload is only copied, by C, which expects that it changes
// meanwhile: what was copied then may be of any age.
unsafe impl<H: Sync, S: Sync> Sync for SharedRegion<H, S> {}

impl<H: Zeroable + Sync, S: Zeroable + Sync> SharedRegion<H, S> {
    const HEADER_FITS: () = assert!(size_of::<H>() <= PAGE_SIZE);

    /// Allocates a zeroed region, charged to the caller's memory cgroup. Sleeps.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn new(layout: Layout<S>) -> Result<Self> {
        const {
            assert!(size_of::<S>() != 0);
            assert!(align_of::<S>() <= PAGE_SIZE && align_of::<H>() <= PAGE_SIZE);
        };
        let () = Self::HEADER_FITS;

        // SAFETY: Any number may be asked for; the caller may sleep.
        let memory = unsafe { bindings::helper_vmap_new_pages(layout.size / PAGE_SIZE) };
        let memory = NonNull::new(memory.cast()).ok_or(ENOMEM)?;

        // INVARIANT: `memory` has `layout.size` bytes, the first page of which is no slot's.
        Ok(Self {
            memory,
            layout,
            _parts: PhantomData,
        })
    }

    pub(crate) fn layout(&self) -> &Layout<S> {
        &self.layout
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &H {
        // SAFETY: By the type's invariants a header lies at the start, of zero bytes at first,
        // which are an `H`; it is only ever shared.
        unsafe { self.memory.cast().as_ref() }
    }

    #[inline(always)]
    fn index(&self, position: u64) -> usize {
        (position & self.layout.mask) as usize
    }

    /// The slot of `position`.
    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> &S {
        // SAFETY: By the invariants of both types `layout.mask + 1` slots lie there, of zero bytes at
        // first, which are an `S`; they are only ever shared.
        unsafe {
            self.memory
                .add(Layout::<S>::SLOTS)
                .cast::<S>()
                .add(self.index(position))
                .as_ref()
        }
    }

    /// Where the cell of `position` starts, in bytes from the first cell.
    #[inline(always)]
    pub(crate) fn cell_offset(&self, position: u64) -> usize {
        // By the type's invariants this is within the region.
        self.index(position).wrapping_mul(self.layout.stride)
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> NonNull<u8> {
        // SAFETY: By the invariants of both types `layout.mask + 1` cells lie at `layout.cells`.
        unsafe {
            self.memory
                .add(self.layout.cells)
                .add(self.cell_offset(position))
        }
    }

    /// Copies `bytes`, or as many as fit, to the cell of `position`.
    #[inline(always)]
    pub(crate) fn write(&self, position: u64, bytes: &[u8]) {
        let len = bytes.len().min(self.layout.stride);

        // SAFETY: `len` bytes fit the cell, which is our memory and no part of `bytes`. It may be
        // read meanwhile, by whoever finds out afterwards, which the helper expects.
        unsafe {
            bindings::helper_copy_changing(
                self.cell(position).as_ptr().cast(),
                bytes.as_ptr().cast(),
                len,
            );
        }
    }

    /// Copies `from`, or as much as fits, to the cell of `position`.
    ///
    /// Fails with `EFAULT` where a page is not there; the cell's contents are undefined then. Does
    /// not sleep.
    #[inline(always)]
    pub(crate) fn fill_nofault(&self, position: u64, from: &UserBuffer) -> Result {
        let len = from.len().min(self.layout.stride);

        // SAFETY: `len` bytes fit the cell; the source is user space's by `UserBuffer`'s
        // invariant, and the copy checks its pages.
        match unsafe {
            bindings::helper_copy_from_user_nofault(
                self.cell(position).as_ptr().cast(),
                from.addr(),
                len,
            )
        } {
            0 => Ok(()),
            _ => Err(EFAULT),
        }
    }

    /// Copies the start of the cell of `position`, `len` bytes or as many as it has, to memory
    /// charged to the caller's memory cgroup; `ENOMEM`. Sleeps.
    pub(crate) fn read(&self, position: u64, len: usize) -> Result<MayfailVec<u8>> {
        let len = len.min(self.layout.stride);
        let mut bytes = MayfailVec::<u8>::with_capacity(len, GFP_KERNEL_ACCOUNT)?;

        // SAFETY: The cell has `len` bytes, and so has the memory, which is ours alone and filled
        // after this. The cell may be written meanwhile, which the helper expects.
        unsafe {
            bindings::helper_copy_changing(
                bytes.as_mut_ptr().cast(),
                self.cell(position).as_ptr().cast(),
                len,
            );
            bytes.inc_len(len);
        }
        Ok(bytes)
    }

    /// Copies the start of the cell of `position` to all of `to`, or as much as the cell has.
    ///
    /// Fails with `EFAULT` where a page is not there. Does not sleep.
    #[inline(always)]
    pub(crate) fn copy_nofault(&self, position: u64, to: &UserBuffer) -> Result {
        let len = to.len().min(self.layout.stride);

        // SAFETY: The cell has `len` bytes; the destination is user space's by `UserBuffer`'s
        // invariant, and the copy checks its pages.
        match unsafe {
            bindings::helper_copy_to_user_nofault(
                to.addr(),
                self.cell(position).as_ptr().cast(),
                len,
            )
        } {
            0 => Ok(()),
            _ => Err(EFAULT),
        }
    }

    /// Maps the region's first pages, as many as the new mapping has. Sleeps.
    ///
    /// The mapping cannot be written, now or later, and every page of it has a reference of its
    /// own: it stays good when the region is gone. Fails with `EACCES` for a mapping that can be
    /// written, `EINVAL` for one that is not of the region's start or longer than it.
    pub(crate) fn map(&self, vma: &VmaNew) -> Result {
        let len = vma.end() - vma.start();

        // SAFETY: The reference is to a mapping that is being made: nobody changes it meanwhile.
        let offset = unsafe { (*vma.as_ptr()).vm_pgoff };
        if offset != 0 || len > self.layout.size {
            return Err(EINVAL);
        }
        vma.try_clear_maywrite().map_err(|_| EACCES)?;
        vma.set_dontexpand();
        vma.set_dontdump();
        vma.set_mixedmap();

        // SAFETY: `len` bytes from the start on are pages that `memory` maps and we own;
        // `mmap()` holds the lock that inserting pages into the new mapping takes.
        to_result(unsafe {
            bindings::helper_insert_vmap_pages(
                vma.as_ptr(),
                self.memory.as_ptr().cast(),
                len / PAGE_SIZE,
            )
        })
    }
}

impl<H, S> Drop for SharedRegion<H, S> {
    fn drop(&mut self) {
        // SAFETY: The area is ours and nobody uses it any more; mapped pages have references of
        // their own.
        unsafe { bindings::helper_vfree(self.memory.as_ptr().cast()) };
    }
}
