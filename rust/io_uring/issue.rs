// SPDX-License-Identifier: GPL-2.0

//! How a handler is called, and what it returns.

use super::{super::bindings, Request, UringLocked};
use core::marker::PhantomData;
use kernel::ffi::c_int;

/// How a handler is called: `IO_URING_F_*` in `include/linux/io_uring_types.h`.
///
/// # Invariants
///
/// The core has called it so, and `'a` is within that call.
#[derive(Clone, Copy)]
pub(crate) struct IssueFlags<'a>(u32, PhantomData<&'a ()>);

impl<'a> IssueFlags<'a> {
    /// # Safety
    ///
    /// See the type's invariants. They must be used for the request only that the handler is
    /// called for.
    #[inline(always)]
    pub(crate) unsafe fn new(flags: u32) -> Self {
        // INVARIANT: By the function's contract.
        Self(flags, PhantomData)
    }

    /// That `uring_lock` is held, as it is by all but io-wq's threads.
    #[inline(always)]
    pub(crate) fn locked(self) -> Option<UringLocked<'a>> {
        const UNLOCKED: u32 = bindings::io_uring_cmd_flags_IO_URING_F_UNLOCKED as u32;
        const IOWQ: u32 = bindings::io_uring_cmd_flags_IO_URING_F_IOWQ as u32;

        if self.0 & (UNLOCKED | IOWQ) == 0 {
            // SAFETY: By the type's invariants, and without `IO_URING_F_UNLOCKED` the core holds
            // the lock until the handler returns.
            Some(unsafe { UringLocked::new() })
        } else {
            None
        }
    }

    /// Whether one of io-wq's threads has called it.
    fn is_io_wq(self) -> bool {
        self.0 & bindings::io_uring_cmd_flags_IO_URING_F_IOWQ as u32 != 0
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
    /// `IOU_ISSUE_SKIP_COMPLETE`: the request goes from io-wq back to its task, which issues it
    /// anew, where it can wait by poll.
    pub(crate) const SEND_BACK: Self = Self(-(kernel::bindings::EIOCBQUEUED as c_int));

    /// A multishot request, called with `flags`, has more to do, but others come first.
    #[inline(always)]
    pub(crate) fn later(flags: IssueFlags<'_>) -> Self {
        if flags.is_woken_multishot() {
            Self::REQUEUE
        } else {
            Self::WAIT
        }
    }

    /// The return value of `issue`, which has been called with these `flags`.
    ///
    /// # Safety
    ///
    /// `issue` must return it at once, and the request not be used any more.
    #[inline(always)]
    pub(crate) unsafe fn to_core(self, req: &Request, flags: IssueFlags<'_>) -> c_int {
        if self != Self::SEND_BACK {
            return self.0;
        }
        if !flags.is_io_wq() {
            // Nobody has sent it there, and nobody else has a reference.
            return Self::WAIT.0;
        }
        // SAFETY: It is io-wq that has called `issue`, and by the function's contract this is the
        // end of that.
        unsafe { req.send_back() };
        self.0
    }
}
