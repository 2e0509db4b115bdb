// SPDX-License-Identifier: GPL-2.0

//! The way of a message from the ring to the receiver's memory.

use super::{Receive, HEADER_LEN};
use crate::{
    channel::{Channel, Next},
    member::Member,
    rfl::{
        preempt,
        user_buffer::UserBuffer, //
    },
    ring::Found,
    uapi::MessageHeader,
};
use kernel::prelude::*;

/// How often a receive faults its buffer in before it gives up. Once is enough, unless somebody
/// takes the pages away all the time.
const MAX_FAULTS: u32 = 16;

/// How an attempt to copy a message ended.
pub(super) enum Copied {
    /// It is this receiver's; so many bytes, with the header if that is wanted.
    Whole(usize),
    /// Somebody else has got the message.
    Lost,
    /// A page of the buffer was not there.
    Fault,
}

/// What can be received.
pub(super) trait Receivable<'a>: Copy {
    /// The next one for `member`.
    fn find(channel: &'a Channel, member: &Member) -> Option<Self>;

    /// How long it is, without a header. Where it is another's by now, it may be anything.
    fn len(self) -> usize;

    /// Whether it may still be for `member`.
    fn is_still_there(self, channel: &'a Channel, member: &Member) -> bool;

    /// Tries to copy it, and to make it the receiver's.
    fn copy(self, receive: Receive<'a, Self>, buffer: UserBuffer) -> Result<Copied>;
}

impl<'a> Receivable<'a> for Found<'a> {
    #[inline(always)]
    fn find(channel: &'a Channel, member: &Member) -> Option<Self> {
        channel.find(member)
    }

    #[inline(always)]
    fn len(self) -> usize {
        Found::len(self) as usize
    }

    fn is_still_there(self, channel: &'a Channel, member: &Member) -> bool {
        channel.holds_for(member, self.position())
    }

    #[inline(always)]
    fn copy(self, receive: Receive<'a, Self>, buffer: UserBuffer) -> Result<Copied> {
        receive.copy_message(self, buffer)
    }
}

impl<'a> Receivable<'a> for Next<'a> {
    fn find(channel: &'a Channel, member: &Member) -> Option<Self> {
        channel.next(member)
    }

    fn len(self) -> usize {
        match self {
            Self::Message(found) => Receivable::len(found),
            Self::Notice(_) => 0,
        }
    }

    fn is_still_there(self, channel: &'a Channel, member: &Member) -> bool {
        match self {
            Self::Message(found) => found.is_still_there(channel, member),
            Self::Notice(_) => true,
        }
    }

    fn copy(self, receive: Receive<'a, Self>, buffer: UserBuffer) -> Result<Copied> {
        match self {
            Self::Message(found) => receive.copy_message(found, buffer),
            Self::Notice(number) => receive.copy_notice(number, buffer),
        }
    }
}

