// SPDX-License-Identifier: GPL-2.0

//! Runs a program in a process of its own.

use crate::actor;
use crate::feedback::Feedback;
use crate::pages::Pages;
use crate::program::Program;
use anyhow::{bail, Result};
use kernel_verdict::Patience;
use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// A program may wait for nothing for so long. Then it is killed, which is nothing bad.
const LIMIT: Duration = Duration::from_secs(5);
/// Being killed takes no longer than this.
const KILL_LIMIT: Duration = Duration::from_secs(120);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or killed because it waited.
    Good,
    /// It does not end, even when killed.
    Stuck(u32),
}

/// Runs it to its end.
pub fn execute(program: &Program, feedback: &Feedback) -> Result<End> {
    // SAFETY: this process has one thread, so that the child is as good as this one.
    match unsafe { libc::fork() } {
        -1 => bail!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: no memory is involved. A group of its own, to be killed as a whole.
            unsafe { libc::setpgid(0, 0) };
            play(program, feedback);
            // SAFETY: nothing of the fuzzer's is to be cleaned up here.
            unsafe { libc::_exit(0) }
        }
        child => wait(child),
    }
}

/// The child: its processes first, while it has one thread.
fn play(program: &Program, feedback: &Feedback) {
    let mut children = Vec::new();
    let Some(pages) = Pages::new() else {
        return;
    };

    for actor in program.actors.iter().filter(|actor| actor.process) {
        // SAFETY: as above.
        match unsafe { libc::fork() } {
            0 => {
                actor::act(actor, pages, feedback);
                // SAFETY: as above.
                unsafe { libc::_exit(0) }
            }
            child => children.push(child),
        }
    }

    let threads: Vec<_> = program
        .actors
        .iter()
        .filter(|actor| !actor.process)
        .collect();
    if let [actor] = threads[..] {
        actor::act(actor, pages, feedback);
    }
    let together = &Barrier::new(threads.len());
    thread::scope(|scope| {
        for &actor in threads.iter().filter(|_| threads.len() > 1) {
            scope.spawn(move || {
                together.wait();
                actor::act(actor, pages, feedback);
            });
        }
    });
    for child in children {
        // SAFETY: no memory is involved. Where there is no child, nothing happens.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
}

fn wait(child: i32) -> Result<End> {
    let mut patience = Patience::new();
    let mut killed = false;

    loop {
        let mut status = 0;

        // SAFETY: `status` is there to be written.
        match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
            0 => {}
            -1 => bail!("waitpid: {}", io::Error::last_os_error()),
            _ => break,
        }
        if !killed && patience.spent() > LIMIT {
            // SAFETY: no memory is involved. The group is the child's.
            unsafe { libc::kill(-child, libc::SIGKILL) };
            killed = true;
        }
        if patience.spent() > KILL_LIMIT {
            return Ok(End::Stuck(child as u32));
        }
        thread::sleep(Duration::from_micros(100));
    }
    // Processes that it has left behind become ours: the fuzzer is a subreaper.
    loop {
        // SAFETY: as above.
        unsafe {
            libc::kill(-child, libc::SIGKILL);
            match libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) {
                0 => {}
                -1 => return Ok(End::Good),
                _ => continue,
            }
        }
        if patience.spent() > KILL_LIMIT {
            return Ok(End::Stuck(child as u32));
        }
        thread::sleep(Duration::from_micros(100));
    }
}
