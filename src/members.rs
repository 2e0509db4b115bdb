// SPDX-License-Identifier: GPL-2.0

//! Who is attached to a channel, and who of them sleeps.

use super::rfl::{
    atomic::{Word32, Word64},
    wait_queue::WaitQueue,
};
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, c_str, prelude::*, static_lock_class, sync::Arc};

/// Subscribers a channel can have.
pub(crate) const MAX_MEMBERS: usize = 4096;

/// What a subscriber may do.
#[derive(Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) send: bool,
    pub(crate) recv: bool,
}

/// A subscriber as its channel knows it.
#[pin_data]
pub(crate) struct Member {
    /// The subscriber's id; 0 for senders that have not attached.
    pub(crate) id: u32,
    pub(crate) rights: Rights,
    /// Receivers: everything below this position is nothing (more) for this one.
    pub(crate) cursor: Word64,
    detached: Word32,
    /// Those who wait for a message.
    #[pin]
    pub(crate) readers: WaitQueue,
    /// Those who wait for room.
    #[pin]
    pub(crate) writers: WaitQueue,
}

impl Member {
    pub(crate) fn new(id: u32, rights: Rights) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                id,
                rights,
                cursor: Word64::new(0),
                detached: Word32::new(0),
                readers <- WaitQueue::new(c_str!("Member::readers"), static_lock_class!()),
                writers <- WaitQueue::new(c_str!("Member::writers"), static_lock_class!()),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        // Acquire: pairs with the release in `detach()`.
        self.detached.load_acquire() != 0
    }

    pub(super) fn detach(&self) {
        self.detached.store_release(1);
    }

    /// Tells everybody who waits, for whatever, that this subscriber or its channel has ended.
    pub(super) fn wake_for_end(&self) {
        self.readers.wake_for_end();
        self.writers.wake_for_end();
    }
}

/// What a subscriber can sleep for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Message,
    Room,
}

/// A member, and what it sleeps for.
struct Entry {
    member: Arc<Member>,
    asleep: [bool; 2],
}

impl Entry {
    /// Counts off the sleep it is in, without waking it.
    fn get_up(&mut self, asleep: &SleepCounts) {
        for wait in [Wait::Message, Wait::Room] {
            if core::mem::take(&mut self.asleep[wait as usize]) {
                asleep.change(wait, -1);
            }
        }
    }
}

/// All members of a channel, in the order of their ids.
pub(crate) struct Members {
    entries: KVec<Entry>,
    receivers: usize,
    /// The id after which the next one to be woken for a multicast message is looked for.
    last_woken: u32,
}

impl Members {
    pub(crate) const fn new() -> Self {
        Self {
            entries: KVec::new(),
            receivers: 0,
            last_woken: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn nr_receivers(&self) -> usize {
        self.receivers
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

    /// Adds a member whose id nobody else has. There must be [room](Self::has_spare).
    pub(crate) fn insert(&mut self, member: Arc<Member>) -> Result {
        let Err(at) = self.search(member.id) else {
            return Err(EEXIST);
        };
        let receives = member.rights.recv;
        let entry = Entry {
            member,
            asleep: [false; 2],
        };

        self.entries
            .insert_within_capacity(at, entry)
            .map_err(|_| ENOMEM)?;
        self.receivers += usize::from(receives);
        Ok(())
    }

    /// Takes a member out. If it sleeps it is for the caller to wake it.
    pub(crate) fn remove(&mut self, id: u32, asleep: &SleepCounts) -> Option<Arc<Member>> {
        let at = self.search(id).ok()?;

        let mut entry = self.entries.remove(at).ok()?;

        entry.get_up(asleep);
        self.receivers -= usize::from(entry.member.rights.recv);
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
            // Acquire: pairs with `Ring::pass()`.
            .map(|entry| entry.member.cursor.load_acquire())
            .min()
    }

    /// Marks a member as sleeping. It has to look again afterwards, past a full barrier.
    pub(crate) fn fall_asleep(&mut self, id: u32, wait: Wait, asleep: &SleepCounts) {
        if let Ok(at) = self.search(id) {
            let flag = &mut self.entries[at].asleep[wait as usize];

            if !*flag {
                *flag = true;
                asleep.change(wait, 1);
            }
        }
    }

    /// Wakes the entry if it sleeps, and says whether somebody heard.
    ///
    /// Whoever is woken looks for itself: what woke it may be gone, or hidden behind a slot that
    /// is not published yet.
    fn wake_entry(&mut self, at: usize, wait: Wait, asleep: &SleepCounts) -> bool {
        let entry = &mut self.entries[at];
        let slept = core::mem::take(&mut entry.asleep[wait as usize]);

        if slept {
            asleep.change(wait, -1);
        }
        // Queued first, marked second: an empty queue is of somebody who has gone.
        let queue = match wait {
            Wait::Message => &entry.member.readers,
            Wait::Room => &entry.member.writers,
        };
        let hears = slept && queue.is_active();

        if hears {
            queue.wake();
        }
        hears
    }

    /// Wakes receiver `id`, if it sleeps.
    pub(crate) fn wake(&mut self, id: u32, asleep: &SleepCounts) {
        if let Ok(at) = self.search(id) {
            self.wake_entry(at, Wait::Message, asleep);
        }
    }

    /// Wakes everybody who sleeps for `wait`.
    pub(crate) fn wake_all(&mut self, wait: Wait, asleep: &SleepCounts) {
        for at in 0..self.entries.len() {
            self.wake_entry(at, wait, asleep);
        }
    }

    /// Wakes the next receiver that sleeps, after the one that was woken last.
    pub(crate) fn wake_next(&mut self, asleep: &SleepCounts) {
        let len = self.entries.len();
        let start = match self.search(self.last_woken) {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        let mut round = Iterator::chain(start..len, 0..start);

        if let Some(at) = round.find(|&at| self.wake_entry(at, Wait::Message, asleep)) {
            self.last_woken = self.entries[at].member.id;
        }
    }

    /// Tells all members that the channel has ended.
    pub(crate) fn wake_for_end(&mut self, asleep: &SleepCounts) {
        for entry in self.entries.iter_mut() {
            entry.get_up(asleep);
            entry.member.wake_for_end();
        }
    }
}

/// Room for members, made where one may sleep.
pub(crate) struct Table(KVec<Entry>);

impl Table {
    /// Room for more than `len` members, charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn larger_than(len: usize) -> Result<Self> {
        if len >= MAX_MEMBERS {
            return Err(ENOSPC);
        }
        Ok(Self(KVec::with_capacity(
            (len * 2).clamp(4, MAX_MEMBERS),
            GFP_KERNEL_ACCOUNT,
        )?))
    }
}

/// How many members of a channel sleep.
///
/// Written under the lock of [`Members`]; read without it by whoever may have something for a
/// sleeper, past a full barrier.
pub(crate) struct SleepCounts([Word32; 2]);

impl SleepCounts {
    pub(crate) const fn new() -> Self {
        Self([Word32::new(0), Word32::new(0)])
    }

    fn change(&self, wait: Wait, by: i32) {
        let count = &self.0[wait as usize];

        count.store_relaxed(count.load_relaxed().wrapping_add_signed(by));
    }

    #[inline(always)]
    pub(crate) fn any(&self, wait: Wait) -> bool {
        self.count(wait) != 0
    }

    pub(crate) fn count(&self, wait: Wait) -> u32 {
        self.0[wait as usize].load_relaxed()
    }
}
