// SPDX-License-Identifier: GPL-2.0

//! What else ends the wait of a request: cancelling, time, the end of things.

use super::requests::{ends_with, next, next_fails, number_of, quiet, recv_number, results};
use super::requests::{send_number, Rings, A_WHILE, LIMIT};
use super::waiting::{fill_and_wait, for_two};
use super::{expect_empty, expect_numbers, send_numbers, Cases};
use crate::harness::same;
use anyhow::Result;
use io_uring_ipc::{abi, InFlight, Kind, Request, Ring, Setup, Subscriber, ENDED};
use std::time::Duration;

pub const CASES: Cases = &[
    ("wait_cancelled", wait_cancelled),
    ("wait_link_timeout", wait_link_timeout),
    ("wait_in_time", wait_in_time),
    ("wait_destroyed", wait_destroyed),
    ("wait_destroyed_drains", wait_destroyed_drains),
    ("wait_detached", wait_detached),
    ("wait_owner_gone", wait_owner_gone),
];

/// `user_data` of requests that are neither a message nor waiting.
const CANCEL: u64 = 1000;
const TIMEOUT: u64 = 1001;
/// `user_data` of what waits.
const WAITS: u64 = 7;

/// A receive that waits, and a send that does, with which a test then does
/// something.
fn both_waits(
    setup: Setup,
    test: impl Fn(&Ring, &Subscriber<'_>, Request) -> Result<()>,
) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let elsewhere = Ring::new(setup)?;
        let channel = elsewhere.create(&for_two(kind))?;
        let observer = channel.attach(abi::SUB_BOTH)?;
        let both = ring.attach(channel.id(), abi::SUB_BOTH)?;

        test(&ring, &both, recv_number(both.id()).user_data(WAITS))?;
        expect_empty(&observer)?;

        send_numbers(&observer, 0..2)?;
        test(&ring, &both, send_number(both.id(), WAITS))?;

        // Nothing is left of the request, and all works as before.
        expect_numbers(&observer, 0..2)?;
        if kind == Kind::Broadcast {
            expect_numbers(&both, 0..2)?;
        }
        send_numbers(&observer, [3])?;
        expect_numbers(&both, [3])?;
    }
    Ok(())
}

/// By its `user_data`.
fn wait_cancelled(setup: Setup) -> Result<()> {
    both_waits(setup, |ring, _, request| {
        let cancel = || Request::cancel(WAITS).user_data(CANCEL);
        let mut requests = InFlight::new(ring)?;

        requests.start([request])?;
        quiet(&mut requests)?;
        requests.start([cancel()])?;
        same(
            "cancelled",
            results(&mut requests, 2)?,
            vec![(WAITS, -libc::ECANCELED), (CANCEL, 0)],
        )?;
        requests.start([cancel()])?;
        next_fails(&mut requests, CANCEL, libc::ENOENT)
    })
}

/// A request, and the limit that is linked to it.
fn limited(request: Request, limit: Duration) -> [Request; 2] {
    [
        request.link(),
        Request::link_timeout(limit).user_data(TIMEOUT),
    ]
}

fn wait_link_timeout(setup: Setup) -> Result<()> {
    both_waits(setup, |ring, _, request| {
        let mut requests = InFlight::new(ring)?;

        requests.start(limited(request, A_WHILE))?;
        same(
            "over",
            results(&mut requests, 2)?,
            vec![(WAITS, -libc::ECANCELED), (TIMEOUT, -libc::ETIME)],
        )
    })
}

/// What the request waits for comes before the limit.
fn wait_in_time(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&for_two(kind))?;
        let waits = recv_number(receiver.id()).user_data(WAITS);
        let expected = vec![(WAITS, 8), (TIMEOUT, -libc::ECANCELED)];

        requests.start(limited(waits, 3 * LIMIT))?;
        quiet(&mut requests)?;
        send_numbers(&sender, [1])?;
        same("received", results(&mut requests, 2)?, expected)?;
    }
    Ok(())
}

