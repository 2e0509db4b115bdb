// SPDX-License-Identifier: GPL-2.0

//! What comes next for a receiver: a message, or a notice of who has come or gone.

use super::Channel;
use crate::{
    member::Member,
    members::Members,
    notices::Notice,
    ring::Found, //
};

/// What comes next for a receiver.
#[derive(Clone, Copy)]
pub(crate) enum Next<'a> {
    Message(Found<'a>),
    /// That one by its number.
    Notice(u64),
}

impl Channel {
    /// What comes next for `member`.
    #[inline(always)]
    pub(crate) fn next(&self, member: &Member) -> Option<Next<'_>> {
        let found = self.find(member);

        if member.service.notices {
            return self.next_of_both(member, found);
        }
        found.map(Next::Message)
    }

    /// As [`Self::next`], where `found` is the next message.
    ///
    /// A notice comes before the messages that are at its position and behind. Whoever has joined
    /// is seen to have before what it has sent, so the notice is looked for when there is a message.
    #[cold]
    fn next_of_both<'a>(&'a self, member: &Member, found: Option<Found<'a>>) -> Option<Next<'a>> {
        let Some(notice) = self.notice_for(member) else {
            return found.map(Next::Message);
        };
        let is_older = |found: &Found<'_>| found.position() < notice.position;

        if let Some(found) = found {
            return Some(if is_older(&found) {
                Next::Message(found)
            } else {
                Next::Notice(notice.number)
            });
        }
        // Whoever closes that window wakes those who have a notice. litmus: wait
        if !self.ring.is_published_to(&member.cursor, notice.position) {
            return None;
        }
        // It may have been published since we looked.
        Some(match self.find(member).filter(is_older) {
            Some(found) => Next::Message(found),
            None => Next::Notice(notice.number),
        })
    }

    /// The next notice for `member`, which may have to wait for messages before it.
    pub(crate) fn notice_for(&self, member: &Member) -> Option<Notice> {
        // Whose message has been found has come before that was published. litmus: noticed
        if member.next_notice.load_relaxed() == self.noticed_to.load_relaxed() {
            return None;
        }
        self.members.lock().notice_for(member)
    }

    /// `member` has copied a notice; false where another receive of its has been faster.
    pub(crate) fn pass_notice(&self, member: &Member, number: u64) -> bool {
        let passed = self.members.lock().pass_notice(member, number);

        if passed && self.parameters.mode.receivers_compete() {
            // It may have been woken for a message, and be satisfied with this.
            self.hand_on(member);
        }
        passed
    }

    /// Keeps for those who want to know what has happened to `member`; the caller wakes them.
    pub(super) fn tell(&self, members: &mut Members, member: &Member, flags: u32) -> u64 {
        let end = members.tell(Notice {
            number: 0,
            position: self.ring.tail(),
            flags,
            subscriber: member.id,
            identity: member.identity,
        });

        // Before the subscriber that has come can send. litmus: noticed
        self.noticed_to.store_relaxed(end);
        end
    }
}
