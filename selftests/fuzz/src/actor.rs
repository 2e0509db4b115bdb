// SPDX-License-Identifier: GPL-2.0

//! One thread or process of a program, and what its calls mean.

use crate::feedback::{Broken, Feedback};
use crate::kcov::Kcov;
use crate::pages::{Pages, PAGE, PAGES};
use crate::program::{Actor, Attach, Call, Create, Odd, Request, Transfer};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{cqueue, opcode, squeue, EnterFlags, IoUring};
use io_uring_ipc::abi::{self, ChannelAttach, ChannelCreate, MsgHdr};
use io_uring_ipc::register;
use io_uring_ipc::sqe::{Sqe, BUFFER_SELECT, IO_LINK};
use std::fs;
use std::io::Write;
use std::mem::{discriminant, offset_of, size_of};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// In the number of a request that has to fail.
const MUST_FAIL: u64 = 1 << 63;
/// In the number of a receive whose result counts no more than its buffer has.
const LIMITED: u64 = 1 << 62;
/// In the number of any receive.
const RECEIVE: u64 = 1 << 61;
/// In the number of a receive that has asked for headers.
const HEADER: u64 = 1 << 60;
const MOST_MAPS: usize = 4;
/// For requests with a limit: the kernel reads them some time later.
static TIMES: [Timespec; 3] = [
    Timespec::new(),
    Timespec::new().nsec(100_000),
    Timespec::new().nsec(3_000_000),
];
const MOST_FILES: usize = 64;
const ROUNDS: u8 = 16;

/// Whether every result is told, to people.
pub static TRACE: AtomicBool = AtomicBool::new(false);

/// How long a call waits: mostly not at all.
fn pause(number: u8) -> Duration {
    Duration::from_millis(u64::from(number.saturating_sub(192) / 32))
}

/// Whether a request of this number and result has received something that was sent for sure: a
/// message of length 0 may be a notice of who has come or gone.
fn has_payload(number: u64, res: i32) -> bool {
    let header = if number & HEADER != 0 {
        size_of::<MsgHdr>() as i32
    } else {
        0
    };

    number & RECEIVE != 0 && res > header
}

/// What the words of a register call's argument are.
struct Form {
    /// From here on reserved.
    reserved: usize,
    /// Up to here as they were, where the call fails.
    kept: usize,
}

struct Run<'a> {
    feedback: &'a Feedback,
    pages: Pages,
    uring: IoUring,
    requests: u64,
    /// The numbers of some sends and receives, as their SQEs have them.
    recent: [u64; 8],
    /// Files of subscribers, with the regions' sizes.
    files: Vec<(i32, usize)>,
    maps: Vec<(*mut libc::c_void, usize)>,
    kcov: Option<Kcov>,
}

/// Does it all.
pub fn act(actor: &Actor, pages: Pages, feedback: &Feedback) {
    let kcov = Kcov::start();
    let Ok(uring) = open_ring(actor.setup) else {
        return;
    };
    let mut run = Run {
        feedback,
        pages,
        uring,
        requests: 0,
        recent: [0; 8],
        files: Vec::new(),
        maps: Vec::new(),
        kcov,
    };

    for _ in 0..=actor.again % ROUNDS {
        for call in &actor.calls {
            let result = run.call(call);

            if TRACE.load(Ordering::Relaxed) {
                eprintln!("{call:?} = {result}");
            }
            feedback.operations.fetch_add(1, Ordering::Relaxed);
            feedback.signal((discriminant(call), result));
            if let Some(kcov) = &run.kcov {
                kcov.look(feedback);
            }
        }
    }
    run.reap(Duration::ZERO);
    // Regions stay mapped, and files open, beyond the ring.
    drop(run.uring);
    if let Some(kcov) = &run.kcov {
        kcov.look(feedback);
    }
}

