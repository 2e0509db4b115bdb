// SPDX-License-Identifier: GPL-2.0

//! Allocation, which never fails here.

/// How to allocate.
#[derive(Clone, Copy, Debug)]
pub struct Flags;

/// Ways to allocate.
pub mod flags {
    /// May sleep, and is charged to the caller.
    pub const GFP_KERNEL_ACCOUNT: super::Flags = super::Flags;
}
