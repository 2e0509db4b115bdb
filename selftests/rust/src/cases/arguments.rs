// SPDX-License-Identifier: GPL-2.0

//! What the kernel has to refuse.

use super::{expect_empty, of_kind, send_numbers, some_key, Cases};
use crate::harness::{fails, same};
use anyhow::Result;
use io_uring_ipc::abi::{self, ChannelAttach, ChannelCreate};
use io_uring_ipc::sqe::Sqe;
use io_uring_ipc::{ChannelConfig, Kind, Message, Ring, Setup};

pub const CASES: Cases = &[
    ("create_unknown_bits", create_unknown_bits),
    ("create_bad_sizes", create_bad_sizes),
    ("attach_unknown_bits", attach_unknown_bits),
    ("attach_unknown_channel", attach_unknown_channel),
    ("register_bad_calls", register_bad_calls),
    ("sqe_unknown_bits", sqe_unknown_bits),
    ("sqe_unused_fields", sqe_unused_fields),
    ("unknown_ids", unknown_ids),
    ("rights", rights),
];

const GOOD: ChannelCreate = ChannelCreate {
    flags: 0,
    ring_entries: 8,
    max_msg_size: 64,
    mode: 0o600,
    key: 0,
    channel_id_out: 0,
    reserved: [0; 3],
};

/// Tries to make a channel, and leaves none.
fn try_create(ring: &Ring, mut create: ChannelCreate) -> std::io::Result<()> {
    ring.register_create(&mut create)?;
    ring.register_destroy(create.channel_id_out)
}

fn create_unknown_bits(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;

    try_create(&ring, GOOD)?;
    for bit in 4..32 {
        let bad = ChannelCreate {
            flags: 1 << bit,
            ..GOOD
        };
        fails(&format!("flag {bit}"), try_create(&ring, bad), libc::EINVAL)?;
    }
    for at in 0..3 {
        let mut bad = GOOD;

        bad.reserved[at] = 1;
        fails("reserved", try_create(&ring, bad), libc::EINVAL)?;
    }

    let bad = ChannelCreate {
        flags: abi::F_BROADCAST | abi::F_MULTICAST,
        ..GOOD
    };
    fails("two kinds", try_create(&ring, bad), libc::EINVAL)?;

    // Of the mode only the bits 0666 count.
    let odd = ChannelCreate {
        mode: 0o1777,
        ..GOOD
    };
    Ok(try_create(&ring, odd)?)
}

