// SPDX-License-Identifier: GPL-2.0

//! Parts of a message's way, in one process that does nothing else meanwhile.
//!
//! All figures are nanoseconds for one request or message.

use crate::channel::{Channel, Subscriber};
use crate::clock::{now_ns, settle, timed};
use crate::multishot::Multishot;
use crate::outbox::Outbox;
use crate::payload;
use crate::provided::GROUP;
use crate::ring::{result, Ring};
use crate::stat::Stat;
use crate::transport::sends;
use anyhow::{ensure, Result};
use io_uring::{opcode, squeue};
use io_uring_ipc::sqe::Sqe;
use io_uring_ipc::{abi, Kind, Setup};

/// How a part is measured.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Bytes of a message.
    pub size: usize,
    /// Requests submitted together.
    pub batch: usize,
    /// How rings are set up.
    pub setup: Setup,
    /// Messages a channel holds; a round fills it once.
    pub entries: usize,
    /// Rounds that count.
    pub rounds: usize,
}

/// What is measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`Part::nop`].
    Nop,
    /// [`Part::send`], to one receiver that does not sleep.
    Send,
    /// [`Part::empty_receive`].
    EmptyReceive,
    /// [`Part::multishot_drain`].
    MultishotDrain,
}

impl Request {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Request::Nop => "nop",
            Request::Send => "ipc send",
            Request::EmptyReceive => "ipc empty receive",
            Request::MultishotDrain => "ipc multishot drain",
        }
    }
}

/// Rounds before any counts.
const WARM_UP: usize = 2;

impl Part {
    fn ring(&self) -> Result<Ring> {
        Ring::new(self.setup, self.batch, 0)
    }

    /// Runs rounds, each of which gives the nanoseconds of `entries` requests.
    fn rounds(&self, mut round: impl FnMut() -> Result<u64>) -> Result<Stat> {
        settle();
        for _ in 0..WARM_UP {
            round()?;
        }
        let all: Result<Vec<_>> = (0..self.rounds)
            .map(|_| Ok(round()? as f64 / self.entries as f64))
            .collect();

        Ok(Stat::new(all?))
    }

    /// Runs the same batch again and again, as many requests as a channel has
    /// entries; each has to give `expected`.
    fn repeat(&self, ring: &mut Ring, batch: &[squeue::Entry], expected: i32) -> Result<u64> {
        timed(|| {
            for _ in 0..self.entries / batch.len() {
                // SAFETY: the callers' requests use memory that stays.
                unsafe {
                    ring.run(batch, |done| {
                        ensure!(
                            done.result() == expected,
                            "result {}, expected {expected}",
                            done.result()
                        );
                        Ok(())
                    })
                }?;
            }
            Ok(())
        })
    }

    /// Measures one kind of request.
    pub fn measure(&self, request: Request) -> Result<Stat> {
        match request {
            Request::Nop => self.nop(),
            Request::Send => self.send(Kind::Unicast, 1, 0),
            Request::EmptyReceive => self.empty_receive(),
            Request::MultishotDrain => self.multishot_drain(),
        }
    }

    /// IORING_OP_NOP.
    pub fn nop(&self) -> Result<Stat> {
        let mut ring = self.ring()?;
        let batch = vec![opcode::Nop::new().build(); self.batch];

        self.rounds(|| self.repeat(&mut ring, &batch, 0))
    }

    /// A plain receive from a channel in which there is nothing.
    pub fn empty_receive(&self) -> Result<Stat> {
        let mut ring = self.ring()?;
        let channel = Channel::new(Kind::Unicast, self.entries, self.size)?;
        let subscriber = channel.attach(&ring, abi::SUB_RECV)?;
        let mut buffer = vec![0u8; self.size];
        let receive = Sqe::recv(subscriber.id, buffer.as_mut_ptr(), self.size).into_entry();
        let batch = vec![receive; self.batch];

        self.rounds(|| self.repeat(&mut ring, &batch, -libc::EAGAIN))
    }

