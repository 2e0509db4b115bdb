// SPDX-License-Identifier: GPL-2.0

//! A caller's buffer that is copied to and from without faulting.
//!
//! [`kernel::uaccess`] copies with page faults, which may sleep for as long as user space likes.
//! Here a copy either finds the pages there or fails at once; the caller then lets go of whatever
//! others wait for, faults the pages in, and tries again.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)

use super::{bindings, mayfail_vec::MayfailVec};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    uaccess::{UserPtr, UserSlice}, //
};

/// A range of the calling task's address space.
///
/// # Invariants
///
/// `access_ok()` holds for the range: it is no kernel address.
#[derive(Clone, Copy)]
pub(crate) struct UserBuffer {
    addr: u64,
    len: usize,
}

impl UserBuffer {
    /// Checks the range; fails with `EFAULT` where it is not user space's.
    #[inline]
    pub(crate) fn new(addr: u64, len: usize) -> Result<Self> {
        // SAFETY: `access_ok()` only compares numbers.
        if !unsafe { bindings::helper_access_ok(addr, len) } {
            return Err(EFAULT);
        }
        // INVARIANT: Just checked.
        Ok(Self { addr, len })
    }

    /// A range that is known to be user space's.
    ///
    /// # Safety
    ///
    /// `access_ok()` must hold for it.
    #[inline(always)]
    pub(super) unsafe fn new_unchecked(addr: u64, len: usize) -> Self {
        // INVARIANT: By the function's contract.
        Self { addr, len }
    }

    /// Checks a range and makes its pages present for reading; fails with `EFAULT`. Sleeps.
    #[inline(always)]
    pub(crate) fn new_readable(addr: u64, len: usize) -> Result<Self> {
        // SAFETY: May be called for any address; the caller may sleep.
        match unsafe { bindings::helper_fault_in_readable(addr, len) } {
            // INVARIANT: It has called `access_ok()`, unless there are no bytes.
            0 => Ok(Self { addr, len }),
            _ => Err(EFAULT),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first byte's address.
    pub(super) fn addr(&self) -> u64 {
        self.addr
    }

    /// The first `len` bytes, or all where there are fewer.
    #[inline]
    pub(crate) fn first(self, len: usize) -> Self {
        // INVARIANT: A part of a good range is good.
        Self {
            len: self.len.min(len),
            ..self
        }
    }

    /// What follows the first `len` bytes.
    #[inline]
    pub(crate) fn after(self, len: usize) -> Self {
        let len = self.len.min(len);

        // INVARIANT: A part of a good range is good.
        Self {
            addr: self.addr + len as u64,
            len: self.len - len,
        }
    }

    /// Copies the whole buffer to memory of its own, charged to the caller's memory cgroup; fails
    /// with `EFAULT` or `ENOMEM`. Sleeps.
    pub(crate) fn read_all(&self) -> Result<MayfailVec<u8>> {
        let mut bytes = MayfailVec::new();

        UserSlice::new(UserPtr::from_addr(self.addr as usize), self.len)
            .read_all(&mut bytes, GFP_KERNEL_ACCOUNT)?;
        Ok(bytes)
    }

    /// Makes the pages present for writing, which may change bytes; fails with `EFAULT`. Sleeps.
    pub(crate) fn fault_in_writeable(&self) -> Result {
        // SAFETY: May be called for any address; the caller may sleep.
        match unsafe { bindings::helper_fault_in_writeable(self.addr, self.len) } {
            0 => Ok(()),
            _ => Err(EFAULT),
        }
    }

    /// Whether [`Self::fault_in_writeable`] would find all pages present, as far as one can tell.
    /// May change bytes. Does not sleep.
    pub(crate) fn is_writeable(&self) -> bool {
        // SAFETY: By the type's invariant the range is user space's.
        unsafe { bindings::helper_is_writeable(self.addr, self.len) }
    }

    /// Copies `bytes`, or as many as fit, to the buffer; fails with `EFAULT` where a page is not
    /// there. Does not sleep.
    #[inline]
    pub(crate) fn write_nofault(&self, bytes: &[u8]) -> Result {
        let len = self.len.min(bytes.len());

        // SAFETY: By the type's invariant the destination is user space's, whose pages the copy
        // checks itself; `bytes` has `len` bytes.
        match unsafe {
            bindings::helper_copy_to_user_nofault(self.addr, bytes.as_ptr().cast(), len)
        } {
            0 => Ok(()),
            _ => Err(EFAULT),
        }
    }
}
