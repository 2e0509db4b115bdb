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
