// SPDX-License-Identifier: GPL-2.0

//! The contract of `include/uapi/linux/io_uring_ipc.h` in Rust, checked against that header.

use super::rfl::bindings;
use kernel::prelude::*;
use zerocopy_derive::Immutable;

pub(crate) const OP_SEND: u8 = bindings::io_uring_op_IORING_OP_IPC_SEND as u8;
pub(crate) const OP_RECV: u8 = bindings::io_uring_op_IORING_OP_IPC_RECV as u8;

pub(crate) const CREATE: u32 = bindings::io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_CREATE;
pub(crate) const ATTACH: u32 = bindings::io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_ATTACH;
pub(crate) const DETACH: u32 = bindings::io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_DETACH;
pub(crate) const DESTROY: u32 = bindings::io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_DESTROY;

pub(crate) const MAX_RING_ENTRIES: u32 = bindings::IOIPC_MAX_RING_ENTRIES;
pub(crate) const MAX_MSG_SIZE: u32 = 1 << 20;
pub(crate) const RING_VERSION: u32 = bindings::IOIPC_RING_VERSION;

/// `IOIPC_IOC_SET_MODE`
pub(crate) const IOC_SET_MODE: u32 = 0xb900;

/// The bits of a channel's mode that mean something.
pub(crate) const MODE_BITS: u16 = 0o666;

/// `io_uring_ipc_channel_create.flags`
pub(crate) mod channel_flags {
    pub(crate) const BROADCAST: u32 = 1 << 0;
    pub(crate) const MULTICAST: u32 = 1 << 1;
    pub(crate) const PRIVATE: u32 = 1 << 2;
    pub(crate) const LOSSY: u32 = 1 << 3;
    pub(crate) const ALL: u32 = BROADCAST | MULTICAST | PRIVATE | LOSSY;
}

/// `io_uring_ipc_channel_attach.flags`
pub(crate) mod subscriber_flags {
    pub(crate) const SEND: u32 = 1 << 0;
    pub(crate) const RECV: u32 = 1 << 1;
    pub(crate) const REPLAY: u32 = 1 << 2;
    pub(crate) const LOSSY: u32 = 1 << 3;
    pub(crate) const FROM_FD: u32 = 1 << 4;
    pub(crate) const EVENTS: u32 = 1 << 6;
    pub(crate) const ALL: u32 = SEND | RECV | REPLAY | LOSSY | FROM_FD | EVENTS;
}

/// `sqe->ioprio` of `IORING_OP_IPC_SEND`
pub(crate) mod send_flags {
    pub(crate) const WAIT: u16 = 1 << 0;
    pub(crate) const ALL: u16 = WAIT;
}

/// `sqe->ioprio` of `IORING_OP_IPC_RECV`
pub(crate) mod recv_flags {
    pub(crate) const WAIT: u16 = 1 << 0;
    pub(crate) const MULTISHOT: u16 = 1 << 1;
    pub(crate) const HDR: u16 = 1 << 2;
    pub(crate) const TRUNC: u16 = 1 << 3;
    pub(crate) const ALL: u16 = WAIT | MULTISHOT | HDR | TRUNC;
}

/// `io_uring_ipc_msg_hdr.flags`
pub(crate) mod message_flags {
    pub(crate) const JOIN: u32 = 1 << 0;
    pub(crate) const LEAVE: u32 = 1 << 1;
}

/// `cqe->flags`
pub(crate) const CQE_MORE_WAITING: u32 = bindings::IORING_CQE_F_SOCK_NONEMPTY;

/// `struct io_uring_ipc_channel_create`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct ChannelCreate {
    pub(crate) flags: u32,
    pub(crate) ring_entries: u32,
    pub(crate) max_msg_size: u32,
    pub(crate) mode: u32,
    pub(crate) key: u64,
    pub(crate) channel_id_out: u32,
    pub(crate) reserved: [u32; 3],
}

/// `struct io_uring_ipc_channel_attach`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(crate) struct ChannelAttach {
    pub(crate) channel_id: u32,
    pub(crate) flags: u32,
    pub(crate) key: u64,
    pub(crate) channel_fd: i32,
    pub(crate) local_id_out: u32,
    pub(crate) mmap_offset_out: u64,
    pub(crate) region_size: u32,
    pub(crate) reserved: [u32; 3],
}

