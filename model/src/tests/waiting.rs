// SPDX-License-Identifier: GPL-2.0

//! Channels with those who wait for messages and for room: whoever sleeps although there is what
//! it waits for sleeps for ever, and the checker sees that nobody runs.

use crate::{
    channel::Channel,
    delivery::Mode,
    rfl::{
        anon_file::AnonFile,
        io_uring::{IssueFlags, Outcome},
        wait_queue::{events, PollRequest, Waiter},
    },
    ring::Ring,
    subscriber::Subscriber,
    task::{self, Receive, Send},
    tests::{assert_same, explore, explore_weak, record, wait_for_room},
};
use checker::{
    thread,
    Depth::{Exhaustive, Preemptions},
    SIZES,
};
use kernel::prelude::*;
use std::sync::Arc;

/// A receive that waits gets the message that comes meanwhile.
#[test]
fn a_waiting_receive_gets_its_message() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || Send::new(1).run(&sender).unwrap());

        assert_eq!(Receive::waiting().run(&receiver), Ok(1));
        sends.join().unwrap();
    });
}

/// Who polls hears of a message.
#[test]
fn poll_hears_of_a_message() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || Send::new(1).run(&sender).unwrap());

        task::poll(&receiver, events::READABLE);
        assert_eq!(Receive::now().run(&receiver), Ok(1));
        sends.join().unwrap();
    });
}

/// Who waits for edges looks by receives that do not wait, and only then sleeps.
#[test]
fn a_failed_receive_arms_an_edge() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let waiter = Waiter::new(events::READABLE);
        let armed = PollRequest::new(events::READABLE, Some(waiter.clone()));
        // As `EPOLL_CTL_ADD`, long before.
        armed.wait_on(&receiver.member.readers);
        let sends = thread::spawn(move || Send::new(1).run(&sender).unwrap());

        let received = loop {
            match Receive::now().run(&receiver) {
                Err(EAGAIN) => waiter.sleep(),
                received => break received,
            };
        };
        assert_eq!(received, Ok(1));
        sends.join().unwrap();
    });
}

/// A multishot receive is not asked to poll again, and misses nothing.
#[test]
fn a_multishot_receive_gets_everything() {
    explore_weak(Preemptions(3), || {
        let messages = SIZES.pick(2, 6);
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || {
            for value in 1..=messages {
                Send::new(value).waiting().run(&sender).unwrap();
            }
        });
        let received = Receive::run_multishot(&receiver, messages.into());

        sends.join().unwrap();
        assert_eq!(received, (1..=messages).collect::<Vec<_>>());
    });
}

/// One that was woken for a message that another receive has taken sleeps again.
#[test]
fn a_multishot_receive_sleeps_again() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, other) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let receives = thread::spawn(move || Receive::run_multishot(&receiver, 1));

        Send::new(1).run(&other).unwrap();
        let left = match Receive::now().run(&other) {
            Ok(1) => 2,
            nothing => {
                assert_eq!(nothing, Err(EAGAIN));
                1
            }
        };
        Send::new(2).run(&other).unwrap();
        assert_eq!(receives.join().unwrap(), [left]);
    });
}

/// Who sleeps while a slot is claimed and later ones are published hears of those as well.
#[test]
fn nobody_sleeps_behind_a_closed_window() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (one, other) = (task::attach(&channel, 2), task::attach(&channel, 3));
        // The first message is for one of the two alone, so that only it is woken.
        let claim = channel.clone();
        let closes = thread::spawn(move || close_window(&claim, 2));
        let waits = {
            let other = other.clone();

            thread::spawn(move || Receive::waiting().run(&other))
        };

        Send::new(2).to(3).run(&one).unwrap();
        assert_eq!(waits.join().unwrap(), Ok(2));
        closes.join().unwrap();
        assert_eq!(Receive::waiting().run(&one), Ok(1));
    });
}

