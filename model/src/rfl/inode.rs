// SPDX-License-Identifier: GPL-2.0

//! Permission, which all have.

use kernel::prelude::*;

/// What a caller wants to do.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Access {
    Read = 4,
    Write = 2,
}

/// An inode.
pub(crate) struct Inode;

/// The owner of an object.
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Inode {
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            uid: 0,
            gid: 0,
            mode: 0o666,
        }
    }

    pub(crate) fn permission(&self, _access: Access) -> Result {
        Ok(())
    }

    pub(crate) fn chmod(&self, _mode: u16) -> Result {
        Ok(())
    }

    pub(crate) fn owner_or_capable(&self) -> bool {
        true
    }
}
