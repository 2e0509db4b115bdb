// SPDX-License-Identifier: GPL-2.0

//! Processes forked from this one.

use crate::cpu;
use anyhow::{bail, Result};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;
use std::time::Duration;

/// Children, none of which outlives this.
#[derive(Default)]
pub struct Processes {
    children: Vec<(libc::pid_t, String)>,
}

/// How many seconds a run may take longer than it should.
const LIMIT: u64 = 120;

impl Processes {
    /// Forks a process that runs `work` on a CPU and exits.
    pub fn start(
        &mut self,
        name: &str,
        cpu: usize,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        // SAFETY: this program has one thread.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error().into()),
            0 => {
                // SAFETY: plain system calls.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::alarm(0);
                }
                let done = catch_unwind(AssertUnwindSafe(|| cpu::pin(cpu).and_then(|()| work())));
                let status = match done {
                    Ok(Ok(())) => 0,
                    Ok(Err(error)) => {
                        eprintln!("{name}: {error:#}");
                        1
                    }
                    Err(_) => 101,
                };
                // SAFETY: nothing of the parent's is to be run or flushed here.
                unsafe { libc::_exit(status) }
            }
            pid => {
                self.children.push((pid, name.to_owned()));
                Ok(())
            }
        }
    }

    /// Waits until `name`, which should take so long, has ended well. The others are to go on
    /// meanwhile.
    pub fn wait_for(&mut self, name: &str, usual: Duration) -> Result<()> {
        static HANDLER: Once = Once::new();

        extern "C" fn ignore(_signal: libc::c_int) {}
        // SAFETY: the handler does nothing; it is there to interrupt waitpid(),
        // so without SA_RESTART.
        HANDLER.call_once(|| unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
        });

        let limit = LIMIT + usual.as_secs();
        let mut status = 0;
        // SAFETY: plain system calls.
        let pid = unsafe {
            libc::alarm(u32::try_from(limit).unwrap_or(u32::MAX));
            let pid = libc::waitpid(-1, &mut status, 0);
            libc::alarm(0);
            pid
        };
        if pid < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                bail!("not done after {limit} s");
            }
            return Err(error.into());
        }

        let Some(index) = self.children.iter().position(|(child, _)| *child == pid) else {
            bail!("unknown child {pid}");
        };
        let (_, who) = self.children.swap_remove(index);
        if status != 0 {
            bail!("{who} failed (status {status:#x})");
        }
        if who != name {
            bail!("{who} ended too early");
        }
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (pid, _) in &self.children {
            // SAFETY: a child of ours that was not waited for yet.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
        for (pid, _) in &self.children {
            // SAFETY: as above.
            unsafe { libc::waitpid(*pid, std::ptr::null_mut(), 0) };
        }
    }
}
