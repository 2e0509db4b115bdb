// SPDX-License-Identifier: GPL-2.0

//! io_uring as an opcode's handler sees it.
//!
//! C headers: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h),
//! [`include/uapi/linux/io_uring.h`](srctree/include/uapi/linux/io_uring.h)

use super::bindings;
use core::{
    ffi::c_void,
    mem::{align_of, offset_of, size_of},
    ptr,
};
use kernel::{fs::File, prelude::*, sync::aref::ARef, types::Opaque};
use zerocopy::Immutable;

// The layouts as C has them: bindgen is told not to check.
const _: () = {
    use bindings::{io_kiocb, io_ring_ctx};

    assert!(offset_of!(io_ring_ctx, __bindgen_anon_2.ipc) == bindings::HELPER_RING_IPC as usize);
    assert!(offset_of!(io_kiocb, ctx) == bindings::HELPER_REQ_CTX as usize);
    assert!(offset_of!(io_kiocb, flags) == bindings::HELPER_REQ_FLAGS as usize);
    assert!(offset_of!(io_kiocb, cqe) == bindings::HELPER_REQ_CQE as usize);
};

/// A ring.
#[repr(transparent)]
pub(crate) struct RingContext(Opaque<bindings::io_ring_ctx>);

impl RingContext {
    /// # Safety
    ///
    /// `ctx` must be a ring that lives for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ctx: *mut bindings::io_ring_ctx) -> &'a Self {
        // SAFETY: `Self` has the layout of the ring; by the function's contract it lives.
        unsafe { &*ctx.cast() }
    }

    /// The hooks' pointer.
    ///
    /// # Safety
    ///
    /// The caller must hold `uring_lock`.
    #[inline(always)]
    pub(crate) unsafe fn ipc(&self) -> *mut c_void {
        // SAFETY: The ring lives, and the lock guards the field.
        unsafe { (*self.0.get()).__bindgen_anon_2.ipc }
    }

    /// Sets the hooks' pointer.
    ///
    /// # Safety
    ///
    /// The caller must hold `uring_lock`.
    pub(crate) unsafe fn set_ipc(&self, ipc: *mut c_void) {
        // SAFETY: The ring lives, and the lock guards the field.
        unsafe { (*self.0.get()).__bindgen_anon_2.ipc = ipc };
    }
}

/// A submission queue entry, each field read once: user space may change the original meanwhile.
#[repr(C)]
pub(crate) struct Sqe {
    /// Opcode and flags: the core has read them already, and its copies count.
    read_by_core: [u8; 2],
    pub(crate) ioprio: u16,
    pub(crate) fd: i32,
    pub(crate) off: u64,
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) op_flags: u32,
    pub(crate) user_data: u64,
    pub(crate) buf_index: u16,
    pub(crate) personality: u16,
    pub(crate) file_index: u32,
    pub(crate) addr3: u64,
    pub(crate) pad2: u64,
}

const _: () = {
    assert!(size_of::<Sqe>() == size_of::<bindings::io_uring_sqe>());
    assert!(offset_of!(Sqe, user_data) == offset_of!(bindings::io_uring_sqe, user_data));
    assert!(offset_of!(Sqe, len) == offset_of!(bindings::io_uring_sqe, len));
    assert!(offset_of!(Sqe, fd) == offset_of!(bindings::io_uring_sqe, fd));
    assert!(offset_of!(Sqe, personality) == offset_of!(bindings::io_uring_sqe, personality));
};

impl Sqe {
    /// Copies the entry.
    ///
    /// # Safety
    ///
    /// `sqe` must be an entry of a ring's submission queue, as a `prep` handler gets it.
    #[inline(always)]
    pub(crate) unsafe fn read(sqe: *const bindings::io_uring_sqe) -> Self {
        let sqe = sqe.cast::<Self>();

        macro_rules! once {
            ($($field:ident),*) => {
                Self {
                    // SAFETY: The entry is mapped for as long as the ring lives. User space may
                    // write it at any time, so each field is read once, as a volatile.
                    $($field: unsafe { ptr::read_volatile(&raw const (*sqe).$field) },)*
                }
            };
        }
        once!(
            read_by_core,
            ioprio,
            fd,
            off,
            addr,
            len,
            op_flags,
            user_data,
            buf_index,
            personality,
            file_index,
            addr3,
            pad2
        )
    }
}

impl Sqe {
    /// Whether the fields are zero that neither the core nor every handler looks at.
    #[inline(always)]
    pub(crate) fn rest_is_zero(&self) -> bool {
        let rest = u64::from(self.op_flags)
            | u64::from(self.buf_index)
            | u64::from(self.personality)
            | self.off
            | self.addr3
            | self.pad2;

        rest == 0
    }
}