/// A send that waits gets room.
#[test]
fn a_waiting_send_gets_room() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender).unwrap());

        assert_eq!(Receive::now().run(&receiver), Ok(1));
        sends.join().unwrap();
        assert_eq!(Receive::now().run(&receiver), Ok(2));
        assert_eq!(Receive::now().run(&receiver), Ok(3));
    });
}

/// On a broadcast channel, too, where the slowest receiver makes the room.
#[test]
fn a_waiting_send_gets_room_from_the_slowest() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Broadcast, 2);
        let (fast, slow) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let sender = task::attach_sender(&channel, 4);

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        assert_eq!(Receive::now().run(&fast), Ok(1));
        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender).unwrap());

        assert_eq!(Receive::now().run(&slow), Ok(1));
        sends.join().unwrap();
        for receiver in [fast, slow] {
            assert_eq!(Receive::now().run(&receiver), Ok(2));
            assert_eq!(Receive::now().run(&receiver), Ok(3));
        }
    });
}

/// Who polls for room hears of it.
#[test]
fn poll_hears_of_room() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let sends = thread::spawn(move || {
            task::poll(&sender, events::WRITABLE);
            Send::new(3).run(&sender).unwrap();
        });

        assert_eq!(Receive::now().run(&receiver), Ok(1));
        sends.join().unwrap();
    });
}

/// A message that a receiver had taken, and has given back, wakes who has overlooked it.
#[test]
fn a_message_given_back_wakes() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (fails, waits) = (task::attach(&channel, 2), task::attach(&channel, 3));

        Send::new(1).run(&fails).unwrap();
        let fails = thread::spawn(move || Receive::now().losing_memory(1).run(&fails));

        assert_eq!(Receive::waiting().run(&waits), Ok(1));
        assert!(matches!(fails.join().unwrap(), Err(EFAULT | EAGAIN)));
    });
}

/// A receive that was woken for a message and is cancelled hands it on.
#[test]
fn a_cancelled_receive_hands_on() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (cancelled, waits) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let sender = task::attach_sender(&channel, 4);
        let cancels = thread::spawn(move || {
            // Who gets the message sends another one in its place.
            if Receive::waiting().run_cancelled(&cancelled).is_some() {
                Send::new(2).run(&cancelled).unwrap();
            }
        });
        let sends = thread::spawn(move || Send::new(1).run(&sender).unwrap());

        Receive::waiting().run(&waits).unwrap();
        sends.join().unwrap();
        cancels.join().unwrap();
    });
}

/// A send that was woken for room and is cancelled hands it on.
#[test]
fn a_cancelled_send_hands_on() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let receiver = task::attach(&channel, 2);
        let senders = [3, 4].map(|id| task::attach_sender(&channel, id));

        let [cancelled, waits] = wait_for_room(&senders);
        let receives = thread::spawn(move || Receive::now().run(&receiver));

        cancelled.0.cancel(cancelled.1);
        assert_eq!(waits.0.wake(waits.1), Ok(()));
        assert_eq!(receives.join().unwrap(), Ok(1));
    });
}

/// The sends of a task that wait stay in their order, though they come back in another.
#[test]
fn waiting_sends_stay_in_order() {
    explore_weak(Preemptions(1), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let older = Send::new(3).waiting().start(&sender).unwrap();
        let armed = older.arm();
        let receives = thread::spawn(move || {
            (0..4)
                .map(|_| Receive::waiting().run(&receiver).unwrap())
                .collect::<Vec<_>>()
        });

        let younger = Send::new(4).waiting().start(&sender).unwrap();

        // Whatever room there is.
        assert_eq!(younger.issue(), Outcome::WAIT);
        older.wake(armed).unwrap();
        younger.finish().unwrap();
        assert_eq!(receives.join().unwrap(), [1, 2, 3, 4]);
    });
}

