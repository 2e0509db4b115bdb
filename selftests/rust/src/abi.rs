// SPDX-License-Identifier: GPL-2.0

//! The user-space contract of `linux/io_uring_ipc.h`, in Rust.
//!
//! Written by hand. The build fails where a size or an offset is not the number
//! given here, and `tests/header.rs` has a C compiler compare the same numbers
//! and constants with the header itself.

use bytemuck::{Pod, Zeroable};

/// Send a message (`sqe->opcode`).
pub const OP_SEND: u8 = 65;
/// Receive a message (`sqe->opcode`).
pub const OP_RECV: u8 = 66;

/// Make a channel (`io_uring_register(2)` operation).
pub const REGISTER_CREATE: u32 = 38;
/// Become a subscriber of a channel.
pub const REGISTER_ATTACH: u32 = 39;
/// Stop being a subscriber.
pub const REGISTER_DETACH: u32 = 40;
/// End a channel.
pub const REGISTER_DESTROY: u32 = 41;

/// Largest [`ChannelCreate::ring_entries`].
pub const MAX_RING_ENTRIES: u32 = 32768;
/// Largest [`ChannelCreate::max_msg_size`].
pub const MAX_MSG_SIZE: u32 = 1 << 20;

/// Each message reaches every receiver ([`ChannelCreate::flags`]).
pub const F_BROADCAST: u32 = 1 << 0;
/// Each message reaches one receiver; wake-ups go round.
pub const F_MULTICAST: u32 = 1 << 1;
/// Permission is checked for every message; the region cannot be mapped.
pub const F_PRIVATE: u32 = 1 << 2;
/// With [`F_BROADCAST`]: every receiver is as with [`SUB_LOSSY`].
pub const F_LOSSY: u32 = 1 << 3;

/// The right to send ([`ChannelAttach::flags`]).
pub const SUB_SEND: u32 = 1 << 0;
/// The right to receive.
pub const SUB_RECV: u32 = 1 << 1;
/// Both rights.
pub const SUB_BOTH: u32 = SUB_SEND | SUB_RECV;
/// A broadcast receiver starts at the oldest message still held.
pub const SUB_REPLAY: u32 = 1 << 2;
/// A broadcast receiver holds no sender up, and loses what it is too slow for.
pub const SUB_LOSSY: u32 = 1 << 3;
/// `channel_id` is the descriptor of a subscriber, of whose channel this one becomes another.
pub const SUB_FROM_FD: u32 = 1 << 4;
/// A receiver is told of others that come and go.
pub const SUB_EVENTS: u32 = 1 << 6;
/// All of these.
pub const SUB_ALL: u32 = SUB_BOTH | SUB_REPLAY | SUB_LOSSY | SUB_FROM_FD | SUB_EVENTS;

/// A full ring: wait for room (`sqe->ioprio` of [`OP_SEND`]).
pub const SEND_WAIT: u16 = 1 << 0;

/// No message: wait for one (`sqe->ioprio` of [`OP_RECV`]).
pub const RECV_WAIT: u16 = 1 << 0;
/// Wait for one message after the other, with a provided buffer for each.
pub const RECV_MULTISHOT: u16 = 1 << 1;
/// The buffer starts with a [`MsgHdr`].
pub const RECV_HDR: u16 = 1 << 2;
/// The result counts the whole message even where the buffer cut it.
pub const RECV_TRUNC: u16 = 1 << 3;

/// A notice: a subscriber has attached.
pub const MSG_F_JOIN: u32 = 1 << 0;
/// A notice: a subscriber has been detached.
pub const MSG_F_LEAVE: u32 = 1 << 1;
/// A slot without a message ([`MsgDesc::flags`]).
pub const MSG_F_SKIP: u32 = 1 << 31;

/// Change the channel's mode: `ioctl(2)` of a subscriber's file.
pub const IOC_SET_MODE: u32 = 0xb900;

/// [`RingHeader::version`].
pub const RING_VERSION: u32 = 1;

