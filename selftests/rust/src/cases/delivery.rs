// SPDX-License-Identifier: GPL-2.0

//! Who gets a message, and how many a ring holds.

use super::{expect_empty, expect_numbers, of_kind, recv_number, send_numbers, Cases};
use crate::harness::{fails, same};
use anyhow::Result;
use io_uring_ipc::{abi, ChannelConfig, Kind, Message, Ring, Setup, FULL, MAX_BATCH};

pub const CASES: Cases = &[
    ("unicast", unicast),
    ("multicast", multicast),
    ("broadcast", broadcast),
    ("own_messages", own_messages),
    ("zero_length", zero_length),
    ("ring_full_exactly", ring_full_exactly),
    ("largest_ring", largest_ring),
    ("broadcast_slowest_holds_room", broadcast_slowest_holds_room),
    ("broadcast_without_receivers", broadcast_without_receivers),
    ("held_for_later_receiver", held_for_later_receiver),
    ("late_joiner", late_joiner),
    ("replay", replay),
    ("targeted", targeted),
    ("targeted_broadcast", targeted_broadcast),
    ("bad_target", bad_target),
    ("linked_batch", linked_batch),
];

/// Each message reaches one of two receivers, and is gone then.
fn one_of_two(setup: Setup, kind: Kind) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(kind))?;
    let first = channel.attach(abi::SUB_RECV)?;
    let second = channel.attach(abi::SUB_RECV)?;
    let sender = channel.attach(abi::SUB_SEND)?;

    expect_empty(&first)?;
    send_numbers(&sender, 0..4)?;
    same("first", recv_number(&first)?, 0)?;
    same("second", recv_number(&second)?, 1)?;
    same("second", recv_number(&second)?, 2)?;
    same("first", recv_number(&first)?, 3)?;
    expect_empty(&first)?;
    expect_empty(&second)
}

fn unicast(setup: Setup) -> Result<()> {
    one_of_two(setup, Kind::Unicast)
}

fn multicast(setup: Setup) -> Result<()> {
    one_of_two(setup, Kind::Multicast)
}

fn broadcast(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(Kind::Broadcast))?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let receivers = [
        channel.attach(abi::SUB_RECV)?,
        channel.attach(abi::SUB_RECV)?,
        channel.attach(abi::SUB_RECV)?,
    ];

    send_numbers(&sender, 0..10)?;
    receivers
        .iter()
        .try_for_each(|receiver| expect_numbers(receiver, 0..10))
}

fn own_messages(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let both = channel.attach(abi::SUB_BOTH)?;

        send_numbers(&both, 0..3)?;
        expect_numbers(&both, 0..3)?;
    }
    Ok(())
}

fn zero_length(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let both = channel.attach(abi::SUB_BOTH)?;

        both.send(Message::new(&[]))?;
        send_numbers(&both, [1])?;
        same("length", both.recv(&mut [0; 8])?, 0)?;
        expect_numbers(&both, [1])?;

        // Any message can be received into no buffer at all.
        send_numbers(&both, [2])?;
        same("length without a buffer", both.recv(&mut [])?, 0)?;
        expect_empty(&both)?;
    }
    Ok(())
}

fn ring_full_exactly(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        for entries in [1, 2, 8, 64] {
            let ring = Ring::new(setup)?;
            let channel = ring.create(&ChannelConfig {
                entries,
                ..of_kind(kind)
            })?;
            let receiver = channel.attach(abi::SUB_RECV)?;
            let sender = channel.attach(abi::SUB_SEND)?;
            let entries = u64::from(entries);

            send_numbers(&sender, 0..entries)?;
            for _ in 0..2 {
                fails("one too many", sender.send(Message::new(b"x")), FULL)?;
            }

            // One out, one in, and once more round the ring.
            for number in 0..entries {
                same("oldest", recv_number(&receiver)?, number)?;
                send_numbers(&sender, [entries + number])?;
                fails("full again", sender.send(Message::new(b"x")), FULL)?;
            }
            expect_numbers(&receiver, entries..2 * entries)?;
        }
    }
    Ok(())
}

fn largest_ring(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: abi::MAX_RING_ENTRIES,
        max_msg_size: 8,
        ..ChannelConfig::default()
    })?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let batch = [Message::new(b"12345678"); MAX_BATCH];

    for _ in 0..abi::MAX_RING_ENTRIES as usize / MAX_BATCH {
        same("sent", both.send_batch(&batch)?, MAX_BATCH)?;
    }
    fails("one too many", both.send(Message::new(b"x")), FULL)?;

    let mut buffers = vec![vec![0; 8]; MAX_BATCH];
    for _ in 0..abi::MAX_RING_ENTRIES as usize / MAX_BATCH {
        same("got", both.recv_batch(&mut buffers)?, vec![8; MAX_BATCH])?;
    }
    expect_empty(&both)
}

fn broadcast_slowest_holds_room(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let fast = channel.attach(abi::SUB_RECV)?;
    let slow = channel.attach(abi::SUB_RECV)?;

    send_numbers(&sender, 0..4)?;
    expect_numbers(&fast, 0..4)?;
    fails("slow has four", sender.send(Message::new(b"x")), FULL)?;
    same("slow", recv_number(&slow)?, 0)?;
    send_numbers(&sender, [4])?;
    fails("slow has four", sender.send(Message::new(b"x")), FULL)?;
    expect_numbers(&fast, [4])?;

    // One that leaves holds nothing up.
    slow.detach()?;
    send_numbers(&sender, 5..9)?;
    expect_numbers(&fast, 5..9)
}

