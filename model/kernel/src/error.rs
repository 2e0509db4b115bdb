// SPDX-License-Identifier: GPL-2.0

//! Errors.

use std::convert::Infallible;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(i32);

/// A result with an error number.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// From what a function of C returns.
    pub const fn from_errno(errno: i32) -> Self {
        Self(errno)
    }

    /// What a function of C returns.
    pub const fn to_errno(self) -> i32 {
        self.0
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The error numbers.
pub mod code {
    macro_rules! codes {
        ($($name:ident = $number:literal,)*) => {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: super::Error = super::Error(-$number);
            )*
        };
    }

    codes! {
        ENOENT = 2,
        EINTR = 4,
        EAGAIN = 11,
        ENOMEM = 12,
        EACCES = 13,
        EFAULT = 14,
        EEXIST = 17,
        EINVAL = 22,
        ENOTTY = 25,
        ENOSPC = 28,
        EPIPE = 32,
        EMSGSIZE = 90,
    }
}
