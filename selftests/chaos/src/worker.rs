// SPDX-License-Identifier: GPL-2.0

//! One process of the chaos: does its plan, and keeps its journal.

use crate::event::Event;
use crate::message::{self, Number, HEADER_LEN};
use crate::plan::{Plan, RingKind, Step};
use crate::shared::{Buffers, Mapped, Phase, Shared, Slot, BUFFERS, BUFFER_SIZE, CHANNELS, LONELY};
use anyhow::{bail, ensure, Context, Result};
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{opcode, squeue, types::Fd, EnterFlags, IoUring};
use io_uring_ipc::abi::{self, ChannelAttach, ChannelCreate};
use io_uring_ipc::sqe::{Sqe, ASYNC, IO_LINK};
use io_uring_ipc::{register, Completion};
use kernel_verdict::Patience;
use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

mod group;
mod map;

use group::{Group, GROUPS, GROUP_BUFFERS, SINGLE_BUFFERS};
use map::Map;

/// Requests under way, at most.
const MOST_UNDER_WAY: usize = 40;
const MOST_SUBSCRIBERS: usize = 12;
const MOST_MAPS: usize = 4;
/// What has been cancelled ends within this time.
const CANCEL_LIMIT: Duration = Duration::from_secs(60);

/// Which process this is.
#[derive(Clone, Debug, clap::Args)]
pub struct Identity {
    #[arg(long, hide = true, default_value = ".")]
    pub directory: PathBuf,
    #[arg(long, hide = true, default_value_t = 0)]
    pub slot: usize,
    #[arg(long, hide = true, default_value_t = 0)]
    pub life: u32,
    /// What to do; chosen and printed if not given
    #[arg(long, env = "IOIPC_SEED")]
    pub seed: Option<u64>,
}

impl Identity {
    pub fn args(&self) -> Vec<String> {
        vec![
            "--worker".into(),
            "--directory".into(),
            self.directory.display().to_string(),
            "--slot".into(),
            self.slot.to_string(),
            "--life".into(),
            self.life.to_string(),
            "--seed".into(),
            self.seed.unwrap_or(0).to_string(),
        ]
    }

    pub fn buffers(&self) -> PathBuf {
        self.directory
            .join(format!("buffers-{}-{}", self.slot, self.life))
    }

    pub fn shared(&self) -> PathBuf {
        self.directory.join("shared")
    }
}

struct Subscriber {
    id: u32,
    channel: u32,
    file: OwnedFd,
    size: usize,
    receives: bool,
}

impl Subscriber {
    /// Up to where it has received, and how many messages it has lost up to there.
    fn progress(&self) -> Result<(u64, u64)> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.file.as_raw_fd()))?;
        let number = |name| -> Result<u64> {
            let value = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .with_context(|| format!("fdinfo without {name}"))?;

            Ok(value.trim().parse()?)
        };

        Ok((number("ipc-cursor")?, number("ipc-lost")?))
    }
}

/// A request under way, with what it needs.
enum Flight {
    Send {
        #[expect(dead_code, reason = "read by the kernel")]
        payload: Vec<u8>,
        len: u32,
    },
    Receive {
        buffer: usize,
        protected: bool,
    },
    Multishot {
        group: usize,
    },
    Other,
}

struct Worker<'a> {
    identity: &'a Identity,
    shared: &'a Shared,
    slot: &'a Slot,
    buffers: &'a Buffers,
    uring: IoUring,
    flights: HashMap<u64, Flight>,
    next_flight: u64,
    sends: u32,
    free: Vec<usize>,
    /// From which channel each buffer gets a message.
    lent_for: [u32; BUFFERS],
    groups: [Group; GROUPS],
    subscribers: Vec<Subscriber>,
    maps: Vec<Map>,
    /// Channels and who has sent there.
    senders: Vec<(u32, u32)>,
}