/// `struct io_uring_ipc_channel_create`, argument of [`REGISTER_CREATE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ChannelCreate {
    /// `F_*`.
    pub flags: u32,
    /// Messages the ring holds: a power of two.
    pub ring_entries: u32,
    /// Largest message, in bytes.
    pub max_msg_size: u32,
    /// Who may receive (read) and send (write), as for a file.
    pub mode: u32,
    /// A name to attach by, or 0.
    pub key: u64,
    /// Out: the channel's id.
    pub channel_id_out: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// `struct io_uring_ipc_channel_attach`, argument of [`REGISTER_ATTACH`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ChannelAttach {
    /// Which channel; ignored where `key` is not 0.
    pub channel_id: u32,
    /// `SUB_*`.
    pub flags: u32,
    /// Which channel, by its key, or 0.
    pub key: u64,
    /// Out: a file of this subscriber, for `poll(2)` and `mmap(2)`.
    pub channel_fd: i32,
    /// Out: the subscriber's id.
    pub local_id_out: u32,
    /// Out: where `mmap(2)` of the file finds the region.
    pub mmap_offset_out: u64,
    /// Out: the region's size.
    pub region_size: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// `struct io_uring_ipc_msg_hdr`: what [`RECV_HDR`] puts before the payload.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct MsgHdr {
    /// Position in the channel, from 1.
    pub msg_id: u64,
    /// The sender's `sqe->user_data`.
    pub sender_data: u64,
    /// The message's whole length.
    pub len: u32,
    /// `MSG_F_*`.
    pub flags: u32,
    /// Subscriber id of the sender, 0 if it sent by channel id.
    pub sender_id: u32,
    /// The sender as the receiver sees it, 0 if it cannot.
    pub pid: u32,
    /// Likewise.
    pub uid: u32,
    /// Likewise.
    pub gid: u32,
    /// Messages this receiver lost since the last one that it received with a header.
    pub lost: u64,
}

/// `struct io_uring_ipc_ring`: the first bytes of the mapped region.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RingHeader {
    /// The next position a sender will claim.
    pub tail: u64,
    /// Keeps `tail` on a cache line of its own.
    pub pad0: [u8; 56],
    /// The oldest position still held.
    pub head: u64,
    /// Keeps `head` on a cache line of its own.
    pub pad1: [u8; 56],
    /// [`RING_VERSION`].
    pub version: u32,
    /// Slots.
    pub ring_entries: u32,
    /// `ring_entries - 1`: slot = position & mask.
    pub ring_mask: u32,
    /// Largest message, in bytes.
    pub max_msg_size: u32,
    /// Where the descriptors start in the region.
    pub desc_offset: u32,
    /// Bytes from one descriptor to the next.
    pub desc_size: u32,
    /// Where the payloads start in the region.
    pub data_offset: u32,
    /// Bytes from one slot's payload to the next.
    pub data_stride: u32,
}

/// `struct io_uring_ipc_msg_desc`: one slot of the mapped region.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct MsgDesc {
    /// Position + 1 once the message is published.
    pub seq: u64,
    /// The sender's `sqe->user_data`.
    pub sender_data: u64,
    /// Where the payload starts, from [`RingHeader::data_offset`].
    pub offset: u32,
    /// Its length.
    pub len: u32,
    /// `MSG_F_*`.
    pub flags: u32,
    /// The subscriber the message is for, 0 for any.
    pub target: u32,
    /// Subscriber id of the sender, 0 if it sent by channel id.
    pub sender_id: u32,
    /// 0: only [`MsgHdr`] has identities.
    pub pid: u32,
    /// The overflow id.
    pub uid: u32,
    /// The overflow id.
    pub gid: u32,
    /// The kernel's.
    pub reserved: [u64; 2],
}

/// States every number of a structure once: the build fails where Rust lays it
/// out differently, and the table is there for whoever compares with C.
macro_rules! layout {
    ($($rust:ident = $c:literal, $size:literal { $($field:ident: $offset:literal),* $(,)? })*) => {
        $(
            const _: () = assert!(size_of::<$rust>() == $size);
            $(const _: () = assert!(std::mem::offset_of!($rust, $field) == $offset);)*
        )*

        /// Sizes and offsets, each with the C expression for it.
        pub const LAYOUT: &[(&str, u64)] = &[$(
            (concat!("sizeof(struct ", $c, ")"), $size),
            $((concat!("offsetof(struct ", $c, ", ", stringify!($field), ")"), $offset),)*
        )*];
    };
}