/// A receive that was chosen for a message and takes one that is for it alone hands on.
#[test]
fn who_takes_its_own_hands_on() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (takes, waits) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let sender = task::attach_sender(&channel, 4);
        let other = Receive::waiting();

        assert_eq!(other.issue(&waits, IssueFlags::default()), Outcome::WAIT);
        let waiter = Waiter::new(events::READABLE);
        let armed = PollRequest::new(events::READABLE, Some(waiter.clone()));
        assert_eq!(waits.poll(&armed), 0);
        let sends = thread::spawn(move || {
            Send::new(1).to(2).run(&sender).unwrap();
            Send::new(2).run(&sender).unwrap();
        });

        assert_eq!(Receive::waiting().run(&takes), Ok(1));
        sends.join().unwrap();
        waiter.sleep();
        drop(armed);
        assert_eq!(other.run(&waits), Ok(2));
    });
}

/// A full ring of 16: so many messages, from 1 on, for the first receiver, and the others for the
/// second, which receives nothing. And senders.
fn held_by_the_stopped<const SENDERS: usize>(
    mine: u8,
) -> ([Arc<Subscriber>; 2], [Arc<Subscriber>; SENDERS]) {
    let channel = task::channel(Mode::Unicast, 16);
    let receivers = [2, 3].map(|id| task::attach(&channel, id));
    let senders = core::array::from_fn(|index| task::attach_sender(&channel, 4 + index as u32));

    for value in 1..=16 {
        let target = if value <= mine { 2 } else { 3 };
        Send::new(value).to(target).run(&senders[0]).unwrap();
    }
    (receivers, senders)
}

/// Until another thread has claimed the first slot.
fn wait_for_a_claim(channel: &Channel) {
    while channel.ring().tail() == 0 {
        thread::yield_now();
    }
}

/// Fills a ring of 8 behind its first slot with messages for `target`, and waits for that slot.
fn fill_behind_a_claim(sender: &Subscriber, target: u32) {
    for value in 2..=8 {
        Send::new(value).to(target).run(sender).unwrap();
    }
    assert_eq!(Send::new(9).waiting().run(sender), Ok(()));
}

/// Who stands back behind a send that has been woken is woken when that has gone, although what it
/// has sent is received by nobody.
#[test]
fn who_has_stood_back_is_woken() {
    explore_weak(Preemptions(1), || {
        let ([receiver, stopped], [first, second, third]) = held_by_the_stopped(3);
        let woken = Send::new(17).to(3).waiting().start(&first).unwrap();
        let armed = woken.arm();
        // All that is received ever; less than a quarter of the ring.
        for value in 1..4 {
            assert_eq!(Receive::now().run(&receiver), Ok(value));
        }
        let come = [(18, second), (19, third)].map(|(value, sender)| {
            thread::spawn(move || Send::new(value).to(3).waiting().run(&sender))
        });

        assert_eq!(woken.wake(armed), Ok(()));
        for sends in come {
            assert_eq!(sends.join().unwrap(), Ok(()));
        }
        drop(stopped);
    });
}

/// Nor do two that come at once stand back behind each other.
#[test]
fn two_do_not_stand_back() {
    explore_weak(Preemptions(2), || {
        let ([receiver, stopped], [first, second]) = held_by_the_stopped(2);
        let comes = thread::spawn(move || Send::new(17).to(3).waiting().run(&first));

        for value in 1..3 {
            assert_eq!(Receive::now().run(&receiver), Ok(value));
        }
        assert_eq!(Send::new(18).to(3).waiting().run(&second), Ok(()));
        assert_eq!(comes.join().unwrap(), Ok(()));
        drop(stopped);
    });
}

/// A slot that was claimed in vain is room for whoever has found the ring full meanwhile.
#[test]
fn a_claim_in_vain_is_room() {
    explore_weak(Preemptions(1), || {
        let channel = task::channel(Mode::Unicast, 8);
        let stopped = task::attach(&channel, 2);
        let (first, others) = (
            task::attach_sender(&channel, 3),
            task::attach_sender(&channel, 4),
        );

        let fails = thread::spawn(move || Send::new(1).losing_memory().run(&first));
        wait_for_a_claim(&channel);
        fill_behind_a_claim(&others, 2);
        assert_eq!(fails.join().unwrap(), Err(EFAULT));
        drop(stopped);
    });
}