/// `struct io_uring_ipc_msg_hdr`
#[repr(C)]
#[derive(Clone, Copy, IntoBytes, Immutable)]
pub(crate) struct MessageHeader {
    pub(crate) msg_id: u64,
    pub(crate) sender_data: u64,
    pub(crate) len: u32,
    pub(crate) flags: u32,
    pub(crate) sender_id: u32,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) lost: u64,
}

/// Asserts that fields lie where the C header has them; a model checker's words are larger.
macro_rules! same_layout {
    ($rust:ty, $c:ident, $size:literal, { $($field:ident),* $(,)? }) => {
        #[cfg(CONFIG_RUST)]
        const _: () = {
            use core::mem::{offset_of, size_of};

            assert!(size_of::<$rust>() == $size && size_of::<bindings::$c>() == $size);
            $(assert!(offset_of!($rust, $field) == offset_of!(bindings::$c, $field));)*
        };
    };
}

same_layout!(ChannelCreate, io_uring_ipc_channel_create, 40, {
    flags, ring_entries, max_msg_size, mode, key, channel_id_out, reserved,
});
same_layout!(ChannelAttach, io_uring_ipc_channel_attach, 48, {
    channel_id, flags, key, channel_fd, local_id_out, mmap_offset_out, region_size, reserved,
});
same_layout!(MessageHeader, io_uring_ipc_msg_hdr, 48, {
    msg_id, sender_data, len, flags, sender_id, pid, uid, gid, lost,
});
same_layout!(super::ring::Header, io_uring_ipc_ring, 160, {
    tail, head, version, ring_entries, ring_mask, max_msg_size, desc_offset, desc_size,
    data_offset, data_stride,
});
same_layout!(super::ring::Slot, io_uring_ipc_msg_desc, 64, {
    seq, sender_data, offset, len, flags, target, sender_id, pid, uid, gid,
});

/// Asserts that numbers are those of the C header, which a model checker does not have.
macro_rules! same_numbers {
    ($($rust:expr => $c:ident),* $(,)?) => {
        #[cfg(CONFIG_RUST)]
        const _: () = {
            $(assert!($rust as u64 == bindings::$c as u64);)*
        };
    };
}

same_numbers!(
    MAX_MSG_SIZE => IOIPC_MAX_MSG_SIZE,
    IOC_SET_MODE => HELPER_IOC_SET_MODE,
    channel_flags::BROADCAST => IOIPC_F_BROADCAST,
    channel_flags::MULTICAST => IOIPC_F_MULTICAST,
    channel_flags::PRIVATE => IOIPC_F_PRIVATE,
    channel_flags::LOSSY => IOIPC_F_LOSSY,
    subscriber_flags::SEND => IOIPC_SUB_SEND,
    subscriber_flags::RECV => IOIPC_SUB_RECV,
    subscriber_flags::REPLAY => IOIPC_SUB_REPLAY,
    subscriber_flags::LOSSY => IOIPC_SUB_LOSSY,
    subscriber_flags::FROM_FD => IOIPC_SUB_FROM_FD,
    subscriber_flags::EVENTS => IOIPC_SUB_EVENTS,
    send_flags::WAIT => IOIPC_SEND_WAIT,
    recv_flags::WAIT => IOIPC_RECV_WAIT,
    recv_flags::MULTISHOT => IOIPC_RECV_MULTISHOT,
    recv_flags::HDR => IOIPC_RECV_HDR,
    recv_flags::TRUNC => IOIPC_RECV_TRUNC,
    message_flags::JOIN => IOIPC_MSG_F_JOIN,
    message_flags::LEAVE => IOIPC_MSG_F_LEAVE,
    super::ring::SKIP => IOIPC_MSG_F_SKIP,
);

const _: () = {
    assert!(OP_SEND == 65 && OP_RECV == 66);
    assert!(CREATE == 38 && ATTACH == 39 && DETACH == 40 && DESTROY == 41);
};
