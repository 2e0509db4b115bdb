// SPDX-License-Identifier: GPL-2.0

//! The atomics that a lock-free algorithm is written with.
//!
//! A thin face over [`kernel::sync::atomic`], so that the same source also compiles on a host,
//! where a model checker provides this module instead. All operations follow the kernel's memory
//! model; an operation names its ordering.

use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use pin_init::Zeroable;

/// A 64-bit word that several CPUs use at once.
#[repr(transparent)]
pub(crate) struct Word64(Atomic<u64>);

// SAFETY: An atomic has the layout of its value, and zero is one.
unsafe impl Zeroable for Word64 {}

impl Word64 {
    pub(crate) const fn new(value: u64) -> Self {
        Self(Atomic::new(value))
    }

    #[inline(always)]
    pub(crate) fn load_relaxed(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn load_acquire(&self) -> u64 {
        self.0.load(Acquire)
    }

    #[inline(always)]
    pub(crate) fn store_relaxed(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn store_release(&self, value: u64) {
        self.0.store(value, Release);
    }

    /// Replaces `old` by `new`, fully ordered, and says whether it did.
    #[inline(always)]
    pub(crate) fn replace(&self, old: u64, new: u64) -> bool {
        self.0.cmpxchg(old, new, Full).is_ok()
    }

    /// Raises the word to `to` unless it is there already; it never goes down.
    ///
    /// Fully ordered where it changes the word.
    #[inline]
    pub(crate) fn raise(&self, to: u64) {
        let mut old = self.load_relaxed();

        while old < to {
            match self.0.cmpxchg(old, to, Full) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }
}

/// A 32-bit word that several CPUs use at once.
#[repr(transparent)]
pub(crate) struct Word32(Atomic<u32>);

// SAFETY: An atomic has the layout of its value, and zero is one.
unsafe impl Zeroable for Word32 {}

impl Word32 {
    pub(crate) const fn new(value: u32) -> Self {
        Self(Atomic::new(value))
    }

    #[inline(always)]
    pub(crate) fn load_relaxed(&self) -> u32 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn load_acquire(&self) -> u32 {
        self.0.load(Acquire)
    }

    #[inline(always)]
    pub(crate) fn store_relaxed(&self, value: u32) {
        self.0.store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn store_release(&self, value: u32) {
        self.0.store(value, Release);
    }
}

/// Orders every access before it against every access after it.
#[inline(always)]
pub(crate) fn full_barrier() {
    kernel::sync::barrier::smp_mb();
}

/// Orders the loads before it against the loads after it.
#[inline(always)]
pub(crate) fn read_barrier() {
    kernel::sync::barrier::smp_rmb();
}
