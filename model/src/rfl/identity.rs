// SPDX-License-Identifier: GPL-2.0

//! Who somebody is: here all are one.

/// A place for a process, user and group.
pub(crate) struct IdentityCell;

/// A process, user and group.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl Identity {
    pub(crate) const fn nobody() -> Self {
        Self
    }

    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn seen_by_current(&self) -> VisibleIdentity {
        IdentityCell.seen_by_current()
    }
}

/// Process, user and group as one observer sees them.
pub(crate) struct VisibleIdentity {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl IdentityCell {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn set_current(&self) {}

    pub(crate) fn seen_by_current(&self) -> VisibleIdentity {
        VisibleIdentity {
            pid: 0,
            uid: 0,
            gid: 0,
        }
    }
}
