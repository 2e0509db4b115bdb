// SPDX-License-Identifier: GPL-2.0

//! As much of the `kernel` crate as channels use, over a model checker.
//!
//! What several threads do at once is the checker's: atomics, barriers and locks. The rest is
//! what the standard library has, and never fails.

pub mod alloc;
pub mod error;
pub mod kvec;
pub mod rbtree;
pub mod sync;

#[doc(hidden)]
pub use pinned_init;
pub use std::ffi;

/// What bindgen makes of the kernel's headers.
pub mod bindings {
    /// What an id is shown as that has no number in a namespace.
    pub const DEFAULT_OVERFLOWUID: u32 = 65534;
    /// The same for groups.
    pub const DEFAULT_OVERFLOWGID: u32 = 65534;
    /// An error number.
    pub const ENOBUFS: u32 = 105;
}

/// Mappings.
pub mod mm {
    /// Of user space.
    pub mod virt {
        /// A mapping that is being made. There are none here.
        #[derive(Debug)]
        pub enum VmaNew {}
    }
}

/// Files that are printed.
pub mod seq_file {
    /// There are none here.
    #[derive(Debug)]
    pub enum SeqFile {}
}

/// A module.
#[derive(Debug)]
pub struct ThisModule;

/// What every file imports.
pub mod prelude {
    pub use crate::try_pin_init;
    pub use crate::{
        error::{code::*, Error, Result},
        kvec::{KVVec, KVec},
        ThisModule,
    };
    pub use pinned_init::{pin_data, pin_init, PinInit};
    pub use std::ffi::CStr;
    pub use zerocopy::{FromBytes, IntoBytes};
}

/// An initialiser that may fail.
#[macro_export]
macro_rules! try_pin_init {
    ($($fields:tt)*) => {
        $crate::pinned_init::try_pin_init!($($fields)* ? $crate::error::Error)
    };
}

/// Prints nothing.
#[macro_export]
macro_rules! seq_print {
    ($file:expr, $($arguments:tt)*) => {{
        let _: &$crate::seq_file::SeqFile = $file;
        let _ = format_args!($($arguments)*);
    }};
}

/// A C string.
#[macro_export]
macro_rules! c_str {
    ($text:literal) => {
        match ::std::ffi::CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    };
}

/// For lockdep, which is not here.
#[macro_export]
macro_rules! static_lock_class {
    () => {
        ()
    };
}

/// A spinlock; the name is for lockdep.
#[macro_export]
macro_rules! new_spinlock {
    ($value:expr, $name:literal $(,)?) => {
        $crate::sync::SpinLock::new($value)
    };
}
