// SPDX-License-Identifier: GPL-2.0

//! Barriers.

use checker::atomic::{fence, Ordering};

/// Orders everything before it against everything after it.
pub fn smp_mb() {
    fence(Ordering::SeqCst);
}

/// Orders the loads before it against the loads after it.
pub fn smp_rmb() {
    // Also against the stores after it: there is nothing weaker.
    fence(Ordering::Acquire);
}
