// SPDX-License-Identifier: GPL-2.0

//! Wait queues, and those who wait on them.

use super::atomic::{full_barrier, Word32};
use checker::{Condvar, Mutex};
use kernel::prelude::*;
use std::{cell::RefCell, sync::Arc};

/// What `poll` tells of, and what it is asked for.
pub(crate) mod events {
    pub(crate) const READABLE: u32 = 1 << 0;
    pub(crate) const WRITABLE: u32 = 1 << 1;
    pub(crate) const HUP: u32 = 1 << 2;
    pub(crate) const EXCLUSIVE: u32 = 1 << 3;
}

/// A queue of those who wait.
pub(crate) struct WaitQueue {
    waiters: Mutex<Vec<Arc<Waiter>>>,
    /// The list's first pointer, which is also read without its lock.
    len: Word32,
}

impl WaitQueue {
    pub(crate) fn new(_name: &'static CStr, _key: ()) -> impl PinInit<Self> {
        Self {
            waiters: Mutex::new(Vec::new()),
            len: Word32::new(0),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.len.load_relaxed() != 0
    }

    pub(crate) fn wake(&self, events: u32) {
        let waiters = self.waiters.lock().expect("no test goes on after a panic");

        for waiter in waiters.iter() {
            waiter.wake(events);
        }
    }

    pub(crate) fn wake_for_end(&self) {
        self.wake(events::HUP);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Waiter>>)) {
        let mut waiters = self.waiters.lock().expect("no test goes on after a panic");

        change(&mut waiters);
        self.len.store_relaxed(waiters.len() as u32);
    }
}

/// What somebody who waits has been told.
#[derive(Default)]
struct Told {
    wakeups: u32,
    events: u32,
}

/// Somebody who waits.
pub(crate) struct Waiter {
    interest: u32,
    told: Mutex<Told>,
    woken: Condvar,
}

impl Waiter {
    /// For `interest`, and the end.
    pub(crate) fn new(interest: u32) -> Arc<Self> {
        Arc::new(Self {
            interest: interest | events::HUP,
            told: Mutex::new(Told::default()),
            woken: Condvar::new(),
        })
    }

    fn wake(&self, events: u32) {
        if events == 0 || events & self.interest != 0 {
            let mut told = self.told.lock().expect("no test goes on after a panic");

            told.wakeups += 1;
            told.events |= events;
            self.woken.notify_one();
        }
    }

    /// Sleeps until it is woken. Says what it was told, if it is to be taken at its word: as in
    /// `io_poll_check_events()`, who is woken more than once looks for itself.
    pub(crate) fn sleep(&self) -> u32 {
        let mut told = self.told.lock().expect("no test goes on after a panic");

        while told.wakeups == 0 {
            told = self
                .woken
                .wait(told)
                .expect("no test goes on after a panic");
        }
        match std::mem::take(&mut *told) {
            Told { wakeups: 1, events } => events & self.interest,
            _ => 0,
        }
    }
}

/// A call of a file's `poll`. Who has been queued by it is taken out when it is dropped.
pub(crate) struct PollRequest<'a> {
    requested: u32,
    waiter: Option<Arc<Waiter>>,
    queues: RefCell<Vec<&'a WaitQueue>>,
}

impl<'a> PollRequest<'a> {
    /// By somebody who wants to wait, or only looks.
    pub(crate) fn new(requested: u32, waiter: Option<Arc<Waiter>>) -> Self {
        Self {
            requested,
            waiter,
            queues: RefCell::default(),
        }
    }

    pub(crate) fn requested(&self) -> u32 {
        self.requested
    }

    pub(crate) fn wait_on(&self, queue: &'a WaitQueue) {
        if let Some(waiter) = &self.waiter {
            queue.change(|waiters| waiters.push(waiter.clone()));
            self.queues.borrow_mut().push(queue);
            full_barrier();
        }
    }
}

impl Drop for PollRequest<'_> {
    fn drop(&mut self) {
        if let Some(own) = &self.waiter {
            for queue in self.queues.take() {
                queue.change(|waiters| waiters.retain(|waiter| !Arc::ptr_eq(waiter, own)));
            }
        }
    }
}
