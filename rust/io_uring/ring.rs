// SPDX-License-Identifier: GPL-2.0

//! Rings, and who submits to them.

use super::super::bindings;
use core::{ffi::c_void, marker::PhantomData};
use kernel::types::Opaque;

/// A ring.
///
/// # Invariants
///
/// It is one of the core's, and lives for as long as there are references to this.
#[repr(transparent)]
pub(crate) struct RingContext(Opaque<bindings::io_ring_ctx>);

impl RingContext {
    /// # Safety
    ///
    /// `ctx` must be a ring that lives for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ctx: *mut bindings::io_ring_ctx) -> &'a Self {
        // INVARIANT: By the function's contract.
        // SAFETY: `Self` has the layout of the ring, which lives.
        unsafe { &*ctx.cast() }
    }

    /// Whether a thread polls for submissions (`IORING_SETUP_SQPOLL`).
    #[inline(always)]
    pub(super) fn is_polled(&self) -> bool {
        // SAFETY: By the type's invariant the ring lives; what changes its set-up afterwards holds
        // `uring_lock`, as the caller, a handler's `prep`, does.
        let flags = unsafe { (*self.0.get()).__bindgen_anon_1.flags };

        flags & bindings::IORING_SETUP_SQPOLL != 0
    }

    /// The hooks' pointer.
    ///
    /// # Safety
    ///
    /// The caller must hold `uring_lock`.
    #[inline(always)]
    pub(crate) unsafe fn ipc(&self) -> *mut c_void {
        // SAFETY: By the type's invariant the ring lives; the lock guards the field.
        unsafe { (*self.0.get()).__bindgen_anon_2.ipc }
    }

    /// Sets the hooks' pointer.
    ///
    /// # Safety
    ///
    /// The caller must hold `uring_lock`.
    pub(crate) unsafe fn set_ipc(&self, ipc: *mut c_void) {
        // SAFETY: By the type's invariant the ring lives; the lock guards the field.
        unsafe { (*self.0.get()).__bindgen_anon_2.ipc = ipc };
    }
}

/// Shows that the handler's caller holds `uring_lock` of the request's ring.
///
/// # Invariants
///
/// It does, for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct UringLocked<'a>(PhantomData<&'a RingContext>);

impl UringLocked<'_> {
    /// # Safety
    ///
    /// See the type's invariants. The ring must be that of the request which is being handled.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // INVARIANT: By the function's contract.
        Self(PhantomData)
    }
}

/// Who has submitted a request: what is issued anew for one of them is so by one task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Submitter {
    pub(super) ring: usize,
    pub(super) task: usize,
}

#[cfg(ioipc_kunit)]
impl Submitter {
    /// Anybody.
    pub(crate) const fn new(ring: usize, task: usize) -> Self {
        Self { ring, task }
    }
}
