// SPDX-License-Identifier: GPL-2.0

//! Receivers that are told who comes and goes. A notice is received as a message of length 0.

use crate::{
    channel::Channel,
    delivery::Mode,
    subscriber::Subscriber,
    task::{self, Receive, Send},
    tests::{explore, explore_weak},
};
use checker::{thread, Depth::Preemptions};
use kernel::prelude::*;

const NOTICE: u8 = 0;

fn receive(subscriber: &Subscriber, times: usize) -> Vec<u8> {
    (0..times)
        .map(|_| Receive::waiting().run(subscriber).unwrap())
        .collect()
}

fn visit(channel: &kernel::sync::Arc<Channel>, message: u8) {
    let visitor = task::attach_sender(channel, 5);

    Send::new(message).run(&visitor).unwrap();
    visitor.detach();
}

/// Whoever waits hears of somebody who comes, whether or not that one goes again.
#[test]
fn a_waiting_receive_is_told() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Multicast, 2);
        let watch = task::attach_noticed(&channel, 2);
        let waits = {
            let watch = watch.clone();

            thread::spawn(move || receive(&watch, 1))
        };
        let visitor = task::attach_sender(&channel, 5);

        assert_eq!(waits.join().unwrap(), [NOTICE]);
        visitor.detach();
        assert_eq!(receive(&watch, 1), [NOTICE]);
    });
}

/// What somebody sends comes after its coming and before its going.
#[test]
fn whoever_sends_has_come() {
    for mode in [Mode::Broadcast, Mode::Unicast] {
        explore_weak(Preemptions(2), move || {
            let channel = task::channel(mode, 2);
            let watch = task::attach_noticed(&channel, 2);
            let waits = thread::spawn(move || receive(&watch, 3));

            visit(&channel, 1);
            assert_eq!(waits.join().unwrap(), [NOTICE, 1, NOTICE]);
        });
    }
}

/// What was sent before comes before, also where it is behind a slot that is not published yet.
#[test]
fn what_was_sent_before_comes_before() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let (before, other) = (
            task::attach_sender(&channel, 3),
            task::attach_sender(&channel, 4),
        );
        let watch = task::attach_noticed(&channel, 2);
        let comes = {
            let channel = channel.clone();

            thread::spawn(move || {
                Send::new(1).run(&before).unwrap();
                task::attach_sender(&channel, 5);
            })
        };
        let sends = thread::spawn(move || Send::new(2).run(&other).unwrap());
        let received = receive(&watch, 3);

        comes.join().unwrap();
        sends.join().unwrap();
        let place = |value| received.iter().position(|&one| one == value);
        assert!(place(1) < place(NOTICE), "{received:?}");
    });
}

/// A slot in front that turns out to be for somebody else does not hide a notice.
#[test]
fn a_window_does_not_hide_a_notice() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let sender = task::attach(&channel, 3);
        let watch = task::attach_noticed(&channel, 2);
        let sends = thread::spawn(move || Send::new(1).to(3).run(&sender).unwrap());
        let comes = {
            let channel = channel.clone();

            thread::spawn(move || drop(task::attach_sender(&channel, 5)))
        };

        assert_eq!(receive(&watch, 1), [NOTICE]);
        sends.join().unwrap();
        comes.join().unwrap();
    });
}

/// Nor does the end overtake it there.
#[test]
fn a_notice_behind_a_window_comes_before_the_end() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let (sender, visitor) = (task::attach(&channel, 3), task::attach_sender(&channel, 5));
        let watch = task::attach_noticed(&channel, 2);
        let sends = thread::spawn(move || Send::new(1).to(3).run(&sender));
        let ends = thread::spawn(move || {
            visitor.detach();
            channel.destroy();
        });

        assert_eq!(Receive::waiting().run(&watch), Ok(NOTICE));
        assert!(matches!(sends.join().unwrap(), Ok(()) | Err(EPIPE)));
        ends.join().unwrap();
    });
}

/// What somebody sends while it is detached comes before the notice of that, or is not sent.
#[test]
fn nothing_is_sent_after_leaving() {
    explore(Preemptions(2), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let sender = task::attach_sender(&channel, 3);
        let watch = task::attach_noticed(&channel, 2);
        let leaves = {
            let sender = sender.clone();

            thread::spawn(move || sender.detach())
        };
        let sends = thread::spawn(move || Send::new(1).run(&sender));
        let first = Receive::waiting().run(&watch);

        if first == Ok(NOTICE) {
            assert_eq!(sends.join().unwrap(), Err(ENOENT));
            assert_eq!(Receive::now().run(&watch), Err(EAGAIN));
        } else {
            assert_eq!(first, Ok(1));
            assert_eq!(Receive::waiting().run(&watch), Ok(NOTICE));
            assert_eq!(sends.join().unwrap(), Ok(()));
        }
        leaves.join().unwrap();
    });
}

/// Two receives of one subscriber do not get the same notice, and none is lost.
#[test]
fn a_notice_is_received_once() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let watch = task::attach_noticed(&channel, 2);
        let other = {
            let watch = watch.clone();

            thread::spawn(move || Receive::now().run(&watch))
        };

        task::attach_sender(&channel, 5);
        let received = [
            Receive::now().run(&watch),
            other.join().unwrap(),
            Receive::now().run(&watch),
        ];
        let count = |what: Result<u8>| received.iter().filter(|&&one| one == what).count();

        assert_eq!(count(Ok(NOTICE)), 1, "{received:?}");
        assert_eq!(count(Err(EAGAIN)), 2, "{received:?}");
    });
}

/// Who ends the channel does not hide what has happened before.
#[test]
fn notices_come_before_the_end() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let watch = task::attach_noticed(&channel, 2);
        let waits = thread::spawn(move || {
            let told = receive(&watch, 3);

            (told, Receive::waiting().run(&watch))
        });

        visit(&channel, 1);
        channel.destroy();
        let (told, end) = waits.join().unwrap();
        assert_eq!(told, [NOTICE, 1, NOTICE]);
        assert_eq!(end, Err(EPIPE));
    });
}
