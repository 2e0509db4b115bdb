// SPDX-License-Identifier: GPL-2.0

//! The mapped region.

use super::{of_kind, recv_number, send_numbers, Cases};
use crate::harness::same;
use anyhow::{bail, ensure, Context, Result};
use io_uring_ipc::{abi, ChannelConfig, Kind, Message, Region, Ring, Setup, Subscriber};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub const CASES: Cases = &[
    ("region_layout", region_layout),
    ("region_read", region_read),
    ("region_wraps", region_wraps),
    ("region_reader_is_overrun", region_reader_is_overrun),
    ("region_after_destroy", region_after_destroy),
    ("region_read_only", region_read_only),
    ("region_receivers_only", region_receivers_only),
    ("region_private", region_private),
];

fn region_layout(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        for (entries, max) in [(1, 1), (8, 100), (64, 4096), (1024, 70), (2, 1 << 20)] {
            let ring = Ring::new(setup)?;
            let channel = ring.create(&ChannelConfig {
                entries,
                max_msg_size: max,
                ..of_kind(kind)
            })?;

            // Mapping checks that everything lies inside.
            let region = channel.attach(abi::SUB_RECV)?.map()?;
            let header = region.header();

            same("version", header.version, abi::RING_VERSION)?;
            same("ring_entries", header.ring_entries, entries)?;
            same("ring_mask", header.ring_mask, entries - 1)?;
            same("max_msg_size", header.max_msg_size, max)?;
            same(
                "desc_size",
                header.desc_size as usize,
                size_of::<abi::MsgDesc>(),
            )?;
            same("alignment of payloads", header.data_stride % 64, 0)?;
            same("new channel", (region.head(), region.tail()), (0, 0))?;
            same("pages", region.size() % 4096, 0)?;
        }
    }
    Ok(())
}

fn region_read(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(Kind::Broadcast))?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let region = receiver.map()?;

    ensure!(region.read(0).is_none(), "a message before any was sent");
    sender.send(Message::new(b"hello").tag(77))?;
    ring.send_to_channel(channel.id(), Message::new(&[]).to(receiver.id()))?;
    same("tail", region.tail(), 2)?;

    let first = region.read(0).context("no message")?;
    same("payload", first.payload.as_slice(), b"hello")?;
    same("sender_data", first.desc.sender_data, 77)?;
    same("len", first.desc.len, 5)?;
    same("flags", first.desc.flags, 0)?;
    same("target", first.desc.target, 0)?;
    same("sender_id", first.desc.sender_id, sender.id())?;

    // Identities are translated for each receiver, and not shown here.
    same("pid", first.desc.pid, 0)?;
    same(
        "uid and gid",
        (first.desc.uid, first.desc.gid),
        (65534, 65534),
    )?;

    let second = region.read(1).context("no second message")?;
    same("payload", second.payload.len(), 0)?;
    same("target", second.desc.target, receiver.id())?;
    same("sender_id", second.desc.sender_id, 0)?;

    // Receiving by a request takes nothing away here.
    receiver.recv(&mut [0; 8])?;
    let again = region.read(0).context("no message any more")?;
    same("again", again.payload, first.payload)?;
    ensure!(region.read(2).is_none(), "a message that was never sent");
    Ok(())
}

fn region_wraps(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let region = receiver.map()?;

    for number in 0..30_u64 {
        send_numbers(&sender, [number])?;
        same("tail", region.tail(), number + 1)?;

        let message = region.read(number).context("no message")?;
        same("payload", message.payload.as_slice(), &number.to_ne_bytes())?;
        if number >= 4 {
            ensure!(region.read(number - 4).is_none(), "a slot used again");
        }
        same("received", recv_number(&receiver)?, number)?;
        ensure!(region.head() <= number + 1, "the head is beyond the tail");
    }
    Ok(())
}

