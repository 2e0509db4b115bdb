// SPDX-License-Identifier: GPL-2.0

//! An array whose places are found modulo its length.

use kernel::prelude::*;

/// An array that never changes its length.
pub(crate) struct WrappingArray<T>(Vec<T>);

impl<T> WrappingArray<T> {
    pub(crate) fn new(len: usize, value: impl Fn() -> T) -> Result<Self> {
        Ok(Self((0..len).map(|_| value()).collect()))
    }

    pub(crate) fn at(&self, index: usize) -> &T {
        &self.0[index % self.0.len()]
    }
}
