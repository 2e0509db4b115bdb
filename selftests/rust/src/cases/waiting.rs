// SPDX-License-Identifier: GPL-2.0

//! Requests that wait for a message or for room, and get it.

use super::requests::{next, next_fails, number_of, quiet, recv_number, results};
use super::requests::{send_number, Rings};
use super::{expect_empty, expect_numbers, of_kind, send_numbers, Cases};
use crate::harness::{fails, same};
use anyhow::Result;
use io_uring_ipc::{abi, ChannelConfig, InFlight, Kind, Message, Request, Ring, Setup};
use io_uring_ipc::{EMPTY, FULL};

pub const CASES: Cases = &[
    ("recv_wait", recv_wait),
    ("recv_wait_several", recv_wait_several),
    ("recv_wait_by_worker", recv_wait_by_worker),
    ("recv_wait_without_file", recv_wait_without_file),
    ("send_wait", send_wait),
    ("send_wait_for_slowest", send_wait_for_slowest),
    ("send_wait_by_worker", send_wait_by_worker),
    ("send_wait_by_channel_id", send_wait_by_channel_id),
    ("send_wait_keeps_order", send_wait_keeps_order),
    ("send_wait_not_overtaken", send_wait_not_overtaken),
    ("wait_on_one_ring", wait_on_one_ring),
];

/// A channel for two messages.
pub fn for_two(kind: Kind) -> ChannelConfig {
    ChannelConfig {
        entries: 2,
        ..of_kind(kind)
    }
}

fn recv_wait(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;

        // Who does not want to wait does not.
        requests.start([Request::recv(receiver.id(), 8).user_data(1)])?;
        next_fails(&mut requests, 1, EMPTY)?;

        for number in 0..5 {
            requests.start([recv_number(receiver.id())])?;
            quiet(&mut requests)?;
            send_numbers(&sender, [number])?;
            same("number", number_of(&next(&mut requests)?)?, number)?;
        }

        // Nor does one for whom there is a message.
        send_numbers(&sender, [5, 6])?;
        for number in 5..7 {
            requests.start([recv_number(receiver.id())])?;
            same("number", number_of(&next(&mut requests)?)?, number)?;
        }
        drop(requests);
        expect_empty(&receiver)?;
    }
    Ok(())
}

/// As many messages as there are requests waiting: each gets one.
fn recv_wait_several(setup: Setup) -> Result<()> {
    const COUNT: u64 = 8;

    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;

        requests.start((0..COUNT).map(|number| recv_number(receiver.id()).user_data(number)))?;
        quiet(&mut requests)?;
        send_numbers(&sender, 0..COUNT)?;

        let mut numbers = (0..COUNT)
            .map(|_| number_of(&next(&mut requests)?))
            .collect::<Result<Vec<_>>>()?;
        numbers.sort_unstable();
        same("numbers", numbers, (0..COUNT).collect())?;
        same("still waiting", requests.running(), 0)?;
    }
    Ok(())
}

/// Started by a worker thread of the kernel, it waits all the same.
fn recv_wait_by_worker(setup: Setup) -> Result<()> {
    let rings = Rings::new(setup)?;
    let (_channel, sender, receiver, mut requests) = rings.receiving(&ChannelConfig::default())?;

    for number in 0..5 {
        requests.start([recv_number(receiver.id()).by_worker()])?;
        quiet(&mut requests)?;
        send_numbers(&sender, [number])?;
        same("number", number_of(&next(&mut requests)?)?, number)?;
    }
    requests.start([Request::recv(receiver.id(), 8).by_worker().user_data(1)])?;
    next_fails(&mut requests, 1, EMPTY)
}

/// Closing `channel_fd` neither ends a wait nor keeps others from starting.
fn recv_wait_without_file(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channel = elsewhere.create(&ChannelConfig::default())?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let mut attach = abi::ChannelAttach {
        channel_id: channel.id(),
        flags: abi::SUB_RECV,
        ..Default::default()
    };

    ring.register_attach(&mut attach)?;
    let receiver = attach.local_id_out;
    let mut requests = InFlight::new(&ring)?;
    requests.start([recv_number(receiver)])?;
    // SAFETY: the file descriptor is new, and known here only.
    same("close", unsafe { libc::close(attach.channel_fd) }, 0)?;
    quiet(&mut requests)?;
    send_numbers(&sender, [1])?;
    same("number", number_of(&next(&mut requests)?)?, 1)?;

    requests.start([recv_number(receiver)])?;
    quiet(&mut requests)?;
    send_numbers(&sender, [2])?;
    same("number", number_of(&next(&mut requests)?)?, 2)?;

    requests.start([recv_number(receiver).user_data(7)])?;
    quiet(&mut requests)?;
    ring.register_detach(receiver)?;
    next_fails(&mut requests, 7, libc::ENOENT)
}

/// Starts sends to a channel for two: the first go through, the third waits.
pub fn fill_and_wait(requests: &mut InFlight<'_>, sender: u32) -> Result<()> {
    requests.start((0..2).map(|number| send_number(sender, number)))?;
    same("sent", results(requests, 2)?, vec![(0, 8), (1, 8)])?;

    requests.start([send_number(sender, 2)])?;
    quiet(requests)
}

