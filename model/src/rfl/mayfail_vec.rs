// SPDX-License-Identifier: GPL-2.0

//! Vectors that fail where there is no memory, of which the host has enough.

pub(crate) type MayfailVec<T> = kernel::prelude::KVVec<T>;