/// Nor is a slot forgotten whose message is for a receiver that has left meanwhile.
#[test]
fn a_message_for_nobody_is_room() {
    explore_weak(Preemptions(1), || {
        let channel = task::channel(Mode::Unicast, 8);
        let (leaves, stopped) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let (first, others) = (
            task::attach_sender(&channel, 4),
            task::attach_sender(&channel, 5),
        );

        let sends = thread::spawn(move || Send::new(1).to(2).run(&first));
        wait_for_a_claim(&channel);
        leaves.detach();
        fill_behind_a_claim(&others, 3);
        assert_eq!(sends.join().unwrap(), Ok(()));
        drop(stopped);
    });
}

/// What room a send that waits was woken for is left to it, until it has gone.
// Of one thread, which shuttle takes for a mistake.
#[cfg(not(feature = "shuttle"))]
#[test]
fn room_is_kept_for_who_was_woken() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Unicast, 8);
        let receiver = task::attach(&channel, 2);
        let (waits, comes_again) = (
            task::attach_sender(&channel, 3),
            task::attach_sender(&channel, 4),
        );

        for value in 1..=8 {
            Send::new(value).run(&comes_again).unwrap();
        }
        let woken = Send::new(9).waiting().start(&waits).unwrap();
        let armed = woken.arm();

        // A quarter of the ring, for which it is woken.
        assert_eq!(Receive::now().run(&receiver), Ok(1));
        assert_eq!(Receive::now().run(&receiver), Ok(2));
        assert_eq!(Send::new(10).run(&comes_again), Ok(()));
        assert!(Send::new(11).run(&comes_again).is_err());
        drop(armed);
        assert_eq!(woken.issue(), Outcome::COMPLETE);

        // So little that nobody is woken for it.
        let sleeps = Send::new(12).waiting().start(&waits).unwrap();
        let armed = sleeps.arm();
        assert_eq!(Receive::now().run(&receiver), Ok(3));
        assert_eq!(Send::new(11).run(&comes_again), Ok(()));
        sleeps.cancel(armed);
    });
}

/// But not where nobody receives any more, who would have the ring filled behind it.
#[cfg(not(feature = "shuttle"))]
#[test]
fn room_is_not_kept_where_nobody_receives() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Unicast, 8);
        let receiver = task::attach(&channel, 2);
        let (waits, sender) = (
            task::attach_sender(&channel, 3),
            task::attach_sender(&channel, 4),
        );

        for value in 1..=8 {
            Send::new(value).run(&sender).unwrap();
        }
        let woken = Send::new(9).waiting().start(&waits).unwrap();
        let armed = woken.arm();

        assert_eq!(Receive::now().run(&receiver), Ok(1));
        assert_eq!(Receive::now().run(&receiver), Ok(2));
        assert_eq!(Send::new(10).run(&sender), Ok(()));
        assert!(Send::new(11).run(&sender).is_err());
        receiver.detach();
        assert_eq!(Send::new(11).run(&sender), Ok(()));
        woken.cancel(armed);
    });
}

/// The end of a channel ends all waits.
#[test]
fn the_end_ends_all_waits() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Unicast, 2);
        let receiver = task::attach(&channel, 2);
        let receives = thread::spawn(move || Receive::waiting().run(&receiver));

        channel.destroy();
        assert_eq!(receives.join().unwrap(), Err(EPIPE));
    });
}

/// Those of sends, too.
#[test]
fn the_end_ends_waiting_sends() {
    explore_weak(Exhaustive, || {
        let channel = task::channel(Mode::Unicast, 2);
        let sender = task::attach_sender(&channel, 3);

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        let sends = thread::spawn(move || Send::new(3).waiting().run(&sender));

        channel.destroy();
        assert_eq!(sends.join().unwrap(), Err(EPIPE));
    });
}

