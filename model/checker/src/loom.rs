// SPDX-License-Identifier: GPL-2.0

//! loom.

use crate::{Depth, Sizes};
use loom::{cell::UnsafeCell, model::Builder};
pub use loom::{
    sync::{Condvar, Mutex},
    thread,
};
use std::sync::{
    atomic::{AtomicUsize, Ordering::Relaxed},
    Arc,
};

/// Few.
pub const SIZES: Sizes = Sizes { few: true };

/// Whether [`Exclusive`] does anything.
pub const SEES_RACES: bool = true;

/// Runs a test in every order.
///
/// # Panics
///
/// Where it panics in one of them, or where all of its threads wait.
pub fn check(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();

    builder.max_branches = 20_000;
    builder.preemption_bound = match depth {
        Depth::Exhaustive => None,
        Depth::Preemptions(most) => Some(most),
    };

    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();

    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        test();
    });
    println!("# {} executions", executions.load(Relaxed));
}

/// Something that one thread writes, or several read, at a time; panics where the orderings do not
/// see to that.
#[derive(Debug, Default)]
pub struct Exclusive(UnsafeCell<()>);

impl Exclusive {
    /// The caller reads.
    pub fn read(&self) {
        self.0.with(|_| ());
    }

    /// The caller writes.
    pub fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// Atomics of loom, all of whose accesses are tried in every order.
///
/// To save executions loom compares an access only with the last one before it that matters, and
/// remembers one of those for each atomic. So a thread's own load hides another thread's, which
/// the store after it could have come before: loads and a store, or a compare-and-exchange, are
/// what an algorithm like this is made of. Here every access comes with one to an object for which
/// all accesses matter, and which orders nothing: a condition that nobody waits for.
pub mod atomic {
    pub use loom::sync::atomic::{fence, Ordering};
    use loom::sync::Condvar;

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            /// An atomic.
            #[derive(Debug, Default)]
            pub struct $name {
                word: loom::sync::atomic::$name,
                accesses: Condvar,
            }

            impl $name {
                /// An atomic of this value.
                pub fn new(value: $value) -> Self {
                    Self {
                        word: loom::sync::atomic::$name::new(value),
                        accesses: Condvar::new(),
                    }
                }

                fn access(&self) -> &loom::sync::atomic::$name {
                    self.accesses.notify_one();
                    &self.word
                }

                /// Reads it.
                pub fn load(&self, ordering: Ordering) -> $value {
                    self.access().load(ordering)
                }

                /// Writes it.
                pub fn store(&self, value: $value, ordering: Ordering) {
                    self.access().store(value, ordering);
                }

                /// Replaces `old` by `new`.
                pub fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.access().compare_exchange(old, new, success, failure)
                }

                /// Replaces whatever there is.
                pub fn swap(&self, new: $value, ordering: Ordering) -> $value {
                    self.access().swap(new, ordering)
                }

                /// Adds to it.
                pub fn fetch_add(&self, by: $value, ordering: Ordering) -> $value {
                    self.access().fetch_add(by, ordering)
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}