/// The end of the channel ends both kinds of wait.
fn wait_destroyed(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let elsewhere = Ring::new(setup)?;
        let rings = [Ring::new(setup)?, Ring::new(setup)?];
        let empty = elsewhere.create(&for_two(kind))?;
        let full = elsewhere.create(&for_two(kind))?;
        let receiver = rings[0].attach(empty.id(), abi::SUB_RECV)?;
        let _holds = elsewhere.attach(full.id(), abi::SUB_RECV)?;
        let sender = rings[1].attach(full.id(), abi::SUB_SEND)?;
        let mut receives = InFlight::new(&rings[0])?;
        let mut sends = InFlight::new(&rings[1])?;

        receives.start([recv_number(receiver.id()).user_data(WAITS)])?;
        quiet(&mut receives)?;
        fill_and_wait(&mut sends, sender.id())?;

        empty.destroy()?;
        next_fails(&mut receives, WAITS, ENDED)?;
        quiet(&mut sends)?;
        full.destroy()?;
        next_fails(&mut sends, 2, ENDED)?;

        // Those that come later do not wait at all.
        receives.start([recv_number(receiver.id()).user_data(WAITS)])?;
        next_fails(&mut receives, WAITS, ENDED)?;
        sends.start([send_number(sender.id(), 3)])?;
        next_fails(&mut sends, 3, ENDED)?;
    }
    Ok(())
}

/// Receives that wait get what is left, then the end.
fn wait_destroyed_drains(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (channel, sender, receiver, mut requests) = rings.receiving(&for_two(kind))?;

        send_numbers(&sender, 0..2)?;
        channel.destroy()?;
        for number in 0..2 {
            requests.start([recv_number(receiver.id())])?;
            same("number", number_of(&next(&mut requests)?)?, number)?;
        }
        requests.start([recv_number(receiver.id()).user_data(WAITS)])?;
        next_fails(&mut requests, WAITS, ENDED)?;
    }
    Ok(())
}

/// Leaving ends the waits of who leaves, and only those.
fn wait_detached(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let elsewhere = Ring::new(setup)?;
        let channel = elsewhere.create(&for_two(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let [leaves, stays] = [
            ring.attach(channel.id(), abi::SUB_RECV)?,
            ring.attach(channel.id(), abi::SUB_RECV)?,
        ];
        let mut requests = InFlight::new(&ring)?;

        requests.start([
            recv_number(leaves.id()).user_data(WAITS),
            recv_number(stays.id()).user_data(8),
        ])?;
        quiet(&mut requests)?;
        leaves.detach()?;
        next_fails(&mut requests, WAITS, libc::ENOENT)?;
        quiet(&mut requests)?;
        send_numbers(&sender, [1])?;
        same("who stays", results(&mut requests, 1)?, vec![(8, 8)])?;

        send_numbers(&sender, 0..2)?;
        let late = ring.attach(channel.id(), abi::SUB_SEND)?;
        requests.start([send_number(late.id(), WAITS)])?;
        quiet(&mut requests)?;
        late.detach()?;
        next_fails(&mut requests, WAITS, libc::ENOENT)?;
        drop(requests);
        expect_numbers(&stays, 0..2)?;
    }
    Ok(())
}

/// The ring that has made the channel is closed.
fn wait_owner_gone(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let owner = Ring::new(setup)?;
        let ring = Ring::new(setup)?;
        let channel = owner.create(&for_two(kind))?;
        let receiver = ring.attach(channel.id(), abi::SUB_RECV)?;
        let mut requests = InFlight::new(&ring)?;

        requests.start([recv_number(receiver.id()).user_data(WAITS)])?;
        quiet(&mut requests)?;
        // The kernel, not the library, is to end the channel.
        std::mem::forget(channel);
        drop(owner);
        ends_with(next(&mut requests)?.completion(), WAITS, ENDED)?;
    }
    Ok(())
}
