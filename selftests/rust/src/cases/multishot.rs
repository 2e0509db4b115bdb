// SPDX-License-Identifier: GPL-2.0

//! Provided buffers, and receives that take one message after the other.

use super::bulk::in_order;
use super::requests::{ends_with, next, next_fails, number_of, quiet, results};
use super::requests::{Multishot, Rings};
use super::{expect_empty, expect_numbers, of_kind, send_numbers, Cases};
use crate::harness::{fails, same};
use crate::procfs::fdinfo_becomes;
use anyhow::{ensure, Result};
use io_uring_ipc::sqe::{Sqe, BUFFER_SELECT, CQE_SKIP_SUCCESS};
use io_uring_ipc::{abi, ChannelConfig, Done, InFlight, Kind, Message, Request, Ring, Setup};
use io_uring_ipc::{EMPTY, ENDED};

pub const CASES: Cases = &[
    ("provided_oneshot", provided_oneshot),
    ("provided_none", provided_none),
    ("multishot_arguments", multishot_arguments),
    ("multishot_bursts", multishot_bursts),
    ("multishot_next_is_there", multishot_next_is_there),
    ("multishot_header", multishot_header),
    ("multishot_short_buffers", multishot_short_buffers),
    ("multishot_no_buffers", multishot_no_buffers),
    ("multishot_queue_full", multishot_queue_full),
    ("multishot_two_channels", multishot_two_channels),
    ("multishot_cancelled", multishot_cancelled),
    ("multishot_destroyed", multishot_destroyed),
    ("multishot_detached", multishot_detached),
];

const HDR: usize = size_of::<abi::MsgHdr>();
/// `user_data` of multishot requests.
const MULTI: u64 = 7;
const CANCEL: u64 = 1000;

/// The number of a message that came to a provided buffer, after which more
/// may come.
fn number_and_more(done: &Done) -> Result<u64> {
    let completion = done.completion();

    same("MORE", completion.more(), true)?;
    ensure!(completion.buffer().is_some(), "no buffer: {completion:?}");
    number_of(done)
}

/// Starts a multishot receive and makes sure that it waits.
fn start_multishot(requests: &mut InFlight<'_>, receiver: u32, group: u16) -> Result<()> {
    requests.start([Request::recv_multishot(receiver, group).user_data(MULTI)])?;
    quiet(requests)
}

/// One message to a provided buffer, all of it or as much as is allowed.
fn provided_oneshot(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(1, 10)?;
        let recv = |len| Request::recv_provided(receiver.id(), group).at_most(len);

        for (len, content) in [(0, &b"hello, wor"[..]), (5, b"hello"), (99, b"hello, wor")] {
            // A buffer in vain is not used up: there is but one.
            for _ in 0..3 {
                requests.start([recv(len).user_data(1)])?;
                next_fails(&mut requests, 1, EMPTY)?;
            }

            sender.send(Message::new(b"hello, world"))?;
            requests.start([recv(len)])?;
            let done = next(&mut requests)?;
            same("length", done.completion().result()?, content.len())?;
            same("content", done.bytes(), content)?;
            same("buffer", done.completion().buffer(), Some(0))?;
            same("MORE", done.completion().more(), false)?;
            drop(done);

            requests.start([recv(len).with(abi::RECV_WAIT)])?;
            quiet(&mut requests)?;
            sender.send(Message::new(b"hello, world"))?;
            same("content", next(&mut requests)?.bytes(), content)?;
        }
    }
    Ok(())
}

/// Without a buffer the message stays.
fn provided_none(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(1, 8)?;
        let no_group = group + 1;

        send_numbers(&sender, 0..2)?;
        requests.start([Request::recv_provided(receiver.id(), no_group).user_data(1)])?;
        next_fails(&mut requests, 1, libc::ENOBUFS)?;

        let recv = || Request::recv_provided(receiver.id(), group).user_data(1);
        requests.start([recv()])?;
        let kept = next(&mut requests)?;
        requests.start([recv()])?;
        next_fails(&mut requests, 1, libc::ENOBUFS)?;
        same("number", number_of(&kept)?, 0)?;
        drop(kept);
        requests.start([recv()])?;
        same("number", number_of(&next(&mut requests)?)?, 1)?;
    }
    Ok(())
}

fn multishot_arguments(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let mut buffer = [0; 64];
    let plain = Sqe::recv(both.id(), buffer.as_mut_ptr(), buffer.len());
    let multishot = Sqe::recv_multishot(both.id(), 0);
    let select = Sqe {
        flags: BUFFER_SELECT,
        ..plain
    };

    send_numbers(&both, [1])?;
    for (what, sqe) in [
        ("no provided buffers", plain.with(abi::RECV_MULTISHOT)),
        ("address, one message", select),
        ("address", select.with(abi::RECV_MULTISHOT)),
        (
            "no completions",
            Sqe {
                flags: BUFFER_SELECT | CQE_SKIP_SUCCESS,
                ..multishot
            },
        ),
        (
            "no room for the header",
            Sqe {
                len: HDR as u32 - 1,
                ..multishot.with(abi::RECV_HDR)
            },
        ),
        ("unknown flag", multishot.with(1 << 4)),
        (
            "file_index",
            Sqe {
                file_index: 1,
                ..multishot
            },
        ),
    ] {
        // SAFETY: the buffer lives longer than the request.
        fails(what, unsafe { ring.run_one(sqe) }, libc::EINVAL)?;
    }
    expect_numbers(&both, [1])
}

