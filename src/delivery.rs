// SPDX-License-Identifier: GPL-2.0

//! The three ways of delivery.

use super::{
    members::{Members, SleepCounts},
    ring::Sharing,
    uapi::channel_flags,
};
use kernel::prelude::*;

/// Who gets a message that is sent to nobody in particular.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One receiver, whichever comes first; of those who wait the first in the table is woken.
    Unicast,
    /// Every receiver.
    Broadcast,
    /// One receiver; of those who wait one is woken, in turn.
    Multicast,
}

impl Mode {
    /// The mode that `io_uring_ipc_channel_create.flags` names.
    pub(crate) fn from_flags(flags: u32) -> Result<Self> {
        match flags & (channel_flags::BROADCAST | channel_flags::MULTICAST) {
            0 => Ok(Self::Unicast),
            channel_flags::BROADCAST => Ok(Self::Broadcast),
            channel_flags::MULTICAST => Ok(Self::Multicast),
            _ => Err(EINVAL),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
        }
    }

    #[inline(always)]
    pub(crate) fn receivers_compete(self) -> bool {
        self != Self::Broadcast
    }

    pub(crate) fn sharing(self) -> Sharing {
        if self.receivers_compete() {
            Sharing::Competing
        } else {
            Sharing::Broadcast
        }
    }

    /// Wakes those of the sleeping whom a message is for.
    pub(crate) fn wake(self, members: &mut Members, asleep: &SleepCounts) {
        match self {
            Self::Unicast => members.wake_first(asleep),
            Self::Broadcast => members.wake_all(true, asleep),
            Self::Multicast => members.wake_next(asleep),
        }
    }
}
