// SPDX-License-Identifier: GPL-2.0

//! The mapped region of a channel, which may be gone meanwhile.

use anyhow::{ensure, Result};
use io_uring_ipc::abi::RingHeader;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Map {
    start: *mut libc::c_void,
    size: usize,
}

impl Map {
    /// Maps it, if it may be mapped and there is memory.
    pub fn new(file: &OwnedFd, size: usize) -> Result<Option<Self>> {
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };

        if start == libc::MAP_FAILED {
            let error = std::io::Error::last_os_error();
            ensure!(
                matches!(
                    error.raw_os_error(),
                    Some(libc::EACCES | libc::ENOENT | libc::ENOMEM)
                ),
                "mapping a region: {error}"
            );
            return Ok(None);
        }
        Ok(Some(Self { start, size }))
    }

    /// Heads do not pass tails.
    pub fn check(&self) -> Result<()> {
        let load = |offset| {
            // SAFETY: a region starts with a page that has the header. A load of an atomic does not
            // write, so that a read-only map will do.
            unsafe { &*self.start.byte_add(offset).cast::<AtomicU64>() }.load(Ordering::Acquire)
        };
        let head = load(offset_of!(RingHeader, head));
        let tail = load(offset_of!(RingHeader, tail));

        ensure!(head <= tail, "a region with its head {head} after {tail}");
        Ok(())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the map is ours, and nobody borrows from it.
        unsafe { libc::munmap(self.start, self.size) };
    }
}
