// SPDX-License-Identifier: GPL-2.0

//! An inode as a holder of owner, mode and security label.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::{
    bindings::{dentry, inode},
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

/// The owner of an object and its permission bits, as one observer sees them.
pub(crate) struct Owner {
    /// The overflow id where the observer's user namespace has none for it.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// A reference to an inode. Dropping it sleeps.
///
/// # Invariants
///
/// `dentry` is one that this owns a reference to, and `inode` its inode.
pub(crate) struct Inode {
    dentry: NonNull<dentry>,
    inode: NonNull<inode>,
}

// SAFETY: An inode belongs to no task, and all that is called here may be called by any.
unsafe impl Send for Inode {}
// SAFETY: As above; what changes the inode locks it, and the checks cope with that as they do for
// any file.
unsafe impl Sync for Inode {}

impl Inode {
    /// The inode of a file that has one of its own, with the permission bits of `mode`.
    ///
    /// # Safety
    ///
    /// Nobody but the caller may know of the file.
    pub(super) unsafe fn of_new_file(file: &File, mode: u16) -> Self {
        // SAFETY: A file holds its dentry, so there is one to take a reference to.
        let dentry = unsafe { bindings::helper_file_dentry_get(file.as_ptr()) };
        // SAFETY: The reference is ours.
        let inode = unsafe { bindings::helper_dentry_inode(dentry) };

        // SAFETY: By the function's contract nobody else knows of the file and its inode.
        unsafe { bindings::helper_inode_set_mode(inode, mode) };
        // INVARIANT: `helper_file_dentry_get()` gave us the reference. A file's dentry is never
        // null, and has an inode for as long as there is a reference to it.
        // SAFETY: As just said, they are not null.
        unsafe {
            Self {
                dentry: NonNull::new_unchecked(dentry),
                inode: NonNull::new_unchecked(inode),
            }
        }
    }

    /// The kernel's check of the caller's credentials: owner, group with supplementary groups,
    /// other, capabilities, security modules.
    ///
    /// Fails with `EACCES`, or as a security module says. May sleep.
    pub(crate) fn permission(&self, access: Access) -> Result {
        // SAFETY: By the type's invariant the inode is alive.
        to_result(unsafe {
            bindings::helper_inode_permission(self.inode.as_ptr(), access as c_int)
        })
    }

    /// Whose it is, as the caller sees that, and what it allows.
    pub(crate) fn owner(&self) -> Owner {
        // SAFETY: By the type's invariant the inode is alive; its owner does not change.
        let owner = unsafe { bindings::helper_inode_owner(self.inode.as_ptr()) };

        Owner {
            uid: owner.uid,
            gid: owner.gid,
            mode: owner.mode,
        }
    }

    /// Whether the caller owns the inode, or is capable over its owner (`CAP_FOWNER`).
    pub(crate) fn owner_or_capable(&self) -> bool {
        // SAFETY: By the type's invariant the inode is alive.
        unsafe { bindings::helper_inode_owner_or_capable(self.inode.as_ptr()) }
    }

    /// Changes the permission bits, as `chmod()` does. Sleeps.
    ///
    /// Fails with `EPERM` where [the caller may not](Self::owner_or_capable), or as a security
    /// module says.
    pub(crate) fn chmod(&self, mode: u16) -> Result {
        // SAFETY: By the type's invariant there is a reference to the dentry.
        to_result(unsafe { bindings::helper_dentry_chmod(self.dentry.as_ptr(), mode) })
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the reference is ours to give back. Who owns an inode
        // drops it where one may sleep.
        unsafe { bindings::helper_dentry_put(self.dentry.as_ptr()) };
    }
}