/// Senders write over what is being read: then it is nothing, and never half of each.
fn region_reader_is_overrun(setup: Setup) -> Result<()> {
    const LEN: u32 = 256 << 10;
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 2,
        max_msg_size: LEN,
        ..of_kind(Kind::Broadcast)
    })?;
    let receiver = channel.attach(abi::SUB_RECV | abi::SUB_LOSSY)?;
    let region = receiver.map()?;
    let (id, over) = (channel.id(), AtomicBool::new(false));
    let send = || -> Result<()> {
        let ring = Ring::new(setup)?;
        let mut payload = vec![0; LEN as usize];

        for number in 0..u64::MAX {
            if over.load(Ordering::Relaxed) {
                break;
            }
            // As the reader will expect at the position that it gets.
            payload.fill(number as u8);
            ring.send_to_channel(id, Message::new(&payload))?;
            if number % 8 == 7 {
                // So long that some are read.
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    };
    let read = || -> Result<()> {
        let (mut whole, mut void) = (0, 0);

        while whole < 50 || void == 0 {
            let position = region.head();

            if let Some(message) = region.read(position) {
                same("length", message.payload.len(), LEN as usize)?;
                ensure!(
                    message.payload.iter().all(|&byte| byte == position as u8),
                    "another message in that of position {position}"
                );
                whole += 1;
            } else if region.head() > position {
                void += 1;
            }
        }
        Ok(())
    };

    thread::scope(|scope| {
        let sender = scope.spawn(send);
        let result = read();

        over.store(true, Ordering::Relaxed);
        match sender.join() {
            Ok(sent) => result.and(sent),
            Err(_) => bail!("the sender has panicked"),
        }
    })
}

fn region_after_destroy(setup: Setup) -> Result<()> {
    let read_all = |region: &Region, when: &str| -> Result<()> {
        for number in 0..8_u64 {
            let message = region
                .read(number)
                .with_context(|| format!("no message {number} {when}"))?;

            same(when, message.payload.as_slice(), &number.to_ne_bytes())?;
        }
        Ok(())
    };
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 8,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let region = receiver.map()?;
    let second = receiver.map()?;

    send_numbers(&sender, 0..8)?;
    read_all(&region, "before")?;
    channel.destroy()?;
    read_all(&region, "after DESTROY")?;
    receiver.detach()?;
    sender.detach()?;
    read_all(&region, "after DETACH")?;
    drop(second);
    drop(ring);

    // Others may get the memory, if it were free.
    for _ in 0..20 {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 8,
            ..of_kind(Kind::Broadcast)
        })?;
        let both = channel.attach(abi::SUB_BOTH)?;

        send_numbers(&both, 100..108)?;
    }
    read_all(&region, "after the ring is closed")
}

/// Maps the whole region as asked, and gives it back.
fn try_map(subscriber: &Subscriber<'_>, protection: i32, flags: i32) -> io::Result<()> {
    let (offset, len) = subscriber.mmap_args();

    // SAFETY: a new map at an address of the kernel's choice.
    let map = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            protection,
            flags,
            subscriber.as_fd().as_raw_fd(),
            offset as libc::off_t,
        )
    };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }

    // SAFETY: changes and ends the map made above, of which nobody knows.
    unsafe {
        let writable = libc::mprotect(map, len, libc::PROT_READ | libc::PROT_WRITE) == 0;

        libc::munmap(map, len);
        if writable {
            return Err(io::Error::other("it can be made writable"));
        }
    }
    Ok(())
}

fn region_read_only(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(Kind::Broadcast))?;

    for flags in [abi::SUB_RECV, abi::SUB_BOTH] {
        let receiver = channel.attach(flags)?;

        for kind in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
            try_map(&receiver, libc::PROT_READ, kind).context("reading")?;
            for protection in [libc::PROT_WRITE, libc::PROT_READ | libc::PROT_WRITE] {
                ensure!(
                    try_map(&receiver, protection, kind).is_err(),
                    "it can be mapped writable"
                );
            }
        }
    }
    Ok(())
}

fn region_receivers_only(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receiver = channel.attach(abi::SUB_RECV)?;
    let (offset, len) = receiver.mmap_args();

    // Where and how long it is, a receiver has been told.
    //
    // SAFETY: a new map at an address of the kernel's choice.
    let map = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ,
            libc::MAP_SHARED,
            sender.as_fd().as_raw_fd(),
            offset as libc::off_t,
        )
    };
    ensure!(map == libc::MAP_FAILED, "a sender can map the region");
    Ok(())
}

fn region_private(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        private: true,
        ..of_kind(Kind::Broadcast)
    })?;
    let both = channel.attach(abi::SUB_BOTH)?;

    ensure!(both.map().is_err(), "a private channel can be mapped");
    send_numbers(&both, [1])?;
    super::expect_numbers(&both, [1])
}
