// SPDX-License-Identifier: GPL-2.0

//! Latency of messages sent at a steady rate, one way.
//!
//! A message's age counts from when it should have been sent, so that a sender
//! that is held up does not hide how long its messages were late.

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

/// Messages before any is timed, all of whose bytes are compared.
const WARM_UP: u64 = 100;
/// As many afterwards.
const COOL_DOWN: u64 = 16;

/// Sends `count` messages, one every `interval_ns`, and gives the age in
/// nanoseconds at which each was received. The sender spins between messages.
pub fn rated(
    kind: Kind,
    work: &Work,
    place: &Placement,
    count: u64,
    interval_ns: u64,
) -> Result<Vec<u64>> {
    let board = Board::new(work.receivers, work.fanout)?;
    let timed = WARM_UP + count;
    let last = timed + COOL_DOWN;
    let ages: Shared<AtomicU64> = Shared::new(timed as usize)?;
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

        board.wait_ready();
        for (whole, first, end) in [
            (true, 0, WARM_UP),
            (false, WARM_UP, timed),
            (true, timed, last),
        ] {
            board.begin(end, whole);
            sleep_us(3000);
            let start = now_ns() + interval_ns;
            for number in first..end {
                let due = start + (number - first) * interval_ns;

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
            }
            board.wait_end();
        }
        Ok(())
    })?;
    processes.wait_for("sender")?;
    drop(processes);

    if let Some(mismatch) = board.mismatch(last) {
        bail!("wrong result: {mismatch}");
    }
    Ok(ages[WARM_UP as usize..]
        .iter()
        .map(|age| age.load(Ordering::Relaxed))
        .collect())
}
