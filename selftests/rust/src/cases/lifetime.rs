// SPDX-License-Identifier: GPL-2.0

//! How channels, subscribers, ids and keys begin and end.

use super::{expect_empty, expect_numbers, of_kind, send_numbers, some_key, Cases};
use crate::harness::{fails, same};
use anyhow::{ensure, Result};
use io_uring_ipc::{abi, ChannelConfig, Kind, Message, Ring, Setup, ENDED, FULL};
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd};

pub const CASES: Cases = &[
    ("detach", detach),
    ("destroy_drains", destroy_drains),
    ("destroy_twice", destroy_twice),
    ("duplicate_key", duplicate_key),
    ("key_ends_with_ring", key_ends_with_ring),
    ("ring_close_ends_channel", ring_close_ends_channel),
    ("ring_close_detaches", ring_close_detaches),
    ("ids_not_reused", ids_not_reused),
    ("file_does_not_detach", file_does_not_detach),
    ("close_on_exec", close_on_exec),
];

fn detach(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let sender = channel.attach(abi::SUB_SEND)?;

    send_numbers(&sender, 0..3)?;
    ring.register_detach(sender.id())?;
    fails(
        "send after detach",
        sender.send(Message::new(b"x")),
        libc::ENOENT,
    )?;

    // What a sender sent stays when it leaves.
    expect_numbers(&receiver, 0..3)?;
    ring.register_detach(receiver.id())?;
    fails(
        "receive after detach",
        receiver.recv(&mut [0; 8]),
        libc::ENOENT,
    )?;
    for subscriber in [&sender, &receiver] {
        fails(
            "second detach",
            ring.register_detach(subscriber.id()),
            libc::ENOENT,
        )?;
    }
    Ok(())
}

/// After DESTROY senders are told, and receivers get what is left first.
fn destroy_drains(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let mut buffer = [0; 8];

        send_numbers(&sender, 0..3)?;
        channel.destroy()?;
        fails("send", sender.send(Message::new(b"x")), ENDED)?;
        for number in 0..3 {
            same("number", super::recv_number(&receiver)?, number)?;
        }
        for _ in 0..2 {
            fails("receive when drained", receiver.recv(&mut buffer), ENDED)?;
        }
        receiver.detach()?;
        sender.detach()?;
    }
    Ok(())
}

fn destroy_twice(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let id = channel.id();
    let subscriber = channel.attach(abi::SUB_BOTH)?;

    channel.destroy()?;
    fails("second destroy", ring.register_destroy(id), libc::ENOENT)?;
    subscriber.detach()?;
    fails("third destroy", ring.register_destroy(id), libc::ENOENT)
}

fn duplicate_key(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let keyed = ChannelConfig {
        key: some_key(1),
        ..ChannelConfig::default()
    };
    let channel = ring.create(&keyed)?;

    for ring in [&ring, &elsewhere] {
        fails("same key", ring.create(&keyed).map(drop), libc::EEXIST)?;
    }

    let sender = elsewhere.attach_by_key(keyed.key, abi::SUB_SEND)?;
    send_numbers(&sender, [1])?;
    expect_numbers(&channel.attach(abi::SUB_RECV)?, [1])?;

    // The key is free again at once, though the old channel has a subscriber.
    channel.destroy()?;
    let again = elsewhere.create(&keyed)?;
    fails("old subscriber", sender.send(Message::new(b"x")), ENDED)?;
    expect_empty(&ring.attach_by_key(keyed.key, abi::SUB_RECV)?)?;
    drop(again);

    // Without a key there is nothing to be the same.
    let first = ring.create(&ChannelConfig::default())?;
    let second = ring.create(&ChannelConfig::default())?;
    same("one id twice", first.id() == second.id(), false)
}

/// Whether `create` works again as soon as the ring is closed.
fn key_ends_with_ring(setup: Setup) -> Result<()> {
    let keyed = ChannelConfig {
        key: some_key(2),
        ..ChannelConfig::default()
    };

    for _ in 0..20 {
        let ring = Ring::new(setup)?;

        // The kernel, not the library, is to end the channel.
        std::mem::forget(ring.create(&keyed)?);
        drop(ring);
    }
    Ok(())
}

fn ring_close_ends_channel(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let elsewhere = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let id = channel.id();
        let both = elsewhere.attach(id, abi::SUB_BOTH)?;

        send_numbers(&both, [1])?;
        std::mem::forget(channel);
        drop(ring);

        fails("send", both.send(Message::new(b"x")), ENDED)?;
        same("event", both.events()?.ended, true)?;
        fails("destroy", elsewhere.register_destroy(id), libc::ENOENT)?;
        fails(
            "attach",
            elsewhere.attach(id, abi::SUB_BOTH).map(drop),
            libc::ENOENT,
        )?;
        both.detach()?;
    }
    Ok(())
}

/// A receiver whose ring is closed holds up no sender any more.
fn ring_close_detaches(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let lost = elsewhere.attach(channel.id(), abi::SUB_RECV)?;
    let lost_id = lost.id();

    send_numbers(&sender, 0..4)?;
    fails("full", sender.send(Message::new(b"x")), FULL)?;
    std::mem::forget(lost);
    drop(elsewhere);

    send_numbers(&sender, 0..20)?;
    fails(
        "message to one who is gone",
        sender.send(Message::new(b"x").to(lost_id)),
        libc::ENOENT,
    )
}

fn ids_not_reused(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let mut seen = HashSet::new();

    for _ in 0..50 {
        let channel = ring.create(&ChannelConfig::default())?;
        ensure!(channel.id() != 0, "a channel has the id 0");
        ensure!(seen.insert(channel.id()), "a channel's id was used before");

        for _ in 0..3 {
            let subscriber = channel.attach(abi::SUB_BOTH)?;

            ensure!(subscriber.id() != 0, "a subscriber has the id 0");
            ensure!(
                seen.insert(subscriber.id()),
                "a subscriber's id was used before"
            );
        }
    }
    Ok(())
}

/// Closing `channel_fd` is not detaching.
fn file_does_not_detach(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let mut attach = abi::ChannelAttach {
        channel_id: channel.id(),
        flags: abi::SUB_BOTH,
        ..Default::default()
    };
    let content = [1; 8];
    let mut buffer = [0; 8];

    ring.register_attach(&mut attach)?;
    // SAFETY: the file descriptor is new, and known here only.
    same("close", unsafe { libc::close(attach.channel_fd) }, 0)?;

    use io_uring_ipc::sqe::Sqe;
    let send = Sqe::send(attach.local_id_out, content.as_ptr(), content.len());
    let recv = Sqe::recv(attach.local_id_out, buffer.as_mut_ptr(), buffer.len());
    // SAFETY: both buffers live longer than the requests.
    unsafe {
        same("sent", ring.run_one(send)?, 8)?;
        same("received", ring.run_one(recv)?, 8)?;
    }
    same("content", buffer, content)?;
    Ok(ring.register_detach(attach.local_id_out)?)
}

fn close_on_exec(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let subscriber = channel.attach(abi::SUB_RECV)?;
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(subscriber.as_fd().as_raw_fd(), libc::F_GETFD) };

    same("flags of the file", flags, libc::FD_CLOEXEC)
}
