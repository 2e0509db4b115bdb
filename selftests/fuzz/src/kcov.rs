// SPDX-License-Identifier: GPL-2.0

//! Where the kernel has been on behalf of one thread: Documentation/dev-tools/kcov.rst.

use crate::feedback::Feedback;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

const FILE: &str = "/sys/kernel/debug/kcov";
const INIT_TRACE: libc::Ioctl = 0x8008_6301_u32 as libc::Ioctl;
const ENABLE: libc::Ioctl = 0x6364;
const TRACE_PC: libc::c_ulong = 0;
/// Places that are remembered between two looks.
const PLACES: usize = 1 << 14;

/// Whether the kernel can tell.
pub fn is_there() -> bool {
    Path::new(FILE).exists()
}

/// The calling thread's trace, from its making to the thread's end.
pub struct Kcov {
    _file: File,
    /// How many there are, and the places.
    trace: *const AtomicU64,
}

impl Kcov {
    pub fn start() -> Option<Self> {
        let file = File::options().read(true).write(true).open(FILE).ok()?;
        let fd = file.as_raw_fd();

        // SAFETY: as the document says: a size, a map of so many words at a place of the kernel's
        // choice, which is never unmapped, and the mode.
        unsafe {
            if libc::ioctl(fd, INIT_TRACE, PLACES) != 0 {
                return None;
            }
            let trace = libc::mmap(
                ptr::null_mut(),
                PLACES * size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            );
            if trace == libc::MAP_FAILED || libc::ioctl(fd, ENABLE, TRACE_PC) != 0 {
                return None;
            }
            Some(Self {
                _file: file,
                trace: trace.cast(),
            })
        }
    }

    /// Passes the steps from place to place on, and forgets them.
    pub fn look(&self, feedback: &Feedback) {
        // SAFETY: the map is `PLACES` words long; the kernel writes only while this very thread is
        // in a system call.
        let trace = unsafe { std::slice::from_raw_parts(self.trace, PLACES) };
        let count = (trace[0].load(Ordering::Relaxed) as usize).min(PLACES - 1);
        let mut last = 0;

        for place in &trace[1..=count] {
            let place = place.load(Ordering::Relaxed);

            feedback.signal((last, place));
            last = place;
        }
        trace[0].store(0, Ordering::Relaxed);
    }
}
