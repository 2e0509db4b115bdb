// SPDX-License-Identifier: GPL-2.0

//! Several processes and users.

use super::{expect_empty, expect_numbers, send_numbers, some_key, woken, Cases};
use crate::harness::{fails, same};
use crate::helper::{open_to_all, Helper, NOBODY};
use anyhow::{ensure, Result};
use io_uring_ipc::{abi, failed_with, ChannelConfig, Kind, Message, Ring, Setup, EMPTY, ENDED};
use std::time::Duration;

pub const CASES: Cases = &[
    ("destroy_by_stranger", destroy_by_stranger),
    ("destroy_by_root", destroy_by_root),
    ("attach_by_stranger", attach_by_stranger),
    ("send_by_stranger", send_by_stranger),
    ("bare_sender", bare_sender),
    ("echo", echo),
    ("process_end", process_end),
];

const LIMIT: Duration = Duration::from_secs(20);

/// A channel that all may use may not be destroyed by all.
fn destroy_by_stranger(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&open_to_all(Kind::Unicast))?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let mut stranger = Helper::start_as(NOBODY, setup, "destroy", &[u64::from(channel.id())])?;

    same("stranger", stranger.line()?, libc::EPERM.to_string())?;
    stranger.finish()?;

    // Nor has it done anything before it was refused.
    send_numbers(&both, 0..3)?;
    expect_numbers(&both, 0..3)?;
    same("ended", both.events()?.ended, false)?;

    // The owner may from another process.
    let mut owner = Helper::start(setup, "destroy", &[u64::from(channel.id())])?;
    same("owner", owner.line()?, "0".into())?;
    owner.finish()?;
    fails("send", both.send(Message::new(b"x")), ENDED)
}

/// One who may override owners of files may destroy as well.
fn destroy_by_root(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let mut owner = Helper::start_as(NOBODY, setup, "own", &[some_key(1)])?;
    let id = owner.line()?.parse()?;

    ring.register_destroy(id)?;
    owner.go_on()?;
    same("owner", owner.line()?, libc::ENOENT.to_string())?;
    owner.finish()
}

/// The mode decides who may attach, and in which direction.
fn attach_by_stranger(setup: Setup) -> Result<()> {
    let (recv, send, both) = (abi::SUB_RECV, abi::SUB_SEND, abi::SUB_BOTH);
    let no = libc::EACCES;

    for (mode, expected) in [
        (0o600, [(recv, no), (send, no), (both, no)]),
        (0o660, [(recv, no), (send, no), (both, no)]),
        (0o604, [(recv, 0), (send, no), (both, no)]),
        (0o602, [(recv, no), (send, 0), (both, no)]),
        (0o606, [(recv, 0), (send, 0), (both, 0)]),
    ] {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            mode,
            ..ChannelConfig::default()
        })?;

        for (flags, errno) in expected {
            let args = [u64::from(channel.id()), u64::from(flags)];
            let mut stranger = Helper::start_as(NOBODY, setup, "attach", &args)?;

            same(
                &format!("mode {mode:o}, attach flags {flags}"),
                stranger.line()?,
                errno.to_string(),
            )?;
            stranger.finish()?;
        }
    }
    Ok(())
}

/// Sending by a channel's id needs the right to write at each message.
fn send_by_stranger(setup: Setup) -> Result<()> {
    for (mode, errno) in [(0o604, libc::EACCES), (0o602, 0)] {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            mode,
            ..ChannelConfig::default()
        })?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let mut stranger = Helper::start_as(NOBODY, setup, "send", &[channel.id().into(), 1])?;

        same("send", stranger.line()?, errno.to_string())?;
        if errno != 0 {
            expect_empty(&receiver)?;
        } else {
            let mut buffer = vec![0; 128];
            let (header, _) = receiver.recv_with_header(&mut buffer)?;

            same("uid and gid", (header.uid, header.gid), (NOBODY, NOBODY))?;
            same("pid", header.pid, stranger.pid())?;
        }
        stranger.finish()?;
    }
    Ok(())
}

/// Another process sends by the channel's id, without attaching.
fn bare_sender(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 8,
            kind,
            ..ChannelConfig::default()
        })?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let mut sender = Helper::start(setup, "send", &[channel.id().into(), 9])?;
        let mut buffer = vec![0; 128];

        for _ in 0..8 {
            same("send", sender.line()?, "0".into())?;
        }
        same("one too many", sender.line()?, libc::ENOBUFS.to_string())?;

        for number in 0..8_u64 {
            let (header, payload) = receiver.recv_with_header(&mut buffer)?;

            same("payload", payload, &number.to_ne_bytes())?;
            same("sender_data", header.sender_data, number)?;
            same("sender_id", header.sender_id, 0)?;
            same("pid", header.pid, sender.pid())?;
        }
        expect_empty(&receiver)?;
        sender.finish()?;
    }
    Ok(())
}

/// To another process and back, by keys, both sides sleeping in poll.
fn echo(setup: Setup) -> Result<()> {
    const COUNT: u64 = 300;

    let keyed = |number| ChannelConfig {
        key: some_key(number),
        ..ChannelConfig::default()
    };
    let ring = Ring::new(setup)?;
    let there = ring.create(&keyed(1))?;
    let back = ring.create(&keyed(2))?;
    let sender = there.attach(abi::SUB_SEND)?;
    let receiver = back.attach(abi::SUB_RECV)?;
    let mut other = Helper::start(setup, "echo", &[some_key(1), some_key(2), COUNT])?;
    let mut buffer = vec![0; 4096];

    same("helper", other.line()?, "attached".into())?;
    for number in 0..COUNT {
        let content = vec![number as u8; number as usize * 13];

        sender.send(Message::new(&content))?;
        woken(&receiver, true, false, LIMIT)?;
        let len = receiver.recv(&mut buffer)?;
        ensure!(buffer[..len] == content[..], "message {number} changed");
    }
    other.finish()
}

/// What a process had is gone when it has ended.
fn process_end(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let mut owner = Helper::start(setup, "own", &[some_key(1)])?;

    let _id = owner.line()?;
    let receiver = ring.attach_by_key(some_key(1), abi::SUB_RECV)?;
    let sender = ring.attach_by_key(some_key(1), abi::SUB_SEND)?;

    send_numbers(&sender, [1])?;
    // Killed, so that nobody but the kernel can tidy up.
    drop(owner);

    same("event", woken(&receiver, false, false, LIMIT)?.ended, true)?;
    fails("send", sender.send(Message::new(b"x")), ENDED)?;

    let rest = receiver.recv(&mut [0; 8]);
    ensure!(
        !failed_with(&rest, EMPTY),
        "a channel that ended is not empty"
    );
    ring.create(&ChannelConfig {
        key: some_key(1),
        ..ChannelConfig::default()
    })?;
    Ok(())
}
