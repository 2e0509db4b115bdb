// SPDX-License-Identifier: GPL-2.0

//! A ring: registration calls, and requests that complete before they return.

use crate::abi::{self, ChannelAttach, ChannelCreate};
use crate::sqe::Sqe;
use io_uring::{cqueue, IoUring};
use std::cell::{RefCell, RefMut};
use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

/// Requests that [`Ring::run`] takes at once.
pub const MAX_BATCH: usize = 32;

/// How long the kernel thread of [`Setup::SqPoll`] looks for work before it
/// sleeps, in milliseconds.
const SQPOLL_IDLE_MS: u32 = 1;

/// How a ring is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// No flags.
    Plain,
    /// `IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN`.
    DeferTaskrun,
    /// `IORING_SETUP_SQPOLL`: a kernel thread submits.
    SqPoll,
}

impl Setup {
    /// Every way to set up a ring.
    pub const ALL: [Setup; 3] = [Setup::Plain, Setup::DeferTaskrun, Setup::SqPoll];

    /// How many messages of `most` a test is to send in which both sides wait: two polling threads
    /// and two tasks take long on two processors.
    pub fn share(self, most: u64) -> u64 {
        if self == Setup::SqPoll {
            most / 10
        } else {
            most
        }
    }

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Setup::Plain => "plain",
            Setup::DeferTaskrun => "defer_taskrun",
            Setup::SqPoll => "sqpoll",
        }
    }
}

impl std::str::FromStr for Setup {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|setup| setup.name() == name)
            .ok_or_else(|| format!("no ring set-up is called {name}"))
    }
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The request's [`Sqe::user_data`].
    pub user_data: u64,
    /// Its result, or a negative `errno`.
    pub res: i32,
    /// `IORING_CQE_F_*` and the number of a buffer.
    pub flags: u32,
}

impl Completion {
    /// Whether the request goes on, and more completions follow.
    pub fn more(self) -> bool {
        cqueue::more(self.flags)
    }

    /// Whether the next message was there already.
    pub fn next_is_there(self) -> bool {
        cqueue::sock_nonempty(self.flags)
    }

    /// Which of the provided buffers the kernel has used.
    pub fn buffer(self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// The result as Rust code likes it.
    pub fn result(self) -> io::Result<usize> {
        usize::try_from(self.res).map_err(|_| io::Error::from_raw_os_error(-self.res))
    }
}

impl From<cqueue::Entry> for Completion {
    fn from(cqe: cqueue::Entry) -> Self {
        Self {
            user_data: cqe.user_data(),
            res: cqe.result(),
            flags: cqe.flags(),
        }
    }
}

/// An io_uring. It stays with the thread that made it.
///
/// Closing it (dropping it, when no other process holds the file) detaches its
/// subscribers and ends its channels.
pub struct Ring {
    /// Borrowed by whoever has requests under way: completions are theirs.
    uring: RefCell<IoUring>,
    fd: RawFd,
    /// Keeps the ring from moving to another thread, since some set-ups allow
    /// one submitter only.
    _one_thread: PhantomData<*mut ()>,
}

impl Ring {
    /// Makes a ring.
    pub fn new(setup: Setup) -> io::Result<Self> {
        let mut builder = IoUring::builder();

        // A forked child gets no view of the queues.
        builder.dontfork();
        match setup {
            Setup::Plain => {}
            Setup::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Setup::SqPoll => {
                builder.setup_sqpoll(SQPOLL_IDLE_MS);
            }
        }
        let uring = builder.build(MAX_BATCH as u32)?;

        Ok(Self {
            fd: uring.as_raw_fd(),
            uring: RefCell::new(uring),
            _one_thread: PhantomData,
        })
    }

    /// Makes a channel: `IORING_REGISTER_IPC_CHANNEL_CREATE` as it is.
    pub fn register_create(&self, create: &mut ChannelCreate) -> io::Result<()> {
        // SAFETY: `create` is what this operation reads and writes.
        unsafe { self.register(abi::REGISTER_CREATE, ptr::from_mut(create).cast(), 1) }
    }

    /// Becomes a subscriber: `IORING_REGISTER_IPC_CHANNEL_ATTACH` as it is.
    /// `channel_fd` of the answer is the caller's to close.
    pub fn register_attach(&self, attach: &mut ChannelAttach) -> io::Result<()> {
        // SAFETY: `attach` is what this operation reads and writes.
        unsafe { self.register(abi::REGISTER_ATTACH, ptr::from_mut(attach).cast(), 1) }
    }

    /// Ends a subscription of this ring: `IORING_REGISTER_IPC_CHANNEL_DETACH`.
    pub fn register_detach(&self, subscriber: u32) -> io::Result<()> {
        // SAFETY: this operation takes no memory.
        unsafe { self.register(abi::REGISTER_DETACH, ptr::null_mut(), subscriber) }
    }