fn open_ring(setup: u8) -> std::io::Result<IoUring> {
    let mut builder = IoUring::builder();

    if setup & 1 != 0 {
        builder.setup_single_issuer();
        if setup & 2 != 0 {
            builder.setup_defer_taskrun();
        }
    }
    // Threads that poll are slow to make, so not half of all.
    if setup & 0b101_1100 == 0b1_1100 {
        builder.setup_sqpoll(1);
    } else if setup & 4 != 0 {
        builder.setup_coop_taskrun();
    }
    if setup & 32 != 0 {
        builder.setup_submit_all();
    }
    if setup & 64 != 0 {
        // Completions overflow.
        builder.setup_cqsize(16);
    }
    builder.build(16)
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The result of a system call as one number, -errno where it failed.
fn result(returned: i32) -> i32 {
    if returned < 0 {
        -errno()
    } else {
        0
    }
}

impl Run<'_> {
    fn call(&mut self, call: &Call) -> i32 {
        match call {
            Call::Create(create) => self.create(create),
            Call::Attach(attach) => self.attach(attach),
            Call::Detach(id, odd) => self.end(abi::REGISTER_DETACH, *id, *odd),
            Call::Destroy(id, odd) => self.end(abi::REGISTER_DESTROY, *id, *odd),
            Call::Submit(requests, wait) => self.submit(requests, *wait),
            Call::Reap(ms) => self.reap(pause(*ms)),
            Call::GiveBuffers(group, kind) => self.give_buffers(*group, *kind),
            Call::TakeBuffers(group) => self
                .uring
                .submitter()
                .unregister_buf_ring(u16::from(*group % 3))
                .map_or_else(|error| -error.raw_os_error().unwrap_or(0), |()| 0),
            Call::Page(page, game) => result(self.pages.play(*page, game)),
            Call::Map(of, offset) => self.map(*of, *offset),
            Call::Unmap => {
                let Some((start, size)) = self.maps.pop() else {
                    return 1;
                };
                // SAFETY: the map is ours, and nobody borrows from it.
                result(unsafe { libc::munmap(start, size) })
            }
            Call::Poll(on, events, ms) => self.poll(*on, *events, *ms),
            Call::Fdinfo(of) => self.fdinfo(*of),
            Call::Close(of) => {
                let Some(index) = usize::from(*of).checked_rem(self.files.len()) else {
                    return 1;
                };
                // SAFETY: the file is ours, and forgotten.
                result(unsafe { libc::close(self.files.swap_remove(index).0) })
            }
            Call::SetMode(of, mode) => self.set_mode(*of, *mode),
            Call::Reopen(setup) => match open_ring(*setup) {
                Ok(uring) => {
                    self.uring = uring;
                    0
                }
                Err(error) => -error.raw_os_error().unwrap_or(0),
            },
            Call::Fork(ms) => linger(u32::from(*ms % 8)),
            Call::Become => {
                // SAFETY: no memory is involved. The system call: the library's function would do
                // it to all threads.
                result(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) } as i32)
            }
            // SAFETY: no memory is involved.
            Call::Unshare => result(unsafe { libc::unshare(libc::CLONE_NEWIPC) }),
        }
    }

    /// A channel's or subscriber's id, of this or another actor, or one of nobody.
    fn id(&self, number: u8) -> u32 {
        match number {
            0..128 => self.feedback.subscribers.get(number % 8),
            128..224 => self.feedback.channels.get(number % 4),
            224..240 => u32::from(number) - 224,
            _ => u32::from(number).wrapping_mul(0x0808_0808),
        }
    }

    /// A subscriber's file, or something else that is open, or nothing.
    fn file(&self, number: u8) -> i32 {
        match usize::from(number).checked_rem(self.files.len()) {
            Some(index) if number < 224 => self.files[index].0,
            _ => i32::from(number) - 224,
        }
    }

    fn set_mode(&self, of: u8, mode: u8) -> i32 {
        // One in four has bits that are not for reading or writing.
        let mode = if mode < 192 {
            u32::from(mode & 0o66) | u32::from(mode & 0o6) << 6
        } else {
            u32::from(mode) << (mode % 24)
        };
        // SAFETY: the command takes a number.
        let outcome = result(unsafe { libc::ioctl(self.file(of), abi::IOC_SET_MODE.into(), mode) });

        if outcome == 0 && of < 224 && mode & !0o666 != 0 {
            self.feedback.breaks(Broken::UnknownAccepted);
        }
        outcome
    }

    fn channel(&self, number: u8) -> u32 {
        if number < 224 {
            self.id(128 + number % 96)
        } else {
            self.id(number)
        }
    }

    /// A register call whose argument may be odd. `form` says what the argument's words are, and
    /// `refused` whether the call has to fail.
    fn register<T: Copy>(
        &self,
        op: u32,
        argument: &mut T,
        odd: &Odd,
        form: &Form,
        refused: bool,
    ) -> i32 {
        let Form { reserved, kept } = *form;
        let words = size_of::<T>() / 4;
        let start = ptr::from_mut(argument).cast::<u32>();
        let mut refused = refused;
        let mut count = 1;
        let mut at: *mut libc::c_void = start.cast();

        match *odd {
            Odd::No => {}
            Odd::NoArgument => at = ptr::null_mut(),
            Odd::BadAddress => at = ptr::without_provenance_mut(usize::MAX - 8),
            Odd::ReadOnly => at = self.pages.address(0),
            Odd::Count(number) => {
                count = u32::from(number);
                refused |= number != 1;
            }
            Odd::Reserved(number) => {
                let word = reserved + usize::from(number) % (words - reserved);
                // SAFETY: inside the argument, which is plain words.
                unsafe { start.add(word).write(1 << (number % 32)) };
                refused = true;
            }
        }
        // SAFETY: the argument is plain words.
        let before = unsafe { std::slice::from_raw_parts(start, words) }.to_vec();
        // SAFETY: the kernel gets what the operation takes, or what it has to refuse, or a page
        // that is there to be written.
        let outcome = unsafe { register(&self.uring, op, at, count) };
        // SAFETY: as above.
        let after = unsafe { std::slice::from_raw_parts(start, words) };

        match outcome {
            Ok(()) => {
                if refused {
                    self.feedback.breaks(Broken::UnknownAccepted);
                }
                0
            }
            Err(error) => {
                if before[..kept] != after[..kept] {
                    self.feedback.breaks(Broken::FailedAndChanged);
                }
                -error.raw_os_error().unwrap_or(0)
            }
        }
    }

    fn create(&mut self, create: &Create) -> i32 {
        let entries = match create.entries {
            number @ 0..192 => 1 << (number % 8),
            number @ 192..224 => 1 << (number % 16),
            number => u32::from(number) - 224,
        };
        let size = match create.size {
            number @ 0..192 => u32::from(number) * 8 + 1,
            number @ 192..224 => (u32::from(number) - 191) << 15,
            255 => 0,
            number => u32::from(number) - 224,
        };
        let flags = u32::from(create.flags % 32);
        let mut argument = ChannelCreate {
            flags,
            ring_entries: entries,
            max_msg_size: size,
            mode: if create.mode < 128 {
                0o666
            } else {
                u32::from(create.mode) << 1
            },
            key: u64::from(create.key % 8),
            ..ChannelCreate::default()
        };
        let both = abi::F_BROADCAST | abi::F_MULTICAST;
        let refused = flags > 15
            || flags & both == both
            || flags & (abi::F_LOSSY | abi::F_BROADCAST) == abi::F_LOSSY
            || !entries.is_power_of_two()
            || entries > abi::MAX_RING_ENTRIES
            || size == 0
            || size > abi::MAX_MSG_SIZE;
        self.feedback
            .broadcasts
            .fetch_add(flags & abi::F_BROADCAST, Ordering::Relaxed);
        let form = Form {
            reserved: offset_of!(ChannelCreate, reserved) / 4,
            kept: size_of::<ChannelCreate>() / 4,
        };
        let outcome = self.register(
            abi::REGISTER_CREATE,
            &mut argument,
            &create.odd,
            &form,
            refused,
        );

        if outcome == 0 && create.odd == Odd::No {
            if argument.channel_id_out == 0 {
                self.feedback.breaks(Broken::NoId);
            }
            self.feedback.add_channel(argument.channel_id_out);
        }
        outcome
    }

    fn attach(&mut self, attach: &Attach) -> i32 {
        let known = abi::SUB_ALL;
        // One in eight has bits that nobody knows.
        let flags = u32::from(attach.flags) & if attach.flags < 224 { known } else { 255 };
        let from_fd = flags & abi::SUB_FROM_FD != 0;
        let mut argument = ChannelAttach {
            channel_id: if from_fd {
                self.file(attach.channel) as u32
            } else {
                self.channel(attach.channel)
            },
            flags,
            key: if attach.key < 192 {
                0
            } else {
                u64::from(attach.key % 8)
            },
            ..ChannelAttach::default()
        };
        let for_receivers = abi::SUB_REPLAY | abi::SUB_LOSSY | abi::SUB_EVENTS;
        let refused = flags & !known != 0
            || flags & abi::SUB_BOTH == 0
            || (from_fd && argument.key != 0)
            || (flags & for_receivers != 0 && flags & abi::SUB_RECV == 0);
        // What is out is written before the last reason to fail.
        let form = Form {
            reserved: offset_of!(ChannelAttach, reserved) / 4,
            kept: offset_of!(ChannelAttach, channel_fd) / 4,
        };
        let outcome = self.register(
            abi::REGISTER_ATTACH,
            &mut argument,
            &attach.odd,
            &form,
            refused,
        );

        if outcome == 0 && attach.odd == Odd::No {
            if argument.local_id_out == 0 || argument.channel_fd < 0 {
                self.feedback.breaks(Broken::NoId);
            }
            self.feedback.add_subscriber(argument.local_id_out);
            self.files
                .push((argument.channel_fd, argument.region_size as usize));
            if self.files.len() > MOST_FILES {
                // SAFETY: the file is ours, and forgotten.
                unsafe { libc::close(self.files.remove(0).0) };
            }
        }
        outcome
    }

    fn end(&mut self, op: u32, id: u8, odd: bool) -> i32 {
        let id = if op == abi::REGISTER_DETACH {
            self.id(id)
        } else {
            self.channel(id)
        };
        let argument = if odd {
            self.pages.address(0)
        } else {
            ptr::null_mut()
        };
        // SAFETY: the operation takes no memory, and has to refuse an argument.
        let outcome = unsafe { register(&self.uring, op, argument, id) };

        if odd && outcome.is_ok() {
            self.feedback.breaks(Broken::UnknownAccepted);
        }
        outcome.map_or_else(|error| -error.raw_os_error().unwrap_or(0), |()| 0)
    }

    fn transfer(&mut self, transfer: &Transfer, send: bool) -> squeue::Entry {
        let address = self.pages.address(transfer.page);
        let len = match transfer.len {
            number @ 0..128 => u32::from(number),
            number @ 128..250 => (u32::from(number) - 127) * 67,
            // Up to the end of the pages and beyond.
            250 => (PAGES * PAGE) as u32,
            251 => u32::MAX,
            252 => 1 << 20,
            _ => 0,
        };
        // One bit in eight that nobody knows.
        let known = if send { 1 } else { 15 };
        let flags = u16::from(transfer.flags) & if transfer.flags < 224 { known } else { 31 };
        // FIXED_FILE is refused, and stays so.
        let sqe_flags = transfer.sqe_flags & 0x7e;
        let mut sqe = if send {
            Sqe::send(self.id(transfer.by), address.cast(), 0)
        } else {
            Sqe::recv(self.id(transfer.by), address.cast(), 0)
        };
        let mut number = self.requests << 8;
        let mut refused = flags & !known != 0;

        sqe.len = len;
        sqe.ioprio = flags;
        sqe.flags = sqe_flags;
        if send {
            sqe.flags &= !BUFFER_SELECT;
            if transfer.other >= 128 {
                sqe.file_index = self.id(transfer.other - 128);
            }
        } else {
            if flags & abi::RECV_MULTISHOT != 0 && transfer.other < 192 {
                sqe.flags |= BUFFER_SELECT;
                sqe.flags &= !io_uring_ipc::sqe::CQE_SKIP_SUCCESS;
            }
            if sqe.flags & BUFFER_SELECT != 0 {
                sqe.addr = 0;
                sqe.buf_index = u16::from(transfer.other % 3);
                sqe.len %= 256;
            } else if flags & abi::RECV_TRUNC == 0 {
                number |= LIMITED;
            }
        }
        match transfer.odd {
            248 => sqe.off = 1,
            249 => sqe.rw_flags = 1,
            250 => sqe.addr3 = 1,
            251 => sqe.pad2 = 1,
            252 if !send => sqe.file_index = 1,
            253 if send => sqe.buf_index = 1,
            254 => sqe.personality = 77,
            _ => {}
        }
        refused |= (248..=251).contains(&transfer.odd);
        refused |= transfer.odd == if send { 253 } else { 252 };
        if refused {
            number |= MUST_FAIL;
        }
        if send {
            self.feedback.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            number |= RECEIVE;
            if flags & abi::RECV_HDR != 0 {
                number |= HEADER;
            }
        }
        sqe.user_data = number | u64::from(sqe.len.min(255));
        if number & LIMITED != 0 && sqe.len >= 255 {
            sqe.user_data &= !LIMITED;
        }
        self.recent.rotate_right(1);
        self.recent[0] = sqe.user_data;
        sqe.into_entry()
    }

    fn request(&mut self, request: &Request) -> squeue::Entry {
        let number = self.requests << 8;
        let entry = match request {
            Request::Send(transfer) => return self.transfer(transfer, true),
            Request::Receive(transfer) => return self.transfer(transfer, false),
            Request::Cancel(which, flags) => {
                let mut sqe = Sqe::from_entry(opcode::AsyncCancel::new(0).build());

                // One of those before, or what the flags say: by opcode, by file, or any.
                sqe.addr = self.recent[usize::from(*which) % self.recent.len()];
                sqe.rw_flags = u32::from(*flags % 64);
                sqe.len = u32::from(abi::OP_SEND) + u32::from(*which % 2);
                sqe.fd = self.files.first().map_or(0, |(file, _)| *file);
                sqe.into_entry()
            }
            Request::PollAdd(on, events) => {
                let file = usize::from(*on)
                    .checked_rem(self.files.len())
                    .map_or(-1, |index| self.files[index].0);

                opcode::PollAdd::new(Fd(file), u32::from(*events))
                    .multi(*events >= 128)
                    .build()
            }
            Request::LinkTimeout(ms) => {
                opcode::LinkTimeout::new(&TIMES[usize::from(*ms) % TIMES.len()]).build()
            }
            Request::Nop(flags) => {
                let mut sqe = Sqe::from_entry(opcode::Nop::new().build());

                sqe.flags = flags & (IO_LINK | 0x5a);
                sqe.into_entry()
            }
            Request::Provide(group, count) => {
                let address = self.pages.address(*count).cast();

                opcode::ProvideBuffers::new(
                    address,
                    i32::from(*count) + 1,
                    u16::from(*count % 8) + 1,
                    u16::from(*group % 3),
                    0,
                )
                .build()
            }
        };

        entry.user_data(number)
    }

    fn submit(&mut self, requests: &[Request], wait: u8) -> i32 {
        let mut entries = Vec::new();

        for request in requests {
            self.requests += 1;
            entries.push(self.request(request));
        }
        self.feedback
            .operations
            .fetch_add(entries.len() as u64, Ordering::Relaxed);
        // SAFETY: what requests point at is pages that stay and are the kernel's, or `TIMES`.
        if unsafe { self.uring.submission().push_multiple(&entries) }.is_err() {
            // A chain that was not taken as a whole keeps the queue full.
            let _ = self.uring.submit();
            return 1;
        }
        let outcome = self.uring.submit();

        self.reap(pause(wait));
        outcome.map_or_else(|error| -error.raw_os_error().unwrap_or(0), |_| 0)
    }

    fn reap(&mut self, limit: Duration) -> i32 {
        let outcome = if limit.is_zero() {
            // SAFETY: no argument is used.
            unsafe {
                self.uring.submitter().enter::<libc::sigset_t>(
                    0,
                    0,
                    EnterFlags::GETEVENTS.bits(),
                    None,
                )
            }
        } else {
            let limit = Timespec::from(limit);
            let args = SubmitArgs::new().timespec(&limit);

            self.uring.submitter().submit_with_args(1, &args)
        };
        let done: Vec<_> = self.uring.completion().collect();

        done.into_iter().for_each(|done| self.completed(&done));
        outcome.map_or_else(|error| -error.raw_os_error().unwrap_or(0), |_| 0)
    }

    fn completed(&self, done: &cqueue::Entry) {
        let number = done.user_data();
        let res = done.result();

        if number & MUST_FAIL != 0 && res >= 0 {
            self.feedback.breaks(Broken::UnknownAccepted);
        }
        if number & LIMITED != 0 && res > (number & 255) as i32 {
            self.feedback.breaks(Broken::TooMany);
        }
        if TRACE.load(Ordering::Relaxed) {
            eprintln!(
                "  request {:x} = {res}, flags {:x}",
                number >> 8,
                done.flags()
            );
        }
        if has_payload(number, res) {
            self.feedback.received.fetch_add(1, Ordering::Relaxed);
        }
        // How it ended, which buffers aside.
        self.feedback
            .signal((res.min(0), done.flags() & 0xffff, number & MUST_FAIL));
    }

    fn give_buffers(&mut self, group: u8, kind: u8) -> i32 {
        const COUNT: u16 = 8;
        let page = self.pages.address(8 + group % 3);
        let flags = u16::from(kind & 2);
        // SAFETY: the page is the kernel's for as long as this process lives, however it is
        // mapped; the kernel checks.
        let outcome = unsafe {
            self.uring.submitter().register_buf_ring_with_flags(
                page as u64,
                COUNT,
                u16::from(group % 3),
                flags,
            )
        };
        if let Err(error) = outcome {
            return -error.raw_os_error().unwrap_or(0);
        }

        // Written by the kernel, since the page may be gone: address, length and number of each,
        // and the tail in the last two bytes of the first.
        let mut bytes = Vec::new();
        for number in 0..COUNT {
            let address = self.pages.address(number as u8) as u64;
            let len = if kind & 4 != 0 { 40 } else { PAGE as u32 };
            let tail = if number == 0 { COUNT } else { 0 };

            bytes.extend(address.to_ne_bytes());
            bytes.extend(len.to_ne_bytes());
            bytes.extend(number.to_ne_bytes());
            bytes.extend(tail.to_ne_bytes());
        }
        write_somewhere(page, &bytes)
    }

    fn map(&mut self, of: u8, offset: u8) -> i32 {
        let Some(index) = usize::from(of).checked_rem(self.files.len()) else {
            return 1;
        };
        let (file, size) = self.files[index];
        let offset = if offset < 192 { 0 } else { offset % 4 };
        let (size, protection) = match offset {
            0 => (size, libc::PROT_READ),
            1 => (size + PAGE, libc::PROT_READ),
            2 => (PAGE, libc::PROT_READ | libc::PROT_WRITE),
            _ => (PAGE, libc::PROT_READ),
        };
        // SAFETY: a new map, wherever the kernel puts it, hurts nobody.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size,
                protection,
                libc::MAP_SHARED,
                file,
                libc::off_t::from(offset / 3) * PAGE as libc::off_t,
            )
        };

        if start == libc::MAP_FAILED {
            return -errno();
        }
        // SAFETY: the map is a page at least, which the kernel has put there whole.
        unsafe { &*start.cast::<AtomicU64>() }.load(Ordering::Relaxed);
        if self.maps.len() < MOST_MAPS {
            self.maps.push((start, size));
        }
        0
    }

    fn poll(&self, on: u8, events: u8, ms: u8) -> i32 {
        let Some(index) = usize::from(on).checked_rem(self.files.len()) else {
            return 1;
        };
        let mut poll = libc::pollfd {
            fd: self.files[index].0,
            events: i16::from(events),
            revents: 0,
        };

        // SAFETY: `poll` is one valid entry.
        let outcome = unsafe { libc::poll(&mut poll, 1, pause(ms).as_millis() as i32) };
        if outcome < 0 {
            -errno()
        } else {
            i32::from(poll.revents)
        }
    }

    fn fdinfo(&self, of: u8) -> i32 {
        let Some(index) = usize::from(of).checked_rem(self.files.len()) else {
            return 1;
        };
        let path = format!("/proc/thread-self/fdinfo/{}", self.files[index].0);

        fs::read_to_string(path).map_or_else(|error| -error.raw_os_error().unwrap_or(0), |_| 0)
    }
}

/// Writes to memory that may not be there, by way of the kernel.
fn write_somewhere(to: *mut libc::c_void, bytes: &[u8]) -> i32 {
    let Ok((from, mut to_kernel)) = UnixStream::pair() else {
        return -errno();
    };

    // A socket takes that much.
    if to_kernel.write_all(bytes).is_err() {
        return -errno();
    }
    // SAFETY: the kernel writes to a page that is the program's to ruin.
    result(unsafe { libc::read(from.as_raw_fd(), to, bytes.len()) } as i32)
}

/// A child with everything open, for a while.
fn linger(ms: u32) -> i32 {
    // SAFETY: the child calls nothing but the kernel, other threads may have had locks.
    unsafe {
        match libc::fork() {
            0 => {
                libc::usleep(ms * 1000);
                libc::_exit(0);
            }
            child => result(child),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_not_messages() {
        assert!(has_payload(RECEIVE, 1));
        assert!(has_payload(RECEIVE | HEADER, 49));
        for (number, res) in [(RECEIVE, 0), (RECEIVE | HEADER, 48), (RECEIVE, -5), (0, 1)] {
            assert!(!has_payload(number, res), "{number:x} {res}");
        }
    }
}