/// A request, in the hands of its opcode's handler.
#[repr(transparent)]
pub(crate) struct Request(Opaque<bindings::io_kiocb>);

impl Request {
    /// # Safety
    ///
    /// `req` must be a request that the core has handed to a handler, for the time of that call:
    /// nobody else uses it meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a>(req: *mut bindings::io_kiocb) -> &'a mut Self {
        // SAFETY: `Self` has the layout of the request; by the function's contract it is the
        // caller's alone.
        unsafe { &mut *req.cast() }
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> &RingContext {
        // SAFETY: A request holds a reference to its ring.
        unsafe { RingContext::from_raw((*self.0.get()).ctx) }
    }

    #[inline(always)]
    pub(crate) fn opcode(&self) -> u8 {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).opcode }
    }

    /// The sender's `sqe->user_data`.
    #[inline(always)]
    pub(crate) fn user_data(&self) -> u64 {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).cqe.user_data }
    }

    /// Whether `IOSQE_FIXED_FILE` was asked for.
    #[inline(always)]
    pub(crate) fn is_fixed_file(&self) -> bool {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).flags & (1 << bindings::REQ_F_FIXED_FILE_BIT) != 0 }
    }

    /// Makes `file` the request's; the core gives the reference back when the request ends, in
    /// whatever way. Not for a request with [`Self::is_fixed_file`]: the core would keep it.
    #[inline(always)]
    pub(crate) fn set_file(&mut self, file: ARef<File>) {
        debug_assert!(!self.is_fixed_file());
        // SAFETY: The request is ours; it becomes the owner of the reference.
        unsafe { (*self.0.get()).__bindgen_anon_1.file = ARef::into_raw(file).as_ptr().cast() };
    }

    /// The file set by [`Self::set_file`].
    #[inline(always)]
    pub(crate) fn file(&self) -> Option<&File> {
        // SAFETY: The request is ours and holds a reference to its file.
        unsafe {
            let file = (*self.0.get()).__bindgen_anon_1.file;

            (!file.is_null()).then(|| File::from_raw_file(file))
        }
    }

    /// Keeps `command` for the handlers to come.
    #[inline(always)]
    pub(crate) fn set_command<T: IntoBytes + Immutable>(&mut self, command: T) {
        // SAFETY: The request is ours; `T` fits the opcode's area, as checked by `area()`.
        unsafe { ptr::write(self.area::<T>(), command) };
    }

    /// What [`Self::set_command`] has kept.
    ///
    /// # Safety
    ///
    /// A `T` must have been kept.
    #[inline(always)]
    pub(crate) unsafe fn command<T: FromBytes + Copy>(&self) -> T {
        // SAFETY: The request is ours, and by the function's contract a `T` is there.
        unsafe { ptr::read(self.area::<T>()) }
    }

    /// The bytes of the request that are the opcode's.
    #[inline(always)]
    fn area<T>(&self) -> *mut T {
        const {
            assert!(
                offset_of!(bindings::io_cmd_data, data) + size_of::<T>()
                    <= size_of::<bindings::io_cmd_data>()
            );
            assert!(align_of::<T>() <= align_of::<bindings::io_cmd_data>());
        };
        // SAFETY: The request is ours; this only computes an address in it.
        unsafe { (&raw mut (*self.0.get()).__bindgen_anon_1.cmd.data).cast() }
    }

    /// Sets the request's result: a number of bytes, or an error, which also breaks a link.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, result: Result<u32>) {
        let req = self.0.get();

        let res = match result {
            Ok(bytes) => bytes as i32,
            Err(error) => {
                self.set_failed();
                error.to_errno()
            }
        };
        // SAFETY: The request is ours.
        unsafe {
            (*req).cqe.res = res;
            (*req).cqe.__bindgen_anon_1.flags = 0;
        }
    }

    /// As `req_set_fail()` in `io_uring/io_uring.h`.
    #[cold]
    fn set_failed(&mut self) {
        const FAIL: u64 = 1 << bindings::REQ_F_FAIL_BIT;
        const CQE_SKIP: u64 = 1 << bindings::REQ_F_CQE_SKIP_BIT;
        const SKIP_LINK_CQES: u64 = 1 << bindings::REQ_F_SKIP_LINK_CQES_BIT;

        // SAFETY: The request is ours.
        let flags = unsafe { &mut (*self.0.get()).flags };

        *flags |= FAIL;
        if *flags & CQE_SKIP != 0 {
            *flags = (*flags & !CQE_SKIP) | SKIP_LINK_CQES;
        }
    }
}
