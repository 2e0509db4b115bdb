// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_RECV`

use super::{
    channel::Channel,
    members::{Member, Wait},
    rfl::{
        identity,
        inode::Access,
        io_uring::Sqe,
        preempt,
        user_buffer::UserBuffer, //
    },
    ring::Record,
    subscriber::Subscriber,
    uapi::{recv_flags, MessageHeader},
};
use core::mem::size_of;
use kernel::prelude::*;
use zerocopy_derive::Immutable;

const HEADER_LEN: usize = size_of::<MessageHeader>();

/// How often a receive faults its buffer in before it gives up. Once is enough, unless somebody
/// takes the pages away all the time.
const MAX_FAULTS: u32 = 16;

/// What an SQE asks for.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct RecvCommand {
    addr: u64,
    len: u32,
    flags: u16,
    pad: u16,
}

impl RecvCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline]
    pub(crate) fn parse(sqe: &Sqe) -> Result<Self> {
        if sqe.ioprio & !recv_flags::ALL != 0 || sqe.file_index != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        let command = Self {
            addr: sqe.addr,
            len: sqe.len,
            flags: sqe.ioprio,
            pad: 0,
        };

        if command.wants_header() && (command.len as usize) < HEADER_LEN {
            return Err(EINVAL);
        }
        Ok(command)
    }

    #[inline(always)]
    fn wants_header(&self) -> bool {
        self.flags & recv_flags::HDR != 0
    }

    #[inline(always)]
    fn wants_full_length(&self) -> bool {
        self.flags & recv_flags::TRUNC != 0
    }
}

/// Receives a message; returns the bytes of it. Sleeps, for the receiver's memory.
///
/// Fails with `EAGAIN` where there is none, or `EPIPE` where there is none and the channel has been
/// destroyed. A failed receive leaves the message for the next.
#[inline]
pub(crate) fn recv(subscriber: &Subscriber, command: &RecvCommand) -> Result<u32> {
    let channel = &*subscriber.channel;
    let member = &*subscriber.member;

    subscriber.check(Access::Read)?;
    let receive = Receive {
        channel,
        member,
        command,
        buffer: UserBuffer::new(command.addr, command.len as usize)?,
    };

    match receive.next() {
        // An edge-triggered poller looks here, not at `poll`, before it sleeps.
        Err(EAGAIN) if member.readers.is_active() => {
            channel.fall_asleep(member, Wait::Message);
            receive.next()
        }
        result => result,
    }
}

/// How an attempt to copy a message ended.
enum Copied {
    /// Received, with this result.
    Whole(u32),
    /// Somebody else has got the message.
    Lost,
    /// A page of so many bytes of the buffer was not there.
    Fault(usize),
}

/// A receive under way.
struct Receive<'a> {
    channel: &'a Channel,
    member: &'a Member,
    command: &'a RecvCommand,
    buffer: UserBuffer,
}

impl Receive<'_> {
    #[inline]
    fn next(&self) -> Result<u32> {
        let mut faults = 0;

        loop {
            // Before the search, which then finds all that was sent before the end.
            let ended = self.channel.is_destroyed();
            let Some(position) = self.channel.find(self.member) else {
                return Err(if ended { EPIPE } else { EAGAIN });
            };
            let copied = if self.channel.parameters.mode.receivers_compete() {
                self.take(position)?
            } else {
                self.read(position)?
            };

            match copied {
                Copied::Whole(result) => {
                    self.channel.room_made();
                    return Ok(result);
                }
                Copied::Lost => {}
                Copied::Fault(_) if faults == MAX_FAULTS => return Err(EFAULT),
                Copied::Fault(len) => {
                    faults += 1;
                    self.buffer.first(len).fault_in_writeable()?;
                }
            }
        }
    }

    /// Broadcast: copies a message that all receivers share.
    #[inline]
    fn read(&self, position: u64) -> Result<Copied> {
        let ring = self.channel.ring();
        let record = ring.record(position);
        let copied = self.copy(position, &record);

        if !ring.still_held(position) {
            // Nothing has held the message: another receive of this subscriber has passed it, or
            // the subscriber has been detached.
            return if self.member.is_detached() {
                Err(ENOENT)
            } else {
                Ok(Copied::Lost)
            };
        }
        Ok(match copied {
            Copied::Whole(_) if !ring.pass(&self.member.cursor, position) => Copied::Lost,
            copied => copied,
        })
    }

    /// Competing: takes a message from the other receivers and copies it.
    #[inline]
    fn take(&self, position: u64) -> Result<Copied> {
        let ring = self.channel.ring();

        if self.channel.nr_receivers() > 1 {
            // A message that is given back may come to another receiver after later ones. So the
            // buffer is looked at first.
            let record = ring.record(position);
            self.buffer
                .first(self.lengths(&record).0)
                .fault_in_writeable()?;
        }
        // As long as we have it, senders may need its slot.
        let busy = preempt::Disabled::new();
        let Some(taken) = ring.take(&self.member.cursor, position) else {
            return Ok(Copied::Lost);
        };
        let record = ring.record(position);
        let copied = self.copy(position, &record);

        if let Copied::Whole(_) = copied {
            taken.done();
        } else {
            drop(taken);
            drop(busy);
            self.channel.given_back();
        }
        Ok(copied)
    }

    /// The bytes of the buffer that a message needs, and the result of receiving it.
    #[inline(always)]
    fn lengths(&self, record: &Record) -> (usize, u32) {
        let header = if self.command.wants_header() {
            HEADER_LEN
        } else {
            0
        };
        let whole = header + record.len as usize;
        let copied = whole.min(self.buffer.len());
        let result = if self.command.wants_full_length() {
            whole
        } else {
            copied
        };

        (copied, result as u32)
    }

    #[inline]
    fn copy(&self, position: u64, record: &Record) -> Copied {
        let (needed, result) = self.lengths(record);
        let mut payload = self.buffer.first(needed);

        if self.command.wants_header() {
            if payload
                .write_nofault(self.header(position, record).as_bytes())
                .is_err()
            {
                return Copied::Fault(needed);
            }
            payload = payload.after(HEADER_LEN);
        }
        if self
            .channel
            .region()
            .copy_nofault(position, &payload)
            .is_err()
        {
            return Copied::Fault(needed);
        }
        Copied::Whole(result)
    }

    fn header(&self, position: u64, record: &Record) -> MessageHeader {
        let sender = identity::seen_by_current(self.channel.senders.get(position));

        MessageHeader {
            msg_id: position + 1,
            sender_data: record.sender_data,
            len: record.len,
            flags: 0,
            sender_id: record.sender_id,
            pid: sender.pid,
            uid: sender.uid,
            gid: sender.gid,
            lost: 0,
        }
    }
}
