// SPDX-License-Identifier: GPL-2.0

//! An io_uring, as senders and receivers use it.

use crate::cpu;
use anyhow::{Context, Result};
use io_uring::{cqueue, squeue, IoUring};
use io_uring_ipc::Setup;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// How long the kernel thread of SQPOLL looks for work before it sleeps, in
/// milliseconds.
const SQPOLL_IDLE_MS: u32 = 2;

/// What completes: request, result, flags.
pub type Completion = cqueue::Entry;

/// An io_uring.
pub struct Ring {
    uring: IoUring,
}

impl Ring {
    /// A ring for so many requests, and for twice as many completions or
    /// `completions`, if that is more.
    pub fn new(setup: Setup, requests: usize, completions: usize) -> Result<Self> {
        Self::build(setup, requests, completions, false)
    }

    /// One that is made here and used by a process forked from here.
    pub fn for_a_child(setup: Setup, requests: usize, completions: usize) -> Result<Self> {
        Self::build(setup, requests, completions, true)
    }

    fn build(setup: Setup, requests: usize, completions: usize, disabled: bool) -> Result<Self> {
        let mut builder = IoUring::builder();
        let requests = requests.next_power_of_two() as u32;
        let completions = (completions.next_power_of_two() as u32).max(2 * requests);

        match setup {
            Setup::Plain => {}
            Setup::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Setup::SqPoll => {
                builder.setup_sqpoll(SQPOLL_IDLE_MS);
            }
        }
        if disabled {
            builder.setup_r_disabled();
        }
        builder.setup_cqsize(completions);
        let uring = match setup {
            Setup::SqPoll => cpu::unpinned(|| builder.build(requests))?,
            _ => builder.build(requests),
        }
        .with_context(|| format!("no io_uring with set-up {}", setup.name()))?;

        Ok(Self { uring })
    }

    /// Starts one made [`for_a_child`](Self::for_a_child), in the child.
    pub fn enable(&self) -> Result<()> {
        Ok(self.uring.submitter().register_enable_rings()?)
    }

    /// Submits requests and waits until as many have completed.
    ///
    /// # Safety
    ///
    /// What they point at has to stay valid until then, and there must be no
    /// other requests under way.
    #[inline]
    pub unsafe fn run(
        &mut self,
        requests: &[squeue::Entry],
        mut each: impl FnMut(Completion) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: the caller vouches for them.
        unsafe { self.push(requests) };
        let mut left = requests.len();

        while left > 0 {
            self.enter(left)?;
            for completion in self.uring.completion() {
                left -= 1;
                each(completion)?;
            }
        }
        Ok(())
    }

    /// Queues requests.
    ///
    /// # Safety
    ///
    /// What they point at has to stay valid until they have completed.
    #[inline]
    pub unsafe fn push(&mut self, requests: &[squeue::Entry]) {
        // SAFETY: the caller vouches for them. There is room but for the moment
        // in which a kernel thread has completed requests and not yet given
        // their slots back.
        while unsafe { self.uring.submission().push_multiple(requests) }.is_err() {
            std::thread::yield_now();
        }
    }

    /// Submits what is queued and waits until `want` have completed.
    #[inline]
    pub fn enter(&mut self, want: usize) -> Result<()> {
        loop {
            match self.uring.submit_and_wait(want) {
                Ok(_) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                    _ => return Err(error).context("io_uring_enter"),
                },
            }
        }
    }

    /// Completions that are there.
    #[inline]
    pub fn completions(&mut self) -> cqueue::CompletionQueue<'_> {
        self.uring.completion()
    }

    /// Whether this kernel has an opcode.
    pub fn supports(&self, opcode: u8) -> Result<bool> {
        let mut probe = io_uring::Probe::new();

        self.uring.submitter().register_probe(&mut probe)?;
        Ok(probe.is_supported(opcode))
    }

    /// The crate's own interface.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.uring.submitter()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }
}

/// A result as Rust has it.
#[inline]
pub fn result(res: i32) -> io::Result<usize> {
    usize::try_from(res).map_err(|_| io::Error::from_raw_os_error(-res))
}
