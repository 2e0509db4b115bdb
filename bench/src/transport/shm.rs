// SPDX-License-Identifier: GPL-2.0

//! A ring in shared memory, with an eventfd for each process that may sleep.
//!
//! No system call while nobody sleeps; indices are written once a batch and read
//! again only when the last value seen does not do; what one side writes often is
//! on no line with what another does; who waits for room is woken when half of it
//! is free; of receivers that compete each takes several messages at a time, and
//! one is woken for a batch. Messages are copied in and out, as with all others,
//! so that a receiver has what the sender cannot change any more.

use super::file::call;
use super::{Receiver, Sender, Transport};
use crate::outbox::Outbox;
use crate::shared::{Plain, Shared};
use crate::sink::Sink;
use crate::work::{Fanout, Work};
use anyhow::Result;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};

/// Most messages taken before others are told.
const TURN: u64 = 64;

/// A cache line of its own, and the one that processors fetch with it.
#[repr(C, align(128))]
struct Line<T>(T);

/// What one side tells the other.
#[repr(C)]
struct Side {
    /// The sender's: messages published. A receiver's: messages it is done with.
    /// Of receivers that compete: messages claimed by any.
    position: Line<AtomicU64>,
    /// Whether its owner sleeps, or how many of those who compete do.
    asleep: Line<AtomicU32>,
}

// SAFETY: atomics only.
unsafe impl Plain for Side {}

/// The ring.
pub struct SharedRing {
    sender: Shared<Side>,
    receivers: Shared<Side>,
    /// For competing receivers, who are not done in order: the position for which
    /// a slot is free, or has been since. A line has several, but who is done
    /// with one is with its neighbours, mostly.
    slots: Shared<AtomicU64>,
    data: Shared<AtomicU64>,
    room: OwnedFd,
    messages: Vec<OwnedFd>,
    work: Work,
    entries: u64,
}

fn eventfd(flags: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: a plain system call.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) };

    call(fd as isize)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn add(eventfd: &OwnedFd, value: u64) -> Result<()> {
    // SAFETY: eight bytes are read.
    call(unsafe { libc::write(eventfd.as_raw_fd(), (&raw const value).cast(), 8) })?;
    Ok(())
}

fn sleep(eventfd: &OwnedFd) -> Result<()> {
    let mut value = 0u64;

    // SAFETY: eight bytes are written.
    call(unsafe { libc::read(eventfd.as_raw_fd(), (&raw mut value).cast(), 8) })?;
    Ok(())
}

impl SharedRing {
    /// A ring for this work.
    pub fn new(work: &Work) -> Result<Self> {
        let entries = work.entries().next_power_of_two();
        let any = work.fanout == Fanout::Any;
        let owners = if any { 1 } else { work.receivers };
        let flags = if any { libc::EFD_SEMAPHORE } else { 0 };
        let ring = Self {
            sender: Shared::new(1)?,
            receivers: Shared::new(owners)?,
            slots: Shared::new(if any { entries } else { 0 })?,
            data: Shared::new(entries * work.size.div_ceil(8))?,
            room: eventfd(0)?,
            messages: (0..owners).map(|_| eventfd(flags)).collect::<Result<_>>()?,
            work: *work,
            entries: entries as u64,
        };

        for (number, slot) in ring.slots.iter().enumerate() {
            slot.store(number as u64, Ordering::Relaxed);
        }
        Ok(ring)
    }

    fn index(&self, position: u64) -> usize {
        (position & (self.entries - 1)) as usize
    }

    /// Where the message at a position is.
    #[inline]
    fn slot(&self, position: u64) -> *mut u8 {
        let words = self.work.size.div_ceil(8);

        self.data[self.index(position) * words..][..words]
            .as_ptr()
            .cast_mut()
            .cast()
    }

    /// Takes one off the count of competing receivers that sleep, if there is one:
    /// whoever does so wakes it, or is it.
    fn uncount_sleeper(&self) -> bool {
        let asleep = &self.receivers[0].asleep.0;

        asleep
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                count.checked_sub(1)
            })
            .is_ok()
    }

    /// Wakes the sender if it waits for room and half of it is free. `done` is a
    /// receiver's position; of those who compete all count, since the slowest may
    /// be the last to say that it is done.
    #[inline]
    fn made_room(&self, done: &AtomicU64) -> Result<()> {
        let sender = &self.sender[0];

        fence(Ordering::SeqCst);
        if sender.asleep.0.load(Ordering::Relaxed) != 0 {
            let tail = sender.position.0.load(Ordering::Relaxed);
            let held = tail.saturating_sub(done.load(Ordering::Relaxed));

            if held <= self.entries / 2 && sender.asleep.0.swap(0, Ordering::AcqRel) != 0 {
                add(&self.room, 1)?;
            }
        }
        Ok(())
    }
}

