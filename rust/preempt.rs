// SPDX-License-Identifier: GPL-2.0

//! Preemption.
//!
//! C header: [`include/linux/preempt.h`](srctree/include/linux/preempt.h)

use super::bindings;
use kernel::types::NotThreadSafe;

/// Keeps the calling task on its CPU, running, for as long as it lives. Nothing may sleep
/// meanwhile.
pub(crate) struct Disabled(NotThreadSafe);

impl Disabled {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        // SAFETY: May be called in any context; `drop()` undoes it in the same task.
        unsafe { bindings::helper_preempt_disable() };
        Self(NotThreadSafe)
    }
}

impl Drop for Disabled {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new()` has disabled it in this task.
        unsafe { bindings::helper_preempt_enable() };
    }
}