/// Claims a slot, and publishes a message of value 1 for `target` in it.
fn close_window(channel: &Channel, target: u32) {
    let ring: &Ring<_> = channel.ring();
    let claim = ring.claim().unwrap();
    let position = claim.position();

    ring.memory().write(position, &[1]);
    claim.publish(&record(1, target));
    channel.published(position, target);
}

/// What was sent before the end comes before it, also behind a slot that is published after it.
#[test]
fn the_end_hides_nothing_behind_a_window() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let closes = {
            let channel = channel.clone();

            thread::spawn(move || close_window(&channel, 0))
        };

        Send::new(2).run(&sender).unwrap();
        channel.destroy();
        let received: Vec<_> =
            std::iter::from_fn(|| Receive::waiting().run(&receiver).ok()).collect();
        assert!(received.contains(&2), "{received:?}");
        closes.join().unwrap();
    });
}

/// What is sent when the channel ends is received before the end, or is not sent.
#[test]
fn nothing_is_sent_behind_the_end() {
    explore(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || Send::new(1).run(&sender));
        let ends = thread::spawn(move || channel.destroy());
        let received = Receive::waiting().run(&receiver);
        let sent = sends.join().unwrap();

        assert!(matches!(received, Ok(1) | Err(EPIPE)), "{received:?}");
        assert_eq!(sent, received.map(|_| ()));
        ends.join().unwrap();
    });
}

/// A multishot receive that waits for such a slot hears of it.
#[test]
fn a_multishot_receive_ends_behind_a_claim() {
    explore(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || Send::new(1).run(&sender));
        let ends = thread::spawn(move || channel.destroy());
        let received = Receive::run_multishot(&receiver, 1);

        assert_eq!(sends.join().unwrap().is_ok(), received == [1]);
        ends.join().unwrap();
    });
}

/// Nor does anybody send who begins when a receiver has met the end.
#[test]
fn nothing_is_sent_after_the_end() {
    explore(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let ends = thread::spawn(move || channel.destroy());

        assert_eq!(Receive::waiting().run(&receiver), Err(EPIPE));
        assert_eq!(Send::new(1).run(&sender), Err(EPIPE));
        ends.join().unwrap();
    });
}

/// A message that comes back when the channel has ended comes before the end.
#[test]
fn the_end_hides_nothing_that_comes_back() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, other) = (task::attach(&channel, 2), task::attach(&channel, 3));

        Send::new(1).run(&other).unwrap();
        let loses = thread::spawn(move || Receive::now().losing_memory(2).run(&other));

        channel.destroy();
        assert_eq!(Receive::waiting().run(&receiver), Ok(1));
        assert!(loses.join().unwrap().is_err());
    });
}

/// So does a multishot receive that waits for it, or it hears of the end.
#[test]
fn a_multishot_receive_ends_behind_a_message_that_is_taken() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, other) = (task::attach(&channel, 2), task::attach(&channel, 3));

        Send::new(1).run(&other).unwrap();
        let takes = thread::spawn(move || Receive::now().run(&other));

        channel.destroy();
        let mut received = Receive::run_multishot(&receiver, 1);

        received.extend(takes.join().unwrap());
        assert_eq!(received, [1]);
    });
}

/// A multishot receive that waits for the end behind a slot that is for somebody else hears of it.
#[test]
fn a_multishot_receive_ends_behind_a_window() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (receiver, other) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let closes = {
            let channel = channel.clone();

            thread::spawn(move || close_window(&channel, other.member.id))
        };

        channel.destroy();
        assert_eq!(Receive::run_multishot(&receiver, 1), []);
        closes.join().unwrap();
    });
}

/// What a sender's memory faults away from is sent nevertheless, once and whole.
#[test]
fn a_send_that_faults_is_sent() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 4);
        let (receiver, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let sends = thread::spawn(move || Send::new(1).faulting(1).run(&sender).unwrap());

        assert_eq!(Receive::waiting().run(&receiver), Ok(1));
        assert_eq!(Receive::now().run(&receiver), Err(EAGAIN));
        sends.join().unwrap();
    });
}

