// SPDX-License-Identifier: GPL-2.0

//! io_uring as an opcode's handler sees it.
//!
//! C headers: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h),
//! [`include/uapi/linux/io_uring.h`](srctree/include/uapi/linux/io_uring.h)

use super::{bindings, user_buffer::UserBuffer};
use core::{
    ffi::c_void,
    mem::{align_of, offset_of, size_of},
    ptr,
};
use kernel::{
    error::Error,
    ffi::c_int,
    fs::File,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};
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

/// The layout of an entry.
#[repr(C)]
struct Entry {
    /// Opcode and flags: the core has read them already, and its copies count.
    read_by_core: [u8; 2],
    ioprio: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    buf_index: u16,
    personality: u16,
    file_index: u32,
    addr3: u64,
    pad2: u64,
}

const _: () = {
    use bindings::io_uring_sqe;

    assert!(size_of::<Entry>() == size_of::<io_uring_sqe>());
    assert!(offset_of!(Entry, user_data) == offset_of!(io_uring_sqe, user_data));
    assert!(offset_of!(Entry, len) == offset_of!(io_uring_sqe, len));
    assert!(offset_of!(Entry, fd) == offset_of!(io_uring_sqe, fd));
    assert!(offset_of!(Entry, personality) == offset_of!(io_uring_sqe, personality));
};

/// A submission queue entry. User space may change it at any time, and every call reads anew: each
/// is to be made once for a request.
pub(crate) struct Sqe(*const Entry);

macro_rules! read {
    ($sqe:expr, $field:ident) => {
        // SAFETY: By the contract of `Sqe::from_raw()` the entry is mapped. User space may write
        // it at any time, so this is a volatile.
        unsafe { ptr::read_volatile(&raw const (*$sqe.0).$field) }
    };
}

impl Sqe {
    /// # Safety
    ///
    /// `sqe` must be an entry of a ring's submission queue, as a `prep` handler gets it, and this
    /// value must not be used after that handler.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(sqe: *const bindings::io_uring_sqe) -> Self {
        Self(sqe.cast())
    }

    #[inline(always)]
    pub(crate) fn ioprio(&self) -> u16 {
        read!(self, ioprio)
    }

    #[inline(always)]
    pub(crate) fn fd(&self) -> i32 {
        read!(self, fd)
    }

    #[inline(always)]
    pub(crate) fn addr(&self) -> u64 {
        read!(self, addr)
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        read!(self, len)
    }

    /// The provided buffers' group, or a registered buffer.
    #[inline(always)]
    pub(crate) fn buf_index(&self) -> u16 {
        read!(self, buf_index)
    }

    #[inline(always)]
    pub(crate) fn file_index(&self) -> u32 {
        read!(self, file_index)
    }

    /// Whether the fields are zero that neither the core nor every handler looks at.
    #[inline(always)]
    pub(crate) fn rest_is_zero(&self) -> bool {
        let rest = u64::from(read!(self, op_flags))
            | u64::from(read!(self, personality))
            | read!(self, off)
            | read!(self, addr3)
            | read!(self, pad2);

        rest == 0
    }
}

/// How a handler is called: `IO_URING_F_*` in `include/linux/io_uring_types.h`.
#[derive(Clone, Copy)]
pub(crate) struct IssueFlags(u32);

impl IssueFlags {
    pub(crate) fn new(flags: u32) -> Self {
        Self(flags)
    }

    /// Whether this is one of io-wq's threads, which does not hold `uring_lock`.
    #[inline(always)]
    pub(crate) fn is_worker(self) -> bool {
        const UNLOCKED: u32 = bindings::io_uring_cmd_flags_IO_URING_F_UNLOCKED as u32;
        const IOWQ: u32 = bindings::io_uring_cmd_flags_IO_URING_F_IOWQ as u32;

        self.0 & (UNLOCKED | IOWQ) != 0
    }

    /// Whether a multishot request is woken. The core does not call the file's `poll` after that,
    /// and so the handler has to see to the next wake-up.
    #[inline(always)]
    pub(crate) fn is_woken_multishot(self) -> bool {
        self.0 & bindings::io_uring_cmd_flags_IO_URING_F_MULTISHOT as u32 != 0
    }
}

/// What becomes of a request when its handler returns.
pub(crate) enum Outcome {
    /// It is complete, with a number of bytes or an error (which also breaks a link), and with
    /// `IORING_CQE_F_*`.
    Complete(Result<u32>, u32),
    /// It waits until the file's `poll` tells of what the opcode waits for, and is issued again.
    Wait,
    /// A multishot request has more to do, but others come first.
    Yield,
    /// [`Request::send_back`] has been called.
    SentBack,
}

