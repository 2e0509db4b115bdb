// SPDX-License-Identifier: GPL-2.0

//! Requests that wait, between threads and between processes.

use super::requests::{join, next, next_fails, number_of, quiet, recv_number, recv_waiting};
use super::requests::{results, send_number, send_waiting, spawn_sender, through_workers, Rings};
use super::{expect_numbers, of_kind, send_numbers, some_key, Cases};
use crate::harness::same;
use crate::helper::Helper;
use anyhow::{ensure, Result};
use io_uring_ipc::{abi, ChannelConfig, InFlight, Kind, Request, Ring, Setup, ENDED};
use std::collections::HashMap;
use std::thread;

pub const CASES: Cases = &[
    ("wait_small_ring", wait_small_ring),
    ("wait_ping_pong", wait_ping_pong),
    ("wait_many_senders", wait_many_senders),
    ("wait_workers", wait_workers),
    ("wait_across_processes", wait_across_processes),
    ("wait_process_killed", wait_process_killed),
    ("wait_process_killed_sending", wait_process_killed_sending),
];

/// Thousands of messages through a ring of two, both sides waiting.
fn wait_small_ring(setup: Setup) -> Result<()> {
    let count = setup.share(3000);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 2,
            ..of_kind(kind)
        })?;
        let receiver = channel.attach(abi::SUB_RECV)?;

        thread::scope(|scope| {
            let sender = spawn_sender(scope, setup, channel.id(), count);

            recv_waiting(&mut InFlight::new(&ring)?, receiver.id(), 0..count)?;
            join(sender)
        })?;
    }
    Ok(())
}

/// There and back, each side waiting for the other.
fn wait_ping_pong(setup: Setup) -> Result<()> {
    let count = setup.share(1000);
    let ring = Ring::new(setup)?;
    let there = ring.create(&ChannelConfig::default())?;
    let back = ring.create(&ChannelConfig::default())?;
    let sender = there.attach(abi::SUB_SEND)?;
    let receiver = back.attach(abi::SUB_RECV)?;
    let (there, back) = (there.id(), back.id());

    thread::scope(|scope| {
        let other = scope.spawn(move || -> Result<()> {
            let ring = Ring::new(setup)?;
            let receiver = ring.attach(there, abi::SUB_RECV)?;
            let sender = ring.attach(back, abi::SUB_SEND)?;
            let mut requests = InFlight::new(&ring)?;

            for number in 0..count {
                recv_waiting(&mut requests, receiver.id(), number..number + 1)?;
                send_waiting(&mut requests, sender.id(), number..number + 1)?;
            }
            Ok(())
        });
        let mut requests = InFlight::new(&ring)?;

        for number in 0..count {
            send_waiting(&mut requests, sender.id(), number..number + 1)?;
            recv_waiting(&mut requests, receiver.id(), number..number + 1)?;
        }
        join(other)
    })
}

/// Each sender's messages keep their order, whoever else waits for room.
fn wait_many_senders(setup: Setup) -> Result<()> {
    const SENDERS: usize = 4;
    let each = setup.share(500);
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 2,
        ..ChannelConfig::default()
    })?;
    let receiver = channel.attach(abi::SUB_RECV)?;

    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| spawn_sender(scope, setup, channel.id(), each))
            .collect();
        let mut requests = InFlight::new(&ring)?;
        let mut next_of = HashMap::new();
        let len = size_of::<abi::MsgHdr>() + 8;

        for _ in 0..SENDERS as u64 * each {
            let flags = abi::RECV_WAIT | abi::RECV_HDR;

            requests.start([Request::recv(receiver.id(), len).with(flags)])?;
            let done = next(&mut requests)?;
            done.completion().result()?;
            let (header, _) = done.message()?;
            let expected = next_of.entry(header.sender_id).or_insert(0);

            same("message of a sender", header.sender_data, *expected)?;
            *expected += 1;
        }
        ensure!(
            next_of.len() == SENDERS && next_of.values().all(|&count| count == each),
            "messages of each sender: {next_of:?}"
        );
        senders.into_iter().try_for_each(join)
    })
}

/// Several receivers wait on one channel: each message reaches one of them.
fn wait_workers(setup: Setup) -> Result<()> {
    for kind in [Kind::Unicast, Kind::Multicast] {
        through_workers(setup, kind, setup.share(3000), work)?;
    }
    Ok(())
}

/// Receives until the channel ends.
fn work(requests: &mut InFlight<'_>, receiver: u32) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();

    loop {
        requests.start([recv_number(receiver)])?;
        let done = next(requests)?;

        if done.completion().res == -ENDED {
            return Ok(numbers);
        }
        numbers.push(number_of(&done)?);
    }
}

/// A channel for two with a key.
fn keyed(kind: Kind) -> ChannelConfig {
    ChannelConfig {
        entries: 2,
        key: some_key(1),
        ..of_kind(kind)
    }
}

/// Another process sends and waits for room.
fn wait_across_processes(setup: Setup) -> Result<()> {
    let count = setup.share(2000);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&keyed(kind))?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let other = Helper::start(setup, "feed", &[some_key(1), count])?;

        recv_waiting(&mut InFlight::new(&ring)?, receiver.id(), 0..count)?;
        other.finish()?;
    }
    Ok(())
}

/// A process that ends while its receive waits takes no message with it.
fn wait_process_killed(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&keyed(kind))?;
        let both = channel.attach(abi::SUB_BOTH)?;
        let mut other = Helper::start(setup, "recv_forever", &[some_key(1)])?;

        same("helper", other.line()?, "waiting".into())?;
        drop(other);
        send_numbers(&both, 0..2)?;
        expect_numbers(&both, 0..2)?;

        // Nor does it hold up those who send: it is no receiver any more.
        send_numbers(&both, 2..4)?;
        expect_numbers(&both, 2..4)?;
    }
    Ok(())
}

/// What a process was waiting to send is never sent when it is gone, and others
/// who wait get the room.
fn wait_process_killed_sending(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (channel, receiver, sender, mut requests) = rings.sending(&keyed(kind))?;

        send_waiting(&mut requests, sender.id(), 0..2)?;
        let mut other = Helper::start(setup, "send_forever", &[some_key(1)])?;
        same("helper", other.line()?, "waiting".into())?;
        requests.start([send_number(sender.id(), 2)])?;
        quiet(&mut requests)?;
        drop(other);
        quiet(&mut requests)?;

        same("number", super::recv_number(&receiver)?, 0)?;
        same("sent", results(&mut requests, 1)?, vec![(2, 8)])?;
        expect_numbers(&receiver, 1..3)?;

        channel.destroy()?;
        requests.start([send_number(sender.id(), 3)])?;
        next_fails(&mut requests, 3, ENDED)?;
    }
    Ok(())
}