/// Lives one life.
pub fn run(identity: &Identity) -> Result<()> {
    // SAFETY: no memory is involved. Children are not waited for.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }

    let shared = Mapped::<Shared>::open(&identity.shared())?;
    let slot = &shared.slots[identity.slot];

    // What the life before had lent to the kernel has to be looked at first.
    slot.journal.write(
        Event::Started {
            life: identity.life,
        }
        .record(),
    );
    while slot.life.load(Ordering::Acquire) != identity.life {
        slot.steps.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }

    let buffers = Mapped::<Buffers>::open(&identity.buffers())?;
    let mut plan = Plan::new(identity.seed.unwrap_or(0), identity.slot, identity.life);
    let Some(uring) = open_ring(plan.ring(), &shared)? else {
        return Ok(());
    };
    let mut worker = Worker {
        identity,
        shared: &shared,
        slot,
        buffers: &buffers,
        uring,
        flights: HashMap::new(),
        next_flight: 0,
        sends: 0,
        free: (0..SINGLE_BUFFERS).collect(),
        lent_for: [0; BUFFERS],
        groups: Default::default(),
        subscribers: Vec::new(),
        maps: Vec::new(),
        senders: Vec::new(),
    };

    if identity.slot == LONELY.1 {
        worker.attach(LONELY.0, abi::SUB_BOTH)?;
    }
    for step in plan {
        if shared.phase() != Phase::Chaos {
            break;
        }
        worker
            .step(&step)
            .with_context(|| format!("{identity:?}: {step:?}"))?;
        slot.steps.fetch_add(1, Ordering::Relaxed);
    }
    worker.end().with_context(|| format!("{identity:?}"))
}