/// Who has submitted a request: what is issued anew for one of them is so by one task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Submitter {
    ring: usize,
    task: usize,
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
    pub(crate) unsafe fn from_raw<'a>(req: *mut bindings::io_kiocb) -> &'a Self {
        // SAFETY: `Self` has the layout of the request; by the function's contract it is the
        // caller's alone.
        unsafe { &*req.cast() }
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> &RingContext {
        // SAFETY: A request holds a reference to its ring.
        unsafe { RingContext::from_raw((*self.0.get()).ctx) }
    }

    /// Tells ring and task of the request from all others, for as long as the request lives.
    #[inline(always)]
    pub(crate) fn submitter(&self) -> Submitter {
        Submitter {
            ring: ptr::from_ref(self.ring()).addr(),
            // SAFETY: The request is ours.
            task: unsafe { (*self.0.get()).tctx }.addr(),
        }
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

    #[inline(always)]
    fn has(&self, flags: u64) -> bool {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).flags & flags != 0 }
    }

    #[inline(always)]
    fn change(&self, clear: u64, set: u64) {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).flags = (*self.0.get()).flags & !clear | set };
    }

    /// Whether `IOSQE_FIXED_FILE` was asked for.
    #[inline(always)]
    pub(crate) fn is_fixed_file(&self) -> bool {
        self.has(flag::FIXED_FILE)
    }

    /// Whether `IOSQE_BUFFER_SELECT` was asked for.
    #[inline(always)]
    pub(crate) fn selects_buffer(&self) -> bool {
        self.has(flag::BUFFER_SELECT)
    }

    /// Whether `IOSQE_CQE_SKIP_SUCCESS` was asked for.
    #[inline(always)]
    pub(crate) fn skips_cqe(&self) -> bool {
        self.has(flag::CQE_SKIP)
    }

    /// Makes the request a multishot one: waiting does not end it. Once, in `prep`.
    pub(crate) fn set_multishot(&self) {
        self.change(0, flag::APOLL_MULTISHOT);
    }

    /// Has the task woken as soon as the request is, however many completions the task waits for.
    /// Once, in `prep`.
    pub(crate) fn set_eager(&self) {
        self.change(0, flag::POLL_NO_LAZY);
    }

    /// Whether the opcode's `cleanup` is called when the request ends.
    #[inline(always)]
    pub(crate) fn needs_cleanup(&self) -> bool {
        self.has(flag::NEED_CLEANUP)
    }

    /// Says whether the opcode's `cleanup` shall be called.
    #[inline(always)]
    pub(crate) fn set_needs_cleanup(&self, needs: bool) {
        if needs {
            self.change(0, flag::NEED_CLEANUP);
        } else {
            self.change(flag::NEED_CLEANUP, 0);
        }
    }

    /// Makes `file` the request's; the core gives the reference back when the request ends, in
    /// whatever way. Not for a request with [`Self::is_fixed_file`]: the core would keep it.
    #[inline(always)]
    pub(crate) fn set_file(&self, file: ARef<File>) {
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
    pub(crate) fn set_command<T: IntoBytes + Immutable>(&self, command: T) {
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

    /// Posts a completion of a multishot request that goes on. False where the completion queue is
    /// full: then the request has to end with this one, which the core keeps.
    ///
    /// The caller is the task of the ring, and not a worker of io-wq.
    #[inline(always)]
    pub(crate) fn post(&self, result: u32, cqe_flags: u32) -> bool {
        // SAFETY: The request is ours, and `uring_lock` is held as everywhere but in io-wq.
        unsafe {
            bindings::io_req_post_cqe(
                self.0.get(),
                result as i32,
                cqe_flags | bindings::IORING_CQE_F_MORE,
            )
        }
    }

    /// Picks a buffer of up to `len` bytes (0: however long it is) from the ring's group of
    /// provided ones; `ENOBUFS` where there is none.
    ///
    /// The caller is the task of the ring, and not a worker of io-wq.
    #[inline]
    pub(crate) fn select_buffer(&self, group: u16, len: u32) -> Result<SelectedBuffer<'_>> {
        let mut len = len as usize;
        // SAFETY: The request is ours and has asked for buffers; `uring_lock` is held, as the
        // flags (none) say.
        let selected =
            unsafe { bindings::io_buffer_select(self.0.get(), &mut len, u32::from(group), 0) };
        // SAFETY: This function of the core's gives an address, null where it has no buffer.
        let addr = unsafe { selected.__bindgen_anon_1.addr };

        if !self.has(flag::BUFFER_RING | flag::BUFFER_SELECTED) {
            return Err(Error::from_errno(-(kernel::bindings::ENOBUFS as i32)));
        }
        Ok(SelectedBuffer {
            request: self,
            list: selected.buf_list,
            // SAFETY: The core has called `access_ok()`: now, for a buffer of a ring, or when it
            // was provided.
            buffer: unsafe { UserBuffer::new_unchecked(addr.addr() as u64, len) },
        })
    }

    /// Sends a request from io-wq back to its task, which issues it anew, where it can wait by
    /// poll. To be followed by [`Outcome::SentBack`].
    #[cold]
    pub(crate) fn send_back(&self) -> Outcome {
        // Or it would come here again.
        self.change(flag::FORCE_ASYNC, 0);
        // SAFETY: The request is ours, and is the task's from here on: io-wq has a reference of its
        // own, and what we return keeps everybody else from using it.
        unsafe { bindings::io_req_task_queue(self.0.get()) };
        Outcome::SentBack
    }

    /// Tells the core: the return value of `issue`.
    #[inline(always)]
    pub(crate) fn finish(&self, outcome: Outcome, flags: IssueFlags) -> c_int {
        // The names are those of `io_uring/io_uring.h`.
        const IOU_COMPLETE: c_int = 0;
        const IOU_ISSUE_SKIP_COMPLETE: c_int = -(kernel::bindings::EIOCBQUEUED as c_int);
        const IOU_RETRY: c_int = -(kernel::bindings::EAGAIN as c_int);
        const IOU_REQUEUE: c_int = -3072;

        match outcome {
            Outcome::Complete(result, cqe_flags) => {
                self.set_result(result, cqe_flags);
                IOU_COMPLETE
            }
            Outcome::Yield if flags.is_woken_multishot() => IOU_REQUEUE,
            Outcome::Wait | Outcome::Yield => IOU_RETRY,
            Outcome::SentBack => IOU_ISSUE_SKIP_COMPLETE,
        }
    }

    #[inline(always)]
    fn set_result(&self, result: Result<u32>, cqe_flags: u32) {
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
            (*req).cqe.__bindgen_anon_1.flags = cqe_flags;
        }
    }

    /// As `req_set_fail()` in `io_uring/io_uring.h`.
    #[cold]
    fn set_failed(&self) {
        self.change(0, flag::FAIL);
        if self.has(flag::CQE_SKIP) {
            self.change(flag::CQE_SKIP, flag::SKIP_LINK_CQES);
        }
    }
}

