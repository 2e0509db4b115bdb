// SPDX-License-Identifier: GPL-2.0

//! Channels that somebody leaves or joins.

use crate::{
    delivery::Mode,
    task::{self, Receive, Send},
    tests::{explore, explore_weak, wait_for_room},
};
use checker::{
    thread,
    Depth::{Exhaustive, Preemptions},
};
use kernel::prelude::*;

/// A subscriber that leaves ends its waits, and hands on what it was woken for.
#[test]
fn who_leaves_hands_on() {
    explore_weak(Preemptions(1), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (leaves, waits) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let receives = {
            let leaves = leaves.clone();

            thread::spawn(move || Receive::waiting().run(&leaves))
        };
        let other = {
            let waits = waits.clone();

            thread::spawn(move || Receive::waiting().run(&waits))
        };

        Send::new(1).run(&waits).unwrap();
        leaves.detach();
        let received = receives.join().unwrap();
        match received {
            // It was faster; the other one has its own.
            Ok(1) => Send::new(2).run(&waits).unwrap(),
            _ => assert_eq!(received, Err(ENOENT)),
        }
        other.join().unwrap().unwrap();
    });
}

/// A subscriber that leaves gives up the messages for it, and a send that waits gets their room.
#[test]
fn who_leaves_makes_room() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (leaves, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));

        Send::new(1).to(2).run(&sender).unwrap();
        Send::new(2).to(2).run(&sender).unwrap();
        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender).unwrap());

        leaves.detach();
        sends.join().unwrap();
        assert_eq!(Receive::now().run(&task::attach(&channel, 4)), Ok(3));
    });
}

/// Who leaves while it takes a message does not come again: a send that waits gets the room,
/// although there is more that it would have received.
#[test]
fn who_leaves_with_a_message_makes_room() {
    explore_weak(Preemptions(1), || {
        // A quarter of it is more than what it takes and what its leaving counts for.
        let channel = task::channel(Mode::Unicast, 16);
        let (leaves, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        // Who does not come.
        let _stays = task::attach(&channel, 4);

        for value in 1..=16 {
            Send::new(value).run(&sender).unwrap();
        }
        let send = Send::new(17).waiting().start(&sender).unwrap();
        let armed = send.arm();
        let receives = {
            let leaves = leaves.clone();

            thread::spawn(move || Receive::now().run(&leaves))
        };

        leaves.detach();
        match receives.join().unwrap() {
            Ok(1) => assert_eq!(send.wake(armed), Ok(())),
            received => {
                assert_eq!(received, Err(ENOENT));
                send.cancel(armed);
            }
        }
    });
}

/// Where nobody receives any more all who wait are told of any room: here of a message for who has
/// left that is published only then.
// Of one thread, which shuttle takes for a mistake.
#[cfg(not(feature = "shuttle"))]
#[test]
fn room_behind_the_last_receiver_is_for_all() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Unicast, 16);
        let (leaves, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let claim = channel.ring().claim().unwrap();
        let position = claim.position();

        for value in 2..=16 {
            Send::new(value).run(&sender).unwrap();
        }
        let send = Send::new(17).waiting().start(&sender).unwrap();
        let armed = send.arm();

        leaves.detach();
        claim.publish(&super::record(1, leaves.member.id));
        channel.published(position, leaves.member.id);
        assert_eq!(send.wake(armed), Ok(()));
    });
}

/// A send that waits ends when its subscriber leaves, and what room it was woken for is another's.
#[test]
fn a_waiting_send_that_leaves_hands_on() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let receiver = task::attach(&channel, 2);
        let senders = [3, 4].map(|id| task::attach_sender(&channel, id));

        let [leaves, waits] = wait_for_room(&senders);
        let receives = thread::spawn(move || Receive::now().run(&receiver));

        senders[0].detach();
        assert_eq!(leaves.0.wake(leaves.1), Err(ENOENT));
        assert_eq!(waits.0.wake(waits.1), Ok(()));
        assert_eq!(receives.join().unwrap(), Ok(1));
    });
}

/// A broadcast receiver that leaves holds up nobody.
#[test]
fn who_leaves_is_not_the_slowest() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let (leaves, stays) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let sender = task::attach_sender(&channel, 4);

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        assert_eq!(Receive::now().run(&stays), Ok(1));
        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender).unwrap());

        leaves.detach();
        sends.join().unwrap();
        assert_eq!(Receive::now().run(&stays), Ok(2));
        assert_eq!(Receive::now().run(&stays), Ok(3));
    });
}

/// A broadcast receiver that joins while room is made gets everything sent from then on.
#[test]
fn who_joins_misses_nothing() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Broadcast, 2);
        let sender = task::attach_sender(&channel, 2);

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let joins = {
            let channel = channel.clone();

            thread::spawn(move || task::attach(&channel, 3))
        };
        // There is nobody to hold it, or only who has just come and wants it no more.
        Send::new(3).run(&sender).unwrap();
        let joined = joins.join().unwrap();

        Send::new(4).run(&sender).unwrap();
        let received: Vec<_> = std::iter::from_fn(|| Receive::now().run(&joined).ok()).collect();
        assert!(received == [3, 4] || received == [4], "{received:?}");
    });
}

/// A reader that is detached while it reads gets its message whole, or nothing.
#[test]
fn a_detached_reader_gets_nothing_else() {
    explore(Preemptions(2), || {
        let channel = task::channel_with_late_readers(Mode::Broadcast, 2);
        let (leaves, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let reads = {
            let leaves = leaves.clone();

            thread::spawn(move || Receive::now().run(&leaves))
        };

        leaves.detach();
        Send::new(3).run(&sender).unwrap();
        let read = reads.join().unwrap();
        assert!(matches!(read, Ok(1) | Err(ENOENT)), "{read:?}");
    });
}
