// SPDX-License-Identifier: GPL-2.0

//! Resource limits.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use super::bindings;

/// The calling task's `RLIMIT_NOFILE`.
pub(crate) fn open_files() -> usize {
    // SAFETY: Reads the calling task's own limits.
    unsafe { bindings::helper_rlimit_nofile() }
}

/// Whether the caller may exceed limits that are for users (`CAP_SYS_RESOURCE` in the initial user
/// namespace). To be asked only where it would.
pub(crate) fn may_be_exceeded() -> bool {
    // SAFETY: Looks at the calling task's own credentials.
    unsafe { bindings::helper_capable_sys_resource() }
}
