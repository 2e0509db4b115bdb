// SPDX-License-Identifier: GPL-2.0

//! Kernel abstractions that the `kernel` crate does not have yet.
//!
//! Nothing here knows what an IPC channel is: of the hooks there is but a ring's pointer. Almost
//! all of the module's `unsafe` is here.

pub(crate) mod anon_file;
pub(crate) mod atomic;
pub(crate) mod bindings;
pub(crate) mod identity;
pub(crate) mod inode;
pub(crate) mod io_uring;
pub(crate) mod ipc_namespace;
pub(crate) mod mayfail_vec;
pub(crate) mod memlock;
pub(crate) mod preempt;
pub(crate) mod rlimit;
pub(crate) mod shared_region;
pub(crate) mod task;
pub(crate) mod user;
pub(crate) mod user_buffer;
pub(crate) mod wait_queue;
pub(crate) mod wrapping_array;
