// SPDX-License-Identifier: GPL-2.0

//! io_uring as an opcode's handler sees it.
//!
//! C headers: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h),
//! [`include/uapi/linux/io_uring.h`](srctree/include/uapi/linux/io_uring.h)

use super::{bindings, user_buffer::UserBuffer};
use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::{align_of, needs_drop, offset_of, size_of},
    ops::Deref,
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

/// A submission queue entry, which user space may change at any time.
#[repr(transparent)]
pub(crate) struct SharedSqe(Opaque<bindings::io_uring_sqe>);

impl SharedSqe {
    /// # Safety
    ///
    /// `sqe` must be an entry of a ring's submission queue, as a `prep` handler gets it, for the
    /// time of that call.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a>(sqe: *const bindings::io_uring_sqe) -> &'a Self {
        // SAFETY: `Self` has the layout of the entry; by the function's contract it is mapped.
        unsafe { &*sqe.cast() }
    }

    /// Copies the entry, each word once, but for `user_data`.
    #[inline(always)]
    pub(crate) fn copy(&self) -> Sqe {
        let word = |index| {
            // SAFETY: The entry has eight words, aligned. User space may write it at any time, so
            // this is a volatile.
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

/// What a handler tells the core of a request when it returns. The names of the core's own are
/// those of `io_uring/io_uring.h`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Outcome(c_int);

impl Outcome {
    /// `IOU_COMPLETE`: [`Request::complete`] has been called.
    pub(crate) const COMPLETE: Self = Self(0);
    /// `IOU_RETRY`: the request waits until the file's `poll` tells of what the opcode waits for,
    /// and is issued again.
    pub(crate) const WAIT: Self = Self(-(kernel::bindings::EAGAIN as c_int));
    /// `IOU_REQUEUE`
    const REQUEUE: Self = Self(-3072);
    /// `IOU_ISSUE_SKIP_COMPLETE`: [`Request::send_back`] has been called.
    const SENT_BACK: Self = Self(-(kernel::bindings::EIOCBQUEUED as c_int));

    /// A multishot request, called with `flags`, has more to do, but others come first.
    #[inline(always)]
    pub(crate) fn later(flags: IssueFlags) -> Self {
        if flags.is_woken_multishot() {
            Self::REQUEUE
        } else {
            Self::WAIT
        }
    }

    /// The return value of `issue`.
    #[inline(always)]
    pub(crate) fn to_core(self) -> c_int {
        self.0
    }
}

/// Who has submitted a request: what is issued anew for one of them is so by one task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Submitter {
    ring: usize,
    task: usize,
}

#[cfg(ioipc_kunit)]
impl Submitter {
    /// Anybody.
    pub(crate) const fn new(ring: usize, task: usize) -> Self {
        Self { ring, task }
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

    /// Whether `sqe->personality` named other credentials than the submitter's own. What counts is
    /// what the core has read: the SQE may have changed since.
    #[inline(always)]
    pub(crate) fn has_personality(&self) -> bool {
        self.has(flag::CREDS)
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
    /// poll.
    #[cold]
    pub(crate) fn send_back(&self) -> Outcome {
        // Or it would come here again.
        self.change(flag::FORCE_ASYNC, 0);
        // SAFETY: The request is ours, and is the task's from here on: io-wq has a reference of its
        // own, and what we return keeps everybody else from using it.
        unsafe { bindings::io_req_task_queue(self.0.get()) };
        Outcome::SENT_BACK
    }

    /// Completes the request, with a number of bytes or an error (which also breaks a link), and
    /// with `IORING_CQE_F_*`.
    #[inline(always)]
    pub(crate) fn complete(&self, result: Result<u32>, cqe_flags: u32) -> Outcome {
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
        Outcome::COMPLETE
    }

    /// Whether the request has been completed with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.has(flag::FAIL)
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

/// A request that is being made ready, by `prep`.
#[repr(transparent)]
pub(crate) struct NewRequest(Request);

impl Deref for NewRequest {
    type Target = Request;

    #[inline(always)]
    fn deref(&self) -> &Request {
        &self.0
    }
}

impl NewRequest {
    /// # Safety
    ///
    /// As [`Request::from_raw`], and the handler must be `prep`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a>(req: *mut bindings::io_kiocb) -> &'a Self {
        // SAFETY: `Self` has the layout of the request; by the function's contract it is the
        // caller's alone.
        unsafe { &*req.cast() }
    }

    /// Makes the request a multishot one: waiting does not end it. Once.
    pub(crate) fn set_multishot(&self) {
        self.change(0, flag::APOLL_MULTISHOT);
    }

    /// Has the task woken as soon as the request is, however many completions the task waits for.
    /// Once.
    pub(crate) fn set_eager(&self) {
        self.change(0, flag::POLL_NO_LAZY);
    }

    /// Makes `file` the request's; the core gives the reference back when the request ends, in
    /// whatever way. Not for a request with [`Self::is_fixed_file`]: the core would keep it.
    #[inline(always)]
    pub(crate) fn set_file(&self, file: ARef<File>) {
        debug_assert!(!self.is_fixed_file());
        // SAFETY: The request is ours; it becomes the owner of the reference.
        unsafe { (*self.0 .0.get()).__bindgen_anon_1.file = ARef::into_raw(file).as_ptr().cast() };
    }

    /// Keeps `command` for the handlers to come. Once.
    #[inline(always)]
    pub(crate) fn set_command<T>(&self, command: T) {
        const { assert!(!needs_drop::<T>()) };
        // SAFETY: The request is ours; `T` fits the opcode's area, as checked by `area()`.
        unsafe { ptr::write(self.area::<T>(), command) };
    }
}

/// A request that `prep` has made ready.
///
/// # Invariants
///
/// [`NewRequest::set_file`] and [`NewRequest::set_command`], with a `C`, have been called, and are
/// not any more.
pub(crate) struct Prepared<'a, C> {
    request: &'a Request,
    _command: PhantomData<&'a C>,
}

impl<C> Clone for Prepared<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Prepared<'_, C> {}

impl<C> Deref for Prepared<'_, C> {
    type Target = Request;

    #[inline(always)]
    fn deref(&self) -> &Request {
        self.request
    }
}

impl<'a, C> Prepared<'a, C> {
    /// # Safety
    ///
    /// See the type's invariants.
    #[inline(always)]
    pub(crate) unsafe fn new(request: &'a Request) -> Self {
        // INVARIANT: By the function's contract.
        Self {
            request,
            _command: PhantomData,
        }
    }

    /// The request's file.
    #[inline(always)]
    pub(crate) fn file(self) -> &'a File {
        // SAFETY: By the type's invariants there is a file, of which the request holds a reference.
        unsafe { File::from_raw_file((*self.request.0.get()).__bindgen_anon_1.file) }
    }

    /// What `prep` has kept.
    #[inline(always)]
    pub(crate) fn command(self) -> &'a C {
        // SAFETY: The request is ours, and by the type's invariants a `C` is there, which is not
        // written after `prep`.
        unsafe { &*self.request.area::<C>() }
    }
}

/// `REQ_F_*`
mod flag {
    use super::bindings::*;

    pub(super) const FIXED_FILE: u64 = 1 << REQ_F_FIXED_FILE_BIT;
    pub(super) const CREDS: u64 = 1 << REQ_F_CREDS_BIT;
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
