// SPDX-License-Identifier: GPL-2.0

//! The calling task.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use super::bindings;

/// Whether it has been killed, and is to end as soon as it gets there.
pub(crate) fn is_killed() -> bool {
    // SAFETY: Looks at the calling task, and may be called in any.
    unsafe { bindings::helper_fatal_signal_pending() }
}
