// SPDX-License-Identifier: GPL-2.0

//! Who somebody is, and what others may see of it.
//!
//! C headers: [`include/linux/cred.h`](srctree/include/linux/cred.h),
//! [`include/linux/pid_namespace.h`](srctree/include/linux/pid_namespace.h)

use super::bindings;
use core::cell::UnsafeCell;

/// A place for a process, user and group in the kernel's own numbers, which user space must never
/// see as such. Who writes and reads it when is for the owner to order; numbers that are read
/// while they are written may be of either.
#[repr(transparent)]
pub(crate) struct IdentityCell(UnsafeCell<bindings::helper_identity>);

// SAFETY: All accesses are single loads and stores of words, by C functions that say so to the
// compiler.
unsafe impl Sync for IdentityCell {}

/// A process, user and group in the kernel's own numbers.
#[derive(Clone, Copy)]
pub(crate) struct Identity(bindings::helper_identity);

impl Identity {
    pub(crate) const fn nobody() -> Self {
        Self(NOBODY)
    }

    /// The calling task's process and credentials (as overridden, where they are).
    pub(crate) fn current() -> Self {
        let mut identity = NOBODY;

        // SAFETY: The place is ours.
        unsafe { bindings::helper_current_identity(&mut identity) };
        Self(identity)
    }

    /// As the calling task sees it.
    pub(crate) fn seen_by_current(&self) -> VisibleIdentity {
        // SAFETY: It is good for reading.
        unsafe { VisibleIdentity::of(&self.0) }
    }
}

const NOBODY: bindings::helper_identity = bindings::helper_identity {
    pid: 0,
    uid: 0,
    gid: 0,
};

/// Process, user and group as one observer sees them.
pub(crate) struct VisibleIdentity {
    /// 0 where the process is in no pid namespace of the observer's, or gone from all but the
    /// initial one.
    pub(crate) pid: u32,
    /// The overflow id where the observer's user namespace has none for it.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl VisibleIdentity {
    /// What the calling task sees.
    ///
    /// # Safety
    ///
    /// `identity` must be good for reading; it may be written meanwhile.
    unsafe fn of(identity: *const bindings::helper_identity) -> Self {
        // SAFETY: By the function's contract. Any numbers will do, and the calling task's
        // namespaces are looked at.
        let seen = unsafe { bindings::helper_visible_identity(identity) };

        Self {
            pid: seen.pid,
            uid: seen.uid,
            gid: seen.gid,
        }
    }
}

impl IdentityCell {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(NOBODY))
    }

    /// Puts the calling task's process and credentials there (as overridden, where they are).
    #[inline(always)]
    pub(crate) fn set_current(&self) {
        // SAFETY: The place is good for writing, and may be written by several, as said above.
        unsafe { bindings::helper_current_identity(self.0.get()) };
    }

    /// What is there, as the calling task sees it.
    pub(crate) fn seen_by_current(&self) -> VisibleIdentity {
        // SAFETY: The place is good for reading, also while it is written.
        unsafe { VisibleIdentity::of(self.0.get()) }
    }
}
