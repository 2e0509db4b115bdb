// SPDX-License-Identifier: GPL-2.0

//! What a receiver gets: lengths, flags, the header; and waiting with poll.

use super::{expect_empty, expect_numbers, of_kind, recv_number, send_numbers, woken, Cases};
use crate::harness::{fails, same};
use crate::procfs::Sleeper;
use anyhow::{ensure, Result};
use io_uring::{opcode, types, IoUring};
use io_uring_ipc::{abi, ChannelConfig, Events, Kind, Message, Ring, Setup, FULL};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub const CASES: Cases = &[
    ("too_large", too_large),
    ("every_length", every_length),
    ("truncation", truncation),
    ("trunc_flag", trunc_flag),
    ("header", header),
    ("header_and_short_buffers", header_and_short_buffers),
    ("bad_addresses", bad_addresses),
    ("poll", poll),
    ("poll_wakes", poll_wakes),
    ("poll_add", poll_add),
];

/// Bytes that tell where they were.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}

fn too_large(setup: Setup) -> Result<()> {
    for max in [1, 100, 4096, abi::MAX_MSG_SIZE] {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 2,
            max_msg_size: max,
            ..ChannelConfig::default()
        })?;
        let both = channel.attach(abi::SUB_BOTH)?;
        let content = pattern(max as usize + 1);
        let (_, fits) = content.split_first().expect("it is not empty");

        for _ in 0..3 {
            fails(
                "too large",
                both.send(Message::new(&content)),
                libc::EMSGSIZE,
            )?;
        }
        expect_empty(&both)?;

        let mut buffer = vec![0; content.len()];
        both.send(Message::new(fits))?;
        same("length", both.recv(&mut buffer)?, fits.len())?;
        ensure!(
            buffer[..fits.len()] == *fits,
            "{max} bytes changed on the way"
        );
    }
    Ok(())
}

/// Lengths around every border that copying may have.
fn every_length(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        max_msg_size: 9000,
        ..ChannelConfig::default()
    })?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let content = pattern(9000);
    let borders = [63, 127, 4095, 8191].into_iter();

    for len in (0..20)
        .chain(borders.flat_map(|len| len..len + 3))
        .chain([9000])
    {
        let mut buffer = vec![0xee; 9001];

        both.send(Message::new(&content[..len]))?;
        same("length", both.recv(&mut buffer)?, len)?;
        ensure!(buffer[..len] == content[..len], "{len} bytes changed");
        ensure!(
            buffer[len..].iter().all(|&byte| byte == 0xee),
            "more than {len} bytes were written"
        );
    }
    Ok(())
}

fn truncation(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let both = channel.attach(abi::SUB_BOTH)?;
        let mut buffer = [0xee; 10];

        both.send(Message::new(b"hello, world"))?;
        send_numbers(&both, [1])?;
        same("length", both.recv(&mut buffer[..5])?, 5)?;
        same("content", &buffer, b"hello\xee\xee\xee\xee\xee")?;

        // The rest of it is gone.
        expect_numbers(&both, [1])?;
    }
    Ok(())
}

fn trunc_flag(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let mut buffer = [0xee; 64];

    both.send(Message::new(b"hello, world"))?;
    same(
        "cut",
        both.recv_with_flags(&mut buffer[..5], abi::RECV_TRUNC)?,
        12,
    )?;
    same("content", &buffer[..6], b"hello\xee")?;

    both.send(Message::new(b"hello, world"))?;
    same(
        "not cut",
        both.recv_with_flags(&mut buffer, abi::RECV_TRUNC)?,
        12,
    )?;
    same("content", &buffer[..13], b"hello, world\xee")?;

    both.send(Message::new(b"hello, world"))?;
    same(
        "no buffer",
        both.recv_with_flags(&mut [], abi::RECV_TRUNC)?,
        12,
    )?;
    expect_empty(&both)
}

fn header(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let mut buffer = [0xee; 200];

        sender.send(Message::new(b"one").tag(u64::MAX - 3))?;
        sender.send(Message::new(b"").to(receiver.id()))?;
        ring.send_to_channel(channel.id(), Message::new(b"three").tag(3))?;

        for (id, content, tag, sender_id) in [
            (1, &b"one"[..], u64::MAX - 3, sender.id()),
            (2, b"", 0, sender.id()),
            (3, b"three", 3, 0),
        ] {
            let (header, payload) = receiver.recv_with_header(&mut buffer)?;

            same("payload", payload, content)?;
            same("msg_id", header.msg_id, id)?;
            same("sender_data", header.sender_data, tag)?;
            same("len", header.len as usize, content.len())?;
            same("flags", header.flags, 0)?;
            same("sender_id", header.sender_id, sender_id)?;
            same("pid", header.pid, std::process::id())?;
            // SAFETY: no memory is involved.
            let ids = unsafe { (libc::geteuid(), libc::getegid()) };
            same("uid and gid", (header.uid, header.gid), ids)?;
            same("lost", header.lost, 0)?;
        }
        expect_empty(&receiver)?;
    }
    Ok(())
}

