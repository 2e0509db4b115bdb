// SPDX-License-Identifier: GPL-2.0

//! What `/proc` tells of threads that sleep and of requests that wait.

use anyhow::{ensure, Context, Result};
use io_uring_ipc::Subscriber;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

/// What has not happened by then does not happen.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that is about to sleep in the kernel, for another to see that it does.
#[derive(Clone, Copy)]
pub struct Sleeper {
    thread: libc::pid_t,
}

impl Sleeper {
    /// The calling thread, when it has one call left to sleep in.
    pub fn me() -> Self {
        // SAFETY: it only returns a number.
        let thread = unsafe { libc::gettid() };

        Self { thread }
    }

    /// Waits until it sleeps. What wakes it is for the caller to do.
    pub fn asleep(self) -> Result<()> {
        let path = format!("/proc/self/task/{}/stat", self.thread);

        happens("a thread goes to sleep", || {
            let stat = fs::read_to_string(&path).context("the thread has ended")?;
            // Number, name in parentheses, state: the name may contain anything.
            let (_, state) = stat.rsplit_once(") ").context("no state")?;

            Ok(state.starts_with('S'))
        })
    }
}

/// Waits until a line of a subscriber's fdinfo has this value.
pub fn fdinfo_becomes(subscriber: &Subscriber<'_>, name: &str, value: u64) -> Result<()> {
    let path = format!("/proc/self/fdinfo/{}", subscriber.as_fd().as_raw_fd());
    let line = format!("{name}:\t{value}");

    happens(&line, || {
        let lines = fs::read_to_string(&path)?;

        ensure!(lines.contains(name), "no line {name}");
        Ok(lines.lines().any(|other| other == line))
    })
}

fn happens(what: &str, mut has: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();

    while !has()? {
        ensure!(begin.elapsed() < LIMIT, "in vain: {what}");
        thread::sleep(PAUSE);
    }
    Ok(())
}
