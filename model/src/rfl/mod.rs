// SPDX-License-Identifier: GPL-2.0

//! Stands in for the module's abstractions of the kernel. What needs no kernel is the module's own.

pub(crate) mod anon_file;
#[path = "../../../rust/atomic.rs"]
pub(crate) mod atomic;
pub(crate) mod bindings;
pub(crate) mod identity;
pub(crate) mod inode;
pub(crate) mod io_uring;
pub(crate) mod ipc_namespace;
pub(crate) mod mayfail_vec;
pub(crate) mod memlock;
pub(crate) mod preempt;
pub(crate) mod shared_region;
pub(crate) mod task;
pub(crate) mod user;
pub(crate) mod user_buffer;
pub(crate) mod wait_queue;
#[expect(unsafe_code, reason = "the module's own")]
#[rustfmt::skip]
#[path = "../../../rust/wrapping_array.rs"]
pub(crate) mod wrapping_array;
