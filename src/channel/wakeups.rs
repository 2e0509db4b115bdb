// SPDX-License-Identifier: GPL-2.0

//! Whom a channel wakes, and when.

use super::{room::Whom, Channel};
use crate::{member::Member, rfl::atomic::full_barrier};

impl Channel {
    /// Marks `member` as sleeping for a message. The caller looks for one once more after this.
    pub(crate) fn sleep_for_message(&self, member: &Member) {
        self.members
            .lock()
            .sleep_for_message(member.id, &self.asleep);
        // Pairs with the barriers of those who wake: they see the sleeper, or it sees the cause.
        // litmus: wait, given-back
        full_barrier();
    }

    /// Marks `member` as sleeping for room, `exclusive` as one of several. The caller looks for
    /// some once more after this.
    pub(crate) fn sleep_for_room(&self, member: &Member, exclusive: bool) {
        self.members
            .lock()
            .sleep_for_room(member.id, exclusive, &self.asleep);
        // As above. litmus: room
        full_barrier();
    }

    /// Wakes those whom a message that has just been published at `position` is for.
    #[inline(always)]
    pub(crate) fn published(&self, position: u64, target: u32) {
        // Pairs with the barrier in `sleep_for_message()`. litmus: wait, window
        full_barrier();
        if self.asleep.anybody() {
            self.wake_after(position, target);
        }
    }

    #[cold]
    fn wake_after(&self, position: u64, target: u32) {
        if self.asleep.any_receiver() {
            self.wake_receivers(position, target);
        }
        // What is published and waited for by nobody makes room.
        if self.asleep.any_sender() {
            // What nobody will receive is room, of which nobody else tells.
            let is_lost = target != 0 && !self.is_receiver(target);

            self.wake_senders(if is_lost { Whom::All } else { Whom::Enough });
        }
    }

    fn wake_receivers(&self, position: u64, target: u32) {
        let mut members = self.members.lock();

        // Where this was the last message, all who wait for the end have waited for it.
        if self.ring.publish_uncovers(position) || self.is_destroyed() {
            members.wake_all(false, &self.asleep);
        } else if target != 0 {
            members.wake(target, &self.asleep);
        } else {
            self.parameters.mode.wake(&mut members, &self.asleep);
        }
        // Notices that are behind it have waited for this, whomever it is for.
        if members.is_before_notices(position) {
            members.wake_noticed(&self.asleep);
        }
    }

    /// Wakes those who may have overlooked a message, because another receiver had taken it and
    /// has given it back; or the end, because it might have.
    #[cold]
    pub(crate) fn given_back(&self) {
        // Pairs with the barrier in `sleep_for_message()`. litmus: given-back
        full_barrier();
        if self.asleep.any_receiver() {
            self.members.lock().wake_all(false, &self.asleep);
        }
    }

    /// A receive of `member` has waited and ends.
    pub(crate) fn receive_ends(&self, member: &Member, has_received: bool) {
        member.receive_ends();
        // It alone may have been woken for a message that it does not take, or for another one
        // than it has taken.
        let hands_on = member.is_chosen() || !has_received;

        if hands_on && self.parameters.mode.receivers_compete() {
            self.hand_on(member);
        }
        // Those who poll this member count for themselves from now on. litmus: poller
        if member.receives() == 0 && member.readers.is_active() {
            self.sleep_for_message(member);
            if self.next(member).is_some() {
                self.members.lock().wake(member.id, &self.asleep);
            }
        }
    }

    /// A receive of `member` takes no message, and whoever sleeps is to look if there is any.
    #[cold]
    pub(super) fn hand_on(&self, member: &Member) {
        // Whoever has not seen this receive end has published before, and that is found.
        // litmus: receive-ends
        full_barrier();
        if self.find(member).is_some() {
            self.given_back();
        }
    }
}
