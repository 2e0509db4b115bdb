// SPDX-License-Identifier: GPL-2.0

//! Receivers that senders may overrun: every message is either received whole, or counted as lost,
//! and is told of where it is missing. A ring of two; the messages are 1, 2, and so on.

use crate::{
    delivery::Mode,
    subscriber::Subscriber,
    task::{self, Receive, Send},
    tests::explore,
};
use checker::{thread, Depth::Preemptions, SIZES};
use std::sync::Arc;

fn two() -> (Arc<Subscriber>, Arc<Subscriber>) {
    let channel = task::channel_with_late_readers(Mode::Broadcast, 2);

    (
        task::attach_lossy(&channel, 2),
        task::attach_sender(&channel, 3),
    )
}

fn send(sender: &Subscriber, values: impl IntoIterator<Item = u8>) {
    for value in values {
        assert_eq!(Send::new(value).run(sender), Ok(()), "held up");
    }
}

fn receive(receiver: &Subscriber, times: usize) -> Vec<(u8, u64)> {
    (0..times)
        .filter_map(|_| Receive::run_with_header(receiver).ok())
        .collect()
}

/// What one receiver has received at several times, and then the rest.
fn is_all(receiver: &Subscriber, mut received: Vec<(u8, u64)>, sent: u8) {
    received.extend(receive(receiver, 2));
    received.sort_unstable();
    let mut next = 1;

    for (value, lost) in received {
        assert_eq!(u64::from(value), next + lost, "{value} after {next}");
        next = u64::from(value) + 1;
    }
    assert_eq!(next, u64::from(sent) + 1);
}

/// A receiver that is overrun while it reads.
#[test]
fn a_reader_is_overrun() {
    explore(Preemptions(1), || {
        let (receiver, sender) = two();
        send(&sender, 1..3);

        let reads = {
            let receiver = receiver.clone();

            thread::spawn(move || receive(&receiver, SIZES.pick(1, 3)))
        };
        let last = SIZES.pick(3, 6);
        send(&sender, 3..=last);
        is_all(&receiver, reads.join().unwrap(), last);
    });
}

/// Whoever looks sees what was lost up to where the receiver is, no more and no less.
#[test]
fn who_looks_sees_both() {
    explore(Preemptions(1), || {
        let (receiver, sender) = two();
        send(&sender, 1..3);
        let progress = |receiver: &Subscriber| receiver.channel.progress(&receiver.member);
        let (start, _) = progress(&receiver);

        let looks = {
            let receiver = receiver.clone();

            thread::spawn(move || progress(&receiver))
        };
        send(&sender, 3..=3);
        let (cursor, lost) = looks.join().unwrap();

        assert_eq!(cursor - start, lost);
    });
}

/// Receives without a header leave the count alone.
#[test]
fn a_reader_is_told_later() {
    explore(Preemptions(1), || {
        let (receiver, sender) = two();
        send(&sender, 1..3);

        let reads = {
            let receiver = receiver.clone();

            thread::spawn(move || Receive::now().run(&receiver))
        };
        send(&sender, 3..=3);
        let first = reads.join().unwrap().unwrap();
        let rest = receive(&receiver, 3);
        let lost: u64 = rest.iter().map(|(_, lost)| lost).sum();

        assert_eq!(1 + rest.len() as u64 + lost, 3, "{first}, {rest:?}");
    });
}

/// Two receives of one subscriber report a loss once.
#[test]
fn two_receives_are_overrun() {
    explore(Preemptions(1), || {
        let (receiver, sender) = two();
        send(&sender, 1..=3);

        let reads = {
            let receiver = receiver.clone();

            thread::spawn(move || receive(&receiver, 1))
        };
        let mut received = receive(&receiver, 1);
        received.extend(reads.join().unwrap());
        is_all(&receiver, received, 3);
    });
}

/// Who skips what is for others is not said to have lost it.
#[test]
fn what_is_for_others_is_not_lost() {
    explore(Preemptions(1), || {
        let channel = task::channel_with_late_readers(Mode::Broadcast, 2);
        let receiver = task::attach_lossy(&channel, 2);
        let other = task::attach_lossy(&channel, 3);

        Send::new(1).to(3).run(&other).unwrap();
        Send::new(2).run(&other).unwrap();
        let reads = {
            let receiver = receiver.clone();

            thread::spawn(move || receive(&receiver, 1))
        };
        Send::new(3).to(3).run(&other).unwrap();
        Send::new(4).run(&other).unwrap();
        let mut received = reads.join().unwrap();

        received.extend(receive(&receiver, 2));
        assert!(
            received == [(2, 0), (4, 0)] || received == [(4, 1)],
            "{received:?}"
        );
    });
}

/// A send that waits for a lossless receiver does not wait for a lossy one as well.
#[test]
fn a_waiting_send_waits_for_the_lossless() {
    explore(Preemptions(1), || {
        let channel = task::channel_with_late_readers(Mode::Broadcast, 2);
        let all = task::attach(&channel, 2);
        let lossy = task::attach_lossy(&channel, 3);
        let sender = task::attach_sender(&channel, 4);
        send(&sender, 1..3);

        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender));
        assert_eq!(Receive::now().run(&all), Ok(1));
        assert_eq!(sends.join().unwrap(), Ok(()));
        assert_eq!(receive(&lossy, 3), [(2, 1), (3, 0)]);
    });
}
