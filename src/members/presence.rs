// SPDX-License-Identifier: GPL-2.0

//! What members are told of each other.

use super::{Entry, Members, SleepCounts};
use crate::{
    member::Member,
    notices::{Notice, Places},
};

impl Members {
    fn noticed(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.member.service.notices)
    }

    /// For how many notices there have to be places before `member` may join: those that are not
    /// received yet, one that it has come, and one for each, when that goes. Nothing where there
    /// are enough, or with `more`, which are used then: what is left there is not.
    pub(crate) fn lacking_places(
        &mut self,
        member: &Member,
        more: &mut Option<Places>,
    ) -> Option<usize> {
        let wanted = 1 + self.entries.len() + 1;

        if self.noticed == 0 && !member.service.notices || self.notices.room() >= wanted {
            return None;
        }
        let next = |entry: &Entry| entry.member.next_notice.load_relaxed();
        let oldest = self.noticed().map(next).min();

        self.notices
            .forget_before(oldest.unwrap_or(self.notices.end()));
        if self.notices.room() >= wanted {
            return None;
        }
        let all = self.notices.len() + wanted;

        match more.take_if(|places| places.len() >= all) {
            Some(places) => {
                *more = self.notices.grow(places);
                None
            }
            None => Some(all),
        }
    }

    /// Returns the places if there is nobody to be told anything.
    pub(crate) fn unused_places(&mut self) -> Option<Places> {
        if self.noticed != 0 {
            return None;
        }
        self.notices.clear()
    }

    /// Keeps a notice for all who are told, and returns the number of the next.
    pub(crate) fn tell(&mut self, notice: Notice) -> u64 {
        if self.noticed != 0 {
            self.notices.push(notice);
        }
        self.notices.end()
    }

    /// Whether there are notices that are younger than the message at `position`.
    pub(crate) fn is_before_notices(&self, position: u64) -> bool {
        self.notices
            .last()
            .is_some_and(|notice| position < notice.position)
    }

    /// The next notice for `member`.
    pub(crate) fn notice_for(&self, member: &Member) -> Option<Notice> {
        if member.is_detached() {
            return None;
        }
        self.notices.get(member.next_notice.load_relaxed())
    }

    /// Counts a notice as received by `member`; false where it is not the next one for it, or the
    /// member detached.
    pub(crate) fn pass_notice(&mut self, member: &Member, number: u64) -> bool {
        let is_next = self
            .notice_for(member)
            .is_some_and(|next| next.number == number);

        if is_next {
            member.next_notice.store_relaxed(number + 1);
        }
        is_next
    }

    /// How many notices `member` has not received.
    pub(crate) fn unread_notices(&self, member: &Member) -> u64 {
        if !member.service.notices || member.is_detached() {
            return 0;
        }
        self.notices.end() - member.next_notice.load_relaxed()
    }

    /// Who has the most of them, if anybody has any.
    pub(crate) fn slowest_to_notice(&self) -> Option<u32> {
        self.noticed()
            .map(|entry| (entry.member.next_notice.load_relaxed(), entry.member.id))
            .filter(|&(next, _)| next < self.notices.end())
            .min()
            .map(|(_, id)| id)
    }

    /// Wakes those who sleep and have a notice to receive.
    pub(crate) fn wake_noticed(&mut self, asleep: &SleepCounts) {
        if self.noticed == 0 {
            return;
        }
        let end = self.notices.end();

        for entry in self.entries.iter_mut() {
            if entry.member.service.notices && entry.member.next_notice.load_relaxed() != end {
                entry.wake_for_message(false, asleep);
            }
        }
    }
}
