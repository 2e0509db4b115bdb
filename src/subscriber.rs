// SPDX-License-Identifier: GPL-2.0

//! A subscriber: what the file behind `channel_fd` holds.

use super::{
    channel::Channel,
    member::{Member, DOOR},
    rfl::{
        anon_file::{AnonFile, FileOperations},
        inode::Access,
        wait_queue::{events, PollRequest},
    },
    uapi,
};
use kernel::{
    c_str,
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc, //
};

static OPERATIONS: FileOperations<Subscriber> = FileOperations::new(&crate::THIS_MODULE);

/// A member's hold on its channel.
///
/// References to its file come from `channel_fd`, the table of the ring that attached it, mappings
/// and requests. The last one frees it; it has left its channel long before, when the ring's table
/// let go of it.
pub(crate) struct Subscriber {
    pub(crate) channel: Arc<Channel>,
    pub(crate) member: Arc<Member>,
}

impl Subscriber {
    /// Whether the caller may send or receive now.
    ///
    /// Fails with `EACCES` without the right, `ENOENT` when detached, `EPIPE` for sending to a
    /// channel that has been destroyed. May sleep.
    #[inline(always)]
    pub(crate) fn check(&self, access: Access) -> Result {
        if self.member.is_granted(access) {
            return Ok(());
        }
        self.ask(access)
    }

    #[cold]
    fn ask(&self, access: Access) -> Result {
        if !self.member.rights.allow(access) {
            return Err(EACCES);
        }
        if self.member.is_detached() {
            return Err(ENOENT);
        }
        // Who has not attached has not been checked either.
        if self.channel.parameters.private || self.member.id == DOOR {
            self.channel.permission(access)?;
        }
        if access == Access::Write && self.channel.is_destroyed() {
            return Err(EPIPE);
        }
        Ok(())
    }

    /// Takes the subscriber out of its channel.
    pub(crate) fn detach(&self) {
        self.channel.leave(&self.member);
    }

    /// Whether it has been detached, or its channel destroyed.
    pub(crate) fn has_ended(&self) -> bool {
        self.member.is_detached() || self.channel.is_destroyed()
    }

    fn is_readable(&self) -> bool {
        !self.member.is_detached() && self.channel.next(&self.member).is_some()
    }

    fn is_writable(&self, exclusive: bool) -> bool {
        !self.has_ended()
            && self.channel.has_room()
            && !if exclusive && self.member.sends.len() != 0 {
                self.channel.is_others_turn(&self.member)
            } else {
                self.channel.is_kept()
            }
    }
}

impl AnonFile for Subscriber {
    const NAME: &'static CStr = c_str!("[io_uring_ipc]");

    fn operations() -> &'static FileOperations<Self> {
        &OPERATIONS
    }

    fn poll<'a>(&'a self, request: &PollRequest<'a>) -> u32 {
        let requested = request.requested();
        let reads = requested & events::READABLE != 0;
        let writes = requested & events::WRITABLE != 0;
        let exclusive = requested & events::EXCLUSIVE != 0;
        let rights = &self.member.rights;
        let mut found = 0;

        // Queue first, mark as sleeping second, look last: nothing can be missed. On either queue
        // one hears of the end.
        if writes {
            request.wait_on(if exclusive {
                &self.member.senders
            } else {
                &self.member.writers
            });
        }
        if reads || !writes {
            request.wait_on(&self.member.readers);
        }
        // Who has not found it the last time must be marked.
        if reads && rights.recv {
            let readable = self.is_readable() || {
                self.channel.sleep_for_message(&self.member);
                self.is_readable()
            };

            if readable {
                found |= events::READABLE;
            }
        }
        if writes && rights.send {
            let writable = self.is_writable(exclusive) || {
                self.channel.sleep_for_room(&self.member, exclusive);
                self.is_writable(exclusive)
            };

            if writable {
                found |= events::WRITABLE;
            }
        }
        if self.has_ended() {
            found |= events::HUP;
        }
        found
    }

    fn mmap(&self, vma: &VmaNew) -> Result {
        if !self.member.rights.recv || self.channel.parameters.private {
            return Err(EACCES);
        }
        if self.member.is_detached() {
            return Err(ENOENT);
        }
        self.channel.region().map(vma)
    }

    fn ioctl(&self, command: u32, argument: usize) -> Result {
        match command {
            uapi::IOC_SET_MODE => self
                .channel
                .set_mode(argument.try_into().map_err(|_| EINVAL)?),
            _ => Err(ENOTTY),
        }
    }

    fn show_fdinfo(&self, m: &SeqFile) {
        let (channel, member) = (&self.channel, &self.member);
        let population = channel.population();
        let (unread, slowest) = channel.unread_notices(member);
        let (cursor, lost) = channel.progress(member);
        let owner = channel.owner();

        seq_print!(m, "ipc-channel:\t{}\n", channel.id);
        seq_print!(m, "ipc-uid:\t{}\n", owner.uid);
        seq_print!(m, "ipc-gid:\t{}\n", owner.gid);
        seq_print!(m, "ipc-permissions:\t{:04o}\n", owner.mode);
        seq_print!(m, "ipc-mode:\t{}\n", channel.parameters.mode.name());
        seq_print!(
            m,
            "ipc-private:\t{}\n",
            u32::from(channel.parameters.private)
        );
        seq_print!(m, "ipc-destroyed:\t{}\n", u32::from(channel.is_destroyed()));
        seq_print!(m, "ipc-entries:\t{}\n", channel.parameters.ring_entries);
        seq_print!(
            m,
            "ipc-max-msg-size:\t{}\n",
            channel.parameters.max_msg_size
        );
        seq_print!(m, "ipc-tail:\t{}\n", channel.ring().tail());
        seq_print!(m, "ipc-head:\t{}\n", channel.ring().head());
        seq_print!(m, "ipc-subscribers:\t{}\n", population.subscribers);
        seq_print!(
            m,
            "ipc-receivers-asleep:\t{}\n",
            population.receivers_asleep
        );
        seq_print!(m, "ipc-senders-asleep:\t{}\n", population.senders_asleep);
        seq_print!(m, "ipc-slowest:\t{}\n", channel.slowest().unwrap_or(0));
        seq_print!(m, "ipc-subscriber:\t{}\n", member.id);
        seq_print!(m, "ipc-send:\t{}\n", u32::from(member.rights.send));
        seq_print!(m, "ipc-recv:\t{}\n", u32::from(member.rights.recv));
        seq_print!(m, "ipc-lossy:\t{}\n", u32::from(member.service.lossy));
        seq_print!(m, "ipc-lost:\t{}\n", lost);
        seq_print!(m, "ipc-events:\t{}\n", u32::from(member.service.notices));
        seq_print!(m, "ipc-notices:\t{}\n", unread);
        seq_print!(m, "ipc-notices-slowest:\t{}\n", slowest.unwrap_or(0));
        seq_print!(m, "ipc-detached:\t{}\n", u32::from(member.is_detached()));
        seq_print!(m, "ipc-cursor:\t{}\n", cursor);
        seq_print!(m, "ipc-receives-waiting:\t{}\n", member.receives());
        seq_print!(m, "ipc-sends-waiting:\t{}\n", member.sends.len());
        seq_print!(m, "ipc-wakeups:\t{}\n", member.wakeups.get());
        seq_print!(m, "ipc-room-wakeups:\t{}\n", member.room_wakeups.get());
    }
}

#[cfg(ioipc_kunit)]
mod tests;
