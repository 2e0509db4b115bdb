// SPDX-License-Identifier: GPL-2.0

//! POSIX message queues: one for each receiver, or one that all read from.

use super::file::call;
use super::{queues, Receiver, Sender, Transport};
use crate::outbox::Outbox;
use crate::privilege;
use crate::sink::Sink;
use crate::work::Work;
use anyhow::{Context, Result};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The queues.
pub struct Queues {
    queues: Vec<OwnedFd>,
    size: usize,
}

impl Queues {
    /// Queues for this work, as long as the system's limits let them be.
    pub fn new(work: &Work) -> Result<Self> {
        let count = queues(work);
        let entries = affordable(count, work);

        Ok(Self {
            queues: (0..count)
                .map(|number| queue(number, entries, work))
                .collect::<Result<_>>()?,
            size: work.size,
        })
    }
}

/// Bytes that a message may have at most.
pub fn largest() -> usize {
    let limit = || {
        let text = fs::read_to_string("/proc/sys/fs/mqueue/msgsize_max").ok()?;
        text.trim().parse().ok()
    };

    if privilege::is_beyond_limits() {
        usize::MAX
    } else {
        limit().unwrap_or(usize::MAX)
    }
}

/// Messages that each of `count` queues may hold: as many as others hold, or what
/// RLIMIT_MSGQUEUE lets us have.
fn affordable(count: usize, work: &Work) -> usize {
    // What the kernel counts for a message besides its bytes, at most.
    const HEAD: usize = 128;
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };

    // SAFETY: the limit is valid for both. Only root may raise it: else we take
    // what there is.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_MSGQUEUE, &limit) != 0 {
            libc::getrlimit(libc::RLIMIT_MSGQUEUE, &mut limit);
        }
    }
    let bytes = usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX);
    work.entries().min(bytes / count / (work.size + HEAD))
}

/// A queue that has no name any more.
fn queue(number: usize, mut entries: usize, work: &Work) -> Result<OwnedFd> {
    let name = CString::new(format!("/ipc-bench.{}.{number}", std::process::id()))?;

    loop {
        // SAFETY: all bytes zero is such a value.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = entries as libc::c_long;
        attributes.mq_msgsize = work.size as libc::c_long;

        // SAFETY: name and attributes are valid. On Linux a queue is a file.
        let fd = unsafe {
            libc::mq_open(
                name.as_ptr(),
                libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
                0o600 as libc::c_uint,
                &attributes,
            )
        };
        if fd >= 0 {
            // SAFETY: the name is valid, and the file is ours.
            return unsafe {
                libc::mq_unlink(name.as_ptr());
                Ok(OwnedFd::from_raw_fd(fd))
            };
        }
        let error = io::Error::last_os_error();
        if entries <= 10 {
            return Err(error).context("mq_open (limits: see mq_overview(7))");
        }
        entries = (entries / 2).max(10);
    }
}

impl Transport for Queues {
    fn sender(&self, _outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(MqSender {
            queues: &self.queues,
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(MqReceiver {
            queue: &self.queues[index % self.queues.len()],
            buffer: vec![0; self.size],
        }))
    }
}

struct MqSender<'a> {
    queues: &'a [OwnedFd],
}

impl Sender for MqSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        for index in 0..count {
            let message = outbox.message(index);
            for queue in self.queues {
                // SAFETY: the message is as long as said.
                call(unsafe {
                    libc::mq_send(queue.as_raw_fd(), message.as_ptr().cast(), message.len(), 0)
                } as isize)?;
            }
        }
        Ok(())
    }
}

struct MqReceiver<'a> {
    queue: &'a OwnedFd,
    buffer: Vec<u8>,
}

impl Receiver for MqReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        // SAFETY: the buffer is as long as said.
        let len = call(unsafe {
            libc::mq_receive(
                self.queue.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                std::ptr::null_mut(),
            )
        })?;
        sink.take(&self.buffer[..len]);
        Ok(())
    }
}
