// SPDX-License-Identifier: GPL-2.0

//! Rings whose receivers compete, without anything around them.

use super::*;
use checker::{thread, Depth::*, SIZES};
use std::sync::Arc;

fn competing() -> Arc<Ring<Region>> {
    Arc::new(ring(Mode::Unicast, 2, true))
}

fn nobody_is_gone(_id: u32) -> bool {
    false
}

/// Sends, after making room where there is none. Says whether it did.
fn put_or_make_room(ring: &Ring<Region>, value: u8) -> bool {
    put(ring, value, 0) || {
        ring.reclaim_taken(4, nobody_is_gone);
        put(ring, value, 0)
    }
}

/// Of what several senders send, several receivers get each message once, and whole.
#[test]
fn each_message_comes_once() {
    explore_weak(Preemptions(2), || {
        let ring = competing();
        let (senders, receivers) = SIZES.pick((2, 1), (3, 3));
        let messages = SIZES.pick(1, 3);
        let spawn_sender = |sender: u8| {
            let ring = ring.clone();

            thread::spawn(move || {
                (0..messages)
                    .map(|n| sender * 16 + n + 1)
                    .filter(|&value| put_or_make_room(&ring, value))
                    .collect::<Vec<_>>()
            })
        };
        let spawn_receiver = |id| {
            let ring = ring.clone();

            thread::spawn(move || {
                let cursor = Word64::new(0);

                (0..2 * messages)
                    .filter_map(|_| take(&ring, &cursor, id))
                    .collect::<Vec<_>>()
            })
        };
        let senders: Vec<_> = (0..senders).map(spawn_sender).collect();
        let receivers: Vec<_> = (1..=receivers).map(spawn_receiver).collect();
        let sent = senders.into_iter().flat_map(|s| s.join().unwrap());
        let sent = sent.collect();
        let received = receivers.into_iter().flat_map(|r| r.join().unwrap());
        let mut received: Vec<_> = received.collect();

        received.extend(drain(&ring, 1));
        assert_same(received, sent);
    });
}

/// Two receivers want the same message: one gets it.
#[test]
fn one_of_two_takes_a_message() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        assert!(put(&ring, 1, 0));

        let other = {
            let ring = ring.clone();

            thread::spawn(move || take(&ring, &Word64::new(0), 2))
        };
        let own = take(&ring, &Word64::new(0), 1);
        let got = [own, other.join().unwrap()];

        assert!(got == [Some(1), None] || got == [None, Some(1)], "{got:?}");
        assert_eq!(drain(&ring, 1), [], "it is received for good");
    });
}

/// What is seen of a message is all of it.
#[test]
fn a_published_message_is_whole() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        let receiver = {
            let ring = ring.clone();

            thread::spawn(move || take(&ring, &Word64::new(0), 1))
        };

        assert!(put(&ring, 1, 0));
        let received = receiver.join().unwrap();

        assert_same(
            received.into_iter().chain(drain(&ring, 1)).collect(),
            vec![1],
        );
    });
}

/// What is published is not passed over, by however little it comes before the look at it.
#[test]
fn a_published_message_is_not_overlooked() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        let cursor = Arc::new(Word64::new(0));
        let receiver = {
            let (ring, cursor) = (ring.clone(), cursor.clone());

            thread::spawn(move || {
                [(); 2]
                    .into_iter()
                    .filter_map(|()| take(&ring, &cursor, 1))
                    .collect::<Vec<_>>()
            })
        };

        assert!(put(&ring, 1, 0) && put(&ring, 2, 0));
        let mut received = receiver.join().unwrap();

        received.extend(std::iter::from_fn(|| take(&ring, &cursor, 1)));
        assert_eq!(received, [1, 2]);
    });
}

/// A slot is written again only when its reader has finished.
#[test]
fn a_slot_is_not_reused_under_its_reader() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let receiver = {
            let ring = ring.clone();

            thread::spawn(move || take(&ring, &Word64::new(0), 1))
        };
        let mut sent = vec![1, 2];
        if put_or_make_room(&ring, 3) {
            sent.push(3);
        }
        let received = receiver.join().unwrap();

        assert_same(received.into_iter().chain(drain(&ring, 1)).collect(), sent);
    });
}

