// SPDX-License-Identifier: GPL-2.0

//! What has to be done, whoever does it.

use io_uring_ipc::Setup;
use serde::{Deserialize, Serialize};

/// Who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fanout {
    /// The one receiver there is.
    One,
    /// Every receiver.
    Each,
    /// One of the receivers.
    Any,
}

impl Fanout {
    /// How messages get to receivers, in a word.
    pub fn name(self) -> &'static str {
        match self {
            Fanout::One => "unicast",
            Fanout::Each => "broadcast",
            Fanout::Any => "multicast",
        }
    }
}

/// Bytes that senders and receivers hold at most, so that rings of large
/// messages have fewer entries.
const MAX_HELD: usize = 4 << 20;

/// Messages to be sent from one process to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Who gets a message.
    pub fanout: Fanout,
    /// Bytes of a message, 8 or more.
    pub size: usize,
    /// Processes that receive.
    pub receivers: usize,
    /// Messages sent together, and received together where they are there.
    pub batch: usize,
    /// How rings are set up, where there are any.
    pub setup: Setup,
}

impl Work {
    /// Messages that may be on their way, where that can be chosen: 1024, or
    /// as many as take 4 MiB.
    pub fn entries(&self) -> usize {
        (MAX_HELD / self.size).clamp(16, 1024)
    }
}
