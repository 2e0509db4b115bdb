// SPDX-License-Identifier: GPL-2.0

//! Rings whose receivers all get everything, without anything around them.

use super::*;
use checker::{thread, Depth::*, SIZES};
use std::sync::Arc;

fn broadcast(exclusive: bool) -> Arc<Ring<Region>> {
    Arc::new(ring(Mode::Broadcast, 2, exclusive))
}

/// Reads the next message, as the only one who uses the cursor.
fn receive(ring: &Ring<Region>, cursor: &Word64, id: u32) -> Option<u8> {
    let found = ring.find(cursor, id)?;
    let value = read(ring, found);

    assert!(ring.still_held(found.position()) && ring.pass(cursor, found.position()));
    Some(value)
}

/// Sends, after making room where there is none. Says whether it did.
fn put_or_make_room(ring: &Ring<Region>, cursors: &[Word64], value: u8) -> bool {
    put(ring, value, 0) || {
        let slowest = cursors.iter().map(Word64::load_acquire).min();

        ring.reclaim_passed(4, slowest);
        put(ring, value, 0)
    }
}

/// Every receiver gets every message, in order, and no slot is used again before the slowest has
/// passed it.
#[test]
fn every_receiver_gets_everything() {
    explore_weak(Preemptions(2), || {
        let ring = broadcast(true);
        let receivers = SIZES.pick(2, 4);
        let cursors: Arc<Vec<_>> = Arc::new((0..receivers).map(|_| Word64::new(0)).collect());
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let receivers: Vec<_> = (0..receivers)
            .map(|at: usize| {
                let (ring, cursors) = (ring.clone(), cursors.clone());

                thread::spawn(move || {
                    (0..SIZES.pick(2, 8))
                        .filter_map(|_| receive(&ring, &cursors[at], at as u32 + 1))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let sent: Vec<_> = [1, 2]
            .into_iter()
            .chain((3..SIZES.pick(4, 9)).filter(|&value| put_or_make_room(&ring, &cursors, value)))
            .collect();

        for (at, receiver) in receivers.into_iter().enumerate() {
            let mut received = receiver.join().unwrap();

            received.extend(std::iter::from_fn(|| {
                receive(&ring, &cursors[at], at as u32 + 1)
            }));
            assert_eq!(received, sent);
        }
    });
}

/// A slot is written again only when its one reader has passed it.
#[test]
fn a_slot_is_not_reused_before_the_reader_has_passed() {
    explore_weak(Exhaustive, || {
        let ring = broadcast(true);
        let cursors = Arc::new(vec![Word64::new(0)]);
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let receiver = {
            let (ring, cursors) = (ring.clone(), cursors.clone());

            thread::spawn(move || receive(&ring, &cursors[0], 1))
        };
        put_or_make_room(&ring, &cursors, 3);
        assert_eq!(receiver.join().unwrap(), Some(1));
        assert_eq!(receive(&ring, &cursors[0], 1), Some(2));
    });
}

/// Who reads what nobody holds for it notices when it is written over.
#[test]
fn a_reader_without_a_hold_notices() {
    explore(Exhaustive, || {
        let ring = broadcast(false);
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let reader = {
            let ring = ring.clone();

            thread::spawn(move || {
                let payload = ring.memory().ends(0);

                (payload, ring.still_held(0))
            })
        };
        // There is no receiver any more.
        ring.reclaim_passed(1, None);
        assert!(put(&ring, 3, 0));
        let (payload, held) = reader.join().unwrap();

        assert!(!held || payload == [1; 2], "{payload:?} was held");
    });
}

/// Two receives of one subscriber share its messages.
#[test]
fn receives_of_one_cursor_share() {
    explore(Preemptions(3), || {
        let ring = broadcast(false);
        let cursor = Arc::new(Word64::new(0));
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let attempt = |ring: &Ring<Region>, cursor: &Word64| {
            let position = ring.find(cursor, 1)?.position();
            let payload = ring.memory().ends(position);

            (ring.still_held(position) && ring.pass(cursor, position)).then_some(payload[0])
        };
        let other = {
            let (ring, cursor) = (ring.clone(), cursor.clone());

            thread::spawn(move || attempt(&ring, &cursor))
        };
        let own = attempt(&ring, &cursor);
        let mut received: Vec<_> = own.into_iter().chain(other.join().unwrap()).collect();

        received.extend(std::iter::from_fn(|| attempt(&ring, &cursor)));
        assert_same(received, vec![1, 2]);
    });
}

/// Where there is no receiver, what is claimed and not yet published still is its sender's.
#[test]
fn an_unpublished_slot_is_not_reclaimed() {
    explore_weak(Preemptions(3), || {
        let ring = broadcast(true);
        let sender = {
            let ring = ring.clone();

            thread::spawn(move || put(&ring, 1, 0))
        };

        for value in 2..5 {
            put_or_make_room(&ring, &[], value);
        }
        sender.join().unwrap();
        assert!(ring.head() <= ring.tail());
    });
}

/// Others pass a message that is for one; it need not look at them.
#[test]
fn a_targeted_message_is_passed_by_others() {
    explore_weak(Preemptions(3), || {
        let ring = broadcast(true);
        let cursors = Arc::new(vec![Word64::new(0), Word64::new(0)]);
        let receiver = {
            let (ring, cursors) = (ring.clone(), cursors.clone());

            thread::spawn(move || receive(&ring, &cursors[0], 1))
        };

        assert!(put(&ring, 1, 2));
        ring.advance(&cursors[0], 1, 4);
        assert_eq!(receiver.join().unwrap(), None);
        assert_eq!(cursors[0].load_relaxed(), 1);
        assert_eq!(receive(&ring, &cursors[1], 2), Some(1));
    });
}
