// SPDX-License-Identifier: GPL-2.0

//! Who has sent the messages in a ring.
//!
//! In the kernel's own numbers, so it is kept beside the ring's memory, which receivers may map.

use super::rfl::{atomic::Word32, identity::GlobalIdentity};
use core::mem::size_of;
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*};

struct Sender {
    pid: Word32,
    uid: Word32,
    gid: Word32,
}

/// A sender for each slot. An entry belongs to whoever the slot belongs to, who also orders the
/// accesses.
pub(crate) struct Senders(KVVec<Sender>);

impl Senders {
    /// Bytes that [`Self::new`] takes.
    pub(crate) const fn size(entries: u32) -> usize {
        entries as usize * size_of::<Sender>()
    }

    /// Makes room for `entries`, a power of two; charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn new(entries: u32) -> Result<Self> {
        let mut senders = KVVec::with_capacity(entries as usize, GFP_KERNEL_ACCOUNT)?;

        for _ in 0..entries {
            let nobody = Sender {
                pid: Word32::new(0),
                uid: Word32::new(0),
                gid: Word32::new(0),
            };

            senders.push(nobody, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self(senders))
    }

    #[inline(always)]
    fn at(&self, position: u64) -> Option<&Sender> {
        self.0.get(position as usize & self.0.len().wrapping_sub(1))
    }

    /// Says who sends the message at `position`, which the caller has claimed.
    #[inline(always)]
    pub(crate) fn set(&self, position: u64, identity: GlobalIdentity) {
        if let Some(sender) = self.at(position) {
            sender.pid.store_relaxed(identity.pid);
            sender.uid.store_relaxed(identity.uid);
            sender.gid.store_relaxed(identity.gid);
        }
    }

    /// Who has sent the message at `position`, which the caller has found.
    pub(crate) fn get(&self, position: u64) -> GlobalIdentity {
        self.at(position)
            .map_or_else(GlobalIdentity::default, |sender| GlobalIdentity {
                pid: sender.pid.load_relaxed(),
                uid: sender.uid.load_relaxed(),
                gid: sender.gid.load_relaxed(),
            })
    }
}