fn send_wait(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, receiver, sender, mut requests) = rings.sending(&for_two(kind))?;

        fill_and_wait(&mut requests, sender.id())?;
        for number in 0..5 {
            same("number", super::recv_number(&receiver)?, number)?;
            same("sent", results(&mut requests, 1)?, vec![(number + 2, 8)])?;
            requests.start([send_number(sender.id(), number + 3)])?;
            quiet(&mut requests)?;
        }

        // The last one makes it a message too many.
        same("number", super::recv_number(&receiver)?, 5)?;
        same("sent", results(&mut requests, 1)?, vec![(7, 8)])?;
        drop(requests);
        fails("one too many", sender.send(Message::new(b"x")), FULL)?;
        expect_numbers(&receiver, 6..8)?;
    }
    Ok(())
}

/// On a broadcast channel there is room when all receivers have made it.
fn send_wait_for_slowest(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channel = elsewhere.create(&for_two(Kind::Broadcast))?;
    let fast = channel.attach(abi::SUB_RECV)?;
    let slow = channel.attach(abi::SUB_RECV)?;
    let sender = ring.attach(channel.id(), abi::SUB_SEND)?;
    let mut requests = InFlight::new(&ring)?;

    fill_and_wait(&mut requests, sender.id())?;
    expect_numbers(&fast, 0..2)?;
    quiet(&mut requests)?;
    same("number", super::recv_number(&slow)?, 0)?;
    same("sent", results(&mut requests, 1)?, vec![(2, 8)])?;

    // One that leaves makes room too.
    requests.start([send_number(sender.id(), 3)])?;
    expect_numbers(&fast, [2])?;
    quiet(&mut requests)?;
    slow.detach()?;
    same("sent", results(&mut requests, 1)?, vec![(3, 8)])?;
    expect_numbers(&fast, [3])
}

fn send_wait_by_worker(setup: Setup) -> Result<()> {
    let rings = Rings::new(setup)?;
    let (channel, receiver, sender, mut requests) = rings.sending(&for_two(Kind::Unicast))?;

    send_numbers(&channel.attach(abi::SUB_SEND)?, 0..2)?;
    requests.start([send_number(sender.id(), 2).by_worker()])?;
    quiet(&mut requests)?;
    same("number", super::recv_number(&receiver)?, 0)?;
    same("sent", results(&mut requests, 1)?, vec![(2, 8)])?;
    expect_numbers(&receiver, 1..3)
}

fn send_wait_by_channel_id(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channel = elsewhere.create(&for_two(Kind::Unicast))?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let mut requests = InFlight::new(&ring)?;

    fill_and_wait(&mut requests, channel.id())?;
    same("number", super::recv_number(&receiver)?, 0)?;
    same("sent", results(&mut requests, 1)?, vec![(2, 8)])?;
    expect_numbers(&receiver, 1..3)
}

/// Many wait at once, and their messages come in the order of the requests.
fn send_wait_keeps_order(setup: Setup) -> Result<()> {
    const COUNT: u64 = 24;

    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, receiver, sender, mut requests) = rings.sending(&for_two(kind))?;

        requests.start((0..COUNT).map(|number| send_number(sender.id(), number)))?;
        same("sent", results(&mut requests, 2)?, vec![(0, 8), (1, 8)])?;
        for number in 0..COUNT {
            same("number", super::recv_number(&receiver)?, number)?;
            if number + 2 < COUNT {
                same("sent", results(&mut requests, 1)?, vec![(number + 2, 8)])?;
            }
        }
        expect_empty(&receiver)?;
    }
    Ok(())
}

/// While a send waits, those after it that do not wait fail.
fn send_wait_not_overtaken(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, receiver, sender, mut requests) = rings.sending(&for_two(kind))?;

        fill_and_wait(&mut requests, sender.id())?;
        requests.start([Request::send(sender.id(), b"hurry").user_data(9)])?;
        next_fails(&mut requests, 9, FULL)?;
        same("number", super::recv_number(&receiver)?, 0)?;
        same("sent", results(&mut requests, 1)?, vec![(2, 8)])?;
        expect_numbers(&receiver, 1..3)?;

        // Nobody waits any more.
        requests.start([Request::send(sender.id(), &9_u64.to_ne_bytes()).user_data(9)])?;
        same("sent", results(&mut requests, 1)?, vec![(9, 8)])?;
        expect_numbers(&receiver, [9])?;
    }
    Ok(())
}

/// Both sides wait on the same ring, and complete each other.
fn wait_on_one_ring(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&for_two(kind))?;
        let both = channel.attach(abi::SUB_BOTH)?;
        let mut requests = InFlight::new(&ring)?;
        let recv = |number| recv_number(both.id()).user_data(number);

        requests.start([recv(100)])?;
        quiet(&mut requests)?;
        requests.start([send_number(both.id(), 0)])?;
        same("done", results(&mut requests, 2)?, vec![(0, 8), (100, 8)])?;

        fill_and_wait(&mut requests, both.id())?;
        requests.start([recv(100), recv(101), recv(102)])?;
        same(
            "done",
            results(&mut requests, 4)?,
            vec![(2, 8), (100, 8), (101, 8), (102, 8)],
        )?;
    }
    Ok(())
}