    /// Ends a channel, whoever made it, where the caller may:
    /// `IORING_REGISTER_IPC_CHANNEL_DESTROY`.
    pub fn register_destroy(&self, channel: u32) -> io::Result<()> {
        // SAFETY: this operation takes no memory.
        unsafe { self.register(abi::REGISTER_DESTROY, ptr::null_mut(), channel) }
    }

    /// [`register`] for this ring.
    ///
    /// # Safety
    ///
    /// `arg` and `nr_args` have to be what `op` expects.
    pub unsafe fn register(&self, op: u32, arg: *mut c_void, nr_args: u32) -> io::Result<()> {
        // SAFETY: the caller vouches for the arguments.
        unsafe { register(self, op, arg, nr_args) }
    }

    /// Submits up to [`MAX_BATCH`] requests together and waits until each has
    /// completed. Completions are in the order the kernel posted them. Fails
    /// while there is an [`InFlight`](crate::InFlight) for this ring.
    ///
    /// # Safety
    ///
    /// What the requests point at has to be valid during the call, and where
    /// the kernel writes nobody else may look meanwhile. The requests must not
    /// post more than one completion each.
    pub unsafe fn run(&self, sqes: &[Sqe]) -> io::Result<Vec<Completion>> {
        if sqes.len() > MAX_BATCH {
            return Err(io::ErrorKind::InvalidInput.into());
        }

        let mut uring = self.take_queues()?;
        let entries: Vec<_> = sqes.iter().map(|sqe| sqe.into_entry()).collect();
        let mut done = Vec::with_capacity(sqes.len());

        // All become visible at once, or a kernel thread that looks in between
        // would take a chain of linked requests for two. There is room but for
        // the moment in which that thread has completed requests and not yet
        // given their slots back.
        //
        // SAFETY: the requests have completed when this function returns; until
        // then the caller vouches for what they point at.
        while unsafe { uring.submission().push_multiple(&entries) }.is_err() {
            std::thread::yield_now();
        }

        while done.len() < sqes.len() {
            if let Err(error) = uring.submit_and_wait(sqes.len() - done.len()) {
                match error.raw_os_error() {
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                    _ => {
                        // Requests may be under way, so that the caller's
                        // buffers cannot be given back.
                        eprintln!("io_uring_enter: {error}");
                        std::process::abort();
                    }
                }
            }
            done.extend(uring.completion().map(Completion::from));
        }
        Ok(done)
    }

    /// The queues, for one user at a time.
    pub(crate) fn take_queues(&self) -> io::Result<RefMut<'_, IoUring>> {
        self.uring
            .try_borrow_mut()
            .map_err(|_| io::ErrorKind::ResourceBusy.into())
    }

    /// [`Ring::run`] for one request.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn run_one(&self, sqe: Sqe) -> io::Result<usize> {
        // SAFETY: the caller vouches for it.
        unsafe { self.run(&[sqe]) }?[0].result()
    }
}

/// `io_uring_register(2)` for any ring, which the `io_uring` crate has no open door to.
///
/// # Safety
///
/// `arg` and `nr_args` have to be what `op` expects.
pub unsafe fn register(
    ring: &impl AsRawFd,
    op: u32,
    arg: *mut c_void,
    nr_args: u32,
) -> io::Result<()> {
    let fd = ring.as_raw_fd();
    // SAFETY: the caller vouches for the arguments.
    let ret = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, op, arg, nr_args) };

    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `IORING_OP_NOP` is the zero opcode: the queues without any channel.
    #[test]
    fn full_batches_with_every_setup() {
        for setup in Setup::ALL {
            let Ok(ring) = Ring::new(setup) else {
                eprintln!("no io_uring here ({})", setup.name());
                continue;
            };

            for round in 0..300 {
                let sqes: Vec<_> = (0..MAX_BATCH as u64)
                    .map(|number| Sqe {
                        fd: -1,
                        user_data: round * 100 + number,
                        ..Sqe::default()
                    })
                    .collect();
                // SAFETY: the requests point at no memory.
                let done = unsafe { ring.run(&sqes) }.unwrap();

                for (sqe, completion) in sqes.iter().zip(&done) {
                    assert_eq!(completion.user_data, sqe.user_data);
                    assert_eq!(completion.res, 0);
                }
                assert_eq!(done.len(), sqes.len());
            }

            // SAFETY: as above.
            assert!(unsafe { ring.run(&[Sqe::default(); MAX_BATCH + 1]) }.is_err());
        }
    }

    #[test]
    fn unknown_opcode() {
        let Ok(ring) = Ring::new(Setup::Plain) else {
            return;
        };
        let bad = Sqe {
            opcode: 255,
            ..Sqe::default()
        };
        // One that fails early does not keep the others from being submitted.
        // SAFETY: the requests point at no memory.
        let done = unsafe { ring.run(&[Sqe::default(), bad, Sqe::default()]) }.unwrap();
        let results: Vec<_> = done.iter().map(|completion| completion.res).collect();

        assert_eq!(results, [0, -libc::EINVAL, 0]);
    }
}
