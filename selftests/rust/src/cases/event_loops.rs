// SPDX-License-Identifier: GPL-2.0

//! `channel_fd` in event loops: epoll, level- and edge-triggered, and tokio.

use super::bulk::in_order;
use super::requests::{join, send_waiting, A_WHILE, LIMIT};
use super::{expect_numbers, of_kind, recv_number, send_numbers, Cases};
use crate::harness::same;
use anyhow::{bail, ensure, Context, Result};
use io_uring_ipc::{abi, failed_with, ChannelConfig, InFlight, Kind, Message, Ring, Setup};
use io_uring_ipc::{Subscriber, EMPTY, ENDED, FULL};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

pub const CASES: Cases = &[
    ("epoll_is_level_triggered", epoll_is_level_triggered),
    ("epoll_loop", epoll_loop),
    ("epoll_loop_edge_triggered", epoll_loop_edge_triggered),
    ("epoll_several_channels", epoll_several_channels),
    ("tokio_receiver", tokio_receiver),
    ("tokio_sender_and_receiver", tokio_sender_and_receiver),
];

/// Messages through each loop, at most, and how many the channel holds.
const MOST: u64 = 2000;
const ENTRIES: u32 = 8;

/// An epoll instance.
struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };

        ensure!(fd >= 0, "epoll_create1: {}", io::Error::last_os_error());
        // SAFETY: the file descriptor is new, and known here only.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches a file; `number` tells it from others.
    fn add(&self, file: BorrowedFd<'_>, events: i32, number: u64) -> Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: number,
        };
        let (epoll, file) = (self.0.as_raw_fd(), file.as_raw_fd());

        // SAFETY: `event` is what the call reads.
        let ret = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, file, &mut event) };
        ensure!(ret == 0, "epoll_ctl: {}", io::Error::last_os_error());
        Ok(())
    }

    /// The number and events of a file for which something has happened, if
    /// that is so before the limit.
    fn wait(&self, limit: Duration) -> Result<Option<(u64, i32)>> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let limit_ms = i32::try_from(limit.as_millis())?;

        loop {
            // SAFETY: `event` is the one entry that the call may write.
            match unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut event, 1, limit_ms) } {
                0 => return Ok(None),
                1.. => return Ok(Some((event.u64, event.events as i32))),
                _ => {
                    let error = io::Error::last_os_error();

                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error).context("epoll_wait");
                    }
                }
            }
        }
    }
}

fn channel_of(kind: Kind) -> ChannelConfig {
    ChannelConfig {
        entries: ENTRIES,
        ..of_kind(kind)
    }
}

/// An event is told again until it is over.
fn epoll_is_level_triggered(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&channel_of(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let (messages, room) = (Epoll::new()?, Epoll::new()?);
        let in_event = Some((1, libc::EPOLLIN));
        let out_event = Some((2, libc::EPOLLOUT));

        messages.add(receiver.as_fd(), libc::EPOLLIN, 1)?;
        room.add(sender.as_fd(), libc::EPOLLOUT, 2)?;
        same("empty", messages.wait(A_WHILE)?, None)?;
        for _ in 0..2 {
            same("room", room.wait(A_WHILE)?, out_event)?;
        }

        send_numbers(&sender, 0..ENTRIES.into())?;
        same("no room", room.wait(A_WHILE)?, None)?;
        for number in 0..ENTRIES.into() {
            for _ in 0..2 {
                same("message", messages.wait(LIMIT)?, in_event)?;
            }
            same("number", recv_number(&receiver)?, number)?;
            same("room again", room.wait(LIMIT)?, out_event)?;
        }
        same("empty again", messages.wait(A_WHILE)?, None)?;

        channel.destroy()?;
        for (epoll, what) in [(&messages, "receiver"), (&room, "sender")] {
            for _ in 0..2 {
                let events = epoll.wait(LIMIT)?.map_or(0, |(_, events)| events);

                ensure!(events & libc::EPOLLHUP != 0, "end for {what}: {events:#x}");
            }
        }
    }
    Ok(())
}

/// A thread sends numbers, waiting for room, and then destroys the channel,
/// while `receive` gets them all.
fn while_sending(
    setup: Setup,
    kind: Kind,
    receive: impl Fn(&Subscriber<'_>) -> Result<Vec<u64>>,
) -> Result<()> {
    let count = setup.share(MOST);
    let ring = Ring::new(setup)?;
    let channel = ring.create(&channel_of(kind))?;
    let id = channel.id();
    let receiver = channel.attach(abi::SUB_RECV)?;

    thread::scope(|scope| {
        let other = scope.spawn(move || -> Result<()> {
            let ring = Ring::new(setup)?;
            let sender = ring.attach(id, abi::SUB_SEND)?;

            send_waiting(&mut InFlight::new(&ring)?, sender.id(), 0..count)?;
            Ok(ring.register_destroy(id)?)
        });

        in_order(&receive(&receiver)?, count)?;
        join(other)
    })
}

/// Receives up to `at_most` messages; true when the channel has ended.
fn take(receiver: &Subscriber<'_>, numbers: &mut Vec<u64>, at_most: usize) -> Result<bool> {
    let mut buffer = [0; 8];

    for _ in 0..at_most {
        let result = receiver.recv(&mut buffer);

        if failed_with(&result, EMPTY) {
            return Ok(false);
        }
        if failed_with(&result, ENDED) {
            return Ok(true);
        }
        same("length of a number", result?, 8)?;
        numbers.push(u64::from_ne_bytes(buffer));
    }
    Ok(false)
}

/// Receives up to `at_most` messages for each event.
fn through_epoll(receiver: &Subscriber<'_>, mode: i32, at_most: usize) -> Result<Vec<u64>> {
    let epoll = Epoll::new()?;
    let mut numbers = Vec::new();

    epoll.add(receiver.as_fd(), libc::EPOLLIN | mode, 1)?;
    loop {
        if epoll.wait(LIMIT)?.is_none() {
            bail!("no event after {} messages", numbers.len());
        }
        if take(receiver, &mut numbers, at_most)? {
            return Ok(numbers);
        }
    }
}

/// Some are left for the next event, of which there has to be one.
fn epoll_loop(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        for at_most in [2, usize::MAX] {
            while_sending(setup, kind, |receiver| through_epoll(receiver, 0, at_most))?;
        }
    }
    Ok(())
}

