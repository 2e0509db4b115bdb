// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_RECV`

use super::{
    channel::Channel,
    members::Member,
    rfl::{
        identity,
        inode::Access,
        io_uring::{IssueFlags, Outcome, Request, Sqe},
        preempt,
        user_buffer::UserBuffer, //
    },
    subscriber::Subscriber,
    uapi::{recv_flags, MessageHeader, CQE_MORE_WAITING},
};
use core::mem::size_of;
use kernel::prelude::*;
use zerocopy_derive::Immutable;

const HEADER_LEN: usize = size_of::<MessageHeader>();

/// How often a receive faults its buffer in before it gives up. Once is enough, unless somebody
/// takes the pages away all the time.
const MAX_FAULTS: u32 = 16;

/// How many messages a multishot receive takes before others have their turn, as
/// `MULTISHOT_MAX_RETRY` in `io_uring/net.c`.
const BURST: u32 = 32;

/// What an SQE asks for.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct RecvCommand {
    /// The buffer, or 0 where one is to be selected.
    addr: u64,
    /// Its length, or the most to use of the selected one, or 0.
    len: u32,
    flags: u16,
    /// Where to select from.
    group: u16,
}

impl RecvCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline]
    pub(crate) fn parse(sqe: &Sqe, req: &Request) -> Result<Self> {
        let command = Self {
            addr: sqe.addr(),
            len: sqe.len(),
            flags: sqe.ioprio(),
            group: sqe.buf_index(),
        };
        let selects = req.selects_buffer();

        if command.flags & !recv_flags::ALL != 0 || sqe.file_index() != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        let unused = if selects {
            command.addr
        } else {
            u64::from(command.group)
        };
        if unused != 0 {
            return Err(EINVAL);
        }
        // The last message of a multishot receive may come without `MORE`, and must not be skipped.
        if command.is_multishot() && (!selects || req.skips_cqe()) {
            return Err(EINVAL);
        }
        // How long a selected buffer is turns out when it is.
        let known = !selects || command.len != 0;
        if known && command.wants_header() && (command.len as usize) < HEADER_LEN {
            return Err(EINVAL);
        }
        Ok(command)
    }

    /// Tells the core of a request that will wait.
    #[inline(always)]
    pub(crate) fn announce(&self, req: &Request) {
        if self.is_multishot() {
            req.set_multishot();
        }
        if self.waits() {
            // It may be the only one that is woken for its message. And a multishot one posts many
            // completions, so a task that waits for several must not count it as one.
            req.set_eager();
        }
    }

    #[inline(always)]
    fn is_multishot(&self) -> bool {
        self.flags & recv_flags::MULTISHOT != 0
    }

    #[inline(always)]
    fn waits(&self) -> bool {
        self.flags & (recv_flags::WAIT | recv_flags::MULTISHOT) != 0
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

/// Receives a message, or, for a multishot request, all there are. Sleeps, for the receiver's
/// memory.
///
/// Fails with `EAGAIN` where there is none and the request does not wait, or `EPIPE` where there is
/// none and the channel has been destroyed. A failed receive leaves the message for the next.
#[inline(always)]
pub(crate) fn issue(
    req: &Request,
    subscriber: &Subscriber,
    command: &RecvCommand,
    flags: IssueFlags,
) -> Outcome {
    if flags.is_worker() && (command.waits() || req.selects_buffer()) {
        // A buffer picked there could not be put back, and a wait there would end with `EAGAIN`.
        return req.send_back();
    }

    let receive = Receive {
        req,
        channel: &subscriber.channel,
        member: &subscriber.member,
        command,
    };
    if command.is_multishot() {
        // Before anything marks the member as sleeping for a receive.
        begin_wait(req, subscriber);
    }
    subscriber.member.receive_looks();
    let outcome = match subscriber.check(Access::Read) {
        Err(error) => Outcome::Complete(Err(error), 0),
        Ok(()) if command.is_multishot() => receive.all(flags),
        Ok(()) => receive.one(),
    };

    match &outcome {
        Outcome::Wait => begin_wait(req, subscriber),
        Outcome::Complete(result, _) if req.needs_cleanup() => {
            req.set_needs_cleanup(false);
            subscriber
                .channel
                .receive_ends(&subscriber.member, result.is_ok());
        }
        _ => {}
    }
    outcome
}

/// Counts the request among those that wait, unless it is.
#[inline(always)]
fn begin_wait(req: &Request, subscriber: &Subscriber) {
    if !req.needs_cleanup() {
        subscriber.member.receive_waits();
        req.set_needs_cleanup(true);
    }
}

/// Ends the wait of a receive that the core has given up.
pub(crate) fn give_up(subscriber: &Subscriber) {
    subscriber.channel.receive_ends(&subscriber.member, false);
}

/// A message received.
struct Received {
    /// For `cqe->res`.
    bytes: u32,
    /// For `cqe->flags`: which buffer.
    cqe_flags: u32,
}

/// A receive under way.
struct Receive<'a> {
    req: &'a Request,
    channel: &'a Channel,
    member: &'a Member,
    command: &'a RecvCommand,
}

