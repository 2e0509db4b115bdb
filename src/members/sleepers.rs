// SPDX-License-Identifier: GPL-2.0

//! Who sleeps, and for what; and waking them.

use super::{Entry, Members};
use crate::{
    member::{Member, DOOR},
    rfl::{
        atomic::{full_barrier, Word32},
        wait_queue::events,
    },
};

/// What a subscriber can sleep for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A message, for a receive that waits: it takes what it is woken for, or hands on.
    Receive,
    /// A message, for somebody who polls, and may leave it at that.
    Poll,
    /// Room for a message, for somebody who polls.
    Room,
    /// Room for a message, for a send that waits.
    Send,
}

impl Wait {
    /// What a member sleeps for when there is no message for it.
    fn for_message(member: &Member) -> Self {
        if member.receives() != 0 {
            Self::Receive
        } else {
            Self::Poll
        }
    }
}

pub(super) const MESSAGE: [Wait; 2] = [Wait::Receive, Wait::Poll];
pub(super) const ROOM: [Wait; 2] = [Wait::Room, Wait::Send];
pub(super) const ALL: [Wait; 4] = [Wait::Receive, Wait::Poll, Wait::Room, Wait::Send];

impl Entry {
    /// Counts off the sleeps it is in, without waking it, and says whether there were any.
    pub(super) fn get_up(&mut self, waits: &[Wait], asleep: &SleepCounts) -> bool {
        let mut slept = false;

        for &wait in waits {
            if core::mem::take(&mut self.asleep[wait as usize]) {
                asleep.change(wait, -1);
                slept = true;
            }
        }
        slept
    }

    /// Wakes the member if it sleeps for a message, and says whether somebody heard.
    ///
    /// With `there_is`, waiting receives are told so, not asked to look. Whoever is woken looks
    /// for itself nevertheless: the message may be gone, or hidden behind a slot that is not
    /// published yet.
    pub(super) fn wake_for_message(&mut self, there_is: bool, asleep: &SleepCounts) -> bool {
        let slept = self.get_up(&MESSAGE, asleep);
        let member = &*self.member;
        // Queued first, marked second: an empty queue is of somebody who has gone. litmus: queued
        let hears = slept && member.readers.is_active();

        if hears {
            let told = there_is && member.receives() != 0;

            member.wakeups.add();
            member.readers.wake(if told { events::READABLE } else { 0 });
        }
        hears
    }

    /// Wakes those who sleep for `wait`, which is for room, and says whether somebody heard.
    fn wake_for_room(&mut self, wait: Wait, asleep: &SleepCounts) -> bool {
        let slept = self.get_up(&[wait], asleep);
        let member = &*self.member;
        let queue = match wait {
            Wait::Send => &member.senders,
            _ => &member.writers,
        };
        let hears = slept && queue.is_active();

        if hears {
            member.room_wakeups.add();
            // Who polls is to look whether the room is for it.
            queue.wake(if wait == Wait::Send {
                events::WRITABLE
            } else {
                0
            });
        }
        hears
    }
}

impl Members {
    /// Marks a member as sleeping. It has to look again afterwards, past a full barrier.
    pub(super) fn fall_asleep(&mut self, at: usize, wait: Wait, asleep: &SleepCounts) {
        let flag = &mut self.entries[at].asleep[wait as usize];

        if !*flag {
            *flag = true;
            asleep.change(wait, 1);
        }
    }

    /// Marks a member as sleeping for a message.
    pub(crate) fn sleep_for_message(&mut self, id: u32, asleep: &SleepCounts) {
        if let Ok(at) = self.search(id) {
            self.fall_asleep(at, Wait::for_message(&self.entries[at].member), asleep);
        }
    }

    /// Marks a member as sleeping for room, `exclusive` as one of several.
    pub(crate) fn sleep_for_room(&mut self, id: u32, exclusive: bool, asleep: &SleepCounts) {
        if let Ok(at) = self.search(id) {
            let wait = if exclusive { Wait::Send } else { Wait::Room };

            self.fall_asleep(at, wait, asleep);
        }
    }

    /// Wakes receiver `id`, which has a message, if it sleeps.
    pub(crate) fn wake(&mut self, id: u32, asleep: &SleepCounts) {
        if let Ok(at) = self.search(id) {
            self.entries[at].wake_for_message(true, asleep);
        }
    }

    /// Wakes all receivers that sleep; `there_is` as for one.
    pub(crate) fn wake_all(&mut self, there_is: bool, asleep: &SleepCounts) {
        for entry in self.entries.iter_mut() {
            entry.wake_for_message(there_is, asleep);
        }
    }

