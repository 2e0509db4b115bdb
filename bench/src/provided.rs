// SPDX-License-Identifier: GPL-2.0

//! Provided buffers for multishot receives.

use crate::ring::Ring;
use anyhow::{Context, Result};
use io_uring::types::BufRingEntry;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one group of buffers a ring has here.
pub const GROUP: u16 = 0;

/// A ring of buffers of one size, which the kernel takes one by one and gets
/// back many at a time.
pub struct Buffers {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    count: u16,
    size: usize,
    tail: u16,
}

impl Buffers {
    /// Registers `count` (a power of two) buffers of `size` bytes. They are
    /// never given back to the process: the kernel may use them at any time.
    pub fn new(ring: &Ring, count: usize, size: usize) -> Result<Self> {
        let count = u16::try_from(count).context("too many buffers")?;
        let entries = pages(usize::from(count) * size_of::<BufRingEntry>())?;
        let bytes = pages(usize::from(count) * size)?;
        let mut buffers = Self {
            entries: entries.cast(),
            bytes,
            count,
            size,
            tail: 0,
        };

        for id in 0..count {
            buffers.give_back(id);
        }
        buffers.publish();
        // SAFETY: the memory is as long as said, and is never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.entries.as_ptr() as u64,
                count,
                GROUP,
                0, // it is our memory
            )
        }
        .context("cannot register provided buffers")?;
        Ok(buffers)
    }

    /// What is in a buffer the kernel has used.
    #[inline]
    pub fn get(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < self.count && len <= self.size);
        // SAFETY: it is inside the map, and the kernel does not write to it
        // before it gets it back.
        unsafe { std::slice::from_raw_parts(self.address(id), len) }
    }

    fn address(&self, id: u16) -> *const u8 {
        // SAFETY: ids are below `count`, so it is inside the map.
        unsafe { self.bytes.as_ptr().add(usize::from(id) * self.size) }
    }

    /// Puts a buffer into the ring; see [`publish`](Self::publish).
    #[inline]
    pub fn give_back(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: the slot is inside the map, and free: there are as many slots
        // as buffers.
        let entry = unsafe { &mut *self.entries.as_ptr().add(slot) };

        entry.set_addr(self.address(id) as u64);
        entry.set_len(self.size as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    #[inline]
    pub fn publish(&mut self) {
        // SAFETY: the tail is in the first entry, aligned, and changed here
        // only.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// New memory of whole pages, touched, for good.
fn pages(len: usize) -> Result<NonNull<u8>> {
    // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        )
    };

    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error().into());
    }
    NonNull::new(start.cast()).context("no memory")
}
