// SPDX-License-Identifier: GPL-2.0

//! What lies in a ring's memory.

use crate::rfl::atomic::{Word32, Word64};

/// The start of a ring's memory, `struct io_uring_ipc_ring` to user space.
#[repr(C)]
#[cfg_attr(CONFIG_RUST, derive(pin_init::Zeroable))]
#[cfg_attr(not(CONFIG_RUST), derive(Default))]
pub(crate) struct Header {
    /// The next position to be claimed.
    pub(crate) tail: Word64,
    pad0: [u64; 7],
    /// Positions below this are free.
    pub(crate) head: Word64,
    pad1: [u64; 7],
    pub(crate) version: Word32,
    pub(crate) ring_entries: Word32,
    pub(crate) ring_mask: Word32,
    pub(crate) max_msg_size: Word32,
    pub(crate) desc_offset: Word32,
    pub(crate) desc_size: Word32,
    pub(crate) data_offset: Word32,
    pub(crate) data_stride: Word32,
}

/// A slot, `struct io_uring_ipc_msg_desc` to user space.
///
/// The fields between `seq` and `claim` are the record; they are written between claim and
/// publication, and are atomics only because user space may look at any time. Some never change:
/// see [`Slot::prepare`].
#[repr(C)]
#[cfg_attr(CONFIG_RUST, derive(pin_init::Zeroable))]
#[cfg_attr(not(CONFIG_RUST), derive(Default))]
pub(crate) struct Slot {
    /// Position + 1 of the message that is published here.
    pub(crate) seq: Word64,
    pub(crate) sender_data: Word64,
    pub(crate) offset: Word32,
    pub(crate) len: Word32,
    pub(crate) flags: Word32,
    pub(crate) target: Word32,
    pub(crate) sender_id: Word32,
    pub(crate) pid: Word32,
    pub(crate) uid: Word32,
    pub(crate) gid: Word32,
    /// Competing rings: position and state, see [`ClaimWord`].
    pub(crate) claim: Word64,
    reserved: Word64,
}

impl Slot {
    /// Sets what is the same for all messages of this slot, before anybody uses the ring: where
    /// the payload is, in bytes from the first cell, and ids as user space may see them.
    pub(crate) fn prepare(&self, offset: u32, uid: u32, gid: u32) {
        self.offset.store_relaxed(offset);
        self.uid.store_relaxed(uid);
        self.gid.store_relaxed(gid);
    }
}

/// `flags` of a slot without a message, `IOIPC_MSG_F_SKIP` to user space.
pub(crate) const SKIP: u32 = 1 << 31;

/// What is said of a message beside its payload.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) sender_data: u64,
    pub(crate) len: u32,
    /// The one receiver it is for, or 0.
    pub(crate) target: u32,
    pub(crate) sender_id: u32,
}

/// The position after another one. Positions do not come to their end.
#[inline(always)]
pub(super) const fn after(position: u64) -> u64 {
    position.wrapping_add(1)
}

/// The states of a published slot on a competing ring.
///
/// A slot's `claim` holds `position * 4 + state`, so that a reader that is late by a whole ring
/// cannot take a message that it has not looked at.
pub(super) struct ClaimWord;

impl ClaimWord {
    pub(super) const FREE: u64 = 0;
    pub(super) const TAKEN: u64 = 1;
    pub(super) const DONE: u64 = 2;

    #[inline(always)]
    pub(super) const fn encode(position: u64, state: u64) -> u64 {
        (position << 2) | state
    }
}

/// What a published slot is to a receiver.
#[derive(PartialEq, Eq)]
pub(super) enum SlotState {
    Free,
    /// Another receiver is reading it, and may give it back.
    Taken,
    /// Nothing for this receiver, for good.
    Passed,
}

impl SlotState {
    #[inline(always)]
    pub(super) fn of(claim: u64, position: u64) -> Self {
        if claim == ClaimWord::encode(position, ClaimWord::FREE) {
            Self::Free
        } else if claim == ClaimWord::encode(position, ClaimWord::TAKEN) {
            Self::Taken
        } else {
            Self::Passed
        }
    }
}
