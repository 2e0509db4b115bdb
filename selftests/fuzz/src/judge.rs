// SPDX-License-Identifier: GPL-2.0

//! Runs programs, and has the kernel and its promises judge each of them.

use crate::executor::{self, End};
use crate::feedback::{Feedback, Shared};
use crate::program::Program;
use anyhow::{Context, Result};
use kernel_verdict::{where_it_is, Log, References};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the kernel may take to end a program's rings in the background.
const END_LIMIT: Duration = Duration::from_secs(60);

pub struct Judge {
    feedback: Shared<Feedback>,
    log: Log,
    references: References,
}

impl Judge {
    pub fn new() -> Result<Self> {
        // SAFETY: no memory is involved. Orphans of programs come to us.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        Ok(Self {
            feedback: Shared::new()?,
            log: Log::from_now()?,
            references: References::now()?,
        })
    }

    /// Runs a program: what it has shown, or an error that says what is wrong with the kernel.
    pub fn run(&mut self, program: &Program) -> Result<Vec<u16>> {
        if let End::Stuck(process) = executor::execute(program, &self.feedback)? {
            anyhow::bail!(
                "a process does not end, even when killed:\n{}",
                where_it_is(process)
            );
        }
        if let Some(broken) = self.feedback.broken() {
            anyhow::bail!("a promise is broken: {broken:?}");
        }
        self.references
            .wait(END_LIMIT)
            .context("something is left of a program")?;
        if let Some(trouble) = self.log.trouble()? {
            anyhow::bail!("the kernel complains:\n{trouble}");
        }
        Ok(self.feedback.take_signals())
    }

    /// How many calls and requests there were so far.
    pub fn operations(&self) -> u64 {
        self.feedback.operations.load(Ordering::Relaxed)
    }
}
