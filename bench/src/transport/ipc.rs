// SPDX-License-Identifier: GPL-2.0

//! Channels, in every mode and with every way to receive.

use super::batch::Batch;
use super::{Receiver, Sender, Transport};
use crate::board::Board;
use crate::channel::{Channel, Subscriber};
use crate::multishot::Multishot;
use crate::outbox::Outbox;
use crate::provided::GROUP;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::work::{Fanout, Work};
use anyhow::{ensure, Result};
use io_uring::squeue;
use io_uring_ipc::abi;
use io_uring_ipc::sqe::Sqe;

/// How receivers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all: they ask again. Senders stop by counting what has been
    /// received. The RFC's ABI, without a flag of this project.
    Poll,
    /// In the kernel, each message with a request of its own. Senders wait in
    /// the kernel too.
    Wait,
    /// In the kernel, with one request for all messages, which come in provided
    /// buffers. Senders as above.
    Multishot,
}

/// A channel.
pub struct Ipc {
    channel: Channel,
    work: Work,
    style: Style,
}

impl Ipc {
    /// A channel for this work.
    pub fn new(work: &Work, style: Style) -> Result<Self> {
        let kind = match work.fanout {
            Fanout::One => io_uring_ipc::Kind::Unicast,
            Fanout::Each => io_uring_ipc::Kind::Broadcast,
            Fanout::Any => io_uring_ipc::Kind::Multicast,
        };

        Ok(Self {
            channel: Channel::new(kind, work.entries(), work.size)?,
            work: *work,
            style,
        })
    }
}

impl Transport for Ipc {
    fn sender<'a>(&'a self, board: &'a Board, outbox: &Outbox) -> Result<Box<dyn Sender + 'a>> {
        let ring = Ring::new(self.work.setup, outbox.batch(), 0)?;
        let subscriber = self.channel.attach(&ring, abi::SUB_SEND)?;
        let flags = match self.style {
            Style::Poll => 0,
            Style::Wait | Style::Multishot => abi::SEND_WAIT,
        };

        Ok(Box::new(IpcSender {
            requests: sends(&subscriber, outbox, flags),
            ring,
            _subscriber: subscriber,
            polite: (self.style == Style::Poll).then_some(Polite {
                board,
                window: self.work.entries() as u64,
                sent: 0,
            }),
            size: self.work.size,
        }))
    }

    fn receiver(&self, _index: usize) -> Result<Box<dyn Receiver + '_>> {
        let Work {
            size, batch, setup, ..
        } = self.work;

        if self.style == Style::Multishot {
            let count = self.work.entries();
            let ring = Ring::new(setup, 8, 2 * count)?;
            let subscriber = self.channel.attach(&ring, abi::SUB_RECV)?;
            let request = Sqe::recv_multishot(subscriber.id, GROUP).into_entry();

            return Ok(Box::new(Multishot::new(ring, request, count, size)?));
        }
        let ring = Ring::new(setup, batch, 0)?;
        let subscriber = self.channel.attach(&ring, abi::SUB_RECV)?;
        // The first waits where there is nothing, and the others then find out
        // at once.
        let first = match self.style {
            Style::Wait => abi::RECV_WAIT,
            Style::Poll | Style::Multishot => 0,
        };
        let batch = Batch::new(ring, batch, size, |index, start| {
            let flags = if index == 0 { first } else { 0 };
            Sqe::recv(subscriber.id, start, size)
                .with(flags)
                .into_entry()
        });

        Ok(Box::new(IpcReceiver {
            batch,
            _subscriber: subscriber,
        }))
    }
}

/// Requests that send what is in the outbox.
pub fn sends(subscriber: &Subscriber, outbox: &Outbox, flags: u16) -> Vec<squeue::Entry> {
    (0..outbox.batch())
        .map(|index| {
            Sqe::send(subscriber.id, outbox.address(index), outbox.size())
                .with(flags)
                .into_entry()
        })
        .collect()
}

/// Not sending more than there is room for.
struct Polite<'a> {
    board: &'a Board,
    window: u64,
    sent: u64,
}

struct IpcSender<'a> {
    ring: Ring,
    _subscriber: Subscriber,
    requests: Vec<squeue::Entry>,
    polite: Option<Polite<'a>>,
    size: usize,
}

impl Sender for IpcSender<'_> {
    fn send(&mut self, _outbox: &Outbox, count: usize) -> Result<()> {
        if let Some(polite) = &mut self.polite {
            polite.sent += count as u64;
            if polite.sent > polite.window {
                polite.board.wait_received(polite.sent - polite.window);
            }
        }
        let size = self.size;
        // SAFETY: the outbox stays, and is not changed before they are done.
        unsafe {
            self.ring.run(&self.requests[..count], |done| {
                ensure!(result(done.result())? == size, "sent in part");
                Ok(())
            })
        }
    }
}

struct IpcReceiver {
    batch: Batch,
    _subscriber: Subscriber,
}

impl Receiver for IpcReceiver {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        while !self.batch.receive(sink)? {
            std::thread::yield_now();
        }
        Ok(())
    }
}