/// A slot that one sender has made free is written by another one only when its reader has
/// finished: `head` hands that on.
#[test]
fn room_that_another_has_made_is_room() {
    explore_weak(Preemptions(3), || {
        let ring = competing();
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));

        let (receiver, maker) = (ring.clone(), ring.clone());
        let receiver = thread::spawn(move || take(&receiver, &Word64::new(0), 1));
        let maker = thread::spawn(move || maker.reclaim_taken(4, nobody_is_gone));
        let mut sent = vec![1, 2];
        if put(&ring, 3, 0) {
            sent.push(3);
        }
        maker.join().unwrap();
        let received = receiver.join().unwrap();

        assert_same(received.into_iter().chain(drain(&ring, 1)).collect(), sent);
    });
}

/// A receiver that is late by a whole ring does not get what it has not looked at: that is for
/// somebody else.
#[test]
fn a_late_receiver_takes_nothing_else() {
    explore_weak(Preemptions(3), || {
        let ring = competing();
        assert!(put(&ring, 1, 0));

        let late = {
            let ring = ring.clone();

            thread::spawn(move || take(&ring, &Word64::new(0), 1))
        };
        let mut received: Vec<_> = take(&ring, &Word64::new(0), 2).into_iter().collect();
        // Its slot is used again, for receiver 2.
        ring.reclaim_taken(4, nobody_is_gone);
        assert!(put(&ring, 2, 2));
        let reused = put(&ring, 3, 2);
        let late = late.join().unwrap();

        assert!(matches!(late, None | Some(1)), "{late:?} is for another");
        received.extend(late);
        received.extend(drain(&ring, 2));
        assert_same(received, if reused { vec![1, 2, 3] } else { vec![1, 2] });
    });
}

/// One receiver sees the messages of each sender in the order in which they were sent.
#[test]
fn messages_of_a_sender_stay_in_order() {
    explore_weak(Preemptions(2), || {
        let ring = Arc::new(ring(Mode::Unicast, 4, true));
        let senders = SIZES.pick(2, 3);
        let senders: Vec<_> = (0..senders)
            .map(|sender: u8| {
                let ring = ring.clone();

                thread::spawn(move || {
                    // The second one sends less: it is there to open windows.
                    for n in 0..SIZES.pick(2 - sender, 3) {
                        put_or_make_room(&ring, sender * 16 + n + 1);
                    }
                })
            })
            .collect();
        let cursor = Word64::new(0);
        let mut received: Vec<_> = (0..SIZES.pick(2, 8))
            .filter_map(|_| take(&ring, &cursor, 1))
            .collect();

        for sender in senders {
            sender.join().unwrap();
        }
        received.extend(drain(&ring, 1));
        for sender in 0..3 {
            let own: Vec<_> = received
                .iter()
                .filter(|&value| value / 16 == sender)
                .collect();

            assert!(own.is_sorted(), "{received:?}");
        }
    });
}

/// Of two who make room one may be late; `head` does not go back, nor does a cursor that two
/// receives use.
#[test]
fn head_and_cursors_only_go_up() {
    explore_weak(Preemptions(2), || {
        let ring = competing();
        let cursor = Arc::new(Word64::new(0));
        assert!(put(&ring, 1, 0));
        assert!(put(&ring, 2, 0));
        assert_eq!(take(&ring, &Word64::new(0), 2), Some(1));

        let worker = {
            let (ring, cursor) = (ring.clone(), cursor.clone());

            thread::spawn(move || {
                ring.advance(&cursor, 1, 1);
                ring.reclaim_taken(1, nobody_is_gone);
            })
        };
        let faster = {
            let (ring, cursor) = (ring.clone(), cursor.clone());

            thread::spawn(move || {
                let received = take(&ring, &cursor, 1);

                ring.reclaim_taken(2, nobody_is_gone);
                received
            })
        };
        let look = || [ring.tail(), ring.head(), cursor.load_relaxed()];
        let (before, after) = (look(), look());

        assert!(before.iter().zip(after).all(|(old, new)| *old <= new));
        worker.join().unwrap();
        assert_eq!(faster.join().unwrap(), Some(2));
        assert_eq!(look(), [2; 3], "all has been passed");
    });
}

/// A message for one receiver comes to that one.
#[test]
fn a_targeted_message_comes_to_its_target() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        let other = {
            let ring = ring.clone();

            thread::spawn(move || {
                let cursor = Word64::new(0);

                (take(&ring, &cursor, 1), take(&ring, &cursor, 1))
            })
        };

        assert!(put(&ring, 1, 2));
        assert_eq!(other.join().unwrap(), (None, None));
        assert_eq!(drain(&ring, 2), [1]);
    });
}