/// Who polls beside a receive that ends is not forgotten: the receive may have been what was woken.
#[test]
fn who_polls_beside_a_receive_hears() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (both, sender) = (task::attach(&channel, 2), task::attach_sender(&channel, 3));
        let polls = {
            let both = both.clone();

            thread::spawn(move || task::poll(&both, events::READABLE))
        };
        let sends = thread::spawn(move || Send::new(1).run(&sender).unwrap());

        // Who gets the message sends another one in its place.
        if Receive::waiting().run_cancelled(&both).is_some() {
            Send::new(2).run(&both).unwrap();
        }
        polls.join().unwrap();
        sends.join().unwrap();
    });
}

/// Who polls beside a receive that has ended is told of a message, though it is another member's
/// receive that is woken to take it.
#[test]
fn who_polls_is_told_though_a_receive_is_chosen() {
    explore_weak(Preemptions(3), || {
        let channel = task::channel(Mode::Unicast, 2);
        let (chosen, polled) = (task::attach(&channel, 2), task::attach(&channel, 3));
        let sender = task::attach_sender(&channel, 4);

        // It is woken, and does not come before the other has heard.
        let slow = Receive::waiting();
        assert_eq!(slow.issue(&chosen, IssueFlags::default()), Outcome::WAIT);
        let waiter = Waiter::new(events::READABLE);
        let armed = PollRequest::new(events::READABLE, Some(waiter));
        assert_eq!(chosen.poll(&armed), 0);

        let polls = {
            let polled = polled.clone();

            thread::spawn(move || task::poll(&polled, events::READABLE))
        };
        assert_eq!(Receive::waiting().run_cancelled(&polled), None);
        Send::new(1).run(&sender).unwrap();
        polls.join().unwrap();
        drop(armed);
        assert_eq!(slow.run(&chosen), Ok(1));
    });
}

/// Who is woken for one message and receives another one hands on.
#[test]
fn two_that_wait_get_two_messages() {
    explore_weak(Preemptions(2), || {
        let channel = task::channel(Mode::Unicast, 2);
        let receivers = [task::attach(&channel, 2), task::attach(&channel, 3)];
        let sender = task::attach_sender(&channel, 4);
        let receivers = receivers
            .map(|receiver| thread::spawn(move || Receive::waiting().run(&receiver).unwrap()));

        Send::new(1).run(&sender).unwrap();
        Send::new(2).run(&sender).unwrap();
        assert_same(
            receivers.map(|receiver| receiver.join().unwrap()).into(),
            vec![1, 2],
        );
    });
}

/// Several who wait for room, several who wait for messages: all of it gets through.
#[cfg(feature = "shuttle")]
#[test]
fn everything_gets_through() {
    for mode in [Mode::Unicast, Mode::Broadcast, Mode::Multicast] {
        explore_weak(Preemptions(0), move || {
            let channel = task::channel(mode, 2);
            let sender = |sender: u8| {
                let subscriber = task::attach_sender(&channel, 10 + u32::from(sender));

                thread::spawn(move || {
                    for n in 1..=3 {
                        let value = sender * 16 + n;

                        Send::new(value).waiting().run(&subscriber).unwrap();
                    }
                })
            };
            let copies = if mode == Mode::Broadcast { 3 } else { 1 };
            let receiver = |id| {
                let subscriber = task::attach(&channel, id);

                thread::spawn(move || {
                    (0..3 * copies)
                        .map(|_| Receive::waiting().run(&subscriber).unwrap())
                        .collect::<Vec<_>>()
                })
            };
            let receivers = [1, 2, 3].map(receiver);
            let senders = [1, 2, 3].map(sender);

            for sender in senders {
                sender.join().unwrap();
            }
            let received = receivers.into_iter().flat_map(|r| r.join().unwrap());
            let sent = (1..=3).flat_map(|sender| (1..=3).map(move |n| sender * 16 + n));
            let sent: Vec<u8> = sent.collect();

            assert_same(received.collect(), sent.repeat(copies));
        });
    }
}