/// `REQ_F_*`
mod flag {
    use super::bindings::*;

    pub(super) const FIXED_FILE: u64 = 1 << REQ_F_FIXED_FILE_BIT;
    pub(super) const FORCE_ASYNC: u64 = 1 << REQ_F_FORCE_ASYNC_BIT;
    pub(super) const BUFFER_SELECT: u64 = 1 << REQ_F_BUFFER_SELECT_BIT;
    pub(super) const CQE_SKIP: u64 = 1 << REQ_F_CQE_SKIP_BIT;
    pub(super) const FAIL: u64 = 1 << REQ_F_FAIL_BIT;
    pub(super) const NEED_CLEANUP: u64 = 1 << REQ_F_NEED_CLEANUP_BIT;
    pub(super) const BUFFER_SELECTED: u64 = 1 << REQ_F_BUFFER_SELECTED_BIT;
    pub(super) const BUFFER_RING: u64 = 1 << REQ_F_BUFFER_RING_BIT;
    pub(super) const SKIP_LINK_CQES: u64 = 1 << REQ_F_SKIP_LINK_CQES_BIT;
    pub(super) const APOLL_MULTISHOT: u64 = 1 << REQ_F_APOLL_MULTISHOT_BIT;
    pub(super) const POLL_NO_LAZY: u64 = 1 << REQ_F_POLL_NO_LAZY_BIT;
    pub(super) const BUFFERS_COMMIT: u64 = 1 << REQ_F_BUFFERS_COMMIT_BIT;
}

/// A provided buffer that a request has picked. Dropped without being used it goes back.
///
/// # Invariants
///
/// The request has the buffer, and `uring_lock` has been held ever since.
#[must_use]
pub(crate) struct SelectedBuffer<'a> {
    request: &'a Request,
    list: *mut bindings::io_buffer_list,
    buffer: UserBuffer,
}

impl SelectedBuffer<'_> {
    #[inline(always)]
    pub(crate) fn buffer(&self) -> UserBuffer {
        self.buffer
    }

    /// Uses up the buffer, or its first `len` bytes where the group is consumed by bytes; returns
    /// what the completion has to say of it (`IORING_CQE_F_*`).
    #[inline]
    pub(crate) fn consume(self, len: usize) -> u32 {
        // SAFETY: By the type's invariant.
        let flags =
            unsafe { bindings::__io_put_kbufs(self.request.0.get(), self.list, len as c_int, 1) };

        core::mem::forget(self);
        flags
    }
}

impl Drop for SelectedBuffer<'_> {
    /// As `io_kbuf_recycle()` in `io_uring/kbuf.h`.
    fn drop(&mut self) {
        if self.request.has(flag::BUFFER_RING) {
            self.request
                .change(flag::BUFFER_RING | flag::BUFFERS_COMMIT, 0);
        } else {
            // SAFETY: By the type's invariant, and the flags (none) say that the lock is held.
            unsafe { bindings::io_kbuf_recycle_legacy(self.request.0.get(), 0) };
        }
    }
}
