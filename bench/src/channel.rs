// SPDX-License-Identifier: GPL-2.0

//! Channels and subscribers on a ring of this program.

use crate::ring::Ring;
use anyhow::{Context, Result};
use io_uring_ipc::abi::{self, ChannelAttach, ChannelCreate};
use io_uring_ipc::{register, Kind, Setup};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// A channel, with a ring that does nothing but own it.
pub struct Channel {
    ring: Ring,
    id: u32,
}

impl Channel {
    /// Makes a channel.
    pub fn new(kind: Kind, entries: usize, size: usize) -> Result<Self> {
        let ring = Ring::new(Setup::Plain, 1, 1)?;
        let mut create = ChannelCreate {
            flags: kind.flags(),
            ring_entries: entries as u32,
            max_msg_size: size as u32,
            mode: 0o600,
            ..ChannelCreate::default()
        };

        // SAFETY: `create` is what this operation reads and writes.
        unsafe { register(&ring, abi::REGISTER_CREATE, (&raw mut create).cast(), 1) }
            .with_context(|| {
                format!("cannot make a channel of {entries} messages of {size} bytes")
            })?;
        Ok(Self {
            ring,
            id: create.channel_id_out,
        })
    }

    /// Becomes a subscriber by another ring; `rights` are `SUB_*`.
    pub fn attach(&self, ring: &Ring, rights: u32) -> Result<Subscriber> {
        let mut attach = ChannelAttach {
            channel_id: self.id,
            flags: rights,
            ..ChannelAttach::default()
        };

        // SAFETY: `attach` is what this operation reads and writes.
        unsafe { register(ring, abi::REGISTER_ATTACH, (&raw mut attach).cast(), 1) }
            .context("cannot attach to a channel")?;
        Ok(Subscriber {
            id: attach.local_id_out,
            // SAFETY: the kernel has just made it for us.
            file: unsafe { OwnedFd::from_raw_fd(attach.channel_fd) },
        })
    }

    /// Ends the channel.
    pub fn destroy(&self) -> Result<()> {
        // SAFETY: this operation takes no memory.
        unsafe { register(&self.ring, abi::REGISTER_DESTROY, ptr::null_mut(), self.id) }
            .context("cannot destroy a channel")
    }
}

/// A subscriber; detached when its ring is closed.
pub struct Subscriber {
    /// For `sqe->fd`.
    pub id: u32,
    file: OwnedFd,
}

impl Subscriber {
    /// Detaches it; `ring` is the one that has attached it.
    pub fn detach(&self, ring: &Ring) -> Result<()> {
        // SAFETY: this operation takes no memory.
        unsafe { register(ring, abi::REGISTER_DETACH, ptr::null_mut(), self.id) }
            .context("cannot detach from a channel")
    }

    /// Its `channel_fd`.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// How often it has been woken for a message.
    pub fn wakeups(&self) -> Result<u64> {
        self.info("ipc-wakeups")
    }

    /// A number that its fdinfo has.
    pub fn info(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/self/fdinfo/{}", self.file.as_raw_fd());
        let info = fs::read_to_string(&path)?;

        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|count| count.trim().parse().ok())
            .with_context(|| format!("{path} has no line {name}"))
    }
}

/// Why there are no channels here, if there are none.
pub fn missing() -> Option<String> {
    let ring = match Ring::new(Setup::Plain, 1, 1) {
        Ok(ring) => ring,
        Err(error) => return Some(format!("{error:#}")),
    };

    match Channel::new(Kind::Unicast, 1, 8) {
        Ok(_) => None,
        Err(error) => Some(match ring.supports(abi::OP_SEND) {
            Ok(false) => "this kernel has no IORING_OP_IPC_SEND: it is not patched".into(),
            _ => format!("no channels here (is the module io_uring_ipc loaded?): {error:#}"),
        }),
    }
}
