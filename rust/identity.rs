// SPDX-License-Identifier: GPL-2.0

//! Who somebody is, and what others may see of it.
//!
//! C headers: [`include/linux/cred.h`](srctree/include/linux/cred.h),
//! [`include/linux/pid_namespace.h`](srctree/include/linux/pid_namespace.h)

use super::bindings;

/// Process, user and group in the kernel's own numbers, which user space must never see as such.
pub(crate) type GlobalIdentity = bindings::helper_identity;

/// Process, user and group as one observer sees them.
pub(crate) struct VisibleIdentity {
    /// 0 where the process is in no pid namespace of the observer's, or gone from all but the
    /// initial one.
    pub(crate) pid: u32,
    /// The overflow id where the observer's user namespace has none for it.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The calling task's process and credentials (as overridden, where they are).
#[inline(always)]
pub(crate) fn current() -> GlobalIdentity {
    // SAFETY: Reads what belongs to the calling task.
    unsafe { bindings::helper_current_identity() }
}

/// `identity` as the calling task sees it.
pub(crate) fn seen_by_current(identity: GlobalIdentity) -> VisibleIdentity {
    // SAFETY: Takes any numbers, and looks at the calling task's namespaces.
    let seen = unsafe { bindings::helper_visible_identity(identity) };

    VisibleIdentity {
        pid: seen.pid,
        uid: seen.uid,
        gid: seen.gid,
    }
}
