// SPDX-License-Identifier: GPL-2.0

//! Provided buffers: the kernel takes one for each message it receives.

use io_uring::types::BufRingEntry;
use io_uring::Submitter;
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Memory of whole pages, which the ring of buffers has to be.
struct Pages {
    start: NonNull<u8>,
    len: usize,
}

impl Pages {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };

        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            len,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the map is ours, and nobody has references to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A group of buffers of one size, and the ring by which the kernel gets them.
pub(crate) struct Pool {
    ring: Pages,
    buffers: Pages,
    count: u16,
    size: usize,
    tail: Cell<u16>,
    /// Buffers that the kernel has used and not got back.
    lent: RefCell<Vec<bool>>,
}

impl Pool {
    /// Makes a pool in which the kernel has all buffers. `count` is a power of
    /// two.
    pub(crate) fn new(count: u16, size: usize) -> io::Result<Self> {
        if !count.is_power_of_two() || size == 0 || u32::try_from(size).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let pool = Self {
            ring: Pages::new(usize::from(count) * size_of::<BufRingEntry>())?,
            buffers: Pages::new(usize::from(count) * size)?,
            count,
            size,
            tail: Cell::new(0),
            lent: RefCell::new(vec![true; count.into()]),
        };

        (0..count).for_each(|id| pool.give_back(id));
        Ok(pool)
    }

    /// Lets the kernel know of it.
    ///
    /// # Safety
    ///
    /// The pool has to stay until the group is unregistered or the ring closed,
    /// and no request uses it any more.
    pub(crate) unsafe fn register(&self, to: &Submitter<'_>, group: u16) -> io::Result<()> {
        // SAFETY: the memory is the pool's, which stays: the caller vouches.
        unsafe {
            to.register_buf_ring_with_flags(
                self.ring.start.as_ptr() as u64,
                self.count,
                group,
                0, // it is our memory, not the kernel's
            )
        }
    }

    /// Takes a buffer that the kernel says it has used.
    pub(crate) fn take(self: &Rc<Self>, id: u16, len: usize) -> io::Result<Provided> {
        let mut lent = self.lent.borrow_mut();

        match lent.get_mut(usize::from(id)) {
            Some(lent) if !*lent => *lent = true,
            _ => return Err(io::Error::other(format!("buffer {id} is not the kernel's"))),
        }
        Ok(Provided {
            pool: Rc::clone(self),
            id,
            len: len.min(self.size),
        })
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        let offset = usize::from(id) * self.size;

        // SAFETY: ids are below `count`, so the buffer is inside the map.
        unsafe { self.buffers.start.as_ptr().add(offset) }
    }

    fn give_back(&self, id: u16) {
        let ring: *mut BufRingEntry = self.ring.start.as_ptr().cast();
        let tail = self.tail.get();
        let slot = usize::from(tail & (self.count - 1));

        self.lent.borrow_mut()[usize::from(id)] = false;
        // SAFETY: the slot is inside the map, and free: there are as many slots
        // as buffers. Zero bytes, which the map starts with, are a valid entry.
        let entry = unsafe { &mut *ring.add(slot) };
        entry.set_addr(self.buffer(id) as u64);
        entry.set_len(self.size as u32);
        entry.set_bid(id);

        self.tail.set(tail.wrapping_add(1));
        // SAFETY: `ring` is the first entry; its tail is aligned, lives as long
        // as the map, and is changed here only. The kernel reads it.
        let shared = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(ring).cast_mut()) };
        shared.store(self.tail.get(), Ordering::Release);
    }
}

/// What is in a provided buffer. Dropping it gives the buffer back.
pub struct Provided {
    pool: Rc<Pool>,
    id: u16,
    len: usize,
}

impl Deref for Provided {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` is at most the buffer's, and until it is given back the
        // kernel does not write to it.
        unsafe { std::slice::from_raw_parts(self.pool.buffer(self.id), self.len) }
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        self.pool.give_back(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_and_gives_back() {
        let pool = Rc::new(Pool::new(4, 100).unwrap());

        assert_eq!(pool.tail.get(), 4);
        for _ in 0..100_000 {
            let taken = pool.take(3, 1000).unwrap();

            assert_eq!(taken.len(), 100);
            assert!(pool.take(3, 0).is_err());
        }
        assert!(pool.take(4, 0).is_err());
        assert_eq!(pool.tail.get(), 100_004_u32 as u16);
    }

    #[test]
    fn impossible_pools() {
        for (count, size) in [(0, 8), (3, 8), (4, 0), (4, usize::MAX)] {
            assert!(Pool::new(count, size).is_err());
        }
    }
}
