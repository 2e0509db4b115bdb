// SPDX-License-Identifier: GPL-2.0

//! IORING_OP_MSG_RING: a completion in somebody else's ring. It carries the
//! message's number and nothing else.

use super::{Receiver, Sender, Transport};
use crate::board::Board;
use crate::outbox::Outbox;
use crate::payload;
use crate::ring::{result, Ring};
use crate::sink::Sink;
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
            work: *work,
        })
    }
}

impl Transport for Rings {
    fn sender<'a>(&'a self, board: &'a Board, outbox: &Outbox) -> Result<Box<dyn Sender + 'a>> {
        Ok(Box::new(MsgSender {
            ring: Ring::new(self.work.setup, outbox.batch() * self.fds.len(), 0)?,
            fds: &self.fds,
            requests: Vec::new(),
            board,
            window: self.work.entries() as u64,
            sent: 0,
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        let ring = self.rings.borrow_mut()[index].take();
        let ring = ring.context("this ring is used already")?;

        ring.enable()?;
        Ok(Box::new(MsgReceiver { ring }))
    }
}

struct MsgSender<'a> {
    ring: Ring,
    fds: &'a [RawFd],
    requests: Vec<squeue::Entry>,
    board: &'a Board,
    window: u64,
    sent: u64,
}

impl Sender for MsgSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        self.sent += count as u64;
        if self.sent > self.window {
            self.board.wait_received(self.sent - self.window);
        }
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

struct MsgReceiver {
    ring: Ring,
}

impl Receiver for MsgReceiver {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        loop {
            let mut found = false;

            for done in self.ring.completions() {
                result(done.result())?;
                sink.take(&done.user_data().to_ne_bytes());
                found = true;
            }
            if found {
                return Ok(());
            }
            self.ring.enter(1)?;
        }
    }
}