    /// All places, from the one behind `id` on.
    pub(super) fn round(&self, id: u32) -> impl Iterator<Item = usize> {
        let start = match self.search(id) {
            Ok(at) => at + 1,
            Err(at) => at,
        };

        Iterator::chain(start..self.entries.len(), 0..start)
    }

    /// Wakes a receiver that sleeps, the first after `after` in the order of ids, and all who only
    /// poll, in the same order. Returns who should come last the next time.
    fn wake_one(&mut self, after: u32, asleep: &SleepCounts) -> Option<u32> {
        let mut first_poller = None;

        if asleep.any(Wait::Poll) {
            for at in self.round(after) {
                let entry = &mut self.entries[at];

                if entry.asleep[Wait::Poll as usize] && entry.wake_for_message(false, asleep) {
                    first_poller.get_or_insert(entry.member.id);
                }
            }
        }
        if asleep.any(Wait::Receive) {
            for at in self.round(after) {
                let entry = &mut self.entries[at];

                if !entry.asleep[Wait::Receive as usize] {
                    continue;
                }
                // Of what it was chosen for before nobody has seen anything yet, and seeing it once
                // is not enough for two.
                let pending = entry.member.seems_chosen();

                // Before the wake-up: what it causes may look, and end.
                entry.member.chosen.store_relaxed(1);
                // Pairs with the exchange in `is_chosen()`: a receive that ends sees it, or is seen
                // to have ended below. litmus: chosen
                full_barrier();
                let heard = entry.wake_for_message(true, asleep);
                let member = &entry.member;

                // Who has slept as a receive and is none any more may leave it at having been told,
                // unless a receive has seen that it was chosen.
                if heard && !pending && (member.receives() != 0 || !member.seems_chosen()) {
                    return Some(member.id);
                }
            }
        }
        first_poller
    }

    /// Wakes the first receiver that sleeps, and all who only poll.
    pub(crate) fn wake_first(&mut self, asleep: &SleepCounts) {
        self.wake_one(DOOR, asleep);
    }

    /// Wakes the next receiver that sleeps, after the one that was woken last, and all who only
    /// poll.
    pub(crate) fn wake_next(&mut self, asleep: &SleepCounts) {
        if let Some(id) = self.wake_one(self.last_woken, asleep) {
            self.last_woken = id;
        }
    }

    /// Wakes all who poll for room.
    pub(crate) fn wake_writers(&mut self, asleep: &SleepCounts) {
        for entry in self.entries.iter_mut() {
            entry.wake_for_room(Wait::Room, asleep);
        }
    }

    /// Wakes waiting sends, of one member after the other, in turn, until there are as many as
    /// `room` slots; and all who poll exclusively where no send waits. Returns how many wait there.
    pub(crate) fn wake_senders(&mut self, room: u32, asleep: &SleepCounts) -> u32 {
        let mut woken = 0_u32;

        for at in self.round(self.last_sender) {
            let entry = &mut self.entries[at];
            let waiting = entry.member.sends.len();

            if waiting != 0 && woken >= room {
                continue;
            }
            if entry.wake_for_room(Wait::Send, asleep) && waiting != 0 {
                woken = woken.saturating_add(waiting);
                self.last_sender = entry.member.id;
            }
        }
        woken
    }

    /// Tells all members that the channel has ended.
    pub(crate) fn wake_for_end(&mut self, asleep: &SleepCounts) {
        for entry in self.entries.iter_mut() {
            entry.get_up(&ALL, asleep);
            entry.member.wake_for_end();
        }
    }
}

/// How many members of a channel sleep.
///
/// Written under the lock of [`Members`]; read without it by whoever may have something for a
/// sleeper, past a full barrier. litmus: wait
pub(crate) struct SleepCounts {
    of: [Word32; 4],
    /// The sum.
    all: Word32,
}

impl SleepCounts {
    pub(crate) fn new() -> Self {
        Self {
            of: [0; 4].map(Word32::new),
            all: Word32::new(0),
        }
    }

    fn change(&self, wait: Wait, by: i32) {
        self.of[wait as usize].add(by);
        self.all.add(by);
    }

    pub(super) fn any(&self, wait: Wait) -> bool {
        self.of[wait as usize].load_relaxed() != 0
    }

    /// Whether anybody sleeps: mostly the only question.
    #[inline(always)]
    pub(crate) fn anybody(&self) -> bool {
        self.all.load_relaxed() != 0
    }

    pub(crate) fn any_receiver(&self) -> bool {
        self.any(Wait::Receive) || self.any(Wait::Poll)
    }

    pub(crate) fn any_sender(&self) -> bool {
        self.any(Wait::Room) || self.any(Wait::Send)
    }
}
