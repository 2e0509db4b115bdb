// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_IPC_SEND`

use super::{
    channel::{Channel, Region},
    members::{Member, Wait},
    rfl::{
        identity,
        inode::Access,
        io_uring::Sqe,
        preempt,
        user_buffer::UserBuffer, //
    },
    ring::{Claim, Record},
    subscriber::Subscriber,
};
use kernel::{bindings, error::Error, prelude::*};
use zerocopy_derive::Immutable;

/// Payloads up to this many bytes are on the stack before a slot is claimed.
const STAGED: usize = 256;

/// What an SQE asks for.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct SendCommand {
    addr: u64,
    len: u32,
    /// The one receiver it is for, or 0.
    target: u32,
}

impl SendCommand {
    /// Checks the SQE; `EINVAL` for anything unknown.
    #[inline]
    pub(crate) fn parse(sqe: &Sqe) -> Result<Self> {
        if sqe.ioprio != 0 || !sqe.rest_is_zero() {
            return Err(EINVAL);
        }
        Ok(Self {
            addr: sqe.addr,
            len: sqe.len,
            target: sqe.file_index,
        })
    }
}

/// Sends a message; returns its length. Sleeps, for the sender's memory.
#[inline]
pub(crate) fn send(subscriber: &Subscriber, command: &SendCommand, user_data: u64) -> Result<u32> {
    let channel = &*subscriber.channel;

    subscriber.check(Access::Write)?;
    if channel.is_destroyed() {
        return Err(EPIPE);
    }
    if command.len > channel.parameters.max_msg_size {
        return Err(EMSGSIZE);
    }
    if command.target != 0 && !channel.is_receiver(command.target) {
        return Err(ENOENT);
    }

    let sender = &*subscriber.member;
    let message = Message {
        channel,
        sender,
        record: Record {
            sender_data: user_data,
            offset: 0,
            len: command.len,
            target: command.target,
            sender_id: sender.id,
            // The mapping is the same for receivers in all namespaces.
            uid: bindings::DEFAULT_OVERFLOWUID,
            gid: bindings::DEFAULT_OVERFLOWGID,
        },
    };
    let payload = UserBuffer::new(command.addr, command.len as usize)?;

    if payload.len() <= STAGED {
        message.publish(payload.stage::<STAGED>()?.bytes())?;
    } else {
        message.publish_large(&payload)?;
    }
    Ok(command.len)
}

fn ring_full() -> Error {
    Error::from_errno(-(bindings::ENOBUFS as i32))
}

/// A message on its way into the ring.
struct Message<'a> {
    channel: &'a Channel,
    sender: &'a Member,
    record: Record,
}

impl<'a> Message<'a> {
    /// Publishes the message, with a payload that is the kernel's already.
    #[inline]
    fn publish(mut self, payload: &[u8]) -> Result {
        let (busy, claim) = self.claim()?;
        let position = claim.position();

        self.channel.region().write(position, payload);
        self.finish(claim);
        drop(busy);
        self.channel.published(position, self.record.target);
        Ok(())
    }

    /// Publishes the message, copying a payload too large for the stack straight to its slot.
    fn publish_large(mut self, payload: &UserBuffer) -> Result {
        // Now, while nothing is held: the copy below does not fault.
        payload.fault_in_readable()?;

        let (busy, claim) = self.claim()?;
        let position = claim.position();
        let filled = self.channel.region().fill_nofault(position, payload);

        if filled.is_ok() {
            self.finish(claim);
        } else {
            drop(claim);
        }
        drop(busy);
        self.channel.published(position, self.record.target);
        // The pages have gone again. Nobody shall wait for them: the slot is skipped, and the
        // message goes by way of a buffer.
        filled.or_else(|_| self.publish(&payload.stage_large()?))
    }

    /// Claims a slot for the message; preemption is off from then on, until it is published:
    /// nobody gets past a claimed slot.
    #[inline]
    fn claim(&self) -> Result<(preempt::Disabled, Claim<'a, Region>)> {
        let channel = self.channel;
        let claim = || {
            let busy = preempt::Disabled::new();

            channel.ring().claim().map(|claim| (busy, claim))
        };
        let make_room = || {
            channel.make_room();
            claim()
        };

        claim()
            .or_else(make_room)
            .or_else(|| {
                // An edge-triggered poller looks here, not at `poll`, before it sleeps.
                if !self.sender.writers.is_active() {
                    return None;
                }
                channel.fall_asleep(self.sender, Wait::Room);
                make_room()
            })
            .ok_or_else(ring_full)
    }

    /// Publishes the slot, with its payload in place.
    #[inline(always)]
    fn finish(&mut self, claim: Claim<'_, Region>) {
        let position = claim.position();

        self.record.offset = self.channel.region().cell_offset(position) as u32;
        self.channel.senders.set(position, identity::current());
        claim.publish(&self.record);
    }
}
