// SPDX-License-Identifier: GPL-2.0

//! Room in a channel's ring: who makes it, and who is told.

use super::Channel;
use crate::{member::Member, members::Members, rfl::atomic::full_barrier};

/// How many slots are looked at in one go of making room, and for receivers that do not look
/// themselves.
const RECLAIM_STEPS: usize = 4096;

impl Channel {
    /// Makes what room there is to be had in a full ring.
    #[cold]
    pub(crate) fn make_room(&self) {
        self.reclaim(&self.members.lock());
    }

    fn reclaim(&self, members: &Members) {
        if self.parameters.mode.receivers_compete() {
            self.ring
                .reclaim_taken(RECLAIM_STEPS, |id| !members.is_receiver(id));
        } else {
            // A receiver that does not look shall not hold what is not for it. We hold a spinlock:
            // so many slots in all, and one for each receiver that holds the head.
            let limit = (RECLAIM_STEPS / members.nr_receivers().max(1)).max(1);
            let head = self.ring.head();
            let slowest = members.slowest_cursor(|member| {
                if member.cursor.load_relaxed() <= head {
                    self.ring.advance(&member.cursor, member.id, limit as u32);
                }
            });

            self.ring.reclaim_passed(RECLAIM_STEPS, slowest);
        }
    }

    /// Counts sends that begin or end to wait; to be called while the member counts them, too.
    pub(crate) fn count_waiting_sends(&self, by: i32) {
        self.waiting_sends.add(by);
    }

    /// Whether any send waits.
    #[inline(always)]
    pub(crate) fn has_waiting_sends(&self) -> bool {
        self.waiting_sends.load_relaxed() != 0
    }

    /// Whether a waiting send of `member` that has not been woken is to leave what room there is to
    /// those of other members, who have been here before. It will be woken: there is something to
    /// be received, and then all are.
    pub(crate) fn is_others_turn(&self, member: &Member) -> bool {
        self.waiting_sends.load_relaxed() > member.sends.len() && self.holds_messages()
    }

    fn holds_messages(&self) -> bool {
        let entries = self.parameters.ring_entries;
        let mut room = self.ring.room();

        loop {
            self.make_room();
            let now = self.ring.room();

            if now == entries || now <= room {
                return now != entries;
            }
            room = now;
        }
    }

    /// Whether a send would find room.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.room() != 0 || {
            self.make_room();
            self.ring.room() != 0
        }
    }

    /// Wakes senders if there is room for them; called when `messages` have been received.
    ///
    /// Waiting sends are woken when a quarter of the ring is free, or so much has been received
    /// (others may have been faster), or, if the receiver is `idle`, for any room: it has found
    /// nothing more, and may not come again before something is sent.
    #[inline(always)]
    pub(crate) fn room_made(&self, messages: u32, idle: bool) {
        if messages != 0 {
            // Pairs with the barrier in `sleep_for_room()`, litmus: room. Without messages: whoever
            // has fallen asleep just now has looked, and slept only where there was no room.
            full_barrier();
        }
        if self.asleep.anybody() && self.asleep.any_sender() {
            self.received.add(messages as i32);
            self.wake_senders(idle);
        }
    }

    #[cold]
    pub(super) fn wake_senders(&self, for_any: bool) {
        let mut members = self.members.lock();

        self.reclaim(&members);
        let room = self.ring.room();

        if room == 0 {
            return;
        }
        members.wake_writers(&self.asleep);

        let quarter = self.parameters.ring_entries / 4;

        if for_any {
            // Whoever does not come for it must not keep the others from it.
            members.wake_senders(u32::MAX, &self.asleep);
        } else if room >= quarter || self.received.load_relaxed() >= quarter {
            self.received.store_relaxed(0);
            members.wake_senders(room, &self.asleep);
        }
    }
}
