// SPDX-License-Identifier: GPL-2.0

//! Who is attached to a channel, and who of them sleeps.

use super::{
    member::{Member, Service, DOOR},
    notices::Notices,
    rfl::{inode::Access, mayfail_vec::MayfailVec},
};
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*, sync::Arc};
use sleepers::{ALL, MESSAGE, ROOM};

/// A member, and what it sleeps for.
struct Entry {
    member: Arc<Member>,
    asleep: [bool; 4],
}

/// How many members are what.
pub(crate) struct Population {
    pub(crate) subscribers: usize,
    pub(crate) receivers_asleep: usize,
    pub(crate) senders_asleep: usize,
}

/// All members of a channel, in the order of their ids.
pub(crate) struct Members {
    entries: MayfailVec<Entry>,
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
            entries: MayfailVec::new(),
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

    /// Has all ask again before they send.
    pub(crate) fn revoke_sends(&mut self) {
        for entry in self.entries.iter() {
            entry.member.revoke(Access::Write);
        }
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

    /// Whether sends of any other member have waited for longer than those of this one.
    pub(crate) fn has_waited_longer(&self, member: &Member) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.member.sends.is_before(&member.sends))
    }

    /// The receiver with the lowest cursor of those that hold senders up, if that is lower than
    /// `position`.
    pub(crate) fn slowest_before(&self, position: u64) -> Option<u32> {
        self.entries
            .iter()
            .filter(|entry| entry.member.rights.recv && !entry.member.service.lossy)
            .map(|entry| (entry.member.cursor.load_relaxed(), entry.member.id))
            .filter(|&(cursor, _)| cursor < position)
            .min()
            .map(|(_, id)| id)
    }
}

/// Room for members, made where one may sleep.
pub(crate) struct Table(MayfailVec<Entry>);

impl Table {
    /// Room for more than `len` members, but no more than a door and `subscribers`; charged to the
    /// caller's memory cgroup. Sleeps.
    pub(crate) fn larger_than(len: usize, subscribers: usize) -> Result<Self> {
        let most = subscribers.saturating_add(1);

        if len >= most {
            return Err(ENOSPC);
        }
        Ok(Self(MayfailVec::with_capacity(
            (len * 2).max(4).min(most),
            GFP_KERNEL_ACCOUNT,
        )?))
    }
}

// Named, because the model reads this file by a name of its own.
#[path = "members/presence.rs"]
mod presence;
#[path = "members/sleepers.rs"]
mod sleepers;

pub(crate) use sleepers::SleepCounts;

#[cfg(ioipc_kunit)]
mod tests;
