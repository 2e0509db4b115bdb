// SPDX-License-Identifier: GPL-2.0

//! Latency of a message there and one back.

use crate::board::Board;
use crate::clock::{now_ns, sleep_us};
use crate::cpu::Placement;
use crate::mark;
use crate::outbox::Outbox;
use crate::payload;
use crate::processes::Processes;
use crate::shared::Shared;
use crate::sink::Sink;
use crate::transport::{duplex, Kind};
use crate::work::{Fanout, Work};
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Round trips before any is timed, all of whose bytes are compared.
const WARM_UP: u64 = 200;
/// As many afterwards.
const COOL_DOWN: u64 = 16;

/// What was measured.
pub struct PingPong {
    /// Nanoseconds of each round trip, if they were asked for.
    pub trips: Vec<u64>,
    /// Nanoseconds for a round trip, of all together.
    pub mean: f64,
}

/// Sends `trips` messages there and back, each when the last is back. `each`
/// times every one, which costs two looks at the clock.
pub fn ping_pong(
    kind: Kind,
    work: &Work,
    place: &Placement,
    trips: u64,
    each: bool,
) -> Result<PingPong> {
    let size = match kind {
        Kind::MsgRing => payload::NUMBER,
        _ => work.size,
    };
    let line = duplex(kind, work)?;
    let boards = [Board::new(1, Fanout::One)?, Board::new(1, Fanout::One)?];
    let samples: Shared<AtomicU64> = Shared::new(1 + if each { trips as usize } else { 0 })?;
    let timed = WARM_UP + trips;
    let last = timed + COOL_DOWN;
    let is_whole = |number| !(WARM_UP..timed).contains(&number);
    // Of both sides, when nothing is on its way.
    let begin = |end| {
        for board in &boards {
            board.begin(end, is_whole(end - 1));
        }
    };
    let mut processes = Processes::default();

    processes.start("server", place.receiver(0), || {
        let mut outbox = Outbox::new(1, size);
        let mut sink = Sink::new(&boards[1], 0, size, Fanout::One);
        let mut side = line.side(1, &outbox)?;

        boards[1].ready();
        side.exchange(&outbox, &mut sink, false, true)?;
        for number in 0..last {
            sink.publish();
            if is_whole(number) {
                outbox.fill(number);
            } else {
                outbox.number(number);
            }
            side.exchange(&outbox, &mut sink, true, number + 1 < last)?;
        }
        sink.publish();
        loop {
            sleep_us(1_000_000);
        }
    })?;
    processes.start("client", place.sender(), || {
        let mut outbox = Outbox::new(1, size);
        let mut sink = Sink::new(&boards[0], 0, size, Fanout::One);
        let mut side = line.side(0, &outbox)?;
        let mut begun = 0;

        boards[1].wait_ready();
        for number in 0..last {
            if is_whole(number) {
                outbox.fill(number);
            } else {
                outbox.number(number);
            }
            match number {
                0 => begin(WARM_UP),
                WARM_UP => {
                    begin(timed);
                    begun = now_ns();
                    mark::begin();
                }
                _ if number == timed => {
                    mark::end();
                    samples[0].store(now_ns() - begun, Ordering::Relaxed);
                    begin(last);
                }
                _ => {}
            }
            if each && !is_whole(number) {
                let start = now_ns();
                side.exchange(&outbox, &mut sink, true, true)?;
                let sample = &samples[1 + (number - WARM_UP) as usize];
                sample.store(now_ns() - start, Ordering::Relaxed);
            } else {
                side.exchange(&outbox, &mut sink, true, true)?;
            }
            sink.publish();
        }
        Ok(())
    })?;
    processes.wait_for("client", Duration::ZERO)?;
    drop(processes);

    for board in &boards {
        if let Some(mismatch) = board.mismatch(last) {
            bail!("wrong result: {mismatch}");
        }
    }
    Ok(PingPong {
        trips: samples[1..]
            .iter()
            .map(|ns| ns.load(Ordering::Relaxed))
            .collect(),
        mean: samples[0].load(Ordering::Relaxed) as f64 / trips as f64,
    })
}
