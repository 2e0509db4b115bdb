// SPDX-License-Identifier: GPL-2.0

//! The books find what they are there for.

use super::*;

const CHANNEL: u32 = 100;
const WITNESS: u32 = 1;
const FIRST: u32 = 2;
const SECOND: u32 = 3;

/// Two receivers and a sender, which are processes 0, 1 and 2.
fn books(broadcast: bool) -> Books {
    let mut books = Books::default();

    books.open(CHANNEL, broadcast, WITNESS);
    for (slot, subscriber) in [(0, FIRST), (1, SECOND)] {
        books.event(
            slot,
            Event::Attached {
                subscriber,
                channel: CHANNEL,
                cursor: 0,
                lossy: None,
            },
        );
    }
    books
}

fn number(count: u32) -> Number {
    Number::new(2, 1, count)
}

fn send_to(books: &mut Books, target: u32, count: u32, good: Option<bool>) {
    let number = number(count);

    books.event(
        2,
        Event::Sending {
            number,
            channel: CHANNEL,
            target,
        },
    );
    if let Some(good) = good {
        books.event(2, Event::Sent { number, good });
    }
}

fn send(books: &mut Books, count: u32) {
    send_to(books, 0, count, Some(true));
}

fn at(count: u32, position: u64) -> Received {
    Received {
        number: number(count),
        position,
        has_lost: false,
        sender: 0,
    }
}

fn get(books: &mut Books, subscriber: u32, count: u32) {
    books.received(subscriber, at(count, count.into()));
    books.settle();
}

fn wrongs(books: Books) -> u64 {
    books.judge().nr_wrongs
}

#[test]
fn each_once() {
    let mut books = books(false);

    for count in 0..3 {
        send(&mut books, count);
    }
    get(&mut books, FIRST, 0);
    get(&mut books, SECOND, 2);
    get(&mut books, WITNESS, 1);
    let sum = books.judge();
    assert_eq!((sum.nr_wrongs, sum.good, sum.received), (0, 3, 3));
}

#[test]
fn lost() {
    let mut books = books(false);

    send(&mut books, 0);
    send(&mut books, 1);
    get(&mut books, FIRST, 1);
    assert_eq!(wrongs(books), 1);
}

#[test]
fn twice() {
    let mut books = books(false);

    send(&mut books, 0);
    get(&mut books, FIRST, 0);
    get(&mut books, SECOND, 0);
    assert_eq!(wrongs(books), 1);
}

#[test]
fn received_before_the_senders_journal_is_read() {
    let mut books = books(true);

    send(&mut books, 0);
    for count in 0..3 {
        get(&mut books, WITNESS, count);
        assert!(count == 0 || !books.is_quiet(CHANNEL));
    }
    send(&mut books, 1);
    send(&mut books, 2);
    assert_eq!(wrongs(books), 0);
}

#[test]
fn never_sent() {
    let mut books = books(false);

    get(&mut books, FIRST, 0);
    assert_eq!(wrongs(books), 1);
}

#[test]
fn failed_and_came() {
    let mut books = books(false);

    send_to(&mut books, 0, 0, Some(false));
    get(&mut books, FIRST, 0);
    assert_eq!(wrongs(books), 1);
}

#[test]
fn sender_killed() {
    for came in [false, true] {
        let mut books = books(false);

        send_to(&mut books, 0, 0, None);
        assert!(!books.is_quiet(CHANNEL));
        books.ended(2, |_| None);
        if came {
            get(&mut books, FIRST, 0);
        }
        let sum = books.judge();
        assert_eq!((sum.unknown, sum.nr_wrongs), (1, 0));
        assert_eq!(sum.unknown_received, came.into());
    }
}

#[test]
fn receiver_killed() {
    for came in [false, true] {
        let mut books = books(false);

        send(&mut books, 0);
        books.event(
            0,
            Event::Lent {
                buffer: 5,
                subscriber: FIRST,
            },
        );
        books.ended(0, |buffer| (buffer == 5 && came).then(|| Ok(at(0, 0))));
        assert_eq!(wrongs(books), u64::from(!came));
    }
}

#[test]
fn killed_while_late_for_a_broadcast() {
    let mut books = books(true);

    for count in 0..2 {
        send(&mut books, count);
        get(&mut books, WITNESS, count);
        get(&mut books, FIRST, count);
    }
    books.event(
        0,
        Event::Lent {
            buffer: 5,
            subscriber: FIRST,
        },
    );
    books.ended(0, |_| Some(Ok(at(0, 0))));
    assert_eq!(wrongs(books), 0);
}

#[test]
fn killed_before_it_knew_of_an_earlier_one_of_a_broadcast() {
    for came in [false, true] {
        let mut books = books(true);

        for count in 0..2 {
            send(&mut books, count);
            get(&mut books, WITNESS, count);
        }
        books.event(
            0,
            Event::Lent {
                buffer: 5,
                subscriber: FIRST,
            },
        );
        get(&mut books, FIRST, 1);
        books.ended(0, |_| came.then(|| Ok(at(0, 0))));
        assert_eq!(wrongs(books), u64::from(!came));
    }
}