    /// Sending to a channel that has `receivers`, none of which sleeps. What
    /// was sent is received between the rounds, and looked at.
    pub fn send(&self, kind: Kind, receivers: usize, flags: u16) -> Result<Stat> {
        let mut ring = self.ring()?;
        let channel = Channel::new(kind, self.entries, self.size)?;
        let outbox = self.outbox();
        let sender = channel.attach(&ring, abi::SUB_SEND)?;
        let batch = sends(&sender, &outbox, flags);
        let mut drain = Drain::new(&channel, self, receivers)?;

        self.rounds(|| {
            let time = self.repeat(&mut ring, &batch, self.size as i32)?;
            drain.drain(self, kind)?;
            Ok(time)
        })
    }

    /// Receiving by a multishot request what is all there already. It is looked
    /// at when the clock has stopped: a round uses each buffer once.
    pub fn multishot_drain(&self) -> Result<Stat> {
        let mut to = self.ring()?;
        let from = Ring::new(self.setup, 8, 2 * self.entries)?;
        let channel = Channel::new(Kind::Unicast, self.entries, self.size)?;
        let outbox = self.outbox();
        let sender = channel.attach(&to, abi::SUB_SEND)?;
        let receiver = channel.attach(&from, abi::SUB_RECV)?;
        let batch = sends(&sender, &outbox, 0);
        let request = Sqe::recv_multishot(receiver.id, GROUP).into_entry();
        let mut multishot = Multishot::new(from, request, self.entries, self.size)?;
        let mut taken = Vec::with_capacity(self.entries);

        self.rounds(|| {
            self.repeat(&mut to, &batch, self.size as i32)?;
            taken.clear();
            let time = timed(|| {
                while taken.len() < self.entries {
                    multishot.wait()?;
                    multishot.reap(|id, message| taken.push((id, message.len())))?;
                }
                Ok(())
            })?;

            ensure!(taken.len() == self.entries, "received too much");
            for (index, &(id, len)) in taken.iter().enumerate() {
                let number = (index % self.batch) as u64;
                let message = multishot.message(id, len);

                ensure!(
                    len == self.size && payload::is_right(message, number),
                    "message {index} of a round is wrong"
                );
            }
            Ok(time)
        })
    }

    /// Wake-ups of a receiver that does not sleep: one that has no request, and
    /// one that has been woken and not looked yet. Both have to be 0.
    pub fn wakeups_of_the_busy(&self) -> Result<[u64; 2]> {
        let mut to = self.ring()?;
        let outbox = self.outbox();

        let channel = Channel::new(Kind::Unicast, self.entries, self.size)?;
        let sender = channel.attach(&to, abi::SUB_SEND)?;
        let batch = sends(&sender, &outbox, 0);
        let mut drain = Drain::new(&channel, self, 1)?;
        let before = drain.subscribers[0].wakeups()?;
        for _ in 0..4 {
            self.repeat(&mut to, &batch, self.size as i32)?;
            drain.drain(self, Kind::Unicast)?;
        }
        let idle = drain.subscribers[0].wakeups()? - before;

        let mut from = Ring::new(self.setup, 8, 2 * self.entries)?;
        let channel = Channel::new(Kind::Unicast, self.entries, self.size)?;
        let sender = channel.attach(&to, abi::SUB_SEND)?;
        let receiver = channel.attach(&from, abi::SUB_RECV)?;
        let batch = sends(&sender, &outbox, 0);
        let _buffers = crate::provided::Buffers::new(&from, self.entries, self.size)?;
        let request = Sqe::recv_multishot(receiver.id, GROUP).into_entry();
        // SAFETY: the buffers stay for good.
        unsafe { from.push(&[request]) };
        from.enter(0)?;
        // SAFETY: the outbox stays.
        unsafe { to.run(&batch[..1], |_| Ok(())) }?;
        let woken = receiver.wakeups()?;
        ensure!(woken == 1, "{woken} wake-ups for a message to who sleeps");
        // SAFETY: the outbox stays.
        unsafe { to.run(&batch, |_| Ok(())) }?;
        Ok([idle, receiver.wakeups()? - woken])
    }

