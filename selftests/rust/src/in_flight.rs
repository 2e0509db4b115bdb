// SPDX-License-Identifier: GPL-2.0

//! Requests that wait in the kernel, with the memory they use.

use crate::provided::Pool;
use crate::request::{Data, Done, Memory, Request};
use crate::ring::{Completion, Ring, MAX_BATCH};
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::IoUring;
use std::cell::RefMut;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long requests may take to end when they are cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// The requests under way on a ring, which meanwhile has no others. Dropping it
/// cancels what is left.
///
/// ```no_run
/// use io_uring_ipc::{abi, ChannelConfig, InFlight, Request, Ring, Setup};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let ring = Ring::new(Setup::Plain)?;
/// let channel = ring.create(&ChannelConfig::default())?;
/// let receiver = channel.attach(abi::SUB_RECV)?;
///
/// let mut requests = InFlight::new(&ring)?;
/// let group = requests.provide(16, 4096)?;
/// requests.start([Request::recv_multishot(receiver.id(), group)])?;
/// loop {
///     let done = requests.next(Duration::from_secs(60))?;
///     println!("{} bytes", done.completion().result()?);
///     if !done.completion().more() {
///         break; // the completion queue was full: start again
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct InFlight<'ring> {
    uring: RefMut<'ring, IoUring>,
    running: HashMap<u64, Memory>,
    pools: Vec<Rc<Pool>>,
    arrived: VecDeque<Completion>,
}

impl<'ring> InFlight<'ring> {
    /// Takes the ring's queues, if nobody has them.
    pub fn new(ring: &'ring Ring) -> io::Result<Self> {
        Ok(Self {
            uring: ring.take_queues()?,
            running: HashMap::new(),
            pools: Vec::new(),
            arrived: VecDeque::new(),
        })
    }

    /// Provides `count` (a power of two) buffers of `size` bytes, and gives the
    /// number of their group.
    pub fn provide(&mut self, count: u16, size: usize) -> io::Result<u16> {
        let pool = Rc::new(Pool::new(count, size)?);
        let group = u16::try_from(self.pools.len()).map_err(io::Error::other)?;

        // SAFETY: `self` keeps the pool. When that is dropped, no request is
        // left and the group is unregistered first.
        unsafe { pool.register(&self.uring.submitter(), group) }?;
        self.pools.push(pool);
        Ok(group)
    }

    /// How many requests have not ended.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Starts up to [`MAX_BATCH`] requests together.
    pub fn start(&mut self, requests: impl IntoIterator<Item = Request>) -> io::Result<()> {
        let requests: Vec<_> = requests.into_iter().collect();
        let mut numbers = HashSet::new();
        let is_new = |number| !self.running.contains_key(&number) && numbers.insert(number);

        if requests.len() > MAX_BATCH
            || !requests
                .iter()
                .map(|request| request.sqe.user_data)
                .all(is_new)
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }

