// SPDX-License-Identifier: GPL-2.0

//! Latency of messages sent at a steady rate, one way.
//!
//! A message's age counts from when it should have been sent, so that a sender
//! that is held up does not hide how long its messages were late. One that cannot
//! send so fast at all falls behind for as long as it tries, and then ages say no
//! more than how long that was.

use crate::board::Board;
use crate::clock::{now_ns, sleep_us};
use crate::cpu::Placement;
use crate::outbox::Outbox;
use crate::processes::Processes;
use crate::shared::Shared;
use crate::sink::Sink;
use crate::transport::Kind;
use crate::work::Work;
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Messages before any is timed, all of whose bytes are compared.
const WARM_UP: u64 = 100;
/// As many afterwards.
const COOL_DOWN: u64 = 16;
/// Who is so many nanoseconds behind does not catch up.
const HOPELESS: u64 = 1_000_000_000;

/// What was measured.
pub struct Rated {
    /// The share of the rate at which messages were sent, 1 at most.
    pub reached: f64,
    /// The age in nanoseconds at which each was received.
    pub ages: Vec<u64>,
}

impl Rated {
    /// The share of its rate that is enough for ages to be the transport's.
    pub const ENOUGH: f64 = 0.9;
}

/// How far behind a sender is.
#[derive(Default)]
struct Pace {
    /// The best share of the rate that it had in the second half: who was held up
    /// catches up, or had reached it before.
    best: f64,
}

impl Pace {
    /// A message was due after `due` nanoseconds of `all`, and sent by `behind` later:
    /// whether there is any use in going on.
    fn sent(&mut self, due: u64, behind: u64, all: u64) -> bool {
        let share = due as f64 / (due + behind) as f64;

        if behind > HOPELESS {
            self.best = share;
        } else if due > all / 2 {
            self.best = self.best.max(share);
        }
        behind <= HOPELESS
    }
}

/// Sends `count` messages, one every `interval_ns`. The sender spins between messages.
pub fn rated(
    kind: Kind,
    work: &Work,
    place: &Placement,
    count: u64,
    interval_ns: u64,
) -> Result<Rated> {
    let board = Board::new(work.receivers, work.fanout)?;
    let timed = WARM_UP + count;
    let last = timed + COOL_DOWN;
    let ages: Shared<AtomicU64> = Shared::new(timed as usize)?;
    // Whether all were sent, and the bits of what share of the rate that was.
    let outcome: Shared<AtomicU64> = Shared::new(2)?;
    let transport = kind.make(work)?;
    let mut processes = Processes::default();

    processes.start("receiver", place.receiver(0), || {
        let mut receiver = transport.receiver(0)?;
        let mut sink = Sink::new(&board, 0, work.size, work.fanout).ages(&ages);

        board.ready();
        loop {
            receiver.receive(&mut sink)?;
            sink.publish();
        }
    })?;
    processes.start("sender", place.sender(), || {
        let mut outbox = Outbox::new(1, work.size);
        let mut sender = transport.sender(&outbox)?;

        let mut pace = Pace::default();

        board.wait_ready();
        for (whole, first, end) in [
            (true, 0, WARM_UP),
            (false, WARM_UP, timed),
            (true, timed, last),
        ] {
            board.begin(end, whole);
            sleep_us(3000);
            let start = now_ns();
            for number in first..end {
                let due = start + (number - first + 1) * interval_ns;

                while now_ns() < due {
                    std::hint::spin_loop();
                }
                if whole {
                    outbox.fill(number);
                } else {
                    outbox.number(number);
                    outbox.stamp(0, due);
                }
                sender.send(&outbox, 1)?;
                let behind = now_ns().saturating_sub(due);
                if !whole && !pace.sent(due - start, behind, count * interval_ns) {
                    outcome[1].store(pace.best.to_bits(), Ordering::Relaxed);
                    return Ok(());
                }
            }
            board.wait_end();
        }
        outcome[0].store(1, Ordering::Relaxed);
        outcome[1].store(pace.best.to_bits(), Ordering::Relaxed);
        Ok(())
    })?;
    processes.wait_for("sender", Duration::from_nanos(interval_ns * last))?;
    drop(processes);

    let [whole, reached] = [0, 1].map(|index| outcome[index].load(Ordering::Relaxed));
    let reached = f64::from_bits(reached);
    if whole == 0 {
        return Ok(Rated {
            reached,
            ages: Vec::new(),
        });
    }
    if let Some(mismatch) = board.mismatch(last) {
        bail!("wrong result: {mismatch}");
    }
    Ok(Rated {
        reached,
        ages: ages[WARM_UP as usize..]
            .iter()
            .map(|age| age.load(Ordering::Relaxed))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// What is reached of one message every millisecond for 100, each late by this.
    fn reached(behind: impl Fn(u64) -> u64) -> f64 {
        let mut pace = Pace::default();

        for due in 1..=100 {
            if !pace.sent(due * MS, behind(due), 100 * MS) {
                break;
            }
        }
        pace.best
    }

    #[test]
    fn who_keeps_up() {
        assert!(reached(|_| MS / 10) > 0.99);
        // Held up at the end, or in the middle.
        assert!(reached(|due| if due > 80 { 30 * MS } else { 0 }) > Rated::ENOUGH);
        assert!(reached(|due| if due < 80 { 30 * MS } else { 0 }) > Rated::ENOUGH);
    }

    #[test]
    fn who_falls_behind() {
        let slow = reached(|due| due * MS);
        assert!((0.49..0.51).contains(&slow), "{slow}");
        // Given up before the second half.
        let slower = reached(|due| due * 30 * MS);
        assert!((0.03..0.04).contains(&slower), "{slower}");
    }
}
