// SPDX-License-Identifier: GPL-2.0

//! Throughput: a sender sends as fast as it can, receivers receive.

use crate::board::Board;
use crate::clock::{now_ns, sleep_us};
use crate::cpu::Placement;
use crate::mark;
use crate::outbox::Outbox;
use crate::payload;
use crate::processes::Processes;
use crate::shared::Shared;
use crate::sink::Sink;
use crate::stat::Stat;
use crate::transport::{Kind, Sender, Transport};
use crate::work::Work;
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds that count.
    pub rounds: usize,
    /// How long a round should take, in nanoseconds of the clock.
    pub round_ns: u64,
}

impl Effort {
    /// How long all rounds should take.
    fn length(self) -> Duration {
        Duration::from_nanos(self.round_ns.saturating_mul(self.rounds as u64))
    }
}

/// Messages that show how many make a round.
const TRIED: usize = 256;
/// A round is at least so many full rings, so that how fast a sender is depends
/// on its receivers, and not on what there was room for at first.
const FULL_RINGS: usize = 4;
/// A round that takes so many times as long as it should is the last one: it is
/// long enough to say something.
const LONG: f64 = 20.0;
/// Most messages in a round.
const MOST: u64 = 4_000_000;
/// Time for receivers to go to sleep before a round, in microseconds.
const SETTLE_US: u64 = 3000;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Messages of a round.
    pub messages: u64,
    /// Nanoseconds for a message until the sender was done.
    pub sender: Stat,
    /// Nanoseconds for a message until the last receiver was done.
    pub total: Stat,
}

/// Does the work and measures it. Fails where anything that was received is not
/// what was sent.
pub fn flood(kind: Kind, work: &Work, place: &Placement, effort: Effort) -> Result<Flood> {
    let size = match kind {
        Kind::MsgRing => payload::NUMBER,
        _ => work.size,
    };
    let board = Board::new(work.receivers, work.fanout)?;
    // Messages of a round, messages in all, then sender's and total time of each
    // round that there is.
    let results: Shared<AtomicU64> = Shared::new(2 + 2 * effort.rounds)?;
    let transport = kind.make(work)?;
    // All bytes of these are compared, before anything is timed and when all has
    // been: the ring is full once.
    let verified = work.entries().next_multiple_of(work.batch) as u64;
    let mut processes = Processes::default();

    for index in 0..work.receivers {
        processes.start(&format!("receiver {index}"), place.receiver(index), || {
            receive(&*transport, &board, index, size, work)
        })?;
    }
    processes.start("sender", place.sender(), || {
        let outbox = Outbox::new(work.batch, size);
        let sender = transport.sender(&outbox)?;
        let mut rounds = Rounds {
            board: &board,
            sender,
            outbox,
            sent: 0,
        };

        board.wait_ready();
        rounds.run(verified, true)?;
        let tried = TRIED.min(work.entries()).next_multiple_of(work.batch) as u64;
        let (_, trial) = rounds.run(tried, false)?;
        let each = trial as f64 / tried as f64;
        let round_ns = effort.round_ns as f64;
        let least = (FULL_RINGS * work.entries()) as u64;
        let messages = ((round_ns / each) as u64)
            .clamp(least, MOST)
            .next_multiple_of(work.batch as u64);

        for round in 0..effort.rounds {
            let (sent, total) = rounds.run(messages, false)?;
            results[2 + 2 * round].store(sent, Ordering::Relaxed);
            results[3 + 2 * round].store(total, Ordering::Relaxed);
            // What was tried may have been faster: it did not fill the ring.
            if total as f64 > LONG * round_ns {
                break;
            }
        }
        rounds.run(verified, true)?;
        results[0].store(messages, Ordering::Relaxed);
        results[1].store(rounds.sent, Ordering::Relaxed);
        Ok(())
    })?;
    processes.wait_for("sender", effort.length())?;
    drop(processes);

    if let Some(mismatch) = board.mismatch(results[1].load(Ordering::Relaxed)) {
        bail!("wrong result: {mismatch}");
    }
    let messages = results[0].load(Ordering::Relaxed);
    let column = |first: usize| {
        results[first..]
            .iter()
            .step_by(2)
            .map(|ns| ns.load(Ordering::Relaxed))
            .filter(|&ns| ns != 0)
            .map(|ns| ns as f64 / messages as f64)
            .collect()
    };
    Ok(Flood {
        messages,
        sender: Stat::new(column(2)),
        total: Stat::new(column(3)),
    })
}

fn receive(
    transport: &dyn Transport,
    board: &Board,
    index: usize,
    size: usize,
    work: &Work,
) -> Result<()> {
    let mut receiver = transport.receiver(index)?;
    let mut sink = Sink::new(board, index, size, work.fanout);

    board.ready();
    loop {
        receiver.receive(&mut sink)?;
        sink.publish();
    }
}

struct Rounds<'a> {
    board: &'a Board,
    sender: Box<dyn Sender + 'a>,
    outbox: Outbox,
    sent: u64,
}

impl Rounds<'_> {
    /// Sends so many messages and waits until they are received: how long it
    /// took to send them, and until the last receiver had its last.
    fn run(&mut self, messages: u64, whole: bool) -> Result<(u64, u64)> {
        let batch = self.outbox.batch();
        let last = self.sent + messages;

        self.board.begin(last, whole);
        sleep_us(SETTLE_US);
        let start = now_ns();
        if !whole {
            mark::begin();
        }
        while self.sent < last {
            if whole {
                self.outbox.fill(self.sent);
            } else {
                self.outbox.number(self.sent);
            }
            self.sender.send(&self.outbox, batch)?;
            self.sent += batch as u64;
        }
        let sent = now_ns();
        let end = self.board.wait_end();
        if !whole {
            mark::end();
        }

        Ok((sent - start, end.saturating_sub(start)))
    }
}
