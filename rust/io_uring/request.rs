// SPDX-License-Identifier: GPL-2.0

//! Requests.

use super::{
    super::bindings,
    provided_buffer::SelectedBuffer,
    Outcome,
    RingContext,
    Submitter,
    UringLocked, //
};
use core::{
    marker::PhantomData,
    mem::{align_of, needs_drop, offset_of, size_of},
    ops::Deref,
    ptr,
};
use kernel::{fs::File, prelude::*, sync::aref::ARef, types::Opaque};

/// A request, in the hands of its opcode's handler.
///
/// # Invariants
///
/// The request is ours: the core has called a handler with it, and neither touches what is used
/// here nor lets anybody else do so until that returns, which is after the last use of this.
#[repr(transparent)]
pub(crate) struct Request(Opaque<bindings::io_kiocb>);

impl Request {
    /// # Safety
    ///
    /// `req` must be a request that the core has handed to a handler, and `'a` within that call.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a>(req: *mut bindings::io_kiocb) -> &'a Self {
        // INVARIANT: By the function's contract.
        // SAFETY: `Self` has the layout of the request, which nobody changes but through this.
        unsafe { &*req.cast() }
    }

    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut bindings::io_kiocb {
        self.0.get()
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
    pub(super) fn has(&self, flags: u64) -> bool {
        // SAFETY: The request is ours.
        unsafe { (*self.0.get()).flags & flags != 0 }
    }

    #[inline(always)]
    pub(super) fn change(&self, clear: u64, set: u64) {
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

    /// Whether the opcode's `cleanup` is called when the core fails or frees the request.
    #[inline(always)]
    pub(crate) fn needs_cleanup(&self) -> bool {
        self.has(flag::NEED_CLEANUP)
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
    #[inline(always)]
    pub(crate) fn post(&self, _: UringLocked<'_>, result: u32, cqe_flags: u32) -> bool {
        // SAFETY: The request is ours, and `uring_lock` is held.
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
    #[inline(always)]
    pub(crate) fn select_buffer<'a>(
        &'a self,
        locked: UringLocked<'a>,
        group: u16,
        len: u32,
    ) -> Result<SelectedBuffer<'a>> {
        SelectedBuffer::pick(self, locked, group, len)
    }

    /// Sends a request from io-wq back to its task: see [`Outcome::SEND_BACK`].
    ///
    /// # Safety
    ///
    /// It must be io-wq that has called the handler, which must not use the request after this,
    /// and return `IOU_ISSUE_SKIP_COMPLETE`.
    #[cold]
    pub(super) unsafe fn send_back(&self) {
        // Or it would come here again.
        self.change(flag::FORCE_ASYNC, 0);
        // SAFETY: The request is ours, and is the task's from here on: io-wq has a reference of its
        // own, and what the handler returns keeps everybody else from using it.
        unsafe { bindings::io_req_task_queue(self.0.get()) };
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

/// A request that is being made ready.
///
/// # Invariants
///
/// As [`Request`]'s, and the handler is `prep`.
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
        // INVARIANT: By the function's contract.
        // SAFETY: `Self` has the layout of the request, which nobody changes but through this.
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

    /// Has the request always issued with the credentials that it is submitted with. Once; not for
    /// a request that [has others already](Request::has_personality).
    ///
    /// A task's own are that. But a thread that polls for several rings submits for each with the
    /// credentials of who has made it, and issues what has waited, or is linked to another request,
    /// with its own.
    #[inline(always)]
    pub(crate) fn keep_credentials(&self) {
        if self.ring().is_polled() {
            self.keep_overriding_credentials();
        }
    }

    #[cold]
    fn keep_overriding_credentials(&self) {
        debug_assert!(!self.has_personality());
        // SAFETY: Looks at the calling task, and may be called in any.
        let creds = unsafe { bindings::helper_overriding_creds() };

        if !creds.is_null() {
            // SAFETY: The request is ours; it becomes the owner of the reference, as the flag says.
            unsafe { (*self.as_ptr()).creds = creds };
            self.change(0, flag::CREDS);
        }
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

    /// Says whether the opcode's `cleanup` shall be called.
    #[inline(always)]
    pub(crate) fn set_needs_cleanup(self, needs: bool) {
        if needs {
            self.change(0, flag::NEED_CLEANUP);
        } else {
            self.change(flag::NEED_CLEANUP, 0);
        }
    }

    /// What `prep` has kept.
    #[inline(always)]
    pub(crate) fn command(self) -> &'a C {
        // SAFETY: The request is ours and nobody else's for this call, and by the type's invariants
        // a `C` is there, which after `prep` is written through such references only.
        unsafe { &*self.request.area::<C>() }
    }
}

/// `REQ_F_*`
pub(super) mod flag {
    use super::bindings::*;

    pub(in super::super) const FIXED_FILE: u64 = 1 << REQ_F_FIXED_FILE_BIT;
    pub(in super::super) const CREDS: u64 = 1 << REQ_F_CREDS_BIT;
    pub(in super::super) const FORCE_ASYNC: u64 = 1 << REQ_F_FORCE_ASYNC_BIT;
    pub(in super::super) const BUFFER_SELECT: u64 = 1 << REQ_F_BUFFER_SELECT_BIT;
    pub(in super::super) const CQE_SKIP: u64 = 1 << REQ_F_CQE_SKIP_BIT;
    pub(in super::super) const FAIL: u64 = 1 << REQ_F_FAIL_BIT;
    pub(in super::super) const NEED_CLEANUP: u64 = 1 << REQ_F_NEED_CLEANUP_BIT;
    pub(in super::super) const BUFFER_SELECTED: u64 = 1 << REQ_F_BUFFER_SELECTED_BIT;
    pub(in super::super) const BUFFER_RING: u64 = 1 << REQ_F_BUFFER_RING_BIT;
    pub(in super::super) const SKIP_LINK_CQES: u64 = 1 << REQ_F_SKIP_LINK_CQES_BIT;
    pub(in super::super) const APOLL_MULTISHOT: u64 = 1 << REQ_F_APOLL_MULTISHOT_BIT;
    pub(in super::super) const POLL_NO_LAZY: u64 = 1 << REQ_F_POLL_NO_LAZY_BIT;
    pub(in super::super) const BUFFERS_COMMIT: u64 = 1 << REQ_F_BUFFERS_COMMIT_BIT;
}
