// SPDX-License-Identifier: GPL-2.0

//! Room in a channel's ring: who makes it, who holds it, and who is told.

use super::Channel;
use crate::{
    member::Member,
    members::Members,
    rfl::atomic::{full_barrier, read_barrier},
};

/// How many slots are looked at in one go of making room, and for receivers that do not look
/// themselves.
const RECLAIM_STEPS: usize = 4096;

/// How many waiting sends are woken in one go, and those of one member besides.
const WAKE_STEPS: u32 = 1024;

/// What part of the ring is made free when lossy receivers are overrun.
const OVERRUN_PART: usize = 64;

/// Which of the sends that wait for room are woken where there is some.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// As many as there is room for, when there is enough of it.
    Enough,
    /// The same, or one of them where any has stood back.
    Next,
    /// All of them.
    All,
}

impl Channel {
    /// Makes room in a full ring for a sender that needs it: what is free for nothing, or else at
    /// the cost of those lossy receivers that are the slowest.
    #[cold]
    pub(crate) fn make_room(&self) {
        let members = self.members.lock();

        self.reclaim(&members);
        if members.nr_lossy() != 0 && self.ring.room() == 0 {
            self.overrun(&members);
        }
    }

    /// Makes room for a few messages: the lossy receivers that are still below those positions are
    /// moved over them, and lose what they have not read there.
    fn overrun(&self, members: &Members) {
        // As few as it takes, but not so few that senders come here for every message. We hold a
        // spinlock: so many slots in all, and one for each receiver.
        let steps = (self.parameters.ring_entries as usize / OVERRUN_PART)
            .min(RECLAIM_STEPS / members.nr_lossy())
            .max(1);
        let head = self
            .ring
            .reclaimable(steps, members.slowest_lossless_cursor());

        for member in members.lossy() {
            member
                .losses
                .count(|announce| self.ring.overrun(&member.cursor, member.id, head, announce));
        }
        self.ring.reclaim_to(head);
    }

    /// Reclaims what is free, and says how many messages there is room for if lossy receivers make
    /// room.
    fn room_for_senders(&self, members: &Members) -> u32 {
        self.reclaim(members);
        if members.nr_lossy() == 0 {
            self.ring.room()
        } else {
            self.ring.room_behind(members.slowest_lossless_cursor())
        }
    }

    fn reclaim(&self, members: &Members) {
        if self.parameters.mode.receivers_compete() {
            self.ring
                .reclaim_taken(RECLAIM_STEPS, |id| !members.is_receiver(id));
        } else {
            // A receiver that does not look shall not hold what is not for it. We hold a spinlock:
            // so many slots in all, and one for each receiver that holds the head, or what lossy ones
            // are overrun for.
            let limit = (RECLAIM_STEPS / members.nr_receivers().max(1)).max(1);
            let lossless = if members.nr_lossy() == 0 {
                None
            } else {
                members.slowest_lossless_cursor()
            };
            let held = lossless.unwrap_or(self.ring.head());
            let slowest = members.slowest_cursor(|member| {
                if member.cursor.load_relaxed() <= held {
                    self.ring.advance(&member.cursor, member.id, limit as u32);
                }
            });

            self.ring.reclaim_passed(RECLAIM_STEPS, slowest);
        }
    }

    /// The receiver that holds the oldest message: of all the one that is furthest behind, or the
    /// one that a message is for which any other would have taken.
    pub(crate) fn slowest(&self) -> Option<u32> {
        let members = self.members.lock();

        if self.parameters.mode.receivers_compete() {
            self.reclaim(&members);
            self.ring.oldest_target()
        } else {
            members.slowest_before(self.ring.tail())
        }
    }

    /// Counts a send that begins to wait, and says which one of all that is; to be called while the
    /// member counts it, too, unless it has left.
    pub(crate) fn waiting_send_arrives(&self) -> u64 {
        self.count_waiting_sends(1);
        self.arrivals.count()
    }

    /// Counts sends that begin or end to wait, as above.
    pub(crate) fn count_waiting_sends(&self, by: i32) {
        self.waiting_sends.add(by);
    }

    /// Whether any send waits.
    #[inline(always)]
    pub(crate) fn has_waiting_sends(&self) -> bool {
        self.waiting_sends.load_relaxed() != 0
    }

    /// Whether a waiting send of `member` that has not been woken is to leave what room there is to
    /// those of other members, who have been here before. It will be woken: when one of those has
    /// gone, or when something has been received, which there is, and somebody to do it. Of two
    /// members one has been here before, so there is always one that leaves it to nobody.
    pub(crate) fn is_others_turn(&self, member: &Member) -> bool {
        let entries = self.parameters.ring_entries;

        if self.waiting_sends.load_relaxed() <= member.sends.len() || self.nr_receivers() == 0 {
            return false;
        }
        match self.reclaimed_room(entries - 1) {
            // Whoever receives has something to tell.
            0 => return true,
            room if room >= entries => return false,
            _ => {}
        }
        self.stood_back.store_relaxed(1);
        // Pairs with the barrier in `waiting_send_has_gone()`: who goes has seen this one stand back,
        // or is seen to have gone. litmus: stood-back
        full_barrier();
        self.members.lock().has_waited_longer(member)
    }

