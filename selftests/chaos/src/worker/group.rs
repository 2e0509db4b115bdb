// SPDX-License-Identifier: GPL-2.0

//! Buffers provided for a multishot receive.

use crate::shared::{BUFFERS, BUFFER_SIZE};
use anyhow::{Context, Result};
use io_uring::types::BufRingEntry;
use io_uring::IoUring;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

pub const GROUPS: usize = 2;
pub const GROUP_BUFFERS: usize = 16;
/// The first buffers are for receives that bring their own.
pub const SINGLE_BUFFERS: usize = BUFFERS - GROUPS * GROUP_BUFFERS;

/// The ring by which the kernel gets buffers: one page.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// A group of buffers, at most one request's.
pub struct Group {
    page: Box<Page>,
    tail: u16,
    subscriber: Option<u32>,
    given: Vec<usize>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            page: Box::new(Page([0; 4096])),
            tail: 0,
            subscriber: None,
            given: Vec::new(),
        }
    }
}

impl Group {
    /// Which buffers it has.
    pub fn buffers(number: usize) -> Range<usize> {
        let start = SINGLE_BUFFERS + number * GROUP_BUFFERS;

        start..start + GROUP_BUFFERS
    }

    pub fn is_busy(&self) -> bool {
        self.subscriber.is_some()
    }

    /// Whom it is for, while it is busy.
    pub fn subscriber(&self) -> u32 {
        self.subscriber.unwrap_or(0)
    }

    /// Tells the kernel of an empty group; false where memory is short.
    pub fn open(&mut self, uring: &IoUring, number: u16, subscriber: u32) -> Result<bool> {
        self.tail = 0;
        self.publish();
        // SAFETY: the page lives as long as the group, which is longer than the ring is used, and
        // only the kernel and `give()` use it.
        let result = unsafe {
            uring.submitter().register_buf_ring_with_flags(
                self.entries() as u64,
                GROUP_BUFFERS as u16,
                number,
                0,
            )
        };

        match result {
            Ok(()) => {
                self.subscriber = Some(subscriber);
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Ok(false),
            Err(error) => Err(error).context("providing buffers"),
        }
    }

    fn entries(&mut self) -> *mut BufRingEntry {
        self.page.0.as_mut_ptr().cast()
    }

    fn publish(&mut self) {
        let entries = self.entries();
        // SAFETY: the tail is in the first entry, aligned, and changed here only.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };

        tail.store(self.tail, Ordering::Release);
    }

    /// Gives the kernel a buffer.
    pub fn give(&mut self, buffer: usize, address: *mut u8) {
        let slot = usize::from(self.tail) % GROUP_BUFFERS;
        let entries = self.entries();
        // SAFETY: the slot is inside the page and free: there are as many as buffers. Zeroes, which
        // the page starts with, are a valid entry.
        let entry = unsafe { &mut *entries.add(slot) };

        entry.set_addr(address as u64);
        entry.set_len(BUFFER_SIZE as u32);
        entry.set_bid(buffer as u16);
        self.given.push(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.publish();
    }

    /// The kernel has used one.
    pub fn taken(&mut self, buffer: usize) {
        self.given.retain(|&other| other != buffer);
    }

    /// The request has ended: takes back what is left.
    pub fn close(&mut self, uring: &IoUring, number: u16) -> Result<Vec<usize>> {
        uring
            .submitter()
            .unregister_buf_ring(number)
            .context("taking buffers back")?;
        self.subscriber = None;
        Ok(std::mem::take(&mut self.given))
    }
}
