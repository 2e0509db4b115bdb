// SPDX-License-Identifier: GPL-2.0

//! What `kernel::bindings` lacks: the io_uring types, the hooks' header and `helpers.h`.
//!
//! Only this directory uses it directly; `Kbuild` makes the included file with bindgen. Types that
//! `kernel::bindings` has are blocked there and taken from here, so that each is one type.

// Which of these the generated code runs into depends on the kernel's configuration.
#![allow(warnings, unsafe_op_in_unsafe_fn, clippy::all, clippy::restriction)]

use kernel::bindings::*;
use kernel::ffi;

include!(env!("IOIPC_BINDINGS"));
