// SPDX-License-Identifier: GPL-2.0

//! What the processes of a run tell each other, in memory they share.

use crate::clock::now_ns;
use crate::shared::{futex_wait, futex_wake, Plain, Shared};
use crate::work::Fanout;
use anyhow::Result;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What all use, on a cache line of its own.
#[repr(C, align(128))]
struct Common {
    /// Messages after which a round is over: of each receiver, or of all
    /// together for [`Fanout::Any`]. From the first round on.
    target: AtomicU64,
    /// Whether all bytes of the round's messages are what they should be, and not
    /// their numbers alone.
    whole: AtomicU32,
    /// Messages of all receivers, for [`Fanout::Any`].
    total: AtomicU64,
    /// Receivers ready to receive.
    ready: AtomicU32,
    /// How often a receiver has come to the end of a round.
    done: AtomicU32,
}

/// A receiver's own.
#[repr(C, align(128))]
struct Place {
    /// Messages so far.
    count: AtomicU64,
    /// When the last round was over for it.
    end_ns: AtomicU64,
    /// Sum of the numbers of its messages.
    sum: AtomicU64,
    /// Sum of their squares.
    squares: AtomicU64,
    /// Messages that were not what they should be.
    bad: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Plain for Common {}
// SAFETY: atomics only.
unsafe impl Plain for Place {}

/// Where receivers say how far they are, and senders when a round is over.
pub struct Board {
    common: Shared<Common>,
    places: Shared<Place>,
    fanout: Fanout,
}

/// What a receiver has to say after some messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Messages so far.
    pub count: u64,
    /// Of which since it spoke last.
    pub new: u64,
    /// Sum of the numbers of all.
    pub sum: u64,
    /// Sum of the squares of those.
    pub squares: u64,
}

impl Board {
    /// A board for so many receivers.
    pub fn new(receivers: usize, fanout: Fanout) -> Result<Self> {
        let board = Self {
            common: Shared::new(1)?,
            places: Shared::new(receivers)?,
            fanout,
        };

        board.common[0].target.store(u64::MAX, Ordering::Relaxed);
        Ok(board)
    }

    /// A receiver is about to receive.
    pub fn ready(&self) {
        self.common[0].ready.fetch_add(1, Ordering::Release);
        futex_wake(&self.common[0].ready);
    }

    /// Waits until all receivers are ready.
    pub fn wait_ready(&self) {
        loop {
            match self.common[0].ready.load(Ordering::Acquire) {
                ready if ready as usize >= self.places.len() => return,
                ready => futex_wait(&self.common[0].ready, ready),
            }
        }
    }

    /// A receiver is that far.
    #[inline]
    pub fn publish(&self, index: usize, progress: Progress) {
        let common = &self.common[0];
        let place = &self.places[index];

        place.sum.store(progress.sum, Ordering::Relaxed);
        place.squares.store(progress.squares, Ordering::Relaxed);
        place.count.store(progress.count, Ordering::Release);
        let reached = match self.fanout {
            Fanout::One | Fanout::Each => progress.count,
            Fanout::Any => common.total.fetch_add(progress.new, Ordering::AcqRel) + progress.new,
        };

        if reached == common.target.load(Ordering::Acquire) {
            place.end_ns.store(now_ns(), Ordering::Relaxed);
            let done = common.done.fetch_add(1, Ordering::AcqRel) + 1;
            if done == self.ends() {
                futex_wake(&common.done);
            }
        }
    }

    /// A receiver has got what it should not have.
    pub fn blame(&self, index: usize) {
        self.places[index].bad.fetch_add(1, Ordering::Relaxed);
    }

    /// How many receivers come to the end of a round.
    fn ends(&self) -> u32 {
        match self.fanout {
            Fanout::One | Fanout::Each => self.places.len() as u32,
            Fanout::Any => 1,
        }
    }

    /// A round begins, at whose end so many messages have been sent in all. Its
    /// messages are `whole`, or their numbers alone are what they should be.
    pub fn begin(&self, target: u64, whole: bool) {
        let common = &self.common[0];

        common.done.store(0, Ordering::Relaxed);
        common.whole.store(whole.into(), Ordering::Relaxed);
        common.target.store(target, Ordering::Release);
    }

    /// Whether the messages of this round are whole, and the number of the first
    /// message of the next.
    pub fn round(&self) -> (bool, u64) {
        let common = &self.common[0];
        let target = common.target.load(Ordering::Acquire);

        (common.whole.load(Ordering::Relaxed) != 0, target)
    }

    /// Sleeps until the round is over for all; when it was for the last.
    pub fn wait_end(&self) -> u64 {
        let done = &self.common[0].done;

        loop {
            match done.load(Ordering::Acquire) {
                now if now >= self.ends() => break,
                now => futex_wait(done, now),
            }
        }
        self.places
            .iter()
            .map(|place| place.end_ns.load(Ordering::Relaxed))
            .max()
            .unwrap_or(0)
    }

    /// Whether what was received is what was sent: the numbers 0 to `sent` - 1,
    /// each as often as it has to be. Says what is wrong.
    pub fn mismatch(&self, sent: u64) -> Option<String> {
        let sum = |field: fn(&Place) -> &AtomicU64| {
            self.places.iter().fold(0u64, |sum, place| {
                sum.wrapping_add(field(place).load(Ordering::Acquire))
            })
        };
        let copies = match self.fanout {
            Fanout::One | Fanout::Each => self.places.len() as u64,
            Fanout::Any => 1,
        };
        let numbers = (0..sent).fold(0u64, u64::wrapping_add);
        let squares = (0..sent).fold(0u64, |sum, n| sum.wrapping_add(n.wrapping_mul(n)));

        for (what, found, expected) in [
            ("messages with wrong content or order", sum(|p| &p.bad), 0),
            ("messages received", sum(|p| &p.count), sent * copies),
            (
                "sum of the messages' numbers",
                sum(|p| &p.sum),
                numbers.wrapping_mul(copies),
            ),
            (
                "sum of their squares",
                sum(|p| &p.squares),
                squares.wrapping_mul(copies),
            ),
        ] {
            if found != expected {
                return Some(format!("{what}: {found}, expected {expected}"));
            }
        }
        None
    }
}
