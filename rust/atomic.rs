// SPDX-License-Identifier: GPL-2.0

//! The atomics that a lock-free algorithm is written with.
//!
//! A thin face over [`kernel::sync::atomic`]. The same source also compiles on a host, where a
//! model checker's atomics stand in for those; they cannot be made at compile time. All operations
//! follow the kernel's memory model; an operation names its ordering.
//!
//! The kernel's atomics are functions of its C part for Rust: a call for each load. On x86-64 those
//! of [`core`] compile to the very instructions that the kernel's macros do (plain moves, `lock`
//! prefixes), in place; a message takes some twenty of them, so there they are used. Elsewhere the
//! two models differ, and the kernel's are.

#[cfg(CONFIG_RUST)]
use pin_init::Zeroable;

#[cfg(CONFIG_X86_64)]
use core::sync::atomic::{
    AtomicU32 as Atomic32, AtomicU64 as Atomic64,
    Ordering::{Acquire, Relaxed, Release, SeqCst as Full},
};
#[cfg(not(CONFIG_X86_64))]
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
#[cfg(not(CONFIG_X86_64))]
type Atomic32 = Atomic<u32>;
#[cfg(not(CONFIG_X86_64))]
type Atomic64 = Atomic<u64>;

/// A 64-bit word that several CPUs use at once.
#[cfg_attr(not(CONFIG_RUST), derive(Default))]
#[repr(transparent)]
pub(crate) struct Word64(Atomic64);

// SAFETY: An atomic has the layout of its value, and zero is one.
#[cfg(CONFIG_RUST)]
unsafe impl Zeroable for Word64 {}

impl Word64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(Atomic64::new(value))
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

    #[inline(always)]
    fn exchange(&self, old: u64, new: u64) -> Result<u64, u64> {
        #[cfg(CONFIG_X86_64)]
        return self.0.compare_exchange(old, new, Full, Relaxed);
        #[cfg(not(CONFIG_X86_64))]
        return self.0.cmpxchg(old, new, Full);
    }

    /// Adds one, and returns the sum. Orders nothing.
    #[inline(always)]
    pub(crate) fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    /// Replaces `old` by `new`, fully ordered, and says whether it did.
    #[inline(always)]
    pub(crate) fn replace(&self, old: u64, new: u64) -> bool {
        self.exchange(old, new).is_ok()
    }

    /// Raises the word to `to` unless it is there already; it never goes down.
    ///
    /// Fully ordered where it changes the word. litmus: raise
    #[inline]
    pub(crate) fn raise(&self, to: u64) {
        let mut old = self.load_relaxed();

        while old < to {
            match self.exchange(old, to) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }
}

/// A 32-bit word that several CPUs use at once.
#[cfg_attr(not(CONFIG_RUST), derive(Default))]
#[repr(transparent)]
pub(crate) struct Word32(Atomic32);

// SAFETY: An atomic has the layout of its value, and zero is one.
#[cfg(CONFIG_RUST)]
unsafe impl Zeroable for Word32 {}

impl Word32 {
    pub(crate) fn new(value: u32) -> Self {
        Self(Atomic32::new(value))
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

    /// Sets the word to 0, fully ordered, and says whether it was anything else.
    #[inline(always)]
    pub(crate) fn take(&self) -> bool {
        #[cfg(CONFIG_X86_64)]
        return self.0.swap(0, Full) != 0;
        #[cfg(not(CONFIG_X86_64))]
        return self.0.xchg(0, Full) != 0;
    }

    /// Adds to the word, modulo 2^32. Orders nothing.
    #[inline(always)]
    pub(crate) fn add(&self, by: i32) {
        #[cfg(CONFIG_X86_64)]
        self.0.fetch_add(by as u32, Relaxed);
        #[cfg(not(CONFIG_X86_64))]
        self.0.add(by as u32, Relaxed);
    }
}

/// Orders every access before it against every access after it.
#[inline(always)]
pub(crate) fn full_barrier() {
    // As `smp_mb()` in arch/x86/include/asm/barrier.h: cheaper than `mfence`.
    //
    // SAFETY: Adds nothing to a word below the stack that nobody uses: the kernel has no red zone.
    #[cfg(all(CONFIG_X86_64, not(CONFIG_KCSAN)))]
    unsafe {
        core::arch::asm!("lock add dword ptr [rsp - 4], 0")
    };
    // KCSAN knows of no barriers but the kernel's.
    #[cfg(any(not(CONFIG_X86_64), CONFIG_KCSAN))]
    kernel::sync::barrier::smp_mb();
}

/// Orders the loads before it against the loads after it.
#[inline(always)]
pub(crate) fn read_barrier() {
    // x86 keeps loads in order; this keeps the compiler from changing it.
    #[cfg(all(CONFIG_X86_64, not(CONFIG_KCSAN)))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(any(not(CONFIG_X86_64), CONFIG_KCSAN))]
    kernel::sync::barrier::smp_rmb();
}