fn header_and_short_buffers(setup: Setup) -> Result<()> {
    const HDR: usize = size_of::<abi::MsgHdr>();

    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let mut buffer = [0xee; 200];

    both.send(Message::new(b"hello, world"))?;
    for len in [0, 1, HDR - 1] {
        fails(
            "no room for the header",
            both.recv_with_flags(&mut buffer[..len], abi::RECV_HDR),
            libc::EINVAL,
        )?;
    }

    // The message is still there, and says how long it was.
    let (header, payload) = both.recv_with_header(&mut buffer[..HDR + 5])?;
    same("payload", payload, b"hello")?;
    same("len", header.len, 12)?;
    same("byte after the buffer", buffer[HDR + 5], 0xee)?;

    both.send(Message::new(b"hello, world"))?;
    let flags = abi::RECV_HDR | abi::RECV_TRUNC;
    let all = both.recv_with_flags(&mut buffer[..HDR], flags)?;
    same("result for the whole message", all, HDR + 12)?;
    expect_empty(&both)
}

/// Addresses where there is nothing, or nothing of ours.
fn bad_addresses(setup: Setup) -> Result<()> {
    use io_uring_ipc::sqe::Sqe;

    const KERNEL: u64 = 0xffff_8880_0000_0000;

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 4,
            ..of_kind(kind)
        })?;
        let both = channel.attach(abi::SUB_BOTH)?;

        // A failed send publishes nothing, and takes no room for good.
        for addr in [8, KERNEL, u64::MAX - 100] {
            for _ in 0..5 {
                let sqe = Sqe::send(both.id(), addr as *const u8, 64);

                // SAFETY: the kernel finds no memory of ours to read there.
                let result = unsafe { ring.run_one(sqe) };
                fails("send from a bad address", result, libc::EFAULT)?;
            }
        }
        expect_empty(&both)?;
        send_numbers(&both, 0..4)?;
        fails("one too many", both.send(Message::new(b"x")), FULL)?;
        expect_numbers(&both, 0..4)?;

        for addr in [8, KERNEL, u64::MAX - 100] {
            send_numbers(&both, [1])?;
            let sqe = Sqe::recv(both.id(), addr as *mut u8, 64);

            // SAFETY: the kernel finds no memory of ours to write there.
            let result = unsafe { ring.run_one(sqe) };
            fails("receive to a bad address", result, libc::EFAULT)?;

            // Whether or not the message is lost, all works as before.
            while both.events()?.readable {
                recv_number(&both)?;
            }
        }
        send_numbers(&both, 0..4)?;
        expect_numbers(&both, 0..4)?;
    }
    Ok(())
}

fn poll(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 2,
            ..of_kind(kind)
        })?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let check = |what, readable, writable| {
            same(what, receiver.events()?.readable, readable)?;
            same(what, sender.events()?.writable, writable)?;
            same(what, sender.events()?.readable, false)
        };

        check("empty", false, true)?;
        send_numbers(&sender, [0])?;
        check("one", true, true)?;
        send_numbers(&sender, [1])?;
        check("full", true, false)?;
        recv_number(&receiver)?;
        check("one again", true, true)?;
        recv_number(&receiver)?;
        check("empty again", false, true)?;

        send_numbers(&sender, [2])?;
        channel.destroy()?;
        let Events {
            readable, ended, ..
        } = receiver.events()?;
        same(
            "destroyed: readable and ended",
            (readable, ended),
            (true, true),
        )?;
        same("destroyed: sender", sender.events()?.ended, true)?;
    }
    Ok(())
}

/// One who sleeps is woken by a message, by room, and by the end.
fn poll_wakes(setup: Setup) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(20);

    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 1,
            ..of_kind(kind)
        })?;
        let id = channel.id();
        let receiver = channel.attach(abi::SUB_RECV)?;
        let here = Sleeper::me();
        let (going, goes) = mpsc::channel();

        thread::scope(|scope| -> Result<()> {
            let other = scope.spawn(move || -> Result<()> {
                let ring = Ring::new(setup)?;
                let sender = ring.attach(id, abi::SUB_SEND)?;

                here.asleep()?;
                send_numbers(&sender, [0])?;
                going.send(Sleeper::me())?;
                same("room", woken(&sender, false, true, LIMIT)?.writable, true)?;
                send_numbers(&sender, [1])?;
                going.send(Sleeper::me())?;
                same("end", woken(&sender, false, false, LIMIT)?.ended, true)
            });

            for number in 0..2 {
                same(
                    "message",
                    woken(&receiver, true, false, LIMIT)?.readable,
                    true,
                )?;
                goes.recv()?.asleep()?;
                same("number", recv_number(&receiver)?, number)?;
            }
            channel.destroy()?;
            other.join().expect("the sender panicked")
        })?;
    }
    Ok(())
}

/// io_uring's own poll request on the channel's file.
fn poll_add(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let mut waiting = IoUring::new(4)?;
    let file = types::Fd(receiver.as_fd().as_raw_fd());

    for number in 0..10 {
        let entry = opcode::PollAdd::new(file, libc::POLLIN as u32)
            .build()
            .user_data(number);

        // SAFETY: the request points at no memory.
        unsafe { waiting.submission().push(&entry) }?;
        waiting.submit()?;
        same("too early", waiting.completion().len(), 0)?;

        send_numbers(&sender, [number])?;
        waiting.submit_and_wait(1)?;
        let cqe = waiting.completion().next().expect("one completion");
        same("user_data", cqe.user_data(), number)?;
        ensure!(
            cqe.result() & i32::from(libc::POLLIN) != 0,
            "poll request: {}",
            cqe.result()
        );
        expect_numbers(&receiver, [number])?;
    }
    Ok(())
}
