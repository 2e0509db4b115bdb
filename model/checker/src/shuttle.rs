// SPDX-License-Identifier: GPL-2.0

//! shuttle.

use crate::{Depth, Sizes};
use shuttle::{
    scheduler::PctScheduler, scheduler::RandomScheduler, Config, FailurePersistence, Runner,
};
pub use shuttle::{
    sync::{atomic, Condvar, Mutex},
    thread,
};

/// Many.
pub const SIZES: Sizes = Sizes { few: false };

/// Whether [`Exclusive`] does anything.
pub const SEES_RACES: bool = false;

/// How many schedules of each kind are tried, unless `SHUTTLE_ITERATIONS` says otherwise.
const ITERATIONS: usize = 2000;
/// Of those with few preemptions, how many there are.
const PREEMPTIONS: usize = 4;

/// Runs a test in random orders, some of them with few preemptions at random places.
///
/// With `SHUTTLE_REPLAY=SCHEDULE` it runs the schedule that a failed test has printed instead.
///
/// # Panics
///
/// Where the test panics in one of them, or where all of its threads wait.
pub fn check(_depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        return shuttle::replay(test, &schedule);
    }
    let iterations = std::env::var("SHUTTLE_ITERATIONS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(ITERATIONS);
    let mut config = Config::new();

    config.failure_persistence = FailurePersistence::Print;
    config.silence_warnings = true;

    let test = std::sync::Arc::new(test);
    let (first, second) = (test.clone(), test);

    Runner::new(RandomScheduler::new(iterations), config.clone()).run(move || first());
    Runner::new(PctScheduler::new(PREEMPTIONS, iterations), config).run(move || second());
}

/// Nothing here: there are no orderings to get wrong, and who overlaps leaves torn payload.
#[derive(Debug, Default)]
pub struct Exclusive(());

impl Exclusive {
    /// The caller reads.
    pub fn read(&self) {}

    /// The caller writes.
    pub fn write(&self) {}
}