/// A request goes on from one burst to the next, and the one after that.
fn multishot_bursts(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(16, 16)?;
        let mut numbers = 0..;

        start_multishot(&mut requests, receiver.id(), group)?;
        for burst in [1, 5, 1, 16, 2, 16, 16, 3] {
            let from = numbers.start;

            send_numbers(&sender, from..from + burst)?;
            for number in numbers.by_ref().take(burst as usize) {
                let done = next(&mut requests)?;

                same("number", number_and_more(&done)?, number)?;
            }
            quiet(&mut requests)?;
        }

        // An empty message is one, too.
        sender.send(Message::new(&[]))?;
        let done = next(&mut requests)?;
        same("empty message", done.completion().result()?, 0)?;
        same("MORE", done.completion().more(), true)?;
    }
    Ok(())
}

/// Completions tell whether the next message was there already.
fn multishot_next_is_there(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(8, 16)?;

        send_numbers(&sender, 0..3)?;
        requests.start([Request::recv_multishot(receiver.id(), group).user_data(MULTI)])?;
        for (number, expected) in [(0, true), (1, true), (2, false)] {
            let done = next(&mut requests)?;

            same("number", number_and_more(&done)?, number)?;
            same("next", done.completion().next_is_there(), expected)?;
        }

        send_numbers(&sender, [3])?;
        let done = next(&mut requests)?;
        same("number", number_and_more(&done)?, 3)?;
        same("next", done.completion().next_is_there(), false)?;
    }
    Ok(())
}

fn multishot_header(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(4, HDR + 5)?;
        let mut multishot = Multishot::start(&mut requests, receiver.id(), group, abi::RECV_HDR)?;

        quiet(&mut requests)?;
        for (msg_id, content) in (1..).zip([&b"one"[..], b"", b"hello, world"]) {
            sender.send(Message::new(content).tag(1000 + msg_id))?;
            let done = multishot.next(&mut requests)?;
            let (header, payload) = done.message()?;

            // Cut to the buffer, and yet it says how long it was.
            same("payload", payload, &content[..content.len().min(5)])?;
            same("len", header.len as usize, content.len())?;
            same("msg_id", header.msg_id, msg_id)?;
            same("sender_data", header.sender_data, 1000 + msg_id)?;
            same("sender_id", header.sender_id, sender.id())?;
            same("pid", header.pid, std::process::id())?;
            same("result", done.completion().result()?, HDR + payload.len())?;
        }
    }
    Ok(())
}

/// Messages are cut to the buffer or to `len`; the result may count all.
fn multishot_short_buffers(setup: Setup) -> Result<()> {
    for (size, len, flags, expected) in [
        (5, 0, 0, (5, &b"hello"[..])),
        (12, 5, 0, (5, b"hello")),
        (5, 0, abi::RECV_TRUNC, (12, b"hello")),
        (12, 5, abi::RECV_TRUNC, (12, b"hello")),
        (13, 20, abi::RECV_TRUNC, (12, b"hello, world")),
    ] {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) =
            rings.receiving(&ChannelConfig::default())?;
        let group = requests.provide(2, size)?;
        let recv = Request::recv_multishot(receiver.id(), group);

        requests.start([recv.at_most(len).with(flags)])?;
        for _ in 0..5 {
            sender.send(Message::new(b"hello, world"))?;
            let done = next(&mut requests)?;

            same("MORE", done.completion().more(), true)?;
            same("result", done.completion().result()?, expected.0)?;
            // What a counted but cut message leaves after `len` is no content.
            same("content", &done.bytes()[..expected.1.len()], expected.1)?;
        }
    }
    Ok(())
}

/// Where buffers run out the request ends, and what it has not got stays.
fn multishot_no_buffers(setup: Setup) -> Result<()> {
    const BUFFERS: usize = 4;

    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(BUFFERS as u16, 8)?;

        send_numbers(&sender, 0..14)?;
        let mut numbers = Vec::new();
        for got in [4, 4, 4] {
            requests.start([Request::recv_multishot(receiver.id(), group).user_data(MULTI)])?;
            let kept = (0..got)
                .map(|_| next(&mut requests))
                .collect::<Result<Vec<_>>>()?;

            next_fails(&mut requests, MULTI, libc::ENOBUFS)?;
            for done in &kept {
                numbers.push(number_and_more(done)?);
            }
        }
        in_order(&numbers, 12)?;

        // Two are left, and one comes later: buffers enough.
        requests.start([Request::recv_multishot(receiver.id(), group).user_data(MULTI)])?;
        for number in 12..14 {
            same("number", number_and_more(&next(&mut requests)?)?, number)?;
        }
        quiet(&mut requests)?;
        send_numbers(&sender, [14])?;
        same("number", number_and_more(&next(&mut requests)?)?, 14)?;

        // It ran out of buffers, not of messages: none, and it goes on.
        let kept = (15..19)
            .map(|number| {
                send_numbers(&sender, [number])?;
                let done = next(&mut requests)?;
                same("number", number_and_more(&done)?, number)?;
                Ok(done)
            })
            .collect::<Result<Vec<_>>>()?;
        quiet(&mut requests)?;
        drop(kept);
        send_numbers(&sender, [19])?;
        same("number", number_and_more(&next(&mut requests)?)?, 19)?;
    }
    Ok(())
}