impl Receive<'_> {
    /// Receives one message.
    #[inline(always)]
    fn one(&self) -> Outcome {
        let mut result = self.next();

        // An edge-triggered poller looks here, not at `poll`, before it sleeps.
        if matches!(result, Ok(None)) && !self.command.waits() && self.member.readers.is_active() {
            self.channel.sleep_for_message(self.member);
            result = self.next();
        }
        match result {
            Ok(Some(received)) => {
                self.channel.room_made(1, false);
                Outcome::Complete(Ok(received.bytes), received.cqe_flags)
            }
            Ok(None) => {
                self.channel.room_made(0, true);
                if self.command.waits() {
                    Outcome::Wait
                } else {
                    Outcome::Complete(Err(EAGAIN), 0)
                }
            }
            Err(error) => Outcome::Complete(Err(error), 0),
        }
    }

    #[inline(always)]
    fn next(&self) -> Result<Option<Received>> {
        while let Some(position) = self.find()? {
            let received = self.receive(position)?;

            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    /// Receives what is there, up to a limit, with a completion for each message.
    #[inline(never)]
    fn all(&self, flags: IssueFlags) -> Outcome {
        let mut messages = 0;
        let outcome = self
            .burst(flags, &mut messages)
            .unwrap_or_else(|error| Outcome::Complete(Err(error), 0));

        // Once for all of them.
        self.channel
            .room_made(messages, !matches!(outcome, Outcome::Yield));
        outcome
    }

    #[inline(always)]
    fn burst(&self, flags: IssueFlags, messages: &mut u32) -> Result<Outcome> {
        let mut found = self.find()?;

        for _ in 0..BURST {
            if found.is_none() && flags.is_woken_multishot() {
                // Nobody asks `poll` after this turn.
                self.channel.sleep_for_message(self.member);
                found = self.find()?;
            }
            let Some(position) = found else {
                return Ok(Outcome::Wait);
            };
            let received = self.receive(position)?;

            // An error here is for the next turn: this message comes first.
            let next = self.find();
            let Some(Received { bytes, cqe_flags }) = received else {
                found = next?;
                continue;
            };
            let cqe_flags = match next {
                Ok(Some(_)) => cqe_flags | CQE_MORE_WAITING,
                _ => cqe_flags,
            };

            *messages += 1;
            if !self.req.post(bytes, cqe_flags) {
                return Ok(Outcome::Complete(Ok(bytes), cqe_flags));
            }
            found = next?;
        }
        Ok(Outcome::Yield)
    }

    /// The position of the next message, or `EPIPE` where there will be none any more.
    #[inline(always)]
    fn find(&self) -> Result<Option<u64>> {
        let found = self.channel.find(self.member);

        if found.is_none() && self.channel.is_destroyed() {
            return self.find_last();
        }
        Ok(found)
    }

    /// As [`Self::find`], when the channel has been destroyed: this search finds all that was sent
    /// before.
    #[cold]
    fn find_last(&self) -> Result<Option<u64>> {
        match self.channel.find(self.member) {
            None => Err(EPIPE),
            last => Ok(last),
        }
    }

    /// Receives the message at `position`, or nothing where somebody else has got it.
    #[inline]
    fn receive(&self, position: u64) -> Result<Option<Received>> {
        if !self.req.selects_buffer() {
            let buffer = UserBuffer::new(self.command.addr, self.command.len as usize)?;
            let received = Copy::new(self, position, buffer).attempt()?;

            return Ok(received.map(|(_, bytes)| Received {
                bytes,
                cqe_flags: 0,
            }));
        }
        let selected = self
            .req
            .select_buffer(self.command.group, self.command.len)?;

        if self.command.wants_header() && selected.buffer().len() < HEADER_LEN {
            return Err(EINVAL);
        }
        let received = Copy::new(self, position, selected.buffer()).attempt()?;

        Ok(received.map(|(len, bytes)| Received {
            bytes,
            cqe_flags: selected.consume(len),
        }))
    }
}

/// How an attempt to copy a message ended.
enum Copied {
    Whole,
    /// Somebody else has got the message.
    Lost,
    /// A page of the buffer was not there.
    Fault,
}

/// A message on its way to a buffer.
struct Copy<'a> {
    channel: &'a Channel,
    member: &'a Member,
    command: &'a RecvCommand,
    position: u64,
    buffer: UserBuffer,
    /// Bytes of the message.
    len: usize,
}

