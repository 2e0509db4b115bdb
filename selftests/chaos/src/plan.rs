// SPDX-License-Identifier: GPL-2.0

//! What each process does, and when it is killed: all of it follows from the seed.

use io_uring_ipc::{abi, Kind};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// The most bytes a channel of this test has in a message.
pub const MAX_MSG_SIZE: u32 = 2048;

/// One step of a process. What a number like `of` picks depends on what is there then: it is taken
/// modulo how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Create {
        kind: Kind,
        entries: u32,
        size: u32,
        private: bool,
    },
    Attach {
        to: usize,
        flags: u32,
    },
    Send {
        /// Subscribers, and behind them channels, which are sent to by their ids.
        by: usize,
        len: u32,
        count: u32,
        /// To somebody who has sent something before.
        targeted: bool,
        wait: bool,
        link: bool,
        worker: bool,
    },
    Receive {
        by: usize,
        count: u32,
        wait: bool,
        worker: bool,
        /// Takes the buffer's page away while the request waits.
        protect: bool,
    },
    Multishot {
        by: usize,
    },
    Poll {
        on: usize,
        ms: u32,
    },
    Map {
        of: usize,
    },
    Unmap,
    Reap {
        ms: u32,
    },
    CancelOne {
        of: usize,
    },
    CancelAll,
    Detach {
        of: usize,
    },
    /// Detaches somebody who has sent something.
    Expel {
        whom: usize,
    },
    SetMode {
        of: usize,
        mode: u16,
    },
    Destroy {
        of: usize,
    },
    /// A child that holds all files of this process for a while, and maps or polls one of them.
    Fork {
        of: usize,
        ms: u32,
        exec: bool,
    },
    /// The same program again, in the same process.
    Exec,
}

/// Which flags a process opens its ring with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    Plain,
    DeferTaskrun,
    SqPoll,
}

/// The steps of one process from its start, or from `exec`, to its end: a life.
pub struct Plan {
    rng: ChaCha8Rng,
}

impl Plan {
    pub fn new(seed: u64, slot: usize, life: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);

        // A sequence of its own out of the same seed.
        rng.set_stream(1 + ((slot as u64) << 32) + u64::from(life));
        Self { rng }
    }

    /// To be asked first.
    pub fn ring(&mut self) -> RingKind {
        match self.rng.random_range(0..8) {
            0..4 => RingKind::Plain,
            4..7 => RingKind::DeferTaskrun,
            _ => RingKind::SqPoll,
        }
    }

    fn pick(&mut self) -> usize {
        self.rng.random_range(0..64)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    fn create(&mut self) -> Step {
        // Some of them are too large for the memory that is left.
        let entries = if self.one_in(10) {
            self.rng.random_range(1024..=4096_u32).next_power_of_two()
        } else {
            1 << self.rng.random_range(0..=6)
        };

        Step::Create {
            kind: *Kind::ALL.choose(&mut self.rng).unwrap_or(&Kind::Unicast),
            entries,
            size: self.rng.random_range(1..=MAX_MSG_SIZE),
            private: self.one_in(4),
        }
    }

    fn send(&mut self) -> Step {
        Step::Send {
            by: self.pick(),
            len: match self.rng.random_range(0..8) {
                0 => 0,
                1..6 => self.rng.random_range(1..=64),
                _ => self.rng.random_range(65..=MAX_MSG_SIZE),
            },
            count: self.rng.random_range(1..=8),
            targeted: self.one_in(8),
            wait: self.one_in(3),
            link: self.one_in(6),
            worker: self.one_in(10),
        }
    }

    fn receive(&mut self) -> Step {
        let wait = self.one_in(3);

        Step::Receive {
            by: self.pick(),
            count: self.rng.random_range(1..=8),
            wait,
            worker: self.one_in(10),
            protect: wait && self.one_in(3),
        }
    }

    fn attach(&mut self) -> Step {
        let rights = [abi::SUB_BOTH, abi::SUB_BOTH, abi::SUB_RECV, abi::SUB_SEND];
        let rights = *rights.choose(&mut self.rng).unwrap_or(&abi::SUB_BOTH);
        let recv = rights & abi::SUB_RECV != 0;
        let replay = recv && self.one_in(8);
        let events = recv && self.one_in(4);
        let lossy = recv && self.one_in(4);
        let from_fd = self.one_in(8);

        Step::Attach {
            to: self.pick(),
            flags: rights
                | if replay { abi::SUB_REPLAY } else { 0 }
                | if events { abi::SUB_EVENTS } else { 0 }
                | if lossy { abi::SUB_LOSSY } else { 0 }
                | if from_fd { abi::SUB_FROM_FD } else { 0 },
        }
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let of = self.pick();

        Some(match self.rng.random_range(0..1000) {
            0..340 => self.send(),
            340..600 => self.receive(),
            600..680 => self.attach(),
            680..702 => Step::Detach { of },
            702..706 => Step::Expel { whom: of },
            706..710 => Step::SetMode {
                of,
                mode: if self.one_in(2) { 0o666 } else { 0 },
            },
            710..725 => self.create(),
            725..731 => Step::Destroy { of },
            731..790 => Step::Multishot { by: of },
            790..830 => Step::Poll {
                on: of,
                ms: self.rng.random_range(0..3),
            },
            830..850 => Step::Map { of },
            850..865 => Step::Unmap,
            865..940 => Step::Reap {
                ms: self.rng.random_range(0..4),
            },
            940..970 => Step::CancelOne { of },
            970..985 => Step::CancelAll,
            985..996 => Step::Fork {
                of,
                ms: self.rng.random_range(0..300),
                exec: self.one_in(4),
            },
            _ => Step::Exec,
        })
    }
}

/// When the supervisor kills whom.
pub struct Kills {
    rng: ChaCha8Rng,
    slots: usize,
}

impl Kills {
    pub fn new(seed: u64, slots: usize) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            slots,
        }
    }
}

impl Iterator for Kills {
    /// How long after the last one, and which slot's process.
    type Item = (Duration, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let pause = Duration::from_millis(self.rng.random_range(50..800));

        Some((pause, self.rng.random_range(0..self.slots)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(seed: u64, slot: usize, life: u32) -> Vec<Step> {
        Plan::new(seed, slot, life).take(500).collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        let kills = |seed| Kills::new(seed, 8).take(50).collect::<Vec<_>>();

        assert_eq!(steps(1, 2, 3), steps(1, 2, 3));
        assert_ne!(steps(1, 2, 3), steps(2, 2, 3));
        assert_ne!(steps(1, 2, 3), steps(1, 3, 3));
        assert_ne!(steps(1, 2, 3), steps(1, 2, 4));
        assert_eq!(kills(7), kills(7));
        assert_ne!(kills(7), kills(8));
    }

    #[test]
    fn everything_happens() {
        let mut kinds: Vec<_> = Plan::new(0, 0, 0)
            .take(5000)
            .map(|step| std::mem::discriminant(&step))
            .collect();

        kinds.sort_by_key(|kind| format!("{kind:?}"));
        kinds.dedup();
        assert_eq!(kinds.len(), 17);
    }
}
