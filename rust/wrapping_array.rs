// SPDX-License-Identifier: GPL-2.0

//! An array whose places are found modulo its length, for what is looked up with every message.

use super::mayfail_vec::MayfailVec;
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*};

/// An array that never changes its length.
///
/// # Invariants
///
/// The length is a power of two.
pub(crate) struct WrappingArray<T>(MayfailVec<T>);

impl<T> WrappingArray<T> {
    /// Makes an array of `len` values, charged to the caller's memory cgroup; fails with `EINVAL`
    /// where `len` is no power of two, or `ENOMEM`. Sleeps.
    pub(crate) fn new(len: usize, value: impl Fn() -> T) -> Result<Self> {
        if !len.is_power_of_two() {
            return Err(EINVAL);
        }
        let mut values = MayfailVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;

        for _ in 0..len {
            values.push(value(), GFP_KERNEL_ACCOUNT)?;
        }
        // INVARIANT: Just checked.
        Ok(Self(values))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn wrap(&self, index: usize) -> usize {
        index & self.0.len().wrapping_sub(1)
    }

    /// The value at `index`, modulo the length.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> &T {
        // SAFETY: By the type's invariant the length is a power of two, and so greater than what
        // wraps to it.
        unsafe { self.0.get_unchecked(self.wrap(index)) }
    }

    /// The value at `index`, modulo the length, to be changed.
    pub(crate) fn at_mut(&mut self, index: usize) -> &mut T {
        let index = self.wrap(index);

        // SAFETY: As above.
        unsafe { self.0.get_unchecked_mut(index) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

#[cfg(ioipc_kunit)]
mod tests;