/// Who has seen that there are no more messages gets an event for the next.
fn epoll_loop_edge_triggered(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        while_sending(setup, kind, |receiver| {
            through_epoll(receiver, libc::EPOLLET, usize::MAX)
        })?;
    }
    Ok(())
}

/// Events tell which of several channels has a message.
fn epoll_several_channels(setup: Setup) -> Result<()> {
    const CHANNELS: u64 = 5;

    let ring = Ring::new(setup)?;
    let epoll = Epoll::new()?;
    let mut ends = Vec::new();

    for number in 0..CHANNELS {
        let channel = ring.create(&ChannelConfig::default())?;
        let both = channel.attach(abi::SUB_BOTH)?;

        epoll.add(both.as_fd(), libc::EPOLLIN, number)?;
        ends.push((channel, both));
    }
    for number in 0..20 {
        let which = number * 3 % CHANNELS;
        let (_, both) = &ends[which as usize];

        send_numbers(both, [number])?;
        same("event", epoll.wait(LIMIT)?, Some((which, libc::EPOLLIN)))?;
        expect_numbers(both, [number])?;
        same("no event", epoll.wait(Duration::ZERO)?, None)?;
    }
    Ok(())
}

/// Runs a future in this thread, which is the ring's, with a limit.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;

    runtime.block_on(async {
        tokio::time::timeout(3 * LIMIT, future)
            .await
            .context("a future that never ends")?
    })
}

fn watch<'a>(
    subscriber: &'a Subscriber<'_>,
    interest: Interest,
) -> io::Result<AsyncFd<BorrowedFd<'a>>> {
    // SAFETY: the file stays open while it is borrowed, and always has the same
    // descriptor.
    unsafe { AsyncFd::register_with_interest(subscriber.as_fd(), interest) }
        .map_err(io::Error::from)
}

async fn receive_all(receiver: &Subscriber<'_>) -> Result<Vec<u64>> {
    let file = watch(receiver, Interest::READABLE)?;
    let mut numbers = Vec::new();
    let mut buffer = [0; 8];

    loop {
        let mut ready = tokio::time::timeout(LIMIT, file.readable())
            .await
            .with_context(|| format!("no event after {} messages", numbers.len()))??;

        // Where the channel is empty, which is what "would block" means, the
        // next event is waited for.
        let Ok(result) = ready.try_io(|_| receiver.recv(&mut buffer)) else {
            continue;
        };
        if failed_with(&result, ENDED) {
            return Ok(numbers);
        }
        same("length of a number", result?, 8)?;
        numbers.push(u64::from_ne_bytes(buffer));
    }
}

async fn send_all(sender: &Subscriber<'_>, count: u64) -> Result<()> {
    let file = watch(sender, Interest::WRITABLE)?;

    for number in 0..count {
        loop {
            let mut ready = tokio::time::timeout(LIMIT, file.writable())
                .await
                .with_context(|| format!("no room for number {number}"))??;
            let result = ready.try_io(|_| match sender.send(Message::new(&number.to_ne_bytes())) {
                result if failed_with(&result, FULL) => Err(io::ErrorKind::WouldBlock.into()),
                result => result,
            });

            if let Ok(result) = result {
                result?;
                break;
            }
        }
    }
    Ok(())
}

fn tokio_receiver(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        while_sending(setup, kind, |receiver| block_on(receive_all(receiver)))?;
    }
    Ok(())
}

/// Neither side has a request that waits: all waiting is tokio's.
fn tokio_sender_and_receiver(setup: Setup) -> Result<()> {
    let count = setup.share(MOST);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&channel_of(kind))?;
        let id = channel.id();
        let receiver = channel.attach(abi::SUB_RECV)?;

        thread::scope(|scope| {
            let other = scope.spawn(move || -> Result<()> {
                let ring = Ring::new(setup)?;
                let sender = ring.attach(id, abi::SUB_SEND)?;

                block_on(send_all(&sender, count))?;
                Ok(ring.register_destroy(id)?)
            });

            in_order(&block_on(receive_all(&receiver))?, count)?;
            join(other)
        })?;
    }
    Ok(())
}