impl<'a, Item: Receivable<'a>> Receive<'a, Item> {
    /// Copies what has been found, and makes it this receiver's. Returns its length, or nothing
    /// where somebody else has got it.
    #[inline(always)]
    pub(super) fn copy(self, item: Item, buffer: UserBuffer) -> Result<Option<usize>> {
        match item.copy(self, buffer)? {
            Copied::Whole(len) => Ok(Some(len)),
            Copied::Lost => Ok(None),
            Copied::Fault => self.copy_again(item, buffer),
        }
    }

    /// Tries as long as it takes for the buffer's pages to be there.
    #[cold]
    fn copy_again(self, item: Item, buffer: UserBuffer) -> Result<Option<usize>> {
        for _ in 0..MAX_FAULTS {
            self.fault_in_and_check(item.len(), buffer)?;
            if !item.is_still_there(self.channel(), self.member()) {
                self.has_missed()?;
                return Ok(None);
            }
            match item.copy(self, buffer)? {
                Copied::Whole(len) => return Ok(Some(len)),
                Copied::Lost => return Ok(None),
                Copied::Fault => {}
            }
        }
        Err(EFAULT)
    }

    /// What a message of `len` bytes and its header are.
    #[inline(always)]
    fn whole(self, len: usize) -> usize {
        if self.command().wants_header() {
            HEADER_LEN + len
        } else {
            len
        }
    }

    /// Makes the pages present that so many bytes need. That takes as long as the receiver likes:
    /// what it was allowed before says nothing any more.
    #[inline(never)]
    fn fault_in_and_check(self, len: usize, buffer: UserBuffer) -> Result {
        let buffer = buffer.first(self.whole(len));

        if buffer.is_writeable() {
            return Ok(());
        }
        // Meanwhile nobody shall wait for the room of what has been received.
        self.tell_of_room(|| true);
        buffer.fault_in_writeable()?;
        self.check()
    }

    #[inline(always)]
    fn copy_message(self, found: Found<'a>, buffer: UserBuffer) -> Result<Copied> {
        if self.channel().parameters.mode.receivers_compete() {
            self.take(found, buffer)
        } else if self.command().wants_header() && self.member().service.lossy {
            self.read_lossy(found, buffer)
        } else {
            self.read(found, buffer, 0)
        }
    }

    /// Broadcast: as [`Self::read`], for a lossy receiver that wants to know what it has lost.
    #[cold]
    fn read_lossy(self, found: Found<'a>, buffer: UserBuffer) -> Result<Copied> {
        let (member, position) = (self.member(), found.position());

        // Acquire: pairs with `Ring::overrun()`. Who has found the message where an overrun has put
        // the cursor finds what was lost. litmus: lost
        if member.cursor.load_acquire() != position {
            return Ok(Copied::Lost);
        }
        let lost = if member.losses.any() {
            self.channel().lost_before(member, position)
        } else {
            Some(0)
        };

        match lost {
            Some(lost) => self.read(found, buffer, lost),
            None => Ok(Copied::Lost),
        }
    }

    /// Broadcast: copies a message that all receivers share; so many were `lost` before it.
    #[inline(always)]
    fn read(self, found: Found<'a>, buffer: UserBuffer, lost: u64) -> Result<Copied> {
        if self.channel().parameters.private {
            return self.read_private(found, buffer, lost);
        }
        let (position, len) = (found.position(), found.len() as usize);
        let copied = self.copy_out(found, buffer, len, lost);

        if !self.channel().ring().still_held(position) {
            return self.has_missed();
        }
        Ok(self.has_copied(copied, position, len, lost))
    }

    /// As [`Self::read`], where the receiver may see nothing but messages that are for it: the slot
    /// may become another message's at any time, so first it goes to memory of the kernel's.
    #[cold]
    fn read_private(self, found: Found<'a>, buffer: UserBuffer, lost: u64) -> Result<Copied> {
        let channel = self.channel();
        let (position, len) = (found.position(), found.len() as usize);
        let header = self.header(found, len, lost);
        let room = buffer.len().saturating_sub(self.whole(0));
        let bytes = channel.region().read(position, len.min(room))?;

        if !channel.ring().still_held(position) {
            return self.has_missed();
        }
        let copied = if self.command().wants_header() {
            buffer
                .write_nofault(header.as_bytes())
                .and_then(|()| buffer.after(HEADER_LEN).write_nofault(&bytes))
        } else {
            buffer.write_nofault(&bytes)
        };

        Ok(self.has_copied(copied, position, len, lost))
    }

    /// Nothing has held the message: another receive of this subscriber has passed it, or the
    /// subscriber has been overrun, or detached.
    #[cold]
    fn has_missed(self) -> Result<Copied> {
        if self.member().is_detached() {
            Err(ENOENT)
        } else {
            Ok(Copied::Lost)
        }
    }

    /// What becomes of a message that all receivers share and that was `copied`, or was not.
    #[inline(always)]
    fn has_copied(self, copied: Result, position: u64, len: usize, lost: u64) -> Copied {
        match copied {
            Err(_) => Copied::Fault,
            Ok(()) if self.pass(position, lost) => Copied::Whole(self.whole(len)),
            Ok(()) => Copied::Lost,
        }
    }

    /// Broadcast: makes a message this receiver's that has been copied.
    #[inline(always)]
    fn pass(self, position: u64, lost: u64) -> bool {
        let (channel, member) = (self.channel(), self.member());

        if lost == 0 {
            channel.ring().pass(&member.cursor, position)
        } else {
            channel.pass_and_report(member, position, lost)
        }
    }

    /// Competing: takes a message from the other receivers and copies it.
    #[inline(always)]
    fn take(self, found: Found<'a>, buffer: UserBuffer) -> Result<Copied> {
        if self.channel().nr_receivers() > 1 {
            // A message that is given back may come to another receiver after later ones. So the
            // buffer is looked at first.
            self.fault_in_and_check(Receivable::len(found), buffer)?;
        }
        // As long as we have it, senders may need its slot.
        let busy = preempt::Disabled::new();
        let Some(taken) = found.take(&self.member().cursor) else {
            return Ok(Copied::Lost);
        };
        // Only now: what was seen of it before may have been another's.
        let len = found.len() as usize;
        let is_targeted = found.is_targeted();

        if self.copy_out(found, buffer, len, 0).is_ok() {
            taken.done();
            drop(busy);
            if is_targeted {
                self.has_taken_its_own();
            }
            return Ok(Copied::Whole(self.whole(len)));
        }
        drop(taken);
        drop(busy);
        self.channel().given_back();
        if self.member().is_detached() {
            // It may have been for this receiver alone, whose leaving has not made its room.
            // litmus: left-room
            self.channel().room_is_left();
        }
        Ok(Copied::Fault)
    }

    /// A message for this receiver alone is nobody's wake-up but its own: one that it was chosen
    /// for may be left.
    #[cold]
    fn has_taken_its_own(self) {
        if self.req.needs_cleanup() {
            self.member().is_chosen_still();
        }
    }

    /// Copies a notice, and makes it this receiver's.
    fn copy_notice(self, number: u64, buffer: UserBuffer) -> Result<Copied> {
        let (channel, member) = (self.channel(), self.member());
        let Some(notice) = channel
            .notice_for(member)
            .filter(|next| next.number == number)
        else {
            return Ok(Copied::Lost);
        };

        if self.command().wants_header() {
            let who = notice.identity.seen_by_current();
            let header = MessageHeader {
                msg_id: 0,
                sender_data: 0,
                len: 0,
                flags: notice.flags,
                sender_id: notice.subscriber,
                pid: who.pid,
                uid: who.uid,
                gid: who.gid,
                lost: 0,
            };

            if buffer.write_nofault(header.as_bytes()).is_err() {
                return Ok(Copied::Fault);
            }
        }
        Ok(if channel.pass_notice(member, number) {
            Copied::Whole(self.whole(0))
        } else {
            Copied::Lost
        })
    }

    /// Copies what fits of header and message; fails where a page is not there.
    #[inline(always)]
    fn copy_out(self, found: Found<'a>, buffer: UserBuffer, len: usize, lost: u64) -> Result {
        if self.command().wants_header() {
            self.copy_out_with_header(found, buffer, len, lost)
        } else {
            self.channel()
                .region()
                .copy_nofault(found.position(), &buffer.first(len))
        }
    }

    #[inline(never)]
    fn copy_out_with_header(
        self,
        found: Found<'a>,
        buffer: UserBuffer,
        len: usize,
        lost: u64,
    ) -> Result {
        buffer.write_nofault(self.header(found, len, lost).as_bytes())?;
        self.channel()
            .region()
            .copy_nofault(found.position(), &buffer.after(HEADER_LEN).first(len))
    }

    fn header(self, found: Found<'a>, len: usize, lost: u64) -> MessageHeader {
        let (position, record) = (found.position(), found.record());
        let sender = self.channel().sender(position).seen_by_current();

        MessageHeader {
            msg_id: position + 1,
            sender_data: record.sender_data,
            len: len as u32,
            flags: 0,
            sender_id: record.sender_id,
            pid: sender.pid,
            uid: sender.uid,
            gid: sender.gid,
            lost,
        }
    }
}