        let entries: Vec<_> = requests
            .iter()
            .map(|request| request.sqe.into_entry())
            .collect();
        for request in requests {
            self.running.insert(request.sqe.user_data, request.memory);
        }
        // See Ring::run() for why together, and why there is room soon.
        //
        // SAFETY: what the requests point at is in `running` until they end.
        while unsafe { self.uring.submission().push_multiple(&entries) }.is_err() {
            std::thread::yield_now();
        }
        self.submit()
    }

    /// Returns when the kernel has taken all requests.
    fn submit(&mut self) -> io::Result<()> {
        loop {
            if let Err(error) = self.uring.submit() {
                try_again(error)?;
            }
            if self.uring.submission().is_empty() {
                return Ok(());
            }
            self.reap();
            std::thread::yield_now();
        }
    }

    fn reap(&mut self) {
        let completions = self.uring.completion().map(Completion::from);

        self.arrived.extend(completions);
    }

    /// The next completion, or `TimedOut`.
    pub fn next(&mut self, limit: Duration) -> io::Result<Done> {
        let deadline = Instant::now() + limit;

        loop {
            self.reap();
            if let Some(completion) = self.arrived.pop_front() {
                return self.finish(completion);
            }
            if !self.sleep(deadline)? {
                self.reap();
                if self.arrived.is_empty() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    /// Waits for a completion; false if the time is over.
    fn sleep(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = Timespec::from(deadline.saturating_duration_since(Instant::now()));
        let args = SubmitArgs::new().timespec(&left);

        match self.uring.submitter().submit_with_args(1, &args) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(false),
            Err(error) => try_again(error).map(|()| true),
        }
    }

    /// Takes back the memory of a request that has ended, and the buffer.
    fn finish(&mut self, completion: Completion) -> io::Result<Done> {
        let number = completion.user_data;
        let memory = self.running.get(&number);
        let group = match memory {
            None => return Err(io::Error::other(format!("no request {number} runs"))),
            Some(Memory::Group(group)) => self.pools.get(usize::from(*group)),
            Some(_) => None,
        };
        let len = usize::try_from(completion.res).unwrap_or(0);
        let mut data = match (completion.buffer(), group) {
            (None, _) => Data::None,
            (Some(id), Some(pool)) => Data::Provided(pool.take(id, len)?),
            (Some(_), None) => return Err(io::Error::other("a buffer of no group of ours")),
        };

        if !completion.more() {
            if let Some(Memory::Bytes(bytes)) = self.running.remove(&number) {
                data = Data::Bytes(bytes);
            }
        }
        Ok(Done { completion, data })
    }

    fn cancel_all(&mut self) {
        let limit = Timespec::from(Duration::from_secs(1));
        let deadline = Instant::now() + CANCEL_LIMIT;

        while !self.running.is_empty() {
            // One that has just ended need not be found.
            let _ = self
                .uring
                .submitter()
                .register_sync_cancel(Some(limit), CancelBuilder::any());
            let _ = self.next(Duration::from_millis(20));

            if Instant::now() > deadline {
                // The kernel may use their memory whenever it likes.
                eprintln!(
                    "requests do not end, even when cancelled: {:?}",
                    self.running.keys()
                );
                std::process::abort();
            }
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.cancel_all();
        for group in 0..self.pools.len() as u16 {
            // Where it fails the kernel has buffers that nobody asks for.
            let _ = self.uring.submitter().unregister_buf_ring(group);
        }
    }
}

/// Errors of io_uring_enter(2) after which it may be called again.
fn try_again(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Setup;
    use crate::sqe::Sqe;

    use io_uring::opcode::{Read, ReadMulti};
    use io_uring::types::Fd;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    const LIMIT: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(20);

    /// A socket in place of a channel, which there may be none of.
    fn read(from: &impl AsRawFd) -> Request {
        let mut buffer = vec![0; 8];

        Request {
            sqe: Sqe::from_entry(Read::new(Fd(from.as_raw_fd()), buffer.as_mut_ptr(), 8).build()),
            memory: Memory::Bytes(buffer),
        }
    }

    fn read_multishot(from: &impl AsRawFd, group: u16) -> Request {
        Request {
            sqe: Sqe::from_entry(ReadMulti::new(Fd(from.as_raw_fd()), 0, group).build()),
            memory: Memory::Group(group),
        }
    }

    /// Runs a test with each set-up of rings, where the machine lets us.
    fn each_setup(test: impl Fn(&Ring)) {
        for setup in Setup::ALL {
            match Ring::new(setup) {
                Ok(ring) => test(&ring),
                Err(error) => eprintln!("no io_uring here ({}): {error}", setup.name()),
            }
        }
    }

    #[test]
    fn waits_and_is_cancelled() {
        each_setup(|ring| {
            let (from, mut to) = UnixStream::pair().unwrap();
            let mut requests = InFlight::new(ring).unwrap();

            requests.start([read(&from).user_data(1)]).unwrap();
            let early = requests.next(SHORT).err().unwrap();
            assert_eq!(early.kind(), io::ErrorKind::TimedOut);

            to.write_all(b"hello").unwrap();
            let done = requests.next(LIMIT).unwrap();
            assert_eq!(done.bytes(), b"hello");
            assert_eq!((done.completion().user_data, requests.running()), (1, 0));

            let (wait, cancel) = (read(&from).user_data(2), Request::cancel(2).user_data(3));
            requests.start([wait]).unwrap();
            requests.start([cancel]).unwrap();
            for _ in 0..2 {
                let done = requests.next(LIMIT).unwrap().completion();
                let expected = if done.user_data == 2 {
                    -libc::ECANCELED
                } else {
                    0
                };
                assert_eq!(done.res, expected);
            }

            // Dropped while one waits, with whose memory nothing may happen.
            requests.start([read(&from)]).unwrap();
            drop(requests);
            to.write_all(b"later").unwrap();
            assert!(InFlight::new(ring).unwrap().next(SHORT).is_err());
        });
    }

    #[test]
    fn buffers_go_round() {
        each_setup(|ring| {
            let (from, mut to) = UnixStream::pair().unwrap();
            let mut requests = InFlight::new(ring).unwrap();
            let group = requests.provide(2, 16).unwrap();

            requests.start([read_multishot(&from, group)]).unwrap();
            for round in 0..100_u8 {
                to.write_all(&[round; 3]).unwrap();
                let done = requests.next(LIMIT).unwrap();

                assert_eq!(done.bytes(), [round; 3]);
                assert!(done.completion().more());
            }

            let mut kept = Vec::new();
            for _ in 0..2 {
                to.write_all(b"x").unwrap();
                kept.push(requests.next(LIMIT).unwrap());
            }
            to.write_all(b"one too many").unwrap();
            let last = requests.next(LIMIT).unwrap().completion();
            assert_eq!((last.res, last.more()), (-libc::ENOBUFS, false));
            assert_eq!(requests.running(), 0);

            // Those kept are good even when the kernel knows no group any more.
            drop(requests);
            assert!(kept.iter().all(|done| done.bytes() == b"x"));
        });
    }

    #[test]
    fn one_user_and_one_number_each() {
        each_setup(|ring| {
            let (from, _to) = UnixStream::pair().unwrap();
            let mut requests = InFlight::new(ring).unwrap();

            assert!(requests.start([read(&from), read(&from)]).is_err());
            requests.start([read(&from)]).unwrap();
            assert!(requests.start([read(&from)]).is_err());
            assert!(InFlight::new(ring).is_err());
            // SAFETY: the request is not started.
            assert!(unsafe { ring.run(&[Sqe::default()]) }.is_err());
        });
    }
}
