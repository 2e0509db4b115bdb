// SPDX-License-Identifier: GPL-2.0

//! The memory that the processes share with the supervisor, which a `kill -9` leaves as it is:
//! what a process has done, and what it has received.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// How many processes there are at once.
pub const SLOTS: usize = 8;
/// How many channels there are at once.
pub const CHANNELS: usize = 12;
/// The entry of a channel with one receiver at most, which is treated differently: a process of
/// this slot.
pub const LONELY: (usize, usize) = (3, 3);
/// Buffers of a process.
pub const BUFFERS: usize = 64;
/// Of each; a page, to be taken away.
pub const BUFFER_SIZE: usize = 4096;

const RECORDS: u64 = 8192;

/// An event, as the journal has it.
pub type Record = [u64; 4];

/// One process's journal: who writes is the process, who reads the supervisor.
#[repr(C)]
pub struct Journal {
    written: AtomicU64,
    read: AtomicU64,
    records: [[AtomicU64; 4]; RECORDS as usize],
}

impl Journal {
    /// Adds an event, as soon as there is room for it. It is there for the supervisor even if this
    /// process ends right after.
    pub fn write(&self, record: Record) {
        let at = self.written.load(Ordering::Relaxed);

        while at - self.read.load(Ordering::Acquire) >= RECORDS {
            thread::sleep(Duration::from_millis(1));
        }
        for (cell, value) in self.records[(at % RECORDS) as usize].iter().zip(record) {
            cell.store(value, Ordering::Relaxed);
        }
        self.written.store(at + 1, Ordering::Release);
    }

    /// The next event.
    pub fn read(&self) -> Option<Record> {
        let at = self.read.load(Ordering::Relaxed);

        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        let record = self.records[(at % RECORDS) as usize]
            .each_ref()
            .map(|cell| cell.load(Ordering::Relaxed));
        self.read.store(at + 1, Ordering::Release);
        Some(record)
    }
}

/// What one process and the supervisor share.
#[repr(C)]
pub struct Slot {
    pub journal: Journal,
    /// Goes up with every step.
    pub steps: AtomicU64,
    /// The life that may go on.
    pub life: AtomicU32,
    /// How far it has come with the end: [`Phase`].
    pub reached: AtomicU32,
}

/// How far all have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything goes.
    Chaos,
    /// Nobody starts anything; what is under way ends.
    Quiet,
    /// Receivers take what is left.
    Drain,
}

/// What all share.
#[repr(C)]
pub struct Shared {
    pub slots: [Slot; SLOTS],
    /// Ids of the channels that may be used, or 0.
    pub channels: [AtomicU32; CHANNELS],
    phase: AtomicU32,
}

impl Shared {
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Ordering::Release);
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Chaos,
            1 => Phase::Quiet,
            _ => Phase::Drain,
        }
    }
}

/// The buffers of one life. The kernel writes here, whoever is still there.
#[repr(C, align(4096))]
pub struct Buffers([[AtomicU8; BUFFER_SIZE]; BUFFERS]);

impl Buffers {
    pub fn address(&self, number: usize) -> *mut u8 {
        self.0[number].as_ptr().cast_mut().cast()
    }

    /// What is in a buffer now.
    pub fn copy(&self, number: usize, len: usize) -> Vec<u8> {
        self.0[number][..len]
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect()
    }

    /// Makes its first bytes zero, so that a message is seen in it.
    pub fn clear(&self, number: usize, len: usize) {
        for byte in &self.0[number][..len] {
            byte.store(0, Ordering::Relaxed);
        }
    }
}

/// A file in memory, mapped as a `T` that is all atomics.
pub struct Mapped<T> {
    start: NonNull<T>,
}

impl<T> Mapped<T> {
    /// Makes the file, zeroed.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .with_context(|| path.display().to_string())?;

        file.set_len(size_of::<T>() as u64)?;
        Self::map(&file)
    }

    /// Maps one that is there.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| path.display().to_string())?;

        Self::map(&file)
    }

    fn map(file: &File) -> Result<Self> {
        // Whoever makes the file pays for its pages, all at once.
        //
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };

        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).context("mapping shared memory");
        }
        Ok(Self {
            start: NonNull::new(start.cast()).context("a map at 0")?,
        })
    }
}

impl<T> std::ops::Deref for Mapped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the map is as long as a `T` and lives as long as this; whoever else has it may
        // write to it, but a `T` is all atomics, of which all bits are good.
        unsafe { self.start.as_ref() }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the map is ours, and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), size_of::<T>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_goes_round() {
        let path = std::env::temp_dir().join(format!("ipc-chaos-test-{}", std::process::id()));
        let ours = Mapped::<Shared>::create(&path).unwrap();
        let theirs = Mapped::<Shared>::open(&path).unwrap();

        std::fs::remove_file(path).unwrap();
        for round in 0..3 * RECORDS {
            ours.slots[1].journal.write([round, 1, 2, 3]);
            assert_eq!(theirs.slots[1].journal.read(), Some([round, 1, 2, 3]));
            assert_eq!(theirs.slots[1].journal.read(), None);
        }
    }
}
