// SPDX-License-Identifier: GPL-2.0

//! What a request is made from.

use super::super::bindings;
use core::{
    mem::{offset_of, size_of},
    ptr,
};
use kernel::{prelude::*, types::Opaque};

/// A submission queue entry, which user space may change at any time.
///
/// # Invariants
///
/// It is mapped, and aligned, for as long as there are references to this.
#[repr(transparent)]
pub(crate) struct SharedSqe(Opaque<bindings::io_uring_sqe>);

impl SharedSqe {
    /// # Safety
    ///
    /// `sqe` must be an entry of a ring's submission queue, as a `prep` handler gets it, for the
    /// time of that call.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a>(sqe: *const bindings::io_uring_sqe) -> &'a Self {
        // INVARIANT: By the function's contract.
        // SAFETY: `Self` has the layout of the entry, which is mapped.
        unsafe { &*sqe.cast() }
    }

    /// Copies the entry, each word once, but for `user_data`.
    #[inline(always)]
    pub(crate) fn copy(&self) -> Sqe {
        let word = |index| {
            // SAFETY: The entry has eight words, mapped and aligned by the type's invariant. User
            // space may write it at any time, so this is a volatile.
            unsafe { ptr::read_volatile(self.0.get().cast::<u64>().add(index)) }
        };

        zerocopy::transmute!([
            word(0),
            word(1),
            word(2),
            word(3),
            0,
            word(5),
            word(6),
            word(7)
        ])
    }
}

/// A copy of a submission queue entry. Opcode, flags, `user_data` and `personality` the core has
/// read already, and its copies count.
#[repr(C)]
#[derive(FromBytes)]
pub(crate) struct Sqe {
    read_by_core: [u8; 2],
    ioprio: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    buf_index: u16,
    personality_read_by_core: u16,
    file_index: u32,
    addr3: u64,
    pad2: u64,
}

const _: () = {
    use bindings::io_uring_sqe;

    assert!(size_of::<Sqe>() == size_of::<io_uring_sqe>());
    assert!(offset_of!(Sqe, user_data) == offset_of!(io_uring_sqe, user_data));
    assert!(offset_of!(Sqe, len) == offset_of!(io_uring_sqe, len));
    assert!(offset_of!(Sqe, fd) == offset_of!(io_uring_sqe, fd));
    assert!(offset_of!(Sqe, personality_read_by_core) == offset_of!(io_uring_sqe, personality));
};

impl Sqe {
    #[inline(always)]
    pub(crate) fn ioprio(&self) -> u16 {
        self.ioprio
    }

    #[inline(always)]
    pub(crate) fn fd(&self) -> i32 {
        self.fd
    }

    #[inline(always)]
    pub(crate) fn addr(&self) -> u64 {
        self.addr
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The provided buffers' group, or a registered buffer.
    #[inline(always)]
    pub(crate) fn buf_index(&self) -> u16 {
        self.buf_index
    }

    #[inline(always)]
    pub(crate) fn file_index(&self) -> u32 {
        self.file_index
    }

    /// Whether the fields are zero that neither the core nor every handler looks at.
    #[inline(always)]
    pub(crate) fn rest_is_zero(&self) -> bool {
        u64::from(self.op_flags) | self.off | self.addr3 | self.pad2 == 0
    }
}
