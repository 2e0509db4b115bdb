// SPDX-License-Identifier: GPL-2.0

//! Many messages, from and to several threads, each with a ring of its own.

use super::{of_kind, woken, Cases};
use crate::harness::same;
use anyhow::{anyhow, bail, ensure, Context, Result};
use io_uring_ipc::{abi, failed_with, ChannelConfig, Kind, Message, Ring, Setup, Subscriber};
use io_uring_ipc::{EMPTY, FULL};
use std::sync::mpsc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

pub const CASES: Cases = &[
    ("order_unicast", order_unicast),
    ("order_multicast", order_multicast),
    ("order_broadcast", order_broadcast),
    ("order_one_by_one", order_one_by_one),
    ("unicast_exactly_once", unicast_exactly_once),
    ("multicast_exactly_once", multicast_exactly_once),
    ("broadcast_to_threads", broadcast_to_threads),
    ("many_senders", many_senders),
];

/// Nobody sleeps that long unless a wake-up was lost.
const LIMIT: Duration = Duration::from_secs(10);
const BATCH: usize = 16;

/// Sends numbers in order, waiting where the ring is full.
fn send_all(sender: &Subscriber<'_>, numbers: std::ops::Range<u64>) -> Result<()> {
    let bytes: Vec<[u8; 8]> = numbers.map(u64::to_ne_bytes).collect();
    let messages: Vec<_> = bytes.iter().map(|bytes| Message::new(bytes)).collect();
    let mut rest = messages.as_slice();

    while !rest.is_empty() {
        let result = sender.send_batch(&rest[..rest.len().min(BATCH)]);

        if failed_with(&result, FULL) {
            woken(sender, false, true, LIMIT).context("waiting for room")?;
        } else {
            rest = &rest[result?..];
        }
    }
    Ok(())
}

/// Sends the end mark, to one or to all.
fn send_end(sender: &Subscriber<'_>, target: u32) -> Result<()> {
    loop {
        let result = sender.send(Message::new(&[]).to(target));

        if !failed_with(&result, FULL) {
            return Ok(result?);
        }
        woken(sender, false, true, LIMIT).context("waiting for room")?;
    }
}

/// Receives numbers until the end mark, waiting where there are none.
fn recv_all(receiver: &Subscriber<'_>) -> Result<Vec<u64>> {
    let mut buffers = vec![vec![0; 8]; BATCH];
    let mut numbers = Vec::new();

    loop {
        let result = receiver.recv_batch(&mut buffers);

        if failed_with(&result, EMPTY) {
            woken(receiver, true, false, LIMIT)
                .with_context(|| format!("waiting after {} messages", numbers.len()))?;
            continue;
        }
        for (buffer, len) in buffers.iter().zip(result?) {
            match len {
                0 => return Ok(numbers),
                8 => numbers.push(u64::from_ne_bytes(buffer.as_slice().try_into()?)),
                _ => bail!("a message of {len} bytes"),
            }
        }
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// Starts receivers, sends `count` numbers and then the end to each, and gives
/// what each receiver got.
fn through(
    setup: Setup,
    config: &ChannelConfig,
    receivers: usize,
    count: u64,
) -> Result<Vec<Vec<u64>>> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(config)?;
    let id = channel.id();

    thread::scope(|scope| {
        let (attached, ids) = mpsc::channel();
        let threads: Vec<_> = (0..receivers)
            .map(|_| {
                let attached = attached.clone();

                scope.spawn(move || -> Result<Vec<u64>> {
                    let ring = Ring::new(setup)?;
                    let receiver = ring.attach(id, abi::SUB_RECV)?;

                    attached.send(receiver.id())?;
                    recv_all(&receiver)
                })
            })
            .collect();
        let sender = channel.attach(abi::SUB_SEND)?;
        let targets = (0..receivers)
            .map(|_| ids.recv_timeout(LIMIT))
            .collect::<Result<Vec<_>, _>>()
            .context("a receiver does not start")?;

        send_all(&sender, 0..count)?;
        for target in targets {
            send_end(&sender, target)?;
        }
        threads.into_iter().map(join).collect()
    })
}

/// Ten thousand messages through a ring of eight.
fn through_small_ring(setup: Setup, kind: Kind) -> Result<()> {
    let config = ChannelConfig {
        entries: 8,
        ..of_kind(kind)
    };
    let got = through(setup, &config, 1, 10_000)?;

    in_order(&got[0], 10_000)
}

fn order_unicast(setup: Setup) -> Result<()> {
    through_small_ring(setup, Kind::Unicast)
}

fn order_multicast(setup: Setup) -> Result<()> {
    through_small_ring(setup, Kind::Multicast)
}

fn order_broadcast(setup: Setup) -> Result<()> {
    through_small_ring(setup, Kind::Broadcast)
}

/// Every number, and each where it belongs.
pub fn in_order(numbers: &[u64], count: u64) -> Result<()> {
    for (&number, expected) in numbers.iter().zip(0..) {
        same("number", number, expected)?;
    }
    same("messages", numbers.len() as u64, count)
}

/// The same in one thread, without batches.
fn order_one_by_one(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 8,
        ..ChannelConfig::default()
    })?;
    let both = channel.attach(abi::SUB_BOTH)?;

    for round in 0..150 {
        let numbers = round * 8..round * 8 + 8;

        super::send_numbers(&both, numbers.clone())?;
        super::expect_numbers(&both, numbers)?;
    }
    Ok(())
}