#[test]
fn another_ones() {
    let mut books = books(false);

    send_to(&mut books, FIRST, 0, Some(true));
    get(&mut books, SECOND, 0);
    // And the one it was for has not got it.
    assert!(wrongs(books) >= 1);
}

#[test]
fn target_left() {
    for left in [false, true] {
        let mut books = books(false);

        send_to(&mut books, FIRST, 0, Some(true));
        if left {
            books.event(0, Event::Detaching { subscriber: FIRST });
        }
        assert_eq!(wrongs(books), u64::from(!left));
    }
}

#[test]
fn broadcast_to_all() {
    let mut books = books(true);

    for count in 0..3 {
        send(&mut books, count);
        for subscriber in [WITNESS, FIRST, SECOND] {
            get(&mut books, subscriber, count);
        }
    }
    assert_eq!(wrongs(books), 0);
}

#[test]
fn broadcast_with_a_hole() {
    let mut books = books(true);

    for count in 0..3 {
        send(&mut books, count);
        get(&mut books, WITNESS, count);
    }
    get(&mut books, FIRST, 0);
    get(&mut books, FIRST, 2);
    assert_eq!(wrongs(books), 1);
}

#[test]
fn broadcast_not_to_its_end() {
    for drained in [false, true] {
        let mut books = books(true);

        send(&mut books, 0);
        get(&mut books, WITNESS, 0);
        if drained {
            let subscriber = FIRST;
            books.event(
                0,
                Event::Drained {
                    subscriber,
                    lost: 0,
                },
            );
        }
        assert_eq!(wrongs(books), u64::from(drained));
    }
}

#[test]
fn lossy_ones_tell_how_many() {
    // The first message it may have lost before anybody looked.
    let cases = [(1, true), (2, false), (3, false), (4, true)];

    for (before, (lost, wrong)) in (0..2).flat_map(|before| cases.map(|case| (before, case))) {
        let mut books = books(true);
        let subscriber = 9;

        books.event(
            3,
            Event::Attached {
                subscriber,
                channel: CHANNEL,
                cursor: before,
                lossy: Some(before),
            },
        );
        for count in 0..3 {
            send(&mut books, count);
            get(&mut books, WITNESS, count);
        }
        // Nobody knows whether that one came.
        send_to(&mut books, subscriber, 3, None);
        books.ended(2, |_| None);
        books.received(
            subscriber,
            Received {
                has_lost: true,
                ..at(1, 1)
            },
        );
        books.settle();
        books.event(3, Event::Drained { subscriber, lost });
        assert_eq!(wrongs(books), u64::from(wrong), "{before} {lost}");
    }
}

#[test]
fn others_lose_nothing() {
    let mut books = books(true);

    for count in 0..2 {
        send(&mut books, count);
        get(&mut books, WITNESS, count);
    }
    books.received(
        FIRST,
        Received {
            has_lost: true,
            ..at(0, 0)
        },
    );
    books.settle();
    assert_eq!(wrongs(books), 1);
}

#[test]
fn broadcast_that_passes_targeted_ones() {
    let mut books = books(true);

    for (count, target) in [(0, 0), (1, SECOND), (2, 0)] {
        send_to(&mut books, target, count, Some(true));
    }
    for (subscriber, count) in [(WITNESS, 0), (WITNESS, 2), (FIRST, 0), (FIRST, 2)] {
        get(&mut books, subscriber, count);
    }
    for count in 0..3 {
        get(&mut books, SECOND, count);
    }
    assert_eq!(wrongs(books), 0);
}

#[test]
fn broadcast_in_another_order() {
    for (subscriber, expected) in [(FIRST, 0), (WITNESS, 1)] {
        let mut books = books(true);

        for count in 0..4 {
            send(&mut books, count);
        }
        for count in [0, 3, 1, 2] {
            get(&mut books, subscriber, count);
        }
        if subscriber != WITNESS {
            (0..4).for_each(|count| get(&mut books, WITNESS, count));
        }
        assert_eq!(wrongs(books) > 0, expected > 0);
    }
}

#[test]
fn broadcast_twice() {
    let mut books = books(true);

    for count in 0..3 {
        send(&mut books, count);
        get(&mut books, WITNESS, count);
    }
    for count in [0, 2, 1, 1] {
        get(&mut books, FIRST, count);
    }
    assert_eq!(wrongs(books), 1);
}

#[test]
fn two_messages_at_one_position() {
    let mut books = books(true);

    for count in 0..2 {
        send(&mut books, count);
        get(&mut books, WITNESS, count);
    }
    books.received(FIRST, at(1, 0));
    assert!(wrongs(books) >= 1);
}
