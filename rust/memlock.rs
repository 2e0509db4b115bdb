// SPDX-License-Identifier: GPL-2.0

//! `RLIMIT_MEMLOCK`.

use super::bindings;
use core::{ffi::c_void, ptr};
use kernel::{error::to_result, prelude::*};

/// Pages charged to a user's limit of locked memory, given back on drop.
///
/// # Invariants
///
/// `user` is null, or a `user_struct` that this owns a reference to and whose `locked_vm` counts
/// `nr_pages` for this.
pub(crate) struct MemlockCharge {
    user: *mut c_void,
    nr_pages: usize,
}

// SAFETY: A `user_struct` belongs to no task, and its counters are atomic.
unsafe impl Send for MemlockCharge {}
// SAFETY: As above; there is no method that takes `&self`.
unsafe impl Sync for MemlockCharge {}

impl MemlockCharge {
    /// Charges the calling task's user for `len` bytes, or nobody where the caller may lock any
    /// amount (`CAP_IPC_LOCK`).
    ///
    /// Fails with `ENOMEM` where the limit would be passed.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let nr_pages = len.div_ceil(kernel::page::PAGE_SIZE);
        let mut user = ptr::null_mut();

        // SAFETY: `user` is ours to write.
        to_result(unsafe { bindings::helper_charge_memlock(nr_pages, &mut user) })?;
        // INVARIANT: The call succeeded, so this is what it did.
        Ok(Self { user, nr_pages })
    }
}

impl Drop for MemlockCharge {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the charge and the reference are ours to give back.
        unsafe { bindings::helper_uncharge_memlock(self.user, self.nr_pages) };
    }
}
