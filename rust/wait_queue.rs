// SPDX-License-Identifier: GPL-2.0

//! Wait queues for `poll`.
//!
//! C headers: [`include/linux/wait.h`](srctree/include/linux/wait.h),
//! [`include/linux/poll.h`](srctree/include/linux/poll.h)

use super::bindings;
use core::{marker::PhantomData, ptr};
use kernel::{
    bindings::{poll_table, wait_queue_head},
    fs::File,
    prelude::*,
    sync::LockClassKey,
    types::Opaque,
};

/// What `poll` tells of, and what it is asked for.
pub(crate) mod events {
    const EPOLLIN: u32 = 0x1;
    const EPOLLOUT: u32 = 0x4;
    const EPOLLHUP: u32 = 0x10;
    const EPOLLRDNORM: u32 = 0x40;
    const EPOLLWRNORM: u32 = 0x100;
    const EPOLLEXCLUSIVE: u32 = 1 << 28;

    pub(crate) const READABLE: u32 = EPOLLIN | EPOLLRDNORM;
    pub(crate) const WRITABLE: u32 = EPOLLOUT | EPOLLWRNORM;
    pub(crate) const HUP: u32 = EPOLLHUP;
    /// Asked for by one of several of whom not all need to be woken.
    pub(crate) const EXCLUSIVE: u32 = EPOLLEXCLUSIVE;
}

/// A queue of those who wait for events of a file.
///
/// It is a part of the file's data, see [`PollRequest::wait_on`]: whoever is queued holds a
/// reference to the file, or (epoll) is taken out before the file is released, and so the queue is
/// empty when it goes.
///
/// # Invariants
///
/// `head` is initialised.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<wait_queue_head>,
}

// SAFETY: A wait queue belongs to no task.
unsafe impl Send for WaitQueue {}
// SAFETY: A wait queue has a lock of its own.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        // INVARIANT: This initialises it.
        pin_init!(Self {
            // SAFETY: `slot` is ours to initialise, name and key live for ever.
            head <- Opaque::ffi_init(|slot| unsafe {
                kernel::bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Whether somebody is queued.
    ///
    /// Only a hint, unless the caller has ordered its own stores before (a full barrier) and the
    /// other side looks again after it has queued itself.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        let head = self.head.get();

        // SAFETY: By the type's invariant the list is there. Others may change it meanwhile, so its
        // first pointer is read as a volatile, and only compared.
        unsafe {
            let list = &raw mut (*head).head;

            ptr::read_volatile(&raw const (*list).next) != list
        }
    }

    /// Wakes everybody who is queued.
    ///
    /// `events` is what they are told ([`events`]); 0 is to look for themselves. Where it is true
    /// in any case that saves them a call of `poll`, but who only polls takes it at its word. Does
    /// not sleep; takes the queue's lock.
    pub(crate) fn wake(&self, events: u32) {
        // SAFETY: By the type's invariant.
        unsafe { bindings::helper_wake_up_all(self.head.get(), events) };
    }

    /// Tells everybody queued that the file has come to its end ([`events::HUP`]). Does not sleep;
    /// takes the queue's lock: whoever is queued later sees the end. litmus: end
    pub(crate) fn wake_for_end(&self) {
        self.wake(events::HUP);
    }
}

/// A call of a file's `poll`: who asks, and for what.
///
/// # Invariants
///
/// - `table` is null or valid for the call.
/// - `'a` is a borrow of the file's data, neither shorter nor longer.
pub(crate) struct PollRequest<'a> {
    file: &'a File,
    table: *mut poll_table,
    /// Invariant: a shorter `'a` would be that of anything.
    _data: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> PollRequest<'a> {
    /// # Safety
    ///
    /// `table` must be null or valid for the call, and `'a` a borrow of the file's data.
    pub(super) unsafe fn new(file: &'a File, table: *mut poll_table) -> Self {
        // INVARIANT: By the function's contract.
        Self {
            file,
            table,
            _data: PhantomData,
        }
    }

    /// The events the caller is interested in ([`events`]).
    pub(crate) fn requested(&self) -> u32 {
        // SAFETY: By the type's invariant the table is null or valid; the helper takes both.
        let requested = unsafe { bindings::helper_poll_requested(self.table) };

        if self.table.is_null() {
            // All there are, of somebody who does not wait at all.
            requested & !events::EXCLUSIVE
        } else {
            requested
        }
    }

    /// Queues the caller, if it wants to wait. A full barrier: what is looked at after this has
    /// not been missed.
    ///
    /// The queue is part of the file's data, or lives even longer: `'a` is a borrow of the data
    /// that the callee cannot choose.
    pub(crate) fn wait_on(&self, queue: &'a WaitQueue) {
        // SAFETY: The file is valid, the table null or valid, and the queue lives as long as the
        // file, which nobody stays queued longer than.
        unsafe {
            kernel::bindings::poll_wait(self.file.as_ptr(), queue.head.get(), self.table);
        }
    }
}
