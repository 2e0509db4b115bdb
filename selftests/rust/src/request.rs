// SPDX-License-Identifier: GPL-2.0

//! Requests for [`InFlight`](crate::InFlight), and what becomes of them.

use crate::abi::MsgHdr;
use crate::provided::Provided;
use crate::ring::Completion;
use crate::sqe::{self, Sqe};
use io_uring::opcode;
use io_uring::types::Timespec;
use std::io;
use std::time::Duration;

/// What the kernel reads or writes while a request is under way.
pub(crate) enum Memory {
    None,
    Bytes(Vec<u8>),
    Time(#[expect(dead_code, reason = "read by the kernel")] Box<Timespec>),
    /// A group of provided buffers.
    Group(u16),
}

/// A request, for [`InFlight::start`](crate::InFlight::start).
pub struct Request {
    pub(crate) sqe: Sqe,
    pub(crate) memory: Memory,
}

impl Request {
    /// Sends a message through a subscriber or to a channel.
    pub fn send(id: u32, payload: &[u8]) -> Self {
        let payload = payload.to_vec();

        Self {
            sqe: Sqe::send(id, payload.as_ptr(), payload.len()),
            memory: Memory::Bytes(payload),
        }
    }

    /// Receives one message of up to `len` bytes.
    pub fn recv(subscriber: u32, len: usize) -> Self {
        let mut buffer = vec![0; len];

        Self {
            sqe: Sqe::recv(subscriber, buffer.as_mut_ptr(), len),
            memory: Memory::Bytes(buffer),
        }
    }

    /// Receives one message to a buffer of a group that
    /// [`InFlight::provide`](crate::InFlight::provide) has made.
    pub fn recv_provided(subscriber: u32, group: u16) -> Self {
        Self {
            sqe: Sqe::recv_provided(subscriber, group),
            memory: Memory::Group(group),
        }
    }

    /// Receives one message after the other to buffers of a group.
    pub fn recv_multishot(subscriber: u32, group: u16) -> Self {
        Self {
            sqe: Sqe::recv_multishot(subscriber, group),
            memory: Memory::Group(group),
        }
    }

    /// Cancels the request with this `user_data`.
    pub fn cancel(user_data: u64) -> Self {
        Self {
            sqe: Sqe::from_entry(opcode::AsyncCancel::new(user_data).build()),
            memory: Memory::None,
        }
    }

    /// Cancels the request this one is linked to when the time is over.
    pub fn link_timeout(limit: Duration) -> Self {
        let limit = Box::new(Timespec::from(limit));

        Self {
            sqe: Sqe::from_entry(opcode::LinkTimeout::new(&*limit).build()),
            memory: Memory::Time(limit),
        }
    }

    /// With a number that no other request under way has.
    pub fn user_data(mut self, user_data: u64) -> Self {
        self.sqe.user_data = user_data;
        self
    }

    /// With these `SEND_*` or `RECV_*` flags of [`abi`](crate::abi) too.
    pub fn with(mut self, flags: u16) -> Self {
        self.sqe = self.sqe.with(flags);
        self
    }

    /// Using at most `len` bytes of a provided buffer.
    pub fn at_most(mut self, len: u32) -> Self {
        if let Memory::Group(_) = self.memory {
            self.sqe.len = len;
        }
        self
    }

    /// The next request starts when this one has succeeded.
    pub fn link(mut self) -> Self {
        self.sqe.flags |= sqe::IO_LINK;
        self
    }

    /// A worker thread of the kernel tries it, not the caller.
    pub fn by_worker(mut self) -> Self {
        self.sqe.flags |= sqe::ASYNC;
        self
    }
}

/// A completion, with what the request has sent or received.
pub struct Done {
    pub(crate) completion: Completion,
    pub(crate) data: Data,
}

pub(crate) enum Data {
    None,
    Bytes(Vec<u8>),
    Provided(Provided),
}

impl Done {
    /// What the kernel says.
    pub fn completion(&self) -> Completion {
        self.completion
    }

    /// The bytes, as many as the result counts.
    pub fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = match &self.data {
            Data::None => &[],
            Data::Bytes(bytes) => bytes,
            Data::Provided(bytes) => bytes,
        };
        let len = usize::try_from(self.completion.res).unwrap_or(0);

        &bytes[..len.min(bytes.len())]
    }

    /// What was received with [`RECV_HDR`](crate::abi::RECV_HDR).
    pub fn message(&self) -> io::Result<(MsgHdr, &[u8])> {
        let (header, payload) = self
            .bytes()
            .split_at_checked(size_of::<MsgHdr>())
            .ok_or(io::ErrorKind::UnexpectedEof)?;

        Ok((bytemuck::pod_read_unaligned(header), payload))
    }
}