/// Two receivers together get every message once, and each in order.
fn exactly_once(setup: Setup, kind: Kind) -> Result<()> {
    const COUNT: u64 = 20_000;

    let config = ChannelConfig {
        entries: 64,
        ..of_kind(kind)
    };
    let got = through(setup, &config, 2, COUNT)?;

    for numbers in &got {
        ensure!(
            numbers.is_sorted_by(|a, b| a < b),
            "a receiver got messages out of order"
        );
    }

    each_once(&got.concat(), COUNT)
}

/// Every number once, in whatever order.
pub fn each_once(numbers: &[u64], count: u64) -> Result<()> {
    let mut times = vec![0_u32; usize::try_from(count)?];

    for &number in numbers {
        *times
            .get_mut(usize::try_from(number)?)
            .with_context(|| format!("number {number} was never sent"))? += 1;
    }

    let which = |wrong: fn(u32) -> bool| -> Vec<usize> {
        let found = times.iter().enumerate().filter(|(_, &times)| wrong(times));

        found.map(|(number, _)| number).collect()
    };
    let lost = which(|times| times == 0);
    let twice = which(|times| times > 1);

    ensure!(
        lost.is_empty() && twice.is_empty(),
        "of {count} messages {} were lost (first {:?}) and {} came more than once (first {:?})",
        lost.len(),
        lost.first(),
        twice.len(),
        twice.first()
    );
    Ok(())
}

fn unicast_exactly_once(setup: Setup) -> Result<()> {
    exactly_once(setup, Kind::Unicast)
}

fn multicast_exactly_once(setup: Setup) -> Result<()> {
    exactly_once(setup, Kind::Multicast)
}

fn broadcast_to_threads(setup: Setup) -> Result<()> {
    const COUNT: u64 = 3_000;

    for numbers in through(setup, &of_kind(Kind::Broadcast), 3, COUNT)? {
        in_order(&numbers, COUNT)?;
    }
    Ok(())
}

/// What one sender sends stays in order among what others send.
fn many_senders(setup: Setup) -> Result<()> {
    const SENDERS: u64 = 3;
    const EACH: u64 = 2_000;

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 32,
            ..of_kind(kind)
        })?;
        let id = channel.id();
        let receiver = channel.attach(abi::SUB_RECV)?;
        let receiver_id = receiver.id();

        let numbers = thread::scope(|scope| -> Result<Vec<u64>> {
            let director = scope.spawn(move || -> Result<()> {
                let ring = Ring::new(setup)?;
                let sender = ring.attach(id, abi::SUB_SEND)?;

                thread::scope(|scope| -> Result<()> {
                    let senders: Vec<_> = (0..SENDERS)
                        .map(|number| {
                            scope.spawn(move || -> Result<()> {
                                let ring = Ring::new(setup)?;
                                let sender = ring.attach(id, abi::SUB_SEND)?;

                                send_all(&sender, number * EACH..(number + 1) * EACH)
                            })
                        })
                        .collect();

                    senders.into_iter().try_for_each(join)
                })?;
                send_end(&sender, receiver_id)
            });
            let numbers = recv_all(&receiver)?;

            join(director)?;
            Ok(numbers)
        })?;

        for sender in 0..SENDERS {
            let from = sender * EACH;
            let its: Vec<_> = numbers
                .iter()
                .filter(|&&number| (from..from + EACH).contains(&number))
                .map(|number| number - from)
                .collect();

            in_order(&its, EACH)?;
        }
        same("messages", numbers.len() as u64, SENDERS * EACH)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_twice() {
        assert!(each_once(&[2, 0, 1], 3).is_ok());
        assert!(each_once(&[2, 0], 3).is_err());
        assert!(each_once(&[2, 0, 1, 1], 3).is_err());
        assert!(each_once(&[3, 0, 1, 2], 3).is_err());
        assert!(in_order(&[0, 1], 2).is_ok());
        assert!(in_order(&[1, 0], 2).is_err());
        assert!(in_order(&[0], 2).is_err());
    }
}
