// SPDX-License-Identifier: GPL-2.0

//! What a program tells of itself while it runs, in memory shared with the fuzzer: where the kernel
//! has been, what came out, and what must not have happened.

use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub const SIGNALS: usize = 1 << 16;
/// Channels and subscribers that a program's actors know of each other's.
const NEWEST: usize = 16;

/// All of it; zeroes are a good start.
#[repr(C)]
pub struct Feedback {
    /// A bit for each.
    signals: [AtomicU64; SIGNALS / 64],
    pub operations: AtomicU64,
    /// Which promise was broken, or 0: [`Broken`].
    broken: AtomicU32,
    /// Sends tried, and messages received that are not empty: where nothing is broadcast the latter
    /// are not more.
    pub sent: AtomicU64,
    pub received: AtomicU64,
    pub broadcasts: AtomicU32,
    pub channels: Newest,
    pub subscribers: Newest,
}

/// The last ids that were given out.
#[repr(C)]
pub struct Newest {
    ids: [AtomicU32; NEWEST],
    added: AtomicU32,
}

impl Newest {
    fn add(&self, id: u32) {
        let added = self.added.fetch_add(1, Ordering::Relaxed) as usize;
        self.ids[added % NEWEST].store(id, Ordering::Relaxed);
    }

    /// The newest, or one of those before it.
    pub fn get(&self, before: u8) -> u32 {
        let added = self.added.load(Ordering::Relaxed) as usize;
        self.ids[added.wrapping_sub(1 + usize::from(before)) % NEWEST].load(Ordering::Relaxed)
    }

    fn forget(&self) {
        for cell in self.ids.iter().chain([&self.added]) {
            cell.store(0, Ordering::Relaxed);
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Broken {
    /// What has an unknown bit, or a reserved one, succeeded.
    UnknownAccepted = 1,
    /// A call failed and changed its argument.
    FailedAndChanged,
    /// More bytes were received than the buffer has.
    TooMany,
    /// A channel or subscriber without an id.
    NoId,
    /// More messages were received than sent.
    FromNowhere,
}

impl Feedback {
    pub fn signal(&self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();

        what.hash(&mut hasher);
        let number = hasher.finish() as usize % SIGNALS;
        let (word, bit) = (&self.signals[number / 64], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    pub fn breaks(&self, what: Broken) {
        self.broken.store(what as u32, Ordering::Relaxed);
    }

    pub fn broken(&self) -> Option<Broken> {
        let received = self.received.load(Ordering::Relaxed);

        if self.broadcasts.load(Ordering::Relaxed) == 0
            && received > self.sent.load(Ordering::Relaxed)
        {
            return Some(Broken::FromNowhere);
        }
        [
            Broken::UnknownAccepted,
            Broken::FailedAndChanged,
            Broken::TooMany,
            Broken::NoId,
        ]
        .into_iter()
        .find(|what| *what as u32 == self.broken.load(Ordering::Relaxed))
    }

    pub fn add_channel(&self, id: u32) {
        self.channels.add(id);
    }

    pub fn add_subscriber(&self, id: u32) {
        self.subscribers.add(id);
    }

    /// Gets ready for the next program; returns the signals of the last one.
    pub fn take_signals(&self) -> Vec<u16> {
        self.channels.forget();
        self.subscribers.forget();
        self.broken.store(0, Ordering::Relaxed);
        self.broadcasts.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
        self.signals
            .iter()
            .enumerate()
            .flat_map(|(index, word)| {
                let bits = word.swap(0, Ordering::Relaxed);
                (0..64)
                    .filter(move |bit| bits >> bit & 1 != 0)
                    .map(move |bit| (index * 64 + bit) as u16)
            })
            .collect()
    }
}

/// Memory that children share.
pub struct Shared<T>(NonNull<T>);

impl<T> Shared<T> {
    /// Zeroed. A `T` has to be all atomics.
    pub fn new() -> Result<Self> {
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };

        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).context("shared memory");
        }
        Ok(Self(NonNull::new(start.cast()).context("a map at 0")?))
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the map is as long as a `T`, is never unmapped, and all its users change it by
        // atomics only.
        unsafe { self.0.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_once() {
        let feedback = Shared::<Feedback>::new().unwrap();

        for what in [1, 2, 3, 2, 1] {
            feedback.signal(what);
        }
        feedback.add_channel(7);
        feedback.add_channel(8);
        assert_eq!([0, 1, 2].map(|n| feedback.channels.get(n)), [8, 7, 0]);
        feedback.breaks(Broken::NoId);
        assert_eq!(feedback.broken(), Some(Broken::NoId));
        assert_eq!(feedback.take_signals().len(), 3);
        assert_eq!(feedback.broken(), None);
        assert_eq!(feedback.channels.get(0), 0);
        assert_eq!(feedback.take_signals().len(), 0);

        feedback.received.store(1, Ordering::Relaxed);
        assert_eq!(feedback.broken(), Some(Broken::FromNowhere));
        feedback.sent.store(1, Ordering::Relaxed);
        assert_eq!(feedback.broken(), None);
    }
}
