// SPDX-License-Identifier: GPL-2.0

//! IPC namespaces.
//!
//! C header: [`include/linux/ipc_namespace.h`](srctree/include/linux/ipc_namespace.h)

use super::bindings;

/// Names an IPC namespace without keeping it alive: the numbers are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IpcNamespaceId(u64);

impl IpcNamespaceId {
    /// The calling task's; for one that is exiting a number that no namespace has.
    pub(crate) fn current() -> Self {
        // SAFETY: The calling task's `nsproxy` is only changed by that task itself; the helper
        // copes with there being none.
        Self(unsafe { bindings::helper_current_ipc_ns_id() })
    }
}