fn broadcast_without_receivers(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;

    send_numbers(&sender, 0..20)?;

    let receiver = channel.attach(abi::SUB_RECV)?;
    expect_empty(&receiver)?;
    send_numbers(&sender, 20..24)?;
    expect_numbers(&receiver, 20..24)
}

fn held_for_later_receiver(setup: Setup) -> Result<()> {
    for kind in [Kind::Unicast, Kind::Multicast] {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 4,
            ..of_kind(kind)
        })?;
        let sender = channel.attach(abi::SUB_SEND)?;

        send_numbers(&sender, 0..4)?;
        fails("one too many", sender.send(Message::new(b"x")), FULL)?;
        expect_numbers(&channel.attach(abi::SUB_RECV)?, 0..4)?;
    }
    Ok(())
}

/// Who joins a broadcast that has gone round its ring gets what is sent from
/// then on, and holds nobody up.
fn late_joiner(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let early = channel.attach(abi::SUB_RECV)?;

    for number in 0..11 {
        send_numbers(&sender, [number])?;
        expect_numbers(&early, [number])?;
    }
    send_numbers(&sender, [11])?;

    let late = channel.attach(abi::SUB_RECV)?;
    expect_empty(&late)?;
    send_numbers(&sender, 12..15)?;
    expect_numbers(&late, 12..15)?;
    expect_numbers(&early, 11..15)?;

    send_numbers(&sender, 15..19)?;
    expect_numbers(&late, 15..19)?;
    expect_numbers(&early, 15..19)
}

fn replay(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 8,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let slow = channel.attach(abi::SUB_RECV)?;

    // The ring holds what the slow receiver has not had: 8 to 15 at the least.
    send_numbers(&sender, 0..8)?;
    expect_numbers(&slow, 0..8)?;
    send_numbers(&sender, 8..16)?;

    let plain = channel.attach(abi::SUB_RECV)?;
    let replay = channel.attach(abi::SUB_RECV | abi::SUB_REPLAY)?;
    expect_empty(&plain)?;
    expect_numbers(&replay, 8..16)?;
    expect_numbers(&slow, 8..16)?;

    send_numbers(&sender, [16])?;
    for receiver in [&plain, &replay, &slow] {
        expect_numbers(receiver, [16])?;
    }
    Ok(())
}

/// Only the target can take a targeted message.
fn targeted(setup: Setup) -> Result<()> {
    for kind in [Kind::Unicast, Kind::Multicast] {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&of_kind(kind))?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let first = channel.attach(abi::SUB_RECV)?;
        let second = channel.attach(abi::SUB_RECV)?;

        for number in 0..3_u64 {
            sender.send(Message::new(&number.to_ne_bytes()).to(second.id()))?;
        }
        expect_empty(&first)?;
        same("events of the other", first.events()?.readable, false)?;
        same("events of the target", second.events()?.readable, true)?;
        expect_numbers(&second, 0..3)?;

        sender.send(Message::new(&4_u64.to_ne_bytes()).to(first.id()))?;
        expect_empty(&second)?;
        expect_numbers(&first, [4])?;
    }
    Ok(())
}

fn targeted_broadcast(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 4,
        ..of_kind(Kind::Broadcast)
    })?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let first = channel.attach(abi::SUB_RECV)?;
    let second = channel.attach(abi::SUB_RECV)?;

    // More rounds than the ring has slots: what is not for one is passed.
    for round in 0..6_u64 {
        sender.send(Message::new(&round.to_ne_bytes()).to(second.id()))?;
        send_numbers(&sender, [100 + round])?;
        expect_numbers(&first, [100 + round])?;
        expect_numbers(&second, [round, 100 + round])?;
    }
    Ok(())
}

/// A message for nobody is refused, and takes no room.
fn bad_target(setup: Setup) -> Result<()> {
    for kind in Kind::ALL {
        let ring = Ring::new(setup)?;
        let channel = ring.create(&ChannelConfig {
            entries: 4,
            ..of_kind(kind)
        })?;
        let other = ring.create(&of_kind(kind))?;
        let stranger = other.attach(abi::SUB_RECV)?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let gone = channel.attach(abi::SUB_RECV)?;
        let gone_id = gone.id();

        gone.detach()?;
        for target in [stranger.id(), gone_id, channel.id(), u32::MAX] {
            for _ in 0..5 {
                fails(
                    "message to nobody",
                    sender.send(Message::new(b"x").to(target)),
                    libc::ENOENT,
                )?;
            }
        }
        expect_empty(&receiver)?;
        expect_empty(&stranger)?;
        send_numbers(&sender, 0..4)?;
        expect_numbers(&receiver, 0..4)?;
    }
    Ok(())
}

/// A chain of linked sends stops where the ring is full, and one of linked
/// receives where it is empty.
fn linked_batch(setup: Setup) -> Result<()> {
    let ring = Ring::new(setup)?;
    let channel = ring.create(&ChannelConfig {
        entries: 8,
        ..ChannelConfig::default()
    })?;
    let both = channel.attach(abi::SUB_BOTH)?;
    let numbers: Vec<[u8; 8]> = (0..12_u64).map(u64::to_ne_bytes).collect();
    let messages: Vec<_> = numbers.iter().map(|bytes| Message::new(bytes)).collect();
    let mut buffers = vec![vec![0; 8]; 12];

    same("sent", both.send_batch(&messages)?, 8)?;
    fails("batch to a full ring", both.send_batch(&messages), FULL)?;
    same("got", both.recv_batch(&mut buffers)?, vec![8; 8])?;
    for (buffer, number) in buffers.iter().zip(0..8_u64) {
        same("number", buffer.as_slice(), &number.to_ne_bytes())?;
    }
    expect_empty(&both)
}
