// SPDX-License-Identifier: GPL-2.0

//! What bindgen makes of the contract. The module asserts the numbers.

#![expect(non_upper_case_globals)]

pub(crate) const io_uring_op_IORING_OP_IPC_SEND: u32 = 65;
pub(crate) const io_uring_op_IORING_OP_IPC_RECV: u32 = 66;
pub(crate) const io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_CREATE: u32 = 38;
pub(crate) const io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_ATTACH: u32 = 39;
pub(crate) const io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_DETACH: u32 = 40;
pub(crate) const io_uring_register_op_IORING_REGISTER_IPC_CHANNEL_DESTROY: u32 = 41;
pub(crate) const IOIPC_MAX_RING_ENTRIES: u32 = 1 << 16;
pub(crate) const IOIPC_RING_VERSION: u32 = 1;
pub(crate) const IORING_CQE_F_SOCK_NONEMPTY: u32 = 1 << 2;