/// Tries as long as there is chaos: memory may be short.
fn open_ring(kind: RingKind, shared: &Shared) -> Result<Option<IoUring>> {
    loop {
        let mut builder = IoUring::builder();

        builder.dontfork();
        match kind {
            RingKind::Plain => {}
            RingKind::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            RingKind::SqPoll => {
                builder.setup_sqpoll(2);
            }
        }
        match builder.build(64) {
            Ok(uring) => return Ok(Some(uring)),
            Err(error) if error.raw_os_error() != Some(libc::ENOMEM) => {
                return Err(error).context("a ring");
            }
            Err(_) if shared.phase() != Phase::Chaos => return Ok(None),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

impl Worker<'_> {
    fn journal(&self, event: Event) {
        self.slot.journal.write(event.record());
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Create {
                kind,
                entries,
                size,
                private,
            } => self.create(kind.flags(), entries, size, private),
            Step::Attach { to, flags } => self.attach(to, flags),
            Step::Send { .. } => self.send(step),
            Step::Receive { .. } => self.receive(step),
            Step::Multishot { by } => self.multishot(by),
            Step::Poll { on, ms } => self.poll(on, ms),
            Step::Map { of } => self.map(of),
            Step::Unmap => {
                self.maps.pop();
                Ok(())
            }
            Step::Reap { ms } => self.reap(Duration::from_millis(ms.into())),
            Step::CancelOne { of } => self.cancel_one(of),
            Step::CancelAll => self.cancel_all(),
            Step::Detach { of } => self.detach(of),
            Step::Expel { whom } => self.expel(whom),
            Step::SetMode { of, mode } => self.set_mode(of, mode),
            Step::Destroy { of } => self.destroy(of),
            Step::Fork { of, ms, exec } => self.fork(of, ms, exec),
            Step::Exec => self.exec(),
        }
    }

    fn pick(&self, of: usize) -> Option<&Subscriber> {
        self.subscribers
            .get(of.checked_rem(self.subscribers.len())?)
    }

    fn pick_receiver(&self, of: usize) -> Option<&Subscriber> {
        let receivers: Vec<_> = self.subscribers.iter().filter(|it| it.receives).collect();

        receivers.get(of.checked_rem(receivers.len())?).copied()
    }

    fn channels(&self) -> Vec<u32> {
        self.shared
            .channels
            .iter()
            .map(|id| id.load(Ordering::Acquire))
            .filter(|&id| id != 0)
            .collect()
    }

    /// An `io_uring_register(2)` call that may fail with these.
    fn register(&self, op: u32, arg: *mut libc::c_void, nr: u32, errors: &[i32]) -> Result<bool> {
        // SAFETY: the callers give each call what it takes.
        match unsafe { register(&self.uring, op, arg, nr) } {
            Ok(()) => Ok(true),
            Err(error) => match error.raw_os_error() {
                Some(errno) if errno == libc::ENOMEM || errors.contains(&errno) => Ok(false),
                _ => Err(error).with_context(|| format!("operation {op}")),
            },
        }
    }

    fn create(&mut self, flags: u32, entries: u32, size: u32, private: bool) -> Result<()> {
        let Some(entry) =
            (0..CHANNELS).find(|&entry| self.shared.channels[entry].load(Ordering::Relaxed) == 0)
        else {
            return Ok(());
        };
        let mut create = ChannelCreate {
            flags: flags | if private { abi::F_PRIVATE } else { 0 },
            ring_entries: entries,
            max_msg_size: size,
            mode: 0o666,
            ..ChannelCreate::default()
        };

        if self.register(
            abi::REGISTER_CREATE,
            ptr::from_mut(&mut create).cast(),
            1,
            &[],
        )? {
            self.journal(Event::Created {
                channel: create.channel_id_out,
                entry: entry as u32,
            });
        }
        Ok(())
    }

    fn attach(&mut self, to: usize, flags: u32) -> Result<()> {
        if self.subscribers.len() >= MOST_SUBSCRIBERS {
            return Ok(());
        }
        let channels = self.channels();
        let named = if flags & abi::SUB_FROM_FD != 0 {
            self.pick(to)
                .map(|it| (it.channel, it.file.as_raw_fd() as u32))
        } else {
            let index = to.checked_rem(channels.len());
            index.map(|index| (channels[index], channels[index]))
        };
        let Some((channel, name)) = named else {
            return Ok(());
        };
        let (entry, slot) = LONELY;
        let lonely = self.shared.channels[entry].load(Ordering::Acquire) == channel;
        let is_there = |it: &Subscriber| it.channel == channel && it.receives;
        let flags = match lonely {
            true if self.identity.slot != slot || self.subscribers.iter().any(is_there) => {
                flags & abi::SUB_FROM_FD | abi::SUB_SEND
            }
            _ => flags,
        };
        let mut attach = ChannelAttach {
            channel_id: name,
            flags,
            ..ChannelAttach::default()
        };
        // EINVAL: to replay or lose what is no broadcast. EACCES: more than the file gives.
        let errors = [libc::ENOENT, libc::EINVAL, libc::EMFILE, libc::EACCES];

        if !self.register(
            abi::REGISTER_ATTACH,
            ptr::from_mut(&mut attach).cast(),
            1,
            &errors,
        )? {
            return Ok(());
        }
        // SAFETY: the kernel has just made this file descriptor for us.
        let file = unsafe { OwnedFd::from_raw_fd(attach.channel_fd) };
        let subscriber = Subscriber {
            id: attach.local_id_out,
            channel,
            file,
            size: attach.region_size as usize,
            receives: flags & abi::SUB_RECV != 0,
        };

        // A lossy one may have been overrun already.
        let (cursor, lost) = subscriber.progress()?;

        self.journal(Event::Attached {
            subscriber: subscriber.id,
            channel,
            cursor,
            lossy: (flags & abi::SUB_LOSSY != 0).then_some(lost),
        });
        self.subscribers.push(subscriber);
        Ok(())
    }

    fn push(&mut self, number: u64, flight: Flight, entry: squeue::Entry) -> Result<()> {
        self.flights.insert(number, flight);
        // SAFETY: what the request points at is in `flights`, or in memory that stays until this
        // process ends.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.submit()?;
            thread::yield_now();
        }
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        match self.uring.submit() {
            Ok(_) => Ok(()),
            Err(error) => try_again(error),
        }
    }

    fn number(&mut self) -> u64 {
        self.next_flight += 1;
        self.next_flight
    }

    fn send(&mut self, step: &Step) -> Result<()> {
        let &Step::Send {
            by,
            len,
            count,
            targeted,
            wait,
            link,
            worker,
        } = step
        else {
            return Ok(());
        };
        let channels = self.channels();
        let all = self.subscribers.len() + channels.len();
        let Some(by) = by.checked_rem(all) else {
            return Ok(());
        };
        let (id, channel) = match self.subscribers.get(by) {
            Some(subscriber) => (subscriber.id, subscriber.channel),
            None => {
                let channel = channels[by - self.subscribers.len()];
                (channel, channel)
            }
        };
        if self.flights.len() + count as usize > MOST_UNDER_WAY {
            return self.reap(Duration::from_millis(1));
        }
        let target = self
            .senders
            .iter()
            .rev()
            .find(|sender| targeted && sender.0 == channel)
            .map_or(0, |sender| sender.1);

        for left in (0..count).rev() {
            let number = Number::new(self.identity.slot, self.identity.life, self.sends);
            let payload = number.payload(len as usize);
            let mut sqe = Sqe {
                user_data: number.bits(),
                file_index: target,
                ..Sqe::send(id, payload.as_ptr(), payload.len())
            };

            if wait {
                sqe.ioprio |= abi::SEND_WAIT;
            }
            if link && left > 0 {
                sqe.flags |= IO_LINK;
            }
            if worker {
                sqe.flags |= ASYNC;
            }
            self.sends += 1;
            self.journal(Event::Sending {
                number,
                channel,
                target,
            });
            self.push(
                number.bits(),
                Flight::Send { payload, len },
                sqe.into_entry(),
            )?;
        }
        self.submit()?;
        self.look()
    }

    fn lend(&mut self, buffer: usize, subscriber: u32) {
        let channel = self.subscribers.iter().find(|it| it.id == subscriber);

        self.lent_for[buffer] = channel.map_or(0, |it| it.channel);
        self.buffers.clear(buffer, HEADER_LEN);
        self.journal(Event::Lent {
            buffer: buffer as u32,
            subscriber,
        });
    }

    fn receive(&mut self, step: &Step) -> Result<()> {
        let &Step::Receive {
            by,
            count,
            wait,
            worker,
            protect,
        } = step
        else {
            return Ok(());
        };
        let Some(subscriber) = self.pick_receiver(by).map(|it| it.id) else {
            return Ok(());
        };
        let mut last = None;

        for _ in 0..count {
            let Some(buffer) = self.free.pop() else {
                break;
            };
            let address = self.buffers.address(buffer);
            let mut sqe = Sqe::recv(subscriber, address, BUFFER_SIZE).with(abi::RECV_HDR);

            if wait {
                sqe.ioprio |= abi::RECV_WAIT;
            }
            if worker {
                sqe.flags |= ASYNC;
            }
            sqe.user_data = self.number();
            self.lend(buffer, subscriber);
            let flight = Flight::Receive {
                buffer,
                protected: false,
            };
            self.push(sqe.user_data, flight, sqe.into_entry())?;
            last = Some((sqe.user_data, buffer));
        }
        self.submit()?;
        if let (true, Some((number, buffer))) = (protect, last) {
            protect_page(self.buffers.address(buffer), libc::PROT_NONE)?;
            let flight = Flight::Receive {
                buffer,
                protected: true,
            };
            self.flights.insert(number, flight);
        }
        self.look()
    }

    fn multishot(&mut self, by: usize) -> Result<()> {
        let Some(subscriber) = self.pick_receiver(by).map(|it| it.id) else {
            return Ok(());
        };
        let Some(number) = self.groups.iter().position(|group| !group.is_busy()) else {
            return Ok(());
        };
        if !self.groups[number].open(&self.uring, number as u16, subscriber)? {
            return Ok(());
        }
        for buffer in Group::buffers(number) {
            self.lend(buffer, subscriber);
            self.groups[number].give(buffer, self.buffers.address(buffer));
        }
        let mut sqe = Sqe::recv_multishot(subscriber, number as u16).with(abi::RECV_HDR);

        sqe.user_data = self.number();
        let flight = Flight::Multishot { group: number };
        self.push(sqe.user_data, flight, sqe.into_entry())?;
        self.submit()?;
        self.look()
    }

    /// Takes what has completed.
    fn look(&mut self) -> Result<()> {
        // SAFETY: no argument is used.
        let result = unsafe {
            self.uring
                .submitter()
                .enter::<libc::sigset_t>(0, 0, EnterFlags::GETEVENTS.bits(), None)
        };

        if let Err(error) = result {
            try_again(error)?;
        }
        self.take()
    }

    /// Waits for a completion, but not long, and takes what there is.
    fn reap(&mut self, limit: Duration) -> Result<()> {
        let limit = Timespec::from(limit);
        let args = SubmitArgs::new().timespec(&limit);

        if let Err(error) = self.uring.submitter().submit_with_args(1, &args) {
            try_again(error)?;
        }
        self.take()
    }

    fn take(&mut self) -> Result<()> {
        let completions: Vec<_> = self.uring.completion().map(Completion::from).collect();

        completions
            .into_iter()
            .try_for_each(|completion| self.completed(completion))
    }

    fn completed(&mut self, completion: Completion) -> Result<()> {
        let number = completion.user_data;
        let flight = if completion.more() {
            match self.flights.get(&number) {
                Some(&Flight::Multishot { group }) => Some(Flight::Multishot { group }),
                _ => bail!("{completion:?} that says there are more"),
            }
        } else {
            self.flights.remove(&number)
        };

        match flight.with_context(|| format!("{completion:?} of no request"))? {
            Flight::Send { len, .. } => self.sent(completion, len),
            Flight::Receive { buffer, protected } => {
                if protected {
                    let all = libc::PROT_READ | libc::PROT_WRITE;
                    protect_page(self.buffers.address(buffer), all)?;
                }
                self.free.push(buffer);
                match usize::try_from(completion.res) {
                    Ok(len) => self.got(buffer, len),
                    Err(_) => {
                        let fault = protected && completion.res == -libc::EFAULT;
                        ensure!(
                            fault || may_fail_receive(completion.res),
                            "{completion:?} of a receive"
                        );
                        self.journal(Event::Back {
                            buffer: buffer as u32,
                        });
                        Ok(())
                    }
                }
            }
            Flight::Multishot { group } => self.multishot_got(completion, group),
            Flight::Other => Ok(()),
        }
    }

    fn sent(&mut self, completion: Completion, len: u32) -> Result<()> {
        const ERRORS: [i32; 7] = [
            libc::ENOBUFS,
            libc::ECANCELED,
            libc::ENOENT,
            libc::EPIPE,
            libc::ENOMEM,
            libc::EACCES,
            libc::EMSGSIZE,
        ];
        let good = completion.res == len as i32;
        let number = Number::from_bits(completion.user_data).context("a send's number")?;

        ensure!(
            good || ERRORS.contains(&-completion.res),
            "{completion:?} of a send of {len}"
        );
        self.journal(Event::Sent { number, good });
        Ok(())
    }

    fn got(&mut self, buffer: usize, len: usize) -> Result<()> {
        ensure!(len <= BUFFER_SIZE, "{len} bytes received");
        let bytes = self.buffers.copy(buffer, len);
        if message::is_notice(&bytes)? {
            self.journal(Event::Back {
                buffer: buffer as u32,
            });
            return Ok(());
        }
        let received = message::check(&bytes)?;

        self.journal(Event::Got {
            buffer: buffer as u32,
            received,
        });
        self.know(self.lent_for[buffer], received.sender);
        Ok(())
    }

    /// Remembers who sends, to send something back.
    fn know(&mut self, channel: u32, sender: u32) {
        if sender != 0 && !self.senders.contains(&(channel, sender)) {
            self.senders.push((channel, sender));
            if self.senders.len() > 16 {
                self.senders.remove(0);
            }
        }
    }

    fn multishot_got(&mut self, completion: Completion, group: usize) -> Result<()> {
        let subscriber = self.groups[group].subscriber();

        if let Ok(len) = usize::try_from(completion.res) {
            let buffer = usize::from(completion.buffer().context("no buffer")?);

            ensure!(
                Group::buffers(group).contains(&buffer),
                "{completion:?} of another group"
            );
            self.got(buffer, len)?;
            self.groups[group].taken(buffer);
            if completion.more() {
                self.lend(buffer, subscriber);
                self.groups[group].give(buffer, self.buffers.address(buffer));
            }
        } else {
            ensure!(
                may_fail_receive(completion.res) || completion.res == -libc::ENOBUFS,
                "{completion:?} of a multishot receive"
            );
        }
        if !completion.more() {
            for buffer in self.groups[group].close(&self.uring, group as u16)? {
                self.journal(Event::Back {
                    buffer: buffer as u32,
                });
            }
        }
        Ok(())
    }

    fn poll(&mut self, on: usize, ms: u32) -> Result<()> {
        let Some(file) = self.pick(on).map(|it| it.file.as_raw_fd()) else {
            return Ok(());
        };

        if ms > 0 {
            let mut poll = libc::pollfd {
                fd: file,
                events: libc::POLLIN | libc::POLLOUT,
                revents: 0,
            };
            // SAFETY: `poll` is one valid entry.
            unsafe { libc::poll(&mut poll, 1, ms as i32) };
            return Ok(());
        }
        let number = self.number();
        let entry = opcode::PollAdd::new(Fd(file), libc::POLLIN as u32).build();

        self.push(number, Flight::Other, entry.user_data(number))?;
        self.submit()?;
        self.look()
    }

    fn map(&mut self, of: usize) -> Result<()> {
        let Some(subscriber) = self.pick(of) else {
            return Ok(());
        };
        let map = Map::new(&subscriber.file, subscriber.size)?;

        if let Some(map) = map {
            map.check()?;
            if self.maps.len() == MOST_MAPS {
                self.maps.remove(0);
            }
            self.maps.push(map);
        }
        Ok(())
    }

    fn cancel_one(&mut self, of: usize) -> Result<()> {
        let mut numbers: Vec<_> = self.flights.keys().copied().collect();

        // Not in the order of a map, which is another one each time.
        numbers.sort_unstable();
        let Some(&target) = of
            .checked_rem(numbers.len())
            .and_then(|index| numbers.get(index))
        else {
            return Ok(());
        };
        let number = self.number();
        let entry = opcode::AsyncCancel::new(target).build();

        self.push(number, Flight::Other, entry.user_data(number))?;
        self.submit()?;
        self.look()
    }

    fn cancel_all(&mut self) -> Result<()> {
        self.submit()?;
        // There may be nothing, or it may not end in time.
        let limit = Timespec::from(Duration::from_millis(10));
        let _ = self
            .uring
            .submitter()
            .register_sync_cancel(Some(limit), CancelBuilder::any());
        self.look()
    }

    fn detach(&mut self, of: usize) -> Result<()> {
        let Some(index) = of.checked_rem(self.subscribers.len()) else {
            return Ok(());
        };
        let subscriber = self.subscribers.swap_remove(index).id;

        self.detach_id(subscriber)?;
        self.look()
    }

    fn detach_id(&self, subscriber: u32) -> Result<()> {
        self.journal(Event::Detaching { subscriber });
        // ENOENT: somebody has been faster.
        let errors = [libc::ENOENT];
        self.register(abi::REGISTER_DETACH, ptr::null_mut(), subscriber, &errors)?;
        Ok(())
    }

    fn expel(&mut self, whom: usize) -> Result<()> {
        let lonely = self.shared.channels[LONELY.0].load(Ordering::Acquire);
        let others: Vec<_> = self.senders.iter().filter(|it| it.0 != lonely).collect();

        match whom.checked_rem(others.len()) {
            Some(index) => self.detach_id(others[index].1),
            None => Ok(()),
        }
    }

    fn set_mode(&self, of: usize, mode: u16) -> Result<()> {
        let Some(subscriber) = self.pick(of) else {
            return Ok(());
        };
        // SAFETY: no memory is involved.
        let failed = unsafe {
            libc::ioctl(
                subscriber.file.as_raw_fd(),
                abi::IOC_SET_MODE.into(),
                libc::c_ulong::from(mode),
            )
        } != 0;

        ensure!(
            !failed,
            "setting a mode: {}",
            std::io::Error::last_os_error()
        );
        Ok(())
    }

    fn destroy(&mut self, of: usize) -> Result<()> {
        // The first ones are the supervisor's, which stay.
        let channel =
            self.shared.channels[CHANNELS / 3 + of % (CHANNELS * 2 / 3)].load(Ordering::Acquire);

        if channel != 0 {
            let errors = [libc::ENOENT];
            self.register(abi::REGISTER_DESTROY, ptr::null_mut(), channel, &errors)?;
        }
        Ok(())
    }

    fn fork(&mut self, of: usize, ms: u32, exec: bool) -> Result<()> {
        let file = self.pick(of).map(|it| (it.file.as_raw_fd(), it.size));

        // SAFETY: this process has one thread, so the child is as good as this one.
        match unsafe { libc::fork() } {
            -1 => Ok(()),
            0 => linger(file, ms, exec),
            _ => Ok(()),
        }
    }

    fn exec(&mut self) -> Result<()> {
        use std::os::unix::process::CommandExt;

        let next = Identity {
            life: self.identity.life + 1,
            ..self.identity.clone()
        };

        let error = std::process::Command::new("/proc/self/exe")
            .args(next.args())
            .exec();
        ensure!(error.raw_os_error() == Some(libc::ENOMEM), "exec: {error}");
        Ok(())
    }

    /// Waits until all is quiet, takes what is left, and ends.
    fn end(&mut self) -> Result<()> {
        let mut patience = Patience::new();

        while !self.flights.is_empty() {
            self.cancel_all()?;
            self.reap(Duration::from_millis(5))?;
            ensure!(
                patience.spent() < CANCEL_LIMIT,
                "{} requests do not end when cancelled",
                self.flights.len()
            );
            self.slot.steps.fetch_add(1, Ordering::Relaxed);
        }
        self.reach(Phase::Quiet);
        while self.shared.phase() != Phase::Drain {
            self.slot.steps.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
        for index in 0..self.subscribers.len() {
            let subscriber = &self.subscribers[index];
            if subscriber.receives {
                self.drain(index)?;
            }
        }
        self.reach(Phase::Drain);
        Ok(())
    }

    fn reach(&self, phase: Phase) {
        self.slot.reached.store(phase as u32, Ordering::Release);
    }

    fn drain(&mut self, index: usize) -> Result<()> {
        let subscriber = self.subscribers[index].id;

        loop {
            let buffer = self.free.pop().context("no buffer")?;
            let address = self.buffers.address(buffer);
            let sqe = Sqe::recv(subscriber, address, BUFFER_SIZE).with(abi::RECV_HDR);

            self.lend(buffer, subscriber);
            self.push(0, Flight::Other, sqe.into_entry())?;
            let completion = loop {
                let limit = Timespec::from(Duration::from_secs(1));
                let args = SubmitArgs::new().timespec(&limit);

                if let Err(error) = self.uring.submitter().submit_with_args(1, &args) {
                    try_again(error)?;
                }
                let completion = self.uring.completion().next();
                if let Some(completion) = completion {
                    break Completion::from(completion);
                }
            };
            self.free.push(buffer);
            self.slot.steps.fetch_add(1, Ordering::Relaxed);
            if let Ok(len) = usize::try_from(completion.res) {
                self.got(buffer, len)?;
                continue;
            }
            ensure!(
                may_fail_receive(completion.res),
                "{completion:?} of the last receives"
            );
            self.journal(Event::Back {
                buffer: buffer as u32,
            });
            let (_, lost) = self.subscribers[index].progress()?;

            self.journal(Event::Drained { subscriber, lost });
            return Ok(());
        }
    }
}

/// Whether a receive may end with this.
fn may_fail_receive(res: i32) -> bool {
    const ERRORS: [i32; 6] = [
        libc::EAGAIN,
        libc::ECANCELED,
        libc::ENOENT,
        libc::EPIPE,
        libc::ENOMEM,
        libc::EINTR,
    ];

    ERRORS.contains(&-res)
}

fn protect_page(page: *mut u8, protection: i32) -> Result<()> {
    // SAFETY: a page of buffers, which nobody looks at while it cannot be accessed.
    let failed = unsafe { libc::mprotect(page.cast(), BUFFER_SIZE, protection) } != 0;

    if failed {
        return Err(std::io::Error::last_os_error()).context("mprotect");
    }
    Ok(())
}

/// A child: looks at one of the parent's files, and has them all for a while.
fn linger(file: Option<(i32, usize)>, ms: u32, exec: bool) -> ! {
    if let Some((fd, size)) = file {
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry, and a new map that nobody looks at.
        unsafe {
            libc::poll(&mut poll, 1, 1);
            libc::mmap(
                ptr::null_mut(),
                size,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                0,
            );
        }
    }
    if exec {
        use std::os::unix::process::CommandExt;
        let ms = ms.to_string();
        let _ = std::process::Command::new("/proc/self/exe")
            .args(["--linger", &ms])
            .exec();
    }
    thread::sleep(Duration::from_millis(ms.into()));
    // SAFETY: nothing of the parent's is to be cleaned up here.
    unsafe { libc::_exit(0) }
}

/// Errors of io_uring_enter(2) that mean no trouble.
fn try_again(error: std::io::Error) -> Result<()> {
    match error.raw_os_error() {
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME | libc::ENOMEM) => Ok(()),
        _ => Err(error).context("io_uring_enter"),
    }
}

const _: () = assert!(SINGLE_BUFFERS + GROUPS * GROUP_BUFFERS == BUFFERS);
