// SPDX-License-Identifier: GPL-2.0

//! Multishot receives of many messages, from other threads and processes.

use super::requests::{join, number_of, quiet, spawn_sender, through_workers, Multishot};
use super::{of_kind, some_key, Cases};
use crate::harness::same;
use crate::helper::Helper;
use anyhow::Result;
use io_uring_ipc::{abi, ChannelConfig, InFlight, Kind, Ring, Setup, ENDED};
use std::thread;

pub const CASES: Cases = &[
    ("multishot_small_ring", multishot_small_ring),
    ("multishot_workers", multishot_workers),
    ("multishot_across_processes", multishot_across_processes),
];

/// Receives numbers with one multishot request, started again where it has to.
fn recv_multishot(ring: &Ring, receiver: u32, count: u64) -> Result<()> {
    let mut requests = InFlight::new(ring)?;
    let group = requests.provide(8, 16)?;
    let mut multishot = Multishot::start(&mut requests, receiver, group, 0)?;

    for number in 0..count {
        let done = multishot.next(&mut requests)?;

        same("number", number_of(&done)?, number)?;
    }
    quiet(&mut requests)
}

/// Thousands of messages through a ring of four, whose sender waits for room.
fn multishot_small_ring(setup: Setup) -> Result<()> {
    let count = setup.share(5000);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 4,
            ..of_kind(kind)
        })?;
        let receiver = channel.attach(abi::SUB_RECV)?;

        thread::scope(|scope| {
            let sender = spawn_sender(scope, setup, channel.id(), count);

            recv_multishot(&ring, receiver.id(), count)?;
            join(sender)
        })?;
    }
    Ok(())
}

/// Several receivers of one channel: each message reaches one of them.
fn multishot_workers(setup: Setup) -> Result<()> {
    for kind in [Kind::Unicast, Kind::Multicast] {
        through_workers(setup, kind, setup.share(5000), work)?;
    }
    Ok(())
}

/// Receives until the channel ends.
fn work(requests: &mut InFlight<'_>, receiver: u32) -> Result<Vec<u64>> {
    let group = requests.provide(4, 8)?;
    let mut multishot = Multishot::start(requests, receiver, group, 0)?;
    let mut numbers = Vec::new();

    loop {
        let done = multishot.next(requests)?;

        if done.completion().res == -ENDED {
            return Ok(numbers);
        }
        numbers.push(number_of(&done)?);
    }
}

fn multishot_across_processes(setup: Setup) -> Result<()> {
    let count = setup.share(3000);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 4,
            key: some_key(1),
            ..of_kind(kind)
        })?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let other = Helper::start(setup, "feed", &[some_key(1), count])?;

        recv_multishot(&ring, receiver.id(), count)?;
        other.finish()?;
    }
    Ok(())
}