layout! {
    ChannelCreate = "io_uring_ipc_channel_create", 40 {
        flags: 0, ring_entries: 4, max_msg_size: 8, mode: 12, key: 16,
        channel_id_out: 24, reserved: 28,
    }
    ChannelAttach = "io_uring_ipc_channel_attach", 48 {
        channel_id: 0, flags: 4, key: 8, channel_fd: 16, local_id_out: 20,
        mmap_offset_out: 24, region_size: 32, reserved: 36,
    }
    MsgHdr = "io_uring_ipc_msg_hdr", 48 {
        msg_id: 0, sender_data: 8, len: 16, flags: 20, sender_id: 24, pid: 28,
        uid: 32, gid: 36, lost: 40,
    }
    RingHeader = "io_uring_ipc_ring", 160 {
        tail: 0, pad0: 8, head: 64, pad1: 72, version: 128, ring_entries: 132,
        ring_mask: 136, max_msg_size: 140, desc_offset: 144, desc_size: 148,
        data_offset: 152, data_stride: 156,
    }
    MsgDesc = "io_uring_ipc_msg_desc", 64 {
        seq: 0, sender_data: 8, offset: 16, len: 20, flags: 24, target: 28,
        sender_id: 32, pid: 36, uid: 40, gid: 44, reserved: 48,
    }
}

/// The constants above, each with the header's name for it.
pub const CONSTANTS: &[(&str, u64)] = &[
    ("IORING_OP_IPC_SEND", OP_SEND as u64),
    ("IORING_OP_IPC_RECV", OP_RECV as u64),
    ("IORING_REGISTER_IPC_CHANNEL_CREATE", REGISTER_CREATE as u64),
    ("IORING_REGISTER_IPC_CHANNEL_ATTACH", REGISTER_ATTACH as u64),
    ("IORING_REGISTER_IPC_CHANNEL_DETACH", REGISTER_DETACH as u64),
    (
        "IORING_REGISTER_IPC_CHANNEL_DESTROY",
        REGISTER_DESTROY as u64,
    ),
    ("IOIPC_MAX_RING_ENTRIES", MAX_RING_ENTRIES as u64),
    ("IOIPC_MAX_MSG_SIZE", MAX_MSG_SIZE as u64),
    ("IOIPC_F_BROADCAST", F_BROADCAST as u64),
    ("IOIPC_F_MULTICAST", F_MULTICAST as u64),
    ("IOIPC_F_PRIVATE", F_PRIVATE as u64),
    ("IOIPC_F_LOSSY", F_LOSSY as u64),
    ("IOIPC_SUB_SEND", SUB_SEND as u64),
    ("IOIPC_SUB_RECV", SUB_RECV as u64),
    ("IOIPC_SUB_BOTH", SUB_BOTH as u64),
    ("IOIPC_SUB_REPLAY", SUB_REPLAY as u64),
    ("IOIPC_SUB_LOSSY", SUB_LOSSY as u64),
    ("IOIPC_SUB_FROM_FD", SUB_FROM_FD as u64),
    ("IOIPC_SUB_EVENTS", SUB_EVENTS as u64),
    ("IOIPC_SEND_WAIT", SEND_WAIT as u64),
    ("IOIPC_RECV_WAIT", RECV_WAIT as u64),
    ("IOIPC_RECV_MULTISHOT", RECV_MULTISHOT as u64),
    ("IOIPC_RECV_HDR", RECV_HDR as u64),
    ("IOIPC_RECV_TRUNC", RECV_TRUNC as u64),
    ("IOIPC_MSG_F_JOIN", MSG_F_JOIN as u64),
    ("IOIPC_MSG_F_LEAVE", MSG_F_LEAVE as u64),
    ("IOIPC_MSG_F_SKIP", MSG_F_SKIP as u64),
    ("IOIPC_IOC_SET_MODE", IOC_SET_MODE as u64),
    ("IOIPC_RING_VERSION", RING_VERSION as u64),
];