/// Nothing is lost where nobody takes completions for a while.
fn multishot_queue_full(setup: Setup) -> Result<()> {
    const COUNT: u64 = 200;

    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&ChannelConfig {
            entries: 256,
            ..of_kind(kind)
        })?;
        let group = requests.provide(256, 8)?;
        let mut multishot = Multishot::start(&mut requests, receiver.id(), group, 0)?;

        quiet(&mut requests)?;
        send_numbers(&sender, 0..COUNT)?;
        // There, the kernel receives only when asked for completions.
        if setup != Setup::DeferTaskrun {
            fdinfo_becomes(&receiver, "ipc-receives-waiting", 0)?;
        }

        for number in 0..COUNT {
            let done = multishot.next(&mut requests)?;

            same("number", number_of(&done)?, number)?;
        }
        quiet(&mut requests)?;

        ensure!(
            setup == Setup::DeferTaskrun || multishot.restarts > 0,
            "{COUNT} completions fit a queue for fewer"
        );
    }
    Ok(())
}

/// Two requests share one ring and one group of buffers.
fn multishot_two_channels(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channels = [
        elsewhere.create(&ChannelConfig::default())?,
        elsewhere.create(&of_kind(Kind::Broadcast))?,
    ];
    let mut requests = InFlight::new(&ring)?;
    let group = requests.provide(8, 8)?;
    let mut ends = Vec::new();

    for (number, channel) in (0..).zip(&channels) {
        let receiver = ring.attach(channel.id(), abi::SUB_RECV)?;
        let request = Request::recv_multishot(receiver.id(), group).user_data(number);

        requests.start([request])?;
        ends.push((channel.attach(abi::SUB_SEND)?, receiver));
    }
    for number in 0..50 {
        for (which, (sender, _)) in (0..).zip(&ends) {
            send_numbers(sender, [number])?;
            let done = next(&mut requests)?;

            same("channel", done.completion().user_data, which)?;
            same("number", number_and_more(&done)?, number)?;
        }
    }
    Ok(())
}

/// A request that is cancelled ends, and takes no message any more.
fn multishot_cancelled(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (_channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(8, 8)?;

        start_multishot(&mut requests, receiver.id(), group)?;
        send_numbers(&sender, [0])?;
        same("number", number_and_more(&next(&mut requests)?)?, 0)?;
        quiet(&mut requests)?;

        requests.start([Request::cancel(MULTI).user_data(CANCEL)])?;
        same(
            "cancelled",
            results(&mut requests, 2)?,
            vec![(MULTI, -libc::ECANCELED), (CANCEL, 0)],
        )?;
        drop(requests);
        expect_empty(&receiver)?;
        send_numbers(&sender, 1..4)?;
        expect_numbers(&receiver, 1..4)?;
    }
    Ok(())
}

/// The end of the channel comes after what was left in it.
fn multishot_destroyed(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        for waits in [true, false] {
            let rings = Rings::new(setup)?;
            let (channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
            let group = requests.provide(8, 8)?;
            let recv = || Request::recv_multishot(receiver.id(), group).user_data(MULTI);

            if waits {
                requests.start([recv()])?;
                quiet(&mut requests)?;
            }
            send_numbers(&sender, 0..3)?;
            channel.destroy()?;
            if !waits {
                requests.start([recv()])?;
            }
            for number in 0..3 {
                same("number", number_and_more(&next(&mut requests)?)?, number)?;
            }
            ends_with(next(&mut requests)?.completion(), MULTI, ENDED)?;
        }
    }
    Ok(())
}

fn multishot_detached(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let rings = Rings::new(setup)?;
        let (channel, sender, receiver, mut requests) = rings.receiving(&of_kind(kind))?;
        let group = requests.provide(8, 8)?;

        start_multishot(&mut requests, receiver.id(), group)?;
        send_numbers(&sender, [0])?;
        same("number", number_and_more(&next(&mut requests)?)?, 0)?;
        quiet(&mut requests)?;
        receiver.detach()?;
        next_fails(&mut requests, MULTI, libc::ENOENT)?;

        // Messages are for others now.
        let other = channel.attach(abi::SUB_RECV)?;
        send_numbers(&sender, [1])?;
        expect_numbers(&other, [1])?;
    }
    Ok(())
}