fn create_bad_sizes(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let sized = |ring_entries, max_msg_size| ChannelCreate {
        ring_entries,
        max_msg_size,
        ..GOOD
    };

    for entries in [1, 2, 1024, abi::MAX_RING_ENTRIES] {
        try_create(&ring, sized(entries, 1))?;
    }
    try_create(&ring, sized(1, abi::MAX_MSG_SIZE))?;

    for entries in [0, 3, 100, abi::MAX_RING_ENTRIES * 2, 1 << 31, u32::MAX] {
        fails(
            &format!("{entries} entries"),
            try_create(&ring, sized(entries, 64)),
            libc::EINVAL,
        )?;
    }
    for size in [0, abi::MAX_MSG_SIZE + 1, u32::MAX] {
        fails(
            &format!("messages of {size}"),
            try_create(&ring, sized(8, size)),
            libc::EINVAL,
        )?;
    }

    // Each is allowed, and together they are more than INT_MAX bytes.
    for entries in [2048, abi::MAX_RING_ENTRIES] {
        fails(
            "region",
            try_create(&ring, sized(entries, abi::MAX_MSG_SIZE)),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

fn attach_unknown_bits(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(Kind::Broadcast))?;
    let attach = |flags, reserved| {
        ring.register_attach(&mut ChannelAttach {
            channel_id: channel.id(),
            flags,
            reserved,
            ..ChannelAttach::default()
        })
    };

    fails("no direction", attach(0, [0; 3]), libc::EINVAL)?;
    fails("REPLAY only", attach(abi::SUB_REPLAY, [0; 3]), libc::EINVAL)?;
    for bit in (0..32).filter(|bit| abi::SUB_ALL & 1 << bit == 0) {
        let flags = abi::SUB_BOTH | 1 << bit;

        fails(&format!("flag {bit}"), attach(flags, [0; 3]), libc::EINVAL)?;
    }
    for reserved in [[1, 0, 0], [0, 1, 0], [0, 0, 1]] {
        fails("reserved", attach(abi::SUB_BOTH, reserved), libc::EINVAL)?;
    }
    Ok(())
}

fn attach_unknown_channel(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let subscriber = channel.attach(abi::SUB_BOTH)?;
    let destroyed = ring.create(&ChannelConfig::default())?;
    let destroyed_id = destroyed.id();

    destroyed.destroy()?;
    for id in [0, u32::MAX, subscriber.id(), destroyed_id] {
        fails(
            &format!("channel {id}"),
            ring.attach(id, abi::SUB_BOTH).map(drop),
            libc::ENOENT,
        )?;
    }
    fails(
        "a key nobody has",
        ring.attach_by_key(some_key(0), abi::SUB_BOTH).map(drop),
        libc::ENOENT,
    )
}

fn register_bad_calls(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let mut create = GOOD;
    let create_arg = std::ptr::from_mut(&mut create).cast();
    let mut attach = ChannelAttach::default();
    let attach_arg = std::ptr::from_mut(&mut attach).cast();
    let null = std::ptr::null_mut();

    for (what, op, arg, nr_args, errno) in [
        (
            "CREATE, none",
            abi::REGISTER_CREATE,
            create_arg,
            0,
            libc::EINVAL,
        ),
        (
            "CREATE, two",
            abi::REGISTER_CREATE,
            create_arg,
            2,
            libc::EINVAL,
        ),
        (
            "ATTACH, none",
            abi::REGISTER_ATTACH,
            attach_arg,
            0,
            libc::EINVAL,
        ),
        (
            "ATTACH, two",
            abi::REGISTER_ATTACH,
            attach_arg,
            2,
            libc::EINVAL,
        ),
        (
            "DETACH, nobody",
            abi::REGISTER_DETACH,
            null,
            0,
            libc::ENOENT,
        ),
        (
            "DESTROY, nothing",
            abi::REGISTER_DESTROY,
            null,
            0,
            libc::ENOENT,
        ),
    ] {
        // SAFETY: the structures are what the operations expect, where they
        // look at any.
        fails(what, unsafe { ring.register(op, arg, nr_args) }, errno)?;
    }
    for op in [abi::REGISTER_CREATE, abi::REGISTER_ATTACH] {
        // SAFETY: the kernel finds no memory of ours there.
        let result = unsafe { ring.register(op, 8 as *mut _, 1) };
        fails("bad address", result, libc::EFAULT)?;
    }
    Ok(())
}

/// What makes a good request a bad one, with a name for it.
type Spoiled = (&'static str, fn(&mut Sqe));

/// Runs requests which differ from good ones in one thing each.
fn refuses(setup: Setup, spoil: &[Spoiled]) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let content = *b"content.";
    let mut buffer = [0; 64];

    for (what, spoil) in spoil {
        let mut send = Sqe::send(both.id(), content.as_ptr(), content.len());
        let mut recv = Sqe::recv(both.id(), buffer.as_mut_ptr(), buffer.len());

        spoil(&mut send);
        spoil(&mut recv);

        // SAFETY: both buffers live as long as the requests, which no field
        // set here makes longer.
        let (sent, received) = unsafe {
            let sent = ring.run_one(send);
            expect_empty(&both)?;
            send_numbers(&both, [1])?;
            (sent, ring.run_one(recv))
        };
        fails(&format!("send, {what}"), sent, libc::EINVAL)?;
        fails(&format!("receive, {what}"), received, libc::EINVAL)?;
        super::expect_numbers(&both, [1])?;
    }
    Ok(())
}

fn sqe_unknown_bits(setup: Setup) -> Result<()> {
    refuses(
        setup,
        &[
            ("ioprio bit 4", |sqe| sqe.ioprio = 1 << 4),
            ("ioprio bit 8", |sqe| sqe.ioprio = 1 << 8),
            ("ioprio bit 15", |sqe| sqe.ioprio = 1 << 15),
            ("rw_flags", |sqe| sqe.rw_flags = 1),
            ("buf_index", |sqe| sqe.buf_index = 1),
            ("personality", |sqe| sqe.personality = 77),
        ],
    )
}

fn sqe_unused_fields(setup: Setup) -> Result<()> {
    refuses(
        setup,
        &[
            ("off", |sqe| sqe.off = 1),
            ("addr3", |sqe| sqe.addr3 = 1),
            ("pad2", |sqe| sqe.pad2 = 1),
            ("file_index of a receive", |sqe| {
                if sqe.opcode == abi::OP_RECV {
                    sqe.file_index = 1;
                } else {
                    // A send knows this field.
                    sqe.off = 1;
                }
            }),
        ],
    )
}

fn unknown_ids(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let elsewhere = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig::default())?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let mut buffer = [0; 8];

    same("one id, two things", both.id() == channel.id(), false)?;
    for id in [0, 0x7fff_ffff, u32::MAX] {
        let sent = ring.send_to_channel(id, Message::new(b"x"));
        fails(&format!("send to {id}"), sent, libc::ENOENT)?;

        let sqe = Sqe::recv(id, buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the buffer lives longer than the request.
        let received = unsafe { ring.run_one(sqe) };
        fails(&format!("receive from {id}"), received, libc::ENOENT)?;
    }

    // A subscriber belongs to its ring, and a channel is not a subscriber.
    let sent = elsewhere.send_to_channel(both.id(), Message::new(b"x"));
    fails("send through another ring's", sent, libc::ENOENT)?;
    for (ring, id) in [(&elsewhere, both.id()), (&ring, channel.id())] {
        let sqe = Sqe::recv(id, buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the buffer lives longer than the request.
        let received = unsafe { ring.run_one(sqe) };
        fails("receive without a subscriber", received, libc::ENOENT)?;
    }
    expect_empty(&both)?;

    // The channel is ours, so its subscribers may be detached through any ring.
    elsewhere.register_detach(both.id())?;
    fails(
        "send when detached",
        both.send(Message::new(b"x")),
        libc::ENOENT,
    )
}

fn rights(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;

        fails(
            "send without the right",
            receiver.send(Message::new(b"x")),
            libc::EACCES,
        )?;
        fails(
            "receive without the right",
            sender.recv(&mut [0; 8]),
            libc::EACCES,
        )?;
        expect_empty(&receiver)?;
    }
    Ok(())
}
