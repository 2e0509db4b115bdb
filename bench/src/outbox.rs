// SPDX-License-Identifier: GPL-2.0

//! The sender's messages.

use crate::payload;
use std::ptr::NonNull;

/// Buffers for one batch of messages. They stay where they are, so that requests
/// with their addresses can be made once.
pub struct Outbox {
    start: NonNull<u8>,
    size: usize,
    batch: usize,
}

impl Outbox {
    /// Buffers for `batch` messages of `size` bytes.
    pub fn new(batch: usize, size: usize) -> Self {
        // Never given back: the kernel may be reading it when an error ends us.
        let bytes: &'static mut [u8] = vec![0u8; batch * size].leak();

        Self {
            start: NonNull::from(bytes).cast(),
            size,
            batch,
        }
    }

    /// Bytes of a message.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Messages it has room for.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Where a message starts.
    #[inline]
    pub fn address(&self, index: usize) -> *const u8 {
        assert!(index < self.batch);
        // SAFETY: the message is inside the buffers.
        unsafe { self.start.as_ptr().add(index * self.size) }
    }

    /// A message.
    #[inline]
    pub fn message(&self, index: usize) -> &[u8] {
        // SAFETY: the bytes are ours, and change only with `&mut self`.
        unsafe { std::slice::from_raw_parts(self.address(index), self.size) }
    }

    #[inline]
    fn message_mut(&mut self, index: usize) -> &mut [u8] {
        // SAFETY: as above, and we have `&mut self`. Requests that read it have
        // completed: senders return when they have.
        unsafe { std::slice::from_raw_parts_mut(self.address(index).cast_mut(), self.size) }
    }

    /// Makes it the messages from `first` on, whole.
    pub fn fill(&mut self, first: u64) {
        for index in 0..self.batch {
            payload::fill(self.message_mut(index), first + index as u64);
        }
    }

    /// Makes it the messages from `first` on by their numbers alone; the rest
    /// stays what it was.
    #[inline]
    pub fn number(&mut self, first: u64) {
        for index in 0..self.batch {
            let number = (first + index as u64).to_ne_bytes();
            self.message_mut(index)[..payload::NUMBER].copy_from_slice(&number);
        }
    }

    /// Writes the second word of a message.
    pub fn stamp(&mut self, index: usize, stamp: u64) {
        self.message_mut(index)[8..16].copy_from_slice(&stamp.to_ne_bytes());
    }
}