    fn outbox(&self) -> Outbox {
        let mut outbox = Outbox::new(self.batch, self.size);

        outbox.fill(0);
        outbox
    }
}

/// Receivers that are asked only when nothing is timed.
struct Drain {
    ring: Ring,
    subscribers: Vec<Subscriber>,
    buffer: Vec<u8>,
}

/// Receives submitted together there.
const DRAIN_BATCH: usize = 64;

impl Drain {
    fn new(channel: &Channel, part: &Part, receivers: usize) -> Result<Self> {
        let ring = Ring::new(part.setup, DRAIN_BATCH, 0)?;
        let subscribers = (0..receivers)
            .map(|_| channel.attach(&ring, abi::SUB_RECV))
            .collect::<Result<_>>()?;

        Ok(Self {
            ring,
            subscribers,
            buffer: vec![0; DRAIN_BATCH * part.size],
        })
    }

    /// Receives what a round has sent, and compares it.
    fn drain(&mut self, part: &Part, kind: Kind) -> Result<()> {
        let readers = match kind {
            Kind::Broadcast => &self.subscribers[..],
            _ => &self.subscribers[..1],
        };

        for reader in readers {
            let batch: Vec<_> = self
                .buffer
                .chunks_mut(part.size)
                .map(|chunk| Sqe::recv(reader.id, chunk.as_mut_ptr(), part.size).into_entry())
                .collect();
            for turn in 0..part.entries / DRAIN_BATCH {
                // SAFETY: the buffer stays, and is looked at afterwards.
                unsafe {
                    self.ring.run(&batch, |done| {
                        ensure!(result(done.result())? == part.size, "received in part");
                        Ok(())
                    })
                }?;
                for (index, message) in self.buffer.chunks(part.size).enumerate() {
                    let number = (turn * DRAIN_BATCH + index) % part.batch;
                    ensure!(payload::is_right(message, number as u64), "wrong bytes");
                }
            }
        }
        Ok(())
    }
}

/// Copying `size` bytes the way the kernel copies them to and from user space on
/// this processor, in nanoseconds.
pub fn copy(size: usize, rounds: usize) -> Stat {
    let (from, mut to) = (vec![1u8; size], vec![0u8; size]);
    let copy_once = copier();
    let times = 32;
    let mut round = || {
        let start = now_ns();

        for _ in 0..times {
            copy_once(std::hint::black_box(&mut to), std::hint::black_box(&from));
        }
        (now_ns() - start) as f64 / f64::from(times)
    };

    round();
    Stat::new((0..rounds).map(|_| round()).collect())
}

/// The kernel's choice: by bytes where the processor says that it is fast at that
/// (CPUID 7, EBX bit 9).
#[cfg(target_arch = "x86_64")]
fn copier() -> fn(&mut [u8], &[u8]) {
    match std::arch::x86_64::__cpuid_count(7, 0).ebx & 1 << 9 {
        0 => copy_words,
        _ => copy_bytes,
    }
}

#[cfg(target_arch = "x86_64")]
fn copy_bytes(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());

    // SAFETY: both are at least `len` bytes long and do not overlap, and the direction flag is clear.
    unsafe {
        std::arch::asm!("rep movsb", inlateout("rcx") len => _,
            inlateout("rsi") from.as_ptr() => _, inlateout("rdi") to.as_mut_ptr() => _,
            options(nostack, preserves_flags));
    }
}

#[cfg(target_arch = "x86_64")]
fn copy_words(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());

    // SAFETY: as above.
    unsafe {
        std::arch::asm!("rep movsq", inlateout("rcx") len / 8 => _,
            inlateout("rsi") from.as_ptr() => _, inlateout("rdi") to.as_mut_ptr() => _,
            options(nostack, preserves_flags));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn copier() -> fn(&mut [u8], &[u8]) {
    |to, from| to.copy_from_slice(from)
}
