// SPDX-License-Identifier: GPL-2.0

//! IORING_OP_MSG_RING: a completion in somebody else's ring. It carries the
//! message's number and nothing else.

use super::{Receiver, Sender, Transport};
use crate::outbox::Outbox;
use crate::payload;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::window::{Credit, Window};
use crate::work::Work;
use anyhow::{Context, Result};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use std::cell::RefCell;
use std::os::fd::{AsRawFd, RawFd};

/// The receivers' rings, made before the fork so that the sender has them.
pub struct Rings {
    fds: Vec<RawFd>,
    rings: RefCell<Vec<Option<Ring>>>,
    window: Window,
    work: Work,
}

impl Rings {
    /// A ring for each receiver.
    pub fn new(work: &Work) -> Result<Self> {
        let rings = (0..work.receivers)
            .map(|_| Ring::for_a_child(work.setup, 8, 2 * work.entries()))
            .collect::<Result<Vec<_>>>()?;

        Ok(Self {
            fds: rings.iter().map(AsRawFd::as_raw_fd).collect(),
            rings: RefCell::new(rings.into_iter().map(Some).collect()),
            window: Window::new(work)?,
            work: *work,
        })
    }
}

impl Transport for Rings {
    fn sender(&self, outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(MsgSender {
            ring: Ring::new(self.work.setup, outbox.batch() * self.fds.len(), 0)?,
            fds: &self.fds,
            requests: Vec::new(),
            credit: Credit::new(&self.window),
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        let ring = self.rings.borrow_mut()[index].take();
        let ring = ring.context("this ring is used already")?;

        ring.enable()?;
        Ok(Box::new(MsgReceiver {
            ring,
            index,
            window: &self.window,
        }))
    }
}

struct MsgSender<'a> {
    ring: Ring,
    fds: &'a [RawFd],
    requests: Vec<squeue::Entry>,
    credit: Credit<'a>,
}

impl Sender for MsgSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        self.credit.take(count as u64);
        self.requests.clear();
        for index in 0..count {
            let number = payload::number(outbox.message(index));
            self.requests.extend(self.fds.iter().map(|&fd| {
                opcode::MsgRingData::new(Fd(fd), payload::NUMBER as i32, number, None).build()
            }));
        }
        // SAFETY: these requests use no memory.
        unsafe {
            self.ring.run(&self.requests, |done| {
                result(done.result())?;
                Ok(())
            })
        }
    }
}

struct MsgReceiver<'a> {
    ring: Ring,
    index: usize,
    window: &'a Window,
}

impl Receiver for MsgReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        loop {
            let mut found = 0;

            for done in self.ring.completions() {
                result(done.result())?;
                sink.take(&done.user_data().to_ne_bytes());
                found += 1;
            }
            if found > 0 {
                self.window.took(self.index, found);
                return Ok(());
            }
            self.ring.enter(1)?;
        }
    }
}
