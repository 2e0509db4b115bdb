// SPDX-License-Identifier: GPL-2.0

//! A subscriber of the supervisor's in every channel of a process. In a broadcast it receives
//! everything; elsewhere it takes what is left when the channel has ended.

use crate::account::Books;
use crate::message;
use crate::shared::{Shared, BUFFER_SIZE, CHANNELS};
use anyhow::{Context, Result};
use io_uring_ipc::{abi, Ring, Subscriber, EMPTY, ENDED};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;

/// How far each process is: life, steps, and whether it has ended.
type Progress = [(u32, u64, bool)];

pub struct Witness<'ring> {
    subscriber: Subscriber<'ring>,
    pub broadcast: bool,
    /// In the list of channels that may be used.
    entry: usize,
    channel: u32,
    /// How far each process was when the channel was found to have ended.
    ended: Option<Vec<(u32, u64, bool)>>,
    pub finished: bool,
}

/// Why there is nothing to receive.
#[derive(PartialEq, Eq)]
enum Nothing {
    Yet,
    EverAgain,
}

impl<'ring> Witness<'ring> {
    /// Joins a channel, unless it has ended already.
    pub fn new(ring: &'ring Ring, channel: u32, entry: usize) -> Result<Option<Self>> {
        let subscriber = match ring.attach(channel, abi::SUB_RECV) {
            Ok(subscriber) => subscriber,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error).context("a witness"),
        };
        let fd = subscriber.as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        let broadcast = info.contains("ipc-mode:\tbroadcast");

        Ok(Some(Self {
            channel,
            ..Self::of(subscriber, broadcast, entry)
        }))
    }

    pub fn of(subscriber: Subscriber<'ring>, broadcast: bool, entry: usize) -> Self {
        Self {
            subscriber,
            broadcast,
            entry,
            channel: 0,
            ended: None,
            finished: false,
        }
    }

    pub fn id(&self) -> u32 {
        self.subscriber.id()
    }

    /// Receives all there is.
    fn receive(&self, books: &mut Books) -> Result<Nothing> {
        let mut buffer = [0; BUFFER_SIZE];

        loop {
            match self.subscriber.recv_with_flags(&mut buffer, abi::RECV_HDR) {
                Ok(len) => books.received(self.id(), message::check(&buffer[..len])?),
                Err(error) => match error.raw_os_error() {
                    Some(EMPTY) => return Ok(Nothing::Yet),
                    Some(ENDED) => return Ok(Nothing::EverAgain),
                    _ => return Err(error).context("the supervisor receives"),
                },
            }
        }
    }

    /// Does what there is to be done now. `steps`: how far each process is.
    pub fn look(&mut self, books: &mut Books, shared: &Shared, steps: &Progress) -> Result<()> {
        if let Some(then) = &self.ended {
            // A send may have been on its way when the channel ended.
            let over = then
                .iter()
                .zip(steps)
                .all(|(then, now)| now.2 || now != then);

            if over && books.is_quiet(self.channel) {
                self.receive(books)?;
                books.settle();
                books.close(self.channel);
                self.finished = true;
            }
            return Ok(());
        }
        let ended = if self.broadcast {
            self.receive(books)? == Nothing::EverAgain
        } else {
            self.subscriber.events()?.ended
        };

        if ended {
            if let Some(entry) = shared.channels.get(self.entry) {
                entry.store(0, Ordering::Release);
            }
            self.ended = Some(steps.to_vec());
        }
        Ok(())
    }

    /// The last look.
    pub fn take_rest(&mut self, books: &mut Books) -> Result<()> {
        self.receive(books)?;
        books.settle();
        Ok(())
    }
}

const _: () = assert!(CHANNELS > 4);
