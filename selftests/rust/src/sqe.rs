// SPDX-License-Identifier: GPL-2.0

//! Submission queue entries of the two opcodes, for [`io_uring`].

use crate::abi;
use bytemuck::{Pod, Zeroable};
use io_uring::squeue;

/// `struct io_uring_sqe`, 64 bytes, with the names the opcodes here use.
///
/// The fields are described as those opcodes have them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Sqe {
    /// [`abi::OP_SEND`] or [`abi::OP_RECV`].
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// `SEND_*` or `RECV_*` of [`abi`].
    pub ioprio: u16,
    /// Subscriber id, or for a send the id of a channel.
    pub fd: i32,
    /// Zero.
    pub off: u64,
    /// The buffer.
    pub addr: u64,
    /// Its length.
    pub len: u32,
    /// Zero.
    pub rw_flags: u32,
    /// Comes back in the completion; receivers see a send's as `sender_data`.
    pub user_data: u64,
    /// The group of provided buffers with [`BUFFER_SELECT`], else zero.
    pub buf_index: u16,
    /// Zero.
    pub personality: u16,
    /// The subscriber a send is for, or 0.
    pub file_index: u32,
    /// Zero.
    pub addr3: u64,
    /// Zero.
    pub pad2: u64,
}

const _: () = {
    use std::mem::{align_of, offset_of, size_of};

    assert!(size_of::<Sqe>() == 64);
    assert!(size_of::<Sqe>() == size_of::<squeue::Entry>());
    assert!(align_of::<Sqe>() == align_of::<squeue::Entry>());
    assert!(offset_of!(Sqe, addr) == 16);
    assert!(offset_of!(Sqe, user_data) == 32);
    assert!(offset_of!(Sqe, buf_index) == 40);
    assert!(offset_of!(Sqe, file_index) == 44);
    assert!(offset_of!(Sqe, addr3) == 48);
};

/// `IOSQE_IO_LINK`: the next entry starts when this one has succeeded, and is
/// cancelled when it fails.
pub const IO_LINK: u8 = 1 << 2;
/// `IOSQE_ASYNC`: a worker thread of the kernel tries the request first.
pub const ASYNC: u8 = 1 << 4;
/// `IOSQE_BUFFER_SELECT`: the kernel takes a buffer that was provided.
pub const BUFFER_SELECT: u8 = 1 << 5;
/// `IOSQE_CQE_SKIP_SUCCESS`: a completion only where it fails.
pub const CQE_SKIP_SUCCESS: u8 = 1 << 6;

impl Sqe {
    /// Sends `len` bytes at `addr` through a subscriber or to a channel.
    pub fn send(id: u32, addr: *const u8, len: usize) -> Self {
        Self::new(abi::OP_SEND, id, addr, len)
    }

    /// Receives up to `len` bytes to `addr`.
    pub fn recv(subscriber: u32, addr: *mut u8, len: usize) -> Self {
        Self::new(abi::OP_RECV, subscriber, addr, len)
    }

    /// Receives to a buffer of this group, all of which may be used.
    pub fn recv_provided(subscriber: u32, group: u16) -> Self {
        Self {
            flags: BUFFER_SELECT,
            buf_index: group,
            ..Self::recv(subscriber, std::ptr::null_mut(), 0)
        }
    }

    /// Receives one message after the other, each to a buffer of this group.
    pub fn recv_multishot(subscriber: u32, group: u16) -> Self {
        Self::recv_provided(subscriber, group).with(abi::RECV_MULTISHOT)
    }

    /// With these `SEND_*` or `RECV_*` flags too.
    pub fn with(self, flags: u16) -> Self {
        Self {
            ioprio: self.ioprio | flags,
            ..self
        }
    }

    fn new(opcode: u8, id: u32, addr: *const u8, len: usize) -> Self {
        Self {
            opcode,
            fd: id as i32,
            addr: addr as u64,
            // Nothing the kernel accepts is that long.
            len: u32::try_from(len).unwrap_or(u32::MAX),
            ..Self::default()
        }
    }

    /// What the `io_uring` crate has built, of an opcode that it knows.
    pub fn from_entry(entry: squeue::Entry) -> Self {
        // SAFETY: as below; here any 64 bytes are right for `Sqe`, and the
        // crate starts with zeroes, so that each has a value.
        unsafe { std::mem::transmute::<squeue::Entry, Sqe>(entry) }
    }

    /// The entry as the `io_uring` crate takes it. The crate builds entries of
    /// its own opcodes only, so this is where its type is entered sideways.
    pub fn into_entry(self) -> squeue::Entry {
        // SAFETY: `squeue::Entry` is a `repr(C)` wrapper of the crate's
        // `struct io_uring_sqe`, which is integers and unions of integers: any
        // 64 bytes make a valid one. Size and alignment are asserted above.
        // What an entry points at matters where it is submitted, and that is
        // an unsafe function of the crate.
        unsafe { std::mem::transmute::<Sqe, squeue::Entry>(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provided_buffers() {
        let sqe = Sqe::recv_multishot(7, 3).with(abi::RECV_HDR);

        assert_eq!(sqe.opcode, abi::OP_RECV);
        assert_eq!(sqe.flags, BUFFER_SELECT);
        assert_eq!(sqe.ioprio, abi::RECV_MULTISHOT | abi::RECV_HDR);
        assert_eq!((sqe.fd, sqe.addr, sqe.len, sqe.buf_index), (7, 0, 0, 3));
    }

    #[test]
    fn flags_of_the_crate() {
        use io_uring::squeue::Flags;

        assert_eq!(IO_LINK, Flags::IO_LINK.bits());
        assert_eq!(ASYNC, Flags::ASYNC.bits());
        assert_eq!(BUFFER_SELECT, Flags::BUFFER_SELECT.bits());
        assert_eq!(CQE_SKIP_SUCCESS, Flags::SKIP_SUCCESS.bits());
    }
}