impl Transport for SharedRing {
    fn sender(&self, _outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(ShmSender {
            ring: self,
            tail: 0,
            head: 0,
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        let buffer = vec![0; self.work.size];

        Ok(match self.work.fanout {
            Fanout::Any => Box::new(AnyReceiver {
                ring: self,
                tail: 0,
                buffer,
            }),
            _ => Box::new(EachReceiver {
                ring: self,
                own: &self.receivers[index],
                messages: &self.messages[index],
                position: 0,
                tail: 0,
                buffer,
            }),
        })
    }
}

struct ShmSender<'a> {
    ring: &'a SharedRing,
    tail: u64,
    /// The slowest receiver, when last looked at.
    head: u64,
}

impl ShmSender<'_> {
    /// Whether the next slot is free.
    #[inline]
    fn has_room(&mut self) -> bool {
        let ring = self.ring;

        if ring.work.fanout == Fanout::Any {
            return ring.slots[ring.index(self.tail)].load(Ordering::Acquire) == self.tail;
        }
        if self.tail - self.head >= ring.entries {
            self.head = ring
                .receivers
                .iter()
                .map(|line| line.position.0.load(Ordering::Acquire))
                .min()
                .unwrap_or(self.tail);
        }
        self.tail - self.head < ring.entries
    }

    fn wait_for_room(&mut self) -> Result<()> {
        self.publish()?;
        while !self.has_room() {
            let asleep = &self.ring.sender[0].asleep.0;

            asleep.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !self.has_room() {
                sleep(&self.ring.room)?;
            }
            asleep.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        let ring = self.ring;

        ring.sender[0]
            .position
            .0
            .store(self.tail, Ordering::Release);
        fence(Ordering::SeqCst);
        if ring.work.fanout == Fanout::Any {
            if ring.uncount_sleeper() {
                add(&ring.messages[0], 1)?;
            }
            return Ok(());
        }
        for (line, messages) in ring.receivers.iter().zip(&ring.messages) {
            if line.asleep.0.load(Ordering::Relaxed) != 0
                && line.asleep.0.swap(0, Ordering::AcqRel) != 0
            {
                add(messages, 1)?;
            }
        }
        Ok(())
    }
}

impl Sender for ShmSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        let ring = self.ring;

        for index in 0..count {
            if !self.has_room() {
                self.wait_for_room()?;
            }
            // SAFETY: the slot is as long, and ours until it is published.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    outbox.address(index),
                    ring.slot(self.tail),
                    outbox.size(),
                )
            };
            self.tail += 1;
        }
        self.publish()
    }
}

/// A receiver of all messages.
struct EachReceiver<'a> {
    ring: &'a SharedRing,
    own: &'a Side,
    messages: &'a OwnedFd,
    position: u64,
    tail: u64,
    buffer: Vec<u8>,
}

impl EachReceiver<'_> {
    #[inline]
    fn has_message(&mut self) -> bool {
        if self.tail == self.position {
            self.tail = self.ring.sender[0].position.0.load(Ordering::Acquire);
        }
        self.tail != self.position
    }
}

impl Receiver for EachReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        while !self.has_message() {
            self.own.asleep.0.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !self.has_message() {
                sleep(self.messages)?;
            }
            self.own.asleep.0.store(0, Ordering::Relaxed);
        }
        for _ in 0..(self.tail - self.position).min(TURN) {
            // SAFETY: the slot is as long, and stays as it is until we say that
            // we are done with it.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.ring.slot(self.position),
                    self.buffer.as_mut_ptr(),
                    self.buffer.len(),
                )
            };
            sink.take(&self.buffer);
            self.position += 1;
        }
        self.own.position.0.store(self.position, Ordering::Release);
        self.ring.made_room(&self.own.position.0)
    }
}

/// One of several receivers that share the messages.
struct AnyReceiver<'a> {
    ring: &'a SharedRing,
    /// The sender's position when last looked at.
    tail: u64,
    buffer: Vec<u8>,
}

impl AnyReceiver<'_> {
    /// Takes messages, if there are any: their positions.
    fn claim(&mut self) -> Option<Range<u64>> {
        let next = &self.ring.receivers[0].position.0;
        let mut first = next.load(Ordering::Relaxed);

        loop {
            if first >= self.tail {
                self.tail = self.ring.sender[0].position.0.load(Ordering::Acquire);
            }
            if first >= self.tail {
                return None;
            }
            let end = self.tail.min(first + TURN);
            match next.compare_exchange_weak(first, end, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(first..end),
                Err(now) => first = now,
            }
        }
    }

    /// Sleeps until there are messages, and takes some.
    fn wait(&mut self) -> Result<Range<u64>> {
        loop {
            self.ring.receivers[0]
                .asleep
                .0
                .fetch_add(1, Ordering::AcqRel);
            fence(Ordering::SeqCst);
            if let Some(claimed) = self.claim() {
                if !self.ring.uncount_sleeper() {
                    // The sender has just woken us.
                    sleep(&self.ring.messages[0])?;
                }
                return Ok(claimed);
            }
            sleep(&self.ring.messages[0])?;
            if let Some(claimed) = self.claim() {
                return Ok(claimed);
            }
        }
    }
}

impl Receiver for AnyReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        let claimed = match self.claim() {
            Some(claimed) => claimed,
            None => self.wait()?,
        };

        for position in claimed {
            // SAFETY: the slot is as long, and ours until we say that it is free.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.ring.slot(position),
                    self.buffer.as_mut_ptr(),
                    self.buffer.len(),
                )
            };
            self.ring.slots[self.ring.index(position)]
                .store(position + self.ring.entries, Ordering::Release);
            sink.take(&self.buffer);
        }
        self.ring.made_room(&self.ring.receivers[0].position.0)
    }
}
