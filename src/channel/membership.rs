// SPDX-License-Identifier: GPL-2.0

//! Who comes to a channel, and who goes.

use super::Channel;
use crate::{
    member::{Member, DOOR},
    members::Table,
    notices::Notices,
    rfl::{atomic::full_barrier, inode::Access},
    uapi::message_flags,
};
use kernel::{prelude::*, sync::Arc};

impl Channel {
    /// Adds a member. A receiver starts at the next message sent, or with `replay` (and always
    /// where receivers compete) at the oldest one held. `ENOENT` where it has been detached before,
    /// or the channel destroyed, `ENOSPC`, `ENOMEM`. Sleeps.
    pub(crate) fn join(&self, member: &Arc<Member>, replay: bool) -> Result {
        // Made where one may sleep, and the channel's only when nothing can fail any more.
        let mut places = None;

        loop {
            let lack = {
                let mut members = self.members.lock();

                // By somebody who has guessed its id. Destroyed: under the lock, as `destroy()` takes
                // it to revoke what is granted here. litmus: granted
                if member.is_detached() || self.is_destroyed() {
                    return Err(ENOENT);
                }
                if !members.has_spare() {
                    Lack::Entry(members.len())
                } else if let Some(count) = members.lacking_places(member, &mut places) {
                    Lack::Places(count)
                } else {
                    // Under the lock, so that no `reclaim()` overlooks the new cursor.
                    // litmus: join, join-tail
                    let start = if replay || self.parameters.mode.receivers_compete() {
                        self.ring.head()
                    } else {
                        self.ring.tail()
                    };
                    member.cursor.raise(start);
                    members.insert(member.clone(), self.granted_to(member))?;
                    self.receivers.store_relaxed(members.nr_receivers() as u32);

                    let next = self.tell(&mut members, member, message_flags::JOIN);

                    // Not of itself.
                    member.next_notice.store_relaxed(next);
                    members.wake_noticed(&self.asleep);
                    return Ok(());
                }
            };

            match lack {
                Lack::Entry(len) => {
                    let table = Table::larger_than(len, self.parameters.max_subscribers as usize)?;
                    let rest = self.members.lock().grow(table);

                    drop(rest);
                }
                Lack::Places(count) => places = Some(Notices::places(count)?),
            }
        }
    }

    /// What a member that joins may do without further questions, if it has the right.
    fn granted_to(&self, member: &Member) -> &'static [Access] {
        if self.parameters.private || member.id == DOOR {
            // Who sends through the door has not been asked at all.
            &[]
        } else {
            &[Access::Read, Access::Write]
        }
    }

    /// Ends a member's time here: it gets nothing more, and holds up nobody.
    pub(crate) fn leave(&self, member: &Member) {
        let removed = {
            let mut members = self.members.lock();
            let removed = members.remove(member.id, &self.asleep);

            self.receivers.store_relaxed(members.nr_receivers() as u32);
            if removed.is_some() {
                // Who has claimed a slot sees that it has left, or is seen to have sent before.
                // litmus: leaves
                full_barrier();
                self.tell(&mut members, member, message_flags::LEAVE);
            } else {
                // It may be about to join.
                member.detach();
            }
            // It may have been woken for a message that it has not taken. And for the notice.
            members.wake_all(false, &self.asleep);
            (removed, members.unused_places())
        };

        drop(removed);
        member.sends.close(|by| self.count_waiting_sends(by));
        member.wake_for_end();
        // What waited for it need not be held any longer.
        self.room_made(1, member, || true);
    }
}

/// What there has to be more of before somebody can join.
enum Lack {
    /// Of so many entries all are used.
    Entry(usize),
    /// So many places for notices are wanted.
    Places(usize),
}
