// SPDX-License-Identifier: GPL-2.0

//! One face for two model checkers.
//!
//! loom runs a test in every order that its threads can take, and lets every load return every
//! value that the memory model allows. With the feature `shuttle` threads run in random orders,
//! sequentially consistent: so there can be more of them.

use std::cell::Cell;

#[cfg(not(feature = "shuttle"))]
#[path = "loom.rs"]
mod engine;
#[cfg(feature = "shuttle")]
#[path = "shuttle.rs"]
mod engine;

pub use engine::{atomic, check, thread, Condvar, Exclusive, Mutex, SEES_RACES, SIZES};

/// How far a test is explored.
#[derive(Clone, Copy)]
pub enum Depth {
    /// Every order of the threads.
    Exhaustive,
    /// Every order in which a thread is interrupted at most so often in all (loom).
    Preemptions(usize),
}

/// How many there are of something: few where every order is tried.
#[derive(Clone, Copy)]
pub struct Sizes {
    few: bool,
}

impl Sizes {
    /// `few` for loom, `many` for shuttle.
    pub const fn pick<T: Copy>(self, few: T, many: T) -> T {
        if self.few {
            few
        } else {
            many
        }
    }
}

thread_local! {
    /// All threads of a test run on one thread of the host.
    static FULL: Cell<bool> = const { Cell::new(true) };
}

/// What an operation that is "fully ordered" orders, for the tests of this thread.
///
/// In the kernel's model that is everything before it against everything after it. Where a test
/// passes without, as acquire and release only, it shows that the code does with less, and finds
/// what would hide behind the barriers.
pub fn set_fully_ordered(full: bool) {
    FULL.set(full);
}

/// As [`set_fully_ordered`] has set it.
pub fn is_fully_ordered() -> bool {
    FULL.get()
}

#[cfg(test)]
mod tests;
