// SPDX-License-Identifier: GPL-2.0

//! An inode as a holder of owner, mode and security label.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::{
    bindings::inode,
    error::to_result,
    ffi::c_int,
    fs::File,
    prelude::*, //
};

/// What a caller wants to do with an object.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Access {
    Read = kernel::bindings::MAY_READ,
    Write = kernel::bindings::MAY_WRITE,
}

/// A reference to an inode.
///
/// # Invariants
///
/// The pointer is to an inode that this owns a reference to.
pub(crate) struct Inode(NonNull<inode>);

// SAFETY: An inode belongs to no task, and all that is called here may be called by any.
unsafe impl Send for Inode {}
// SAFETY: As above; the checks only read what the creator has set before it shared the inode.
unsafe impl Sync for Inode {}

impl Inode {
    /// The inode of a file that has one of its own, with the permission bits of `mode`.
    pub(super) fn of_new_file(file: &File, mode: u16) -> Self {
        // SAFETY: A file holds its inode, so there is one to take a reference to.
        let inode = unsafe { bindings::helper_file_inode_get(file.as_ptr()) };

        // SAFETY: The caller has just made the file and its inode: nobody else knows of them.
        unsafe { bindings::helper_inode_set_mode(inode, mode) };
        // INVARIANT: `helper_file_inode_get()` gave us the reference, and never null.
        // SAFETY: As just said, it is not null.
        Self(unsafe { NonNull::new_unchecked(inode) })
    }

    /// The kernel's check of the caller's credentials: owner, group with supplementary groups,
    /// other, capabilities, security modules.
    ///
    /// Fails with `EACCES`, or as a security module says. May sleep.
    pub(crate) fn permission(&self, access: Access) -> Result {
        // SAFETY: By the type's invariant the inode is alive.
        to_result(unsafe { bindings::helper_inode_permission(self.0.as_ptr(), access as c_int) })
    }

    /// Whether the caller owns the inode, or is capable over its owner (`CAP_FOWNER`).
    pub(crate) fn owner_or_capable(&self) -> bool {
        // SAFETY: By the type's invariant the inode is alive.
        unsafe { bindings::helper_inode_owner_or_capable(self.0.as_ptr()) }
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the reference is ours to give back. The last one is
        // never given back in atomic context: files and channels are dropped where one may sleep.
        unsafe { bindings::helper_inode_put(self.0.as_ptr()) };
    }
}
