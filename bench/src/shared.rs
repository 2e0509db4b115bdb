// SPDX-License-Identifier: GPL-2.0

//! Memory that processes share with those they fork.

use anyhow::Result;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A type for which memory full of zeroes is a value, and that may be changed
/// by several processes at once.
///
/// # Safety
///
/// Both have to be so, and the type must not need dropping.
pub unsafe trait Plain: Sync {}

// SAFETY: atomics are that.
unsafe impl Plain for AtomicU64 {}
// SAFETY: likewise.
unsafe impl Plain for AtomicU32 {}

/// A slice in memory shared with processes forked after it was made.
pub struct Shared<T: Plain> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: only shared references to the values are given out, and they are `Sync`.
unsafe impl<T: Plain> Sync for Shared<T> {}

impl<T: Plain> Shared<T> {
    /// `len` values of zeroes.
    pub fn new(len: usize) -> Result<Self> {
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                (len * size_of::<T>()).max(1),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };

        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::Error::from(io::ErrorKind::OutOfMemory))?,
            len,
        })
    }
}

impl<T: Plain> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: so many of them are in the map, and zeroes are values.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the map is ours, and borrows of it are over.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len * size_of::<T>()) };
    }
}

/// Sleeps while `word` is `value`.
pub fn futex_wait(word: &AtomicU32, value: u32) {
    while word.load(Ordering::Acquire) == value {
        // SAFETY: the word is valid; other wake-ups and signals are looked
        // through by the loop.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAIT,
                value,
                std::ptr::null::<libc::timespec>(),
            )
        };
    }
}

/// Wakes all that sleep on `word`.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