impl<'a> Copy<'a> {
    #[inline(always)]
    fn new(receive: &Receive<'a>, position: u64, buffer: UserBuffer) -> Self {
        let &Receive {
            channel,
            member,
            command,
            ..
        } = receive;

        Self {
            channel,
            member,
            command,
            position,
            buffer,
            len: channel.ring().len(position) as usize,
        }
    }

    /// Copies the message, and makes it this receiver's. Returns the bytes copied and the result
    /// of the receive, or nothing where somebody else has got the message.
    #[inline(always)]
    fn attempt(mut self) -> Result<Option<(usize, u32)>> {
        let copied = match self.once()? {
            Copied::Fault => self.again()?,
            copied => copied,
        };

        if let Copied::Lost = copied {
            return Ok(None);
        }
        let whole = self.whole();
        let copied = whole.min(self.buffer.len());
        let result = if self.command.wants_full_length() {
            whole
        } else {
            copied
        };

        Ok(Some((copied, result as u32)))
    }

    #[inline(always)]
    fn once(&mut self) -> Result<Copied> {
        if self.channel.parameters.mode.receivers_compete() {
            self.take()
        } else {
            self.read()
        }
    }

    /// Tries as long as it takes for the buffer's pages to be there.
    #[cold]
    #[inline(never)]
    fn again(&mut self) -> Result<Copied> {
        for _ in 0..MAX_FAULTS {
            self.fault_in()?;
            match self.once()? {
                Copied::Fault => {}
                copied => return Ok(copied),
            }
        }
        Err(EFAULT)
    }

    /// What the message and its header are, in bytes.
    #[inline(always)]
    fn whole(&self) -> usize {
        if self.command.wants_header() {
            HEADER_LEN + self.len
        } else {
            self.len
        }
    }

    #[inline(never)]
    fn fault_in(&self) -> Result {
        self.buffer.first(self.whole()).fault_in_writeable()
    }

    /// Broadcast: copies a message that all receivers share.
    #[inline(always)]
    fn read(&self) -> Result<Copied> {
        let ring = self.channel.ring();
        let copied = self.copy();

        if !ring.still_held(self.position) {
            // Nothing has held the message: another receive of this subscriber has passed it, or
            // the subscriber has been detached.
            return if self.member.is_detached() {
                Err(ENOENT)
            } else {
                Ok(Copied::Lost)
            };
        }
        Ok(match copied {
            Err(_) => Copied::Fault,
            Ok(()) if ring.pass(&self.member.cursor, self.position) => Copied::Whole,
            Ok(()) => Copied::Lost,
        })
    }

    /// Competing: takes a message from the other receivers and copies it.
    #[inline(always)]
    fn take(&mut self) -> Result<Copied> {
        let ring = self.channel.ring();

        if self.channel.nr_receivers() > 1 {
            // A message that is given back may come to another receiver after later ones. So the
            // buffer is looked at first.
            self.fault_in()?;
        }
        // As long as we have it, senders may need its slot.
        let busy = preempt::Disabled::new();
        let Some(taken) = ring.take(&self.member.cursor, self.position) else {
            return Ok(Copied::Lost);
        };

        // It is ours now, and whatever was seen of it before may have been another's.
        self.len = ring.len(self.position) as usize;
        if self.copy().is_ok() {
            taken.done();
            return Ok(Copied::Whole);
        }
        drop(taken);
        drop(busy);
        self.channel.given_back();
        Ok(Copied::Fault)
    }

    /// Copies what fits of header and message; fails where a page is not there.
    #[inline(always)]
    fn copy(&self) -> Result {
        if self.command.wants_header() {
            self.copy_with_header()
        } else {
            self.channel
                .region()
                .copy_nofault(self.position, &self.buffer.first(self.len))
        }
    }

    #[inline(never)]
    fn copy_with_header(&self) -> Result {
        self.buffer.write_nofault(self.header().as_bytes())?;
        self.channel.region().copy_nofault(
            self.position,
            &self.buffer.after(HEADER_LEN).first(self.len),
        )
    }

    fn header(&self) -> MessageHeader {
        let record = self.channel.ring().record(self.position);
        let sender = identity::seen_by_current(self.channel.senders.get(self.position));

        MessageHeader {
            msg_id: self.position + 1,
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
