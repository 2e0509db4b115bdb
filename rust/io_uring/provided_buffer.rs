// SPDX-License-Identifier: GPL-2.0

//! Buffers that requests pick from those which user space has provided.

use super::{
    super::{bindings, user_buffer::UserBuffer},
    request::flag,
    Request,
    UringLocked, //
};
use kernel::{error::Error, ffi::c_int, prelude::*};

/// A provided buffer that a request has picked. Dropped without being used it goes back.
///
/// # Invariants
///
/// The request has the buffer.
#[must_use]
pub(crate) struct SelectedBuffer<'a> {
    request: &'a Request,
    _locked: UringLocked<'a>,
    list: *mut bindings::io_buffer_list,
    buffer: UserBuffer,
}

impl<'a> SelectedBuffer<'a> {
    /// Picks a buffer: see [`Request::select_buffer`].
    #[inline]
    pub(super) fn pick(
        request: &'a Request,
        locked: UringLocked<'a>,
        group: u16,
        len: u32,
    ) -> Result<Self> {
        if request.has(flag::BUFFER_RING | flag::BUFFER_SELECTED) {
            // It has one.
            return Err(EINVAL);
        }
        let mut len = len as usize;
        // SAFETY: The request is ours; `uring_lock` is held, as the flags (none) say.
        let selected =
            unsafe { bindings::io_buffer_select(request.as_ptr(), &mut len, u32::from(group), 0) };
        // SAFETY: This function of the core's gives an address, null where it has no buffer.
        let addr = unsafe { selected.__bindgen_anon_1.addr };

        if !request.has(flag::BUFFER_RING | flag::BUFFER_SELECTED) {
            return Err(Error::from_errno(-(kernel::bindings::ENOBUFS as i32)));
        }
        // INVARIANT: As the request's flags say, which did not before.
        Ok(Self {
            request,
            _locked: locked,
            list: selected.buf_list,
            // SAFETY: The core has called `access_ok()`: now, for a buffer of a ring, or when it
            // was provided.
            buffer: unsafe { UserBuffer::new_unchecked(addr.addr() as u64, len) },
        })
    }

    #[inline(always)]
    pub(crate) fn buffer(&self) -> UserBuffer {
        self.buffer
    }

    /// Uses up the buffer, or its first `len` bytes where the group is consumed by bytes; returns
    /// what the completion has to say of it (`IORING_CQE_F_*`).
    #[inline]
    pub(crate) fn consume(self, len: usize) -> u32 {
        // SAFETY: By the type's invariant; `uring_lock` is still held.
        let flags =
            unsafe { bindings::__io_put_kbufs(self.request.as_ptr(), self.list, len as c_int, 1) };

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
            // SAFETY: By the type's invariant; the lock is still held, as the flags (none) say.
            unsafe { bindings::io_kbuf_recycle_legacy(self.request.as_ptr(), 0) };
        }
    }
}
