// SPDX-License-Identifier: GPL-2.0

//! Users.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)

use super::bindings;

/// A user in the kernel's own numbers, which are the same in all namespaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserId(u32);

impl UserId {
    /// Who owns what the calling task makes.
    pub(crate) fn current() -> Self {
        // SAFETY: Reads the calling task's own credentials.
        Self(unsafe { bindings::helper_current_fsuid() })
    }
}
