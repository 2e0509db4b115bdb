// SPDX-License-Identifier: GPL-2.0

//! Atomics, with the kernel's names.

use checker::{
    atomic::{fence, AtomicU32, AtomicU64, Ordering},
    is_fully_ordered,
};

/// Orders nothing.
#[derive(Debug)]
pub struct Relaxed;
/// Comes before what follows it.
#[derive(Debug)]
pub struct Acquire;
/// Comes after what precedes it.
#[derive(Debug)]
pub struct Release;
/// Both, and for everything; see [`checker::set_fully_ordered`].
#[derive(Debug)]
pub struct Full;

/// An ordering of loads.
pub trait LoadOrdering {
    /// Its name in the language's model.
    const ORDERING: Ordering;
}

impl LoadOrdering for Relaxed {
    const ORDERING: Ordering = Ordering::Relaxed;
}

impl LoadOrdering for Acquire {
    const ORDERING: Ordering = Ordering::Acquire;
}

/// An ordering of stores.
pub trait StoreOrdering {
    /// Its name in the language's model.
    const ORDERING: Ordering;
}

impl StoreOrdering for Relaxed {
    const ORDERING: Ordering = Ordering::Relaxed;
}

impl StoreOrdering for Release {
    const ORDERING: Ordering = Ordering::Release;
}

/// A number that can be an atomic.
pub trait Value: Copy {
    /// The atomic.
    type Cell: Default;
}

impl Value for u32 {
    type Cell = AtomicU32;
}

impl Value for u64 {
    type Cell = AtomicU64;
}

/// A number that several threads use at once.
#[derive(Debug, Default)]
pub struct Atomic<T: Value>(T::Cell);

fn barrier() {
    if is_fully_ordered() {
        fence(Ordering::SeqCst);
    }
}

macro_rules! atomic {
    ($value:ty) => {
        impl Atomic<$value> {
            /// An atomic of this value.
            pub fn new(value: $value) -> Self {
                Self(<$value as Value>::Cell::new(value))
            }

            /// Reads it.
            pub fn load<O: LoadOrdering>(&self, _: O) -> $value {
                self.0.load(O::ORDERING)
            }

            /// Writes it.
            pub fn store<O: StoreOrdering>(&self, value: $value, _: O) {
                self.0.store(value, O::ORDERING);
            }

            /// Replaces `old` by `new`. Orders nothing where it fails.
            pub fn cmpxchg(&self, old: $value, new: $value, _: Full) -> Result<$value, $value> {
                barrier();
                let result = self
                    .0
                    .compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);

                if result.is_ok() {
                    barrier();
                }
                result
            }

            /// Replaces whatever there is.
            pub fn xchg(&self, new: $value, _: Full) -> $value {
                barrier();
                let old = self.0.swap(new, Ordering::AcqRel);

                barrier();
                old
            }

            /// Adds to it, modulo its size; what it was.
            pub fn fetch_add(&self, by: $value, _: Relaxed) -> $value {
                self.0.fetch_add(by, Ordering::Relaxed)
            }

            /// Adds to it, modulo its size.
            pub fn add(&self, by: $value, _: Relaxed) {
                self.0.fetch_add(by, Ordering::Relaxed);
            }
        }
    };
}

atomic!(u32);
atomic!(u64);