    /// Whether what room there is is left to sends that have waited for it and been woken, and a
    /// send that does not wait has to come again.
    ///
    /// They have time until a whole ring of messages has been sent since: one of them may be
    /// stopped. It is a part of the ring only, so where room is kept something is to be received,
    /// and whoever sleeps for room is woken.
    pub(crate) fn is_kept(&self) -> bool {
        let turns = self.turns.load_relaxed();

        if turns == 0
            || !self.has_waiting_sends()
            || self.ring.room() > turns
            // Whoever is not told of room then is told of it never.
            || self.nr_receivers() == 0
        {
            return false;
        }
        let sent = self
            .ring
            .tail()
            .wrapping_sub(self.turns_from.load_relaxed());

        if sent >= u64::from(self.parameters.ring_entries) {
            self.turns.store_relaxed(0);
            return false;
        }
        self.reclaimed_room(turns) <= turns
    }

    /// A send that has waited has gone, or will not.
    pub(crate) fn turn_ends(&self) {
        let turns = self.turns.load_relaxed();

        if turns != 0 {
            self.turns.store_relaxed(turns - 1);
        }
    }

    /// Room that has been left to a sender, or claimed by one, who does not use it, is there for others.
    #[cold]
    pub(crate) fn room_is_left(&self) {
        // Pairs with the barrier in `sleep_for_room()`: whoever sleeps because room is kept has
        // seen that it no longer is, or is woken. litmus: room
        full_barrier();
        if self.asleep.any_sender() {
            self.wake_senders(Whom::All);
        }
    }

    /// A send that has waited has found room, and those who have left it its turn may go.
    ///
    /// Perhaps nothing is received any more that would have them woken, so where somebody has stood
    /// back one is woken now, and the next when that has gone.
    #[cold]
    pub(crate) fn waiting_send_has_gone(&self) {
        // Pairs with the barriers in `sleep_for_room()`, as above, and in `is_others_turn()`.
        // litmus: room, stood-back
        full_barrier();
        if self.asleep.any_sender() {
            self.wake_senders(Whom::Next);
        }
    }

    /// How much room there is when all that is free has been reclaimed, or more than `enough`.
    fn reclaimed_room(&self, enough: u32) -> u32 {
        let mut room = self.ring.room();

        loop {
            let now = self.room_for_senders(&self.members.lock());

            if now > enough || now <= room {
                return now;
            }
            room = now;
        }
    }

    /// Whether a send would find room.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.room() != 0 || self.room_for_senders(&self.members.lock()) != 0
    }

    /// Wakes senders if there is room for them; called when `messages` have been received by
    /// `member`.
    ///
    /// Waiting sends are woken when a quarter of the ring is free, or so much has been received
    /// (others may have been faster), or, if the receiver is `idle`, for any room: there is nothing
    /// more for it, and it may not come again before something is sent. Nor does it come again when
    /// it has left meanwhile.
    #[inline(always)]
    pub(crate) fn room_made(&self, messages: u32, member: &Member, idle: impl FnOnce() -> bool) {
        if messages != 0 {
            // Pairs with the barrier in `sleep_for_room()`, litmus: room. Without messages: whoever
            // has fallen asleep just now has looked, and this receiver has changed nothing.
            full_barrier();
        }
        if self.asleep.anybody() {
            if self.asleep.any_sender() {
                self.received.add(messages as i32);
                self.wake_senders_behind(member, idle());
            }
            if messages != 0 {
                // At the end some wait because what has been taken might come back. Whoever is seen
                // to sleep for that has seen the end, and so it is to be seen here. litmus: taken-end
                read_barrier();
                if self.is_destroyed() {
                    self.given_back();
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_senders_behind(&self, receiver: &Member, idle: bool) {
        // Asked past the barrier: who leaves looks, past one of its own, whether there is room, and
        // sees that of this message if it is not seen here to have left. litmus: left-room
        self.wake_senders(if idle || receiver.is_detached() {
            Whom::All
        } else {
            Whom::Enough
        });
    }

    /// Wakes senders if there is room for them.
    #[cold]
    pub(super) fn wake_senders(&self, whom: Whom) {
        let entries = self.parameters.ring_entries;
        let quarter = (entries / 4).max(1);
        let mut seen = self.ring.room();
        let mut goal = 0;
        let mut woken = 0;
        let mut chain = false;

        // In several goes: we hold a spinlock, and there can be four million.
        loop {
            let mut members = self.members.lock();
            let room = self.room_for_senders(&members);

            if room == 0 {
                break;
            }
            // As for who leaves it: nobody receives who could make more.
            let whom = if members.nr_receivers() == 0 {
                Whom::All
            } else {
                whom
            };

            if whom != Whom::All && room < quarter && room > seen {
                // There may be more than is seen at once, and nobody else may come for it.
                seen = room;
                continue;
            }
            if woken == 0 {
                members.wake_writers(&self.asleep);
                if whom == Whom::All || room == entries {
                    // Whoever does not come for it must not keep the others from it: it may be
                    // that nothing is received any more.
                    goal = self.waiting_sends.load_relaxed();
                } else if room >= quarter || self.received.load_relaxed() >= quarter {
                    self.received.store_relaxed(0);
                    goal = room;
                } else if whom == Whom::Next && self.stood_back.take() {
                    goal = 1;
                    chain = true;
                }
            }
            let some = members.wake_senders(goal.min(WAKE_STEPS), &self.asleep);

            if chain && some != 0 {
                // There may be others. Before the lock is free: that one comes here when it has gone.
                self.stood_back.store_relaxed(1);
            }

            woken += some;
            if some == 0 || woken >= goal {
                break;
            }
        }

        if woken != 0 {
            // Those who do not wait had all that has become free before.
            let turns = self.turns.load_relaxed().saturating_add(woken);

            // Never the whole ring: what is kept from others they are told of when something has
            // been received.
            self.turns
                .store_relaxed(turns.min(quarter).min(entries - 1));
            self.turns_from.store_relaxed(self.ring.tail());
        }
    }
}
