// SPDX-License-Identifier: GPL-2.0

//! The pages that requests use, and the games that are played with them meanwhile.

use crate::program::PageGame;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

pub const PAGES: usize = 16;
pub const PAGE: usize = 4096;
/// Where they are: the kernel puts nothing else there, not even when they are unmapped.
const PLACE: usize = 0x2000_0000;

/// The userfaultfd of this process, or -1: closed by a signal handler.
static USERFAULT: AtomicI32 = AtomicI32::new(-1);
/// For how long a fault may wait.
const FAULT_US: libc::suseconds_t = 20_000;

const UFFD_API: u64 = 0xaa;
const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

/// Memory that is the program's to ruin. It is only ever used by the kernel.
#[derive(Clone, Copy)]
pub struct Pages(*mut libc::c_void);

// SAFETY: the address of a map that is never looked at by this program; the kernel copes with
// whatever several threads do to it.
unsafe impl Send for Pages {}
// SAFETY: likewise.
unsafe impl Sync for Pages {}

impl Pages {
    /// New ones; all zeroes.
    pub fn new() -> Option<Self> {
        // SAFETY: a new map where nothing is.
        let start = unsafe {
            libc::mmap(
                ptr::without_provenance_mut(PLACE),
                PAGES * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };

        (start != libc::MAP_FAILED).then_some(Self(start))
    }

    pub fn address(self, page: u8) -> *mut libc::c_void {
        self.0.wrapping_byte_add(usize::from(page) % PAGES * PAGE)
    }

    pub fn play(self, page: u8, game: &PageGame) -> i32 {
        let all = libc::PROT_READ | libc::PROT_WRITE;
        let at = self.address(page);
        // What is never used here any more is put back where it was, and nowhere else.
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;

        // SAFETY: all of it happens to one page of these, which nobody but the kernel uses.
        unsafe {
            match game {
                PageGame::Unmap => libc::munmap(at, PAGE),
                PageGame::Restore => {
                    libc::mmap(at, PAGE, all, private, -1, 0);
                    0
                }
                PageGame::None => libc::mprotect(at, PAGE, libc::PROT_NONE),
                PageGame::ReadOnly => libc::mprotect(at, PAGE, libc::PROT_READ),
                PageGame::DontNeed => libc::madvise(at, PAGE, libc::MADV_DONTNEED),
                PageGame::Userfault => self.userfault(at),
            }
        }
    }

    /// The page is not there, and nobody brings it, until a timer gives up.
    fn userfault(self, at: *mut libc::c_void) -> i32 {
        let mut api = [UFFD_API, 0, 0];
        let mut register = [at as u64, PAGE as u64, UFFDIO_REGISTER_MODE_MISSING, 0];
        let soon = libc::itimerval {
            it_interval: libc::timeval {
                tv_sec: 0,
                tv_usec: FAULT_US,
            },
            it_value: libc::timeval {
                tv_sec: 0,
                tv_usec: FAULT_US,
            },
        };

        // SAFETY: the structures are as large as the calls' numbers say; the handler does nothing
        // but close a file that nobody else knows.
        unsafe {
            if USERFAULT.load(Ordering::Relaxed) < 0 {
                let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) as i32;

                if fd < 0 || libc::ioctl(fd, UFFDIO_API, api.as_mut_ptr()) != 0 {
                    return -1;
                }
                USERFAULT.store(fd, Ordering::Relaxed);
                libc::signal(libc::SIGALRM, give_up as *const () as libc::sighandler_t);
                libc::setitimer(libc::ITIMER_REAL, &soon, ptr::null_mut());
            }
            let fd = USERFAULT.load(Ordering::Relaxed);
            libc::madvise(at, PAGE, libc::MADV_DONTNEED);
            libc::ioctl(fd, UFFDIO_REGISTER, register.as_mut_ptr())
        }
    }
}

/// Lets all go on who wait for a page.
extern "C" fn give_up(_signal: i32) {
    let fd = USERFAULT.swap(-1, Ordering::Relaxed);

    if fd >= 0 {
        // SAFETY: ours, and closed once.
        unsafe { libc::close(fd) };
    }
}
