// SPDX-License-Identifier: GPL-2.0

//! What time is measured in.

use crate::mark;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a nanosecond of `CLOCK_MONOTONIC` stands for on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Time.
    Wall,
    /// One instruction, of all CPUs together: QEMU with `-icount shift=0`.
    Instructions,
}

impl Clock {
    /// As whoever started the machine says. It cannot be seen from inside.
    pub fn here() -> Self {
        match std::env::var("IOIPC_ACCEL") {
            Ok(accel) if accel.ends_with("-icount") => Clock::Instructions,
            _ => Clock::Wall,
        }
    }

    /// The unit of its figures.
    pub fn unit(self) -> &'static str {
        match self {
            Clock::Wall => "ns",
            Clock::Instructions => "instructions",
        }
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds; the same on all CPUs and in all processes.
#[inline]
pub fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    // SAFETY: `now` is there for it to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What `work` takes, in nanoseconds. It is what is between two marks, too.
pub fn timed(work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let start = now_ns();

    mark::begin();
    let result = work();
    mark::end();
    result.map(|()| now_ns() - start)
}

/// Sleeps for so many microseconds.
pub fn sleep_us(us: u64) {
    std::thread::sleep(std::time::Duration::from_micros(us));
}

/// Leaves the kernel time to take earlier rings apart: it does when their
/// descriptors have gone.
pub fn settle() {
    sleep_us(200_000);
}
