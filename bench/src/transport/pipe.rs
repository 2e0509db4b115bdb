// SPDX-License-Identifier: GPL-2.0

//! Pipes: one for each receiver, or one that all read from.

use super::file::{pipe, read_all, write_all, Ends};
use super::{queues, Receiver, Sender, Transport};
use crate::outbox::Outbox;
use crate::sink::Sink;
use crate::work::Work;
use anyhow::Result;
use std::os::fd::OwnedFd;

/// The pipes.
pub struct Pipes {
    pipes: Vec<Ends>,
    size: usize,
}

impl Pipes {
    /// Pipes for this work.
    pub fn new(work: &Work) -> Result<Self> {
        Ok(Self {
            pipes: (0..queues(work))
                .map(|_| pipe(work))
                .collect::<Result<_>>()?,
            size: work.size,
        })
    }
}

impl Transport for Pipes {
    fn sender(&self, _outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(PipeSender { pipes: &self.pipes }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(PipeReceiver {
            pipe: &self.pipes[index % self.pipes.len()].rx,
            buffer: vec![0; self.size],
        }))
    }
}

struct PipeSender<'a> {
    pipes: &'a [Ends],
}

impl Sender for PipeSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        for index in 0..count {
            for pipe in self.pipes {
                write_all(&pipe.tx, outbox.message(index))?;
            }
        }
        Ok(())
    }
}

struct PipeReceiver<'a> {
    pipe: &'a OwnedFd,
    buffer: Vec<u8>,
}

impl Receiver for PipeReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        read_all(self.pipe, &mut self.buffer)?;
        sink.take(&self.buffer);
        Ok(())
    }
}
