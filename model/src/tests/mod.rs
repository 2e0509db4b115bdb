// SPDX-License-Identifier: GPL-2.0

//! The properties, one test each.

mod broadcast;
mod competing;
mod leaving;
mod lossy;
mod presence;
mod waiting;

use crate::{
    channel::Region,
    delivery::Mode,
    rfl::{atomic::Word64, user_buffer},
    ring::{Found, Record, Ring},
    subscriber::Subscriber,
    task::{self, ArmedSend, SendUnderWay},
};
use checker::Depth;
use std::sync::Arc;

/// Runs a test in every order, or in many.
fn explore(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    checker::check(depth, move || {
        user_buffer::reset();
        test();
    });
}

/// As [`explore`], where fully ordered operations need only acquire and release.
fn explore_weak(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    checker::set_fully_ordered(false);
    explore(depth, test);
}

/// A ring alone, with as many slots.
fn ring(mode: Mode, entries: u32, exclusive: bool) -> Ring<Region> {
    let parameters = task::parameters(mode, entries, exclusive);
    let region = Region::new(parameters.layout).unwrap();

    Ring::new(region, entries, mode.sharing(), 0)
}

/// What is said of a message whose payload is `value`.
fn record(value: u8, target: u32) -> Record {
    Record {
        sender_data: u64::from(value),
        len: u32::from(value),
        target,
        sender_id: u32::from(value),
    }
}

/// Fills a ring of 2, and has a send of each sender wait.
fn wait_for_room(senders: &[Arc<Subscriber>; 2]) -> [(SendUnderWay<'_>, ArmedSend<'_>); 2] {
    for value in [1, 2] {
        task::Send::new(value).run(&senders[0]).unwrap();
    }
    senders.each_ref().map(|sender| {
        let send = task::Send::new(3).waiting().start(sender).unwrap();
        let armed = send.arm();

        (send, armed)
    })
}

/// Sends a message if there is room.
fn put(ring: &Ring<Region>, value: u8, target: u32) -> bool {
    let Some(claim) = ring.claim() else {
        return false;
    };

    ring.memory().write(claim.position(), &[value]);
    claim.publish(&record(value, target));
    true
}

/// The message that has been found, which must be of one piece.
fn read(ring: &Ring<Region>, found: Found<'_>) -> u8 {
    let [first, last] = ring.memory().ends(found.position());
    let record = found.record();
    let said = [
        record.sender_data,
        record.len.into(),
        record.sender_id.into(),
    ];

    assert_eq!(first, last, "torn payload");
    assert_eq!(
        said,
        [first.into(); 3],
        "record and payload of two messages"
    );
    first
}

/// Receives a message on a competing ring, if there is one and nobody else is faster.
fn take(ring: &Ring<Region>, cursor: &Word64, id: u32) -> Option<u8> {
    let found = ring.find(cursor, id)?;
    let taken = found.take(cursor)?;
    let value = read(ring, found);

    taken.done();
    Some(value)
}

/// What is left on a competing ring that nobody else uses.
fn drain(ring: &Ring<Region>, id: u32) -> Vec<u8> {
    let cursor = Word64::new(ring.head());

    std::iter::from_fn(|| take(ring, &cursor, id)).collect()
}

/// Asserts that what has been received is what has been sent.
fn assert_same(mut received: Vec<u8>, mut sent: Vec<u8>) {
    received.sort_unstable();
    sent.sort_unstable();
    assert_eq!(received, sent, "received, and sent");
}