/// A sender that cannot finish is no obstacle: its slot is skipped, and becomes free.
#[test]
fn a_claim_that_is_given_up_is_skipped() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        let failing = {
            let ring = ring.clone();

            thread::spawn(move || {
                let claim = ring.claim().unwrap();

                ring.memory().write(claim.position(), &[u8::MAX]);
                drop(claim);
            })
        };
        let cursor = Word64::new(0);

        assert!(put(&ring, 1, 0));
        let received = take(&ring, &cursor, 1);
        failing.join().unwrap();
        let received = received.or_else(|| take(&ring, &cursor, 1));

        assert_eq!(received, Some(1));
        assert_eq!(take(&ring, &cursor, 1), None);
        ring.reclaim_taken(4, nobody_is_gone);
        assert_eq!(ring.room(), 2);
    });
}

/// What a receiver gives back is there for others, and is nobody's meanwhile.
#[test]
fn a_message_given_back_is_not_lost() {
    explore_weak(Exhaustive, || {
        let ring = competing();
        assert!(put(&ring, 1, 0));

        let failing = {
            let ring = ring.clone();

            thread::spawn(move || {
                let cursor = Word64::new(0);

                if let Some(found) = ring.find(&cursor, 1) {
                    drop(found.take(&cursor));
                }
            })
        };
        let cursor = Word64::new(0);
        let received = take(&ring, &cursor, 2);
        failing.join().unwrap();

        // With the cursor that has seen it taken.
        assert_eq!(received.or_else(|| take(&ring, &cursor, 2)), Some(1));
        assert_eq!(drain(&ring, 2), []);
    });
}

/// A message is given up only where its target has gone; that one may just be reading it.
#[test]
fn a_message_is_given_up_or_read() {
    explore_weak(Preemptions(2), || {
        let ring = competing();
        assert!(put(&ring, 1, 1));
        assert!(put(&ring, 2, 2));

        let going = {
            let ring = ring.clone();

            thread::spawn(move || take(&ring, &Word64::new(0), 1))
        };
        ring.reclaim_taken(4, |id| id == 1);
        let room = ring.room();
        let reused = put(&ring, 3, 2);

        assert_eq!(reused, room != 0);
        assert_ne!(room, 2, "receiver 2 is still there");
        let read = going.join().unwrap();
        assert!(matches!(read, None | Some(1)), "{read:?}");
        ring.reclaim_taken(4, |id| id == 1);
        assert_ne!(
            ring.room() + u32::from(reused),
            0,
            "it is either read or given up"
        );
        assert_eq!(drain(&ring, 2), if reused { vec![2, 3] } else { vec![2] });
    });
}

/// Who publishes late notices what lies behind, also where that has been read and its slot used
/// again.
#[test]
fn who_closes_the_window_notices() {
    explore(Exhaustive, || {
        let ring = competing();
        let claim = ring.claim().unwrap();
        assert!(put(&ring, 2, 0));
        let receiver = {
            let ring = ring.clone();

            thread::spawn(move || {
                let cursor = Word64::new(0);
                let received =
                    take(&ring, &cursor, 1).is_some() && take(&ring, &cursor, 1).is_some();

                if received {
                    ring.reclaim_taken(2, nobody_is_gone);
                    assert!(put(&ring, 3, 0) && put(&ring, 4, 0));
                }
            })
        };

        ring.memory().write(claim.position(), &[1]);
        claim.publish(&record(1, 0));
        crate::rfl::atomic::full_barrier();
        assert!(ring.publish_uncovers(0), "2 was there before 1");
        receiver.join().unwrap();
    });
}

/// Of two senders that publish at the same time one notices the other, or comes after it.
#[test]
fn the_window_does_not_close_unnoticed() {
    explore(Exhaustive, || {
        let ring = competing();
        let first = ring.claim().unwrap();
        let later = {
            let ring = ring.clone();

            thread::spawn(move || {
                assert!(put(&ring, 2, 0));
                crate::rfl::atomic::full_barrier();
                ring.find(&Word64::new(0), 1).is_some()
            })
        };

        ring.memory().write(first.position(), &[1]);
        first.publish(&record(1, 0));
        crate::rfl::atomic::full_barrier();
        let noticed = ring.publish_uncovers(0);

        assert!(later.join().unwrap() || noticed);
    });
}
