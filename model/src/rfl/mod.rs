// SPDX-License-Identifier: GPL-2.0

//! Stands in for the module's abstractions of the kernel. The atomics are the module's own.

pub(crate) mod anon_file;
#[path = "../../../rust/atomic.rs"]
pub(crate) mod atomic;
pub(crate) mod bindings;
pub(crate) mod identity;
pub(crate) mod inode;
pub(crate) mod io_uring;
pub(crate) mod memlock;
pub(crate) mod preempt;
pub(crate) mod shared_region;
pub(crate) mod user_buffer;
pub(crate) mod wait_queue;
pub(crate) mod wrapping_array;
