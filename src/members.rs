// SPDX-License-Identifier: GPL-2.0

//! Who is attached to a channel, and who of them sleeps.

use super::{
    member::{Member, Service, DOOR},
    notices::Notices,
    rfl::{
        atomic::{full_barrier, Word32},
        inode::Access,
        wait_queue::events,
    },
};
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*, sync::Arc};

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

const MESSAGE: [Wait; 2] = [Wait::Receive, Wait::Poll];
const ROOM: [Wait; 2] = [Wait::Room, Wait::Send];
const ALL: [Wait; 4] = [Wait::Receive, Wait::Poll, Wait::Room, Wait::Send];

/// A member, and what it sleeps for.
struct Entry {
    member: Arc<Member>,
    asleep: [bool; 4],
}

impl Entry {
    /// Counts off the sleeps it is in, without waking it, and says whether there were any.
    fn get_up(&mut self, waits: &[Wait], asleep: &SleepCounts) -> bool {
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
    fn wake_for_message(&mut self, there_is: bool, asleep: &SleepCounts) -> bool {
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

/// How many members are what.
pub(crate) struct Population {
    pub(crate) subscribers: usize,
    pub(crate) receivers_asleep: usize,
    pub(crate) senders_asleep: usize,
}

/// All members of a channel, in the order of their ids.
pub(crate) struct Members {
    entries: KVec<Entry>,
    receivers: usize,
    /// Those of them that are lossy.
    lossy: usize,
    /// Those of them that are told who comes and goes.
    noticed: usize,
    /// While there are any of those there is room for a notice that each member has gone.
    notices: Notices,
    /// The id after which the next one to be woken for a multicast message is looked for.
    last_woken: u32,
    /// The same for waiting sends.
    last_sender: u32,
}

impl Members {
    pub(crate) const fn new() -> Self {
        Self {
            entries: KVec::new(),
            receivers: 0,
            lossy: 0,
            noticed: 0,
            notices: Notices::new(),
            last_woken: DOOR,
            last_sender: DOOR,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Who there is, for people to look at.
    pub(crate) fn population(&self) -> Population {
        let count = |matches: fn(&Entry) -> bool| {
            self.entries.iter().filter(|entry| matches(entry)).count()
        };

        Population {
            subscribers: count(|entry| entry.member.id != DOOR),
            receivers_asleep: count(|entry| {
                MESSAGE.iter().any(|&wait| entry.asleep[wait as usize])
            }),
            senders_asleep: count(|entry| ROOM.iter().any(|&wait| entry.asleep[wait as usize])),
        }
    }

    pub(crate) fn nr_receivers(&self) -> usize {
        self.receivers
    }

    pub(crate) fn nr_lossy(&self) -> usize {
        self.lossy
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.entries.len() < self.entries.capacity()
    }

    /// Moves all entries to `table` if that has more room; returns the table that is left over.
    pub(crate) fn grow(&mut self, mut table: Table) -> Table {
        if table.0.capacity() > self.entries.len() {
            for entry in self.entries.drain_all() {
                // Cannot fail, there is room.
                let _ = table.0.push_within_capacity(entry);
            }
            core::mem::swap(&mut self.entries, &mut table.0);
        }
        table
    }

    fn search(&self, id: u32) -> Result<usize, usize> {
        self.entries
            .as_slice()
            .binary_search_by_key(&id, |entry| entry.member.id)
    }

    /// Adds a member whose id nobody else has; it may do what is `granted` and in its rights
    /// without further questions. There must be [room](Self::has_spare).
    pub(crate) fn insert(&mut self, member: Arc<Member>, granted: &[Access]) -> Result {
        let Err(at) = self.search(member.id) else {
            return Err(EEXIST);
        };
        let receives = member.rights.recv;
        let Service { lossy, notices } = member.service;

        for &access in granted {
            member.grant(access);
        }
        let entry = Entry {
            member,
            asleep: [false; 4],
        };

        self.entries
            .insert_within_capacity(at, entry)
            .map_err(|_| ENOMEM)?;
        self.receivers += usize::from(receives);
        self.lossy += usize::from(lossy);
        self.noticed += usize::from(notices);
        Ok(())
    }

    /// Takes a member out. If it sleeps it is for the caller to wake it.
    pub(crate) fn remove(&mut self, id: u32, asleep: &SleepCounts) -> Option<Arc<Member>> {
        let at = self.search(id).ok()?;

        let mut entry = self.entries.remove(at).ok()?;

        entry.get_up(&ALL, asleep);
        entry.member.revoke(Access::Read);
        entry.member.revoke(Access::Write);
        entry.member.detach();
        self.receivers -= usize::from(entry.member.rights.recv);
        self.lossy -= usize::from(entry.member.service.lossy);
        self.noticed -= usize::from(entry.member.service.notices);
        Some(entry.member)
    }

    /// Whether `id` is a receiver here.
    pub(crate) fn is_receiver(&self, id: u32) -> bool {
        self.search(id)
            .is_ok_and(|at| self.entries[at].member.rights.recv)
    }

    /// The lowest cursor of all receivers, each after `advance` has been called for it.
    pub(crate) fn slowest_cursor(&self, advance: impl Fn(&Member)) -> Option<u64> {
        self.entries
            .iter()
            .filter(|entry| entry.member.rights.recv)
            .inspect(|entry| advance(&entry.member))
            // Acquire: pairs with `Ring::pass()`. litmus: pass
            .map(|entry| entry.member.cursor.load_acquire())
            .min()
    }

    /// The lowest cursor of those that hold senders up.
    pub(crate) fn slowest_lossless_cursor(&self) -> Option<u64> {
        self.entries
            .iter()
            .filter(|entry| entry.member.rights.recv && !entry.member.service.lossy)
            // Acquire: as above. litmus: pass
            .map(|entry| entry.member.cursor.load_acquire())
            .min()
    }

    /// All that senders may overrun.
    pub(crate) fn lossy(&self) -> impl Iterator<Item = &Member> {
        self.entries
            .iter()
            .map(|entry| &*entry.member)
            .filter(|member| member.service.lossy)
    }

    /// The receiver with the lowest cursor of those that hold senders up, if that is lower than `position`.
    pub(crate) fn slowest_before(&self, position: u64) -> Option<u32> {
        self.entries
            .iter()
            .filter(|entry| entry.member.rights.recv && !entry.member.service.lossy)
            .map(|entry| (entry.member.cursor.load_relaxed(), entry.member.id))
            .filter(|&(cursor, _)| cursor < position)
            .min()
            .map(|(_, id)| id)
    }

    /// Marks a member as sleeping. It has to look again afterwards, past a full barrier.
    fn fall_asleep(&mut self, at: usize, wait: Wait, asleep: &SleepCounts) {
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
    fn round(&self, id: u32) -> impl Iterator<Item = usize> {
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
                // Before the wake-up: what it causes may look, and end.
                entry.member.chosen.store_relaxed(1);
                // Pairs with the exchange in `is_chosen()`: a receive that ends sees it, or is seen
                // to have ended below. litmus: chosen
                full_barrier();
                // Who has slept as a receive and is none any more may leave it at having been
                // told.
                if entry.wake_for_message(true, asleep) && entry.member.receives() != 0 {
                    return Some(entry.member.id);
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
    /// `room` slots. Returns how many wait there.
    pub(crate) fn wake_senders(&mut self, room: u32, asleep: &SleepCounts) -> u32 {
        let mut woken = 0_u32;

        for at in self.round(self.last_sender) {
            if woken >= room {
                break;
            }
            let entry = &mut self.entries[at];

            if entry.wake_for_room(Wait::Send, asleep) {
                woken = woken.saturating_add(entry.member.sends.len());
                self.last_sender = entry.member.id;
            }
        }
        woken
    }

    /// Tells all members that the channel has ended. Nobody may send any more.
    pub(crate) fn wake_for_end(&mut self, asleep: &SleepCounts) {
        for entry in self.entries.iter_mut() {
            entry.member.revoke(Access::Write);
            entry.get_up(&ALL, asleep);
            entry.member.wake_for_end();
        }
    }
}

/// Room for members, made where one may sleep.
pub(crate) struct Table(KVec<Entry>);

impl Table {
    /// Room for more than `len` members, but no more than a door and `subscribers`; charged to the
    /// caller's memory cgroup. Sleeps.
    pub(crate) fn larger_than(len: usize, subscribers: usize) -> Result<Self> {
        let most = subscribers.saturating_add(1);

        if len >= most {
            return Err(ENOSPC);
        }
        Ok(Self(KVec::with_capacity(
            (len * 2).max(4).min(most),
            GFP_KERNEL_ACCOUNT,
        )?))
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

    fn any(&self, wait: Wait) -> bool {
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

// Named, because the model reads this file by a name of its own.
#[path = "members/presence.rs"]
mod presence;
#[cfg(ioipc_kunit)]
mod tests;
