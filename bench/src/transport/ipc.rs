// SPDX-License-Identifier: GPL-2.0

//! Channels, in every mode and with every way to receive.

use super::batch::Batch;
use super::{Receiver, Sender, Transport};
use crate::channel::{Channel, Subscriber};
use crate::multishot::Multishot;
use crate::outbox::Outbox;
use crate::provided::GROUP;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::window::{Credit, Window};
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
    /// For who does not wait in the kernel.
    window: Option<Window>,
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
            window: match style {
                Style::Poll => Some(Window::new(work)?),
                Style::Wait | Style::Multishot => None,
            },
        })
    }
}

impl Transport for Ipc {
    fn sender(&self, outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
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
            credit: self.window.as_ref().map(Credit::new),
            size: self.work.size,
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
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
        let mut batch = Batch::new(ring, batch, size, |index, start| {
            let flags = if index == 0 { first } else { 0 };
            Sqe::recv(subscriber.id, start, size)
                .with(flags)
                .into_entry()
        });
        if self.style == Style::Poll {
            // As the RFC has it a worker thread tries again.
            batch = batch.unordered();
        }

        Ok(Box::new(IpcReceiver {
            batch,
            index,
            window: self.window.as_ref(),
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

struct IpcSender<'a> {
    ring: Ring,
    _subscriber: Subscriber,
    requests: Vec<squeue::Entry>,
    credit: Option<Credit<'a>>,
    size: usize,
}

impl Sender for IpcSender<'_> {
    fn send(&mut self, _outbox: &Outbox, count: usize) -> Result<()> {
        if let Some(credit) = &mut self.credit {
            credit.take(count as u64);
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

struct IpcReceiver<'a> {
    batch: Batch,
    index: usize,
    window: Option<&'a Window>,
    _subscriber: Subscriber,
}

impl Receiver for IpcReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        loop {
            let found = self.batch.receive(sink)?;

            if found > 0 {
                if let Some(window) = self.window {
                    window.took(self.index, found);
                }
                return Ok(());
            }
            std::thread::yield_now();
        }
    }
}
