// SPDX-License-Identifier: GPL-2.0

//! Pipes and sockets by way of io_uring.
//!
//! Requests of one batch that had to wait could overtake each other. So a batch is
//! submitted as it is where there is room for all of it, and else as a chain, or
//! message by message where one may be written in part; of a batch of receives
//! only the first waits.

use super::batch::Batch;
use super::file::{call, pipe, send_buffer, seqpacket, truesize, Ends};
use super::{queues, Receiver, Sender, Transport};
use crate::multishot::Multishot;
use crate::outbox::Outbox;
use crate::provided::GROUP;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::work::Work;
use anyhow::{ensure, Result};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes that a pipe keeps together.
const PAGE: usize = 4096;

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A pipe.
    Pipe,
    /// AF_UNIX SOCK_SEQPACKET.
    Unix,
}

impl Stream {
    /// Two ends of one.
    pub fn open(self, work: &Work) -> Result<Ends> {
        match self {
            Stream::Pipe => pipe(work),
            Stream::Unix => seqpacket(work),
        }
    }

    /// A request that writes.
    pub fn write(self, file: &OwnedFd, start: *const u8, len: usize) -> squeue::Entry {
        let fd = Fd(file.as_raw_fd());

        match self {
            Stream::Pipe => opcode::Write::new(fd, start, len as u32).build(),
            Stream::Unix => opcode::Send::new(fd, start, len as u32).build(),
        }
    }

    /// A request that reads, and may wait for something to read.
    pub fn read(self, file: &OwnedFd, start: *mut u8, len: usize, wait: bool) -> squeue::Entry {
        let fd = Fd(file.as_raw_fd());

        match self {
            Stream::Pipe => opcode::Read::new(fd, start, len as u32)
                .rw_flags(if wait { 0 } else { libc::RWF_NOWAIT })
                .build(),
            Stream::Unix => opcode::Recv::new(fd, start, len as u32)
                .flags(if wait { 0 } else { libc::MSG_DONTWAIT })
                .build(),
        }
    }

    /// A request that reads for ever.
    pub fn read_multishot(self, file: &OwnedFd) -> squeue::Entry {
        let fd = Fd(file.as_raw_fd());

        match self {
            Stream::Pipe => opcode::ReadMulti::new(fd, 0, GROUP).build(),
            Stream::Unix => opcode::RecvMulti::new(fd, GROUP).build(),
        }
    }
}

/// The files.
pub struct Files {
    files: Vec<Ends>,
    stream: Stream,
    multishot: bool,
    work: Work,
}

impl Files {
    /// Files for this work.
    pub fn new(work: &Work, stream: Stream, multishot: bool) -> Result<Self> {
        Ok(Self {
            files: (0..queues(work))
                .map(|_| stream.open(work))
                .collect::<Result<_>>()?,
            stream,
            multishot,
            work: *work,
        })
    }
}

impl Transport for Files {
    fn sender(&self, outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        let requests: Vec<_> = self
            .files
            .iter()
            .flat_map(|file| {
                (0..outbox.batch()).map(|index| {
                    self.stream
                        .write(&file.tx, outbox.address(index), outbox.size())
                })
            })
            .collect();

        let chains = requests
            .iter()
            .enumerate()
            .map(|(index, request)| match (index + 1) % outbox.batch() {
                0 => request.clone(),
                _ => request.clone().flags(squeue::Flags::IO_LINK),
            })
            .collect();

        Ok(Box::new(FileSender {
            ring: Ring::new(self.work.setup, requests.len(), 0)?,
            requests,
            chains,
            in_one_piece: self.stream == Stream::Unix || outbox.size() <= libc::PIPE_BUF,
            rooms: self
                .files
                .iter()
                .map(|file| Room::new(&file.tx, self.stream, &self.work))
                .collect::<Result<_>>()?,
            stream: self.stream,
        }))
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        let file = &self.files[index % self.files.len()].rx;
        let Work {
            size, batch, setup, ..
        } = self.work;

        if self.multishot {
            let count = self.work.entries();
            let ring = Ring::new(setup, 8, 2 * count)?;
            let request = self.stream.read_multishot(file);

            return Ok(Box::new(Multishot::new(ring, request, count, size)?));
        }
        // A long message may come in pieces, one after the other.
        let whole = self.stream == Stream::Unix || size <= PAGE;
        if !whole {
            return Ok(Box::new(LongReceiver {
                ring: Ring::new(setup, 1, 0)?,
                buffer: vec![0; size].leak(),
                filled: 0,
                file,
                stream: self.stream,
            }));
        }
        let ring = Ring::new(setup, batch, 0)?;

        Ok(Box::new(FileReceiver {
            batch: Batch::new(ring, batch, size, |index, start| {
                self.stream.read(file, start, size, index == 0)
            }),
        }))
    }
}

/// What is known about the room in a file.
struct Room<'a> {
    file: &'a OwnedFd,
    stream: Stream,
    capacity: usize,
    /// What a message takes of it.
    each: usize,
    free: usize,
}

impl<'a> Room<'a> {
    fn new(file: &'a OwnedFd, stream: Stream, work: &Work) -> Result<Self> {
        let (capacity, each) = match stream {
            Stream::Pipe => {
                // SAFETY: a plain system call.
                let size = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETPIPE_SZ) };
                // The first page may be read in part.
                (call(size as isize)? - PAGE, work.size)
            }
            Stream::Unix => (send_buffer(file)?, truesize(work)),
        };

        Ok(Self {
            file,
            stream,
            capacity,
            each,
            free: 0,
        })
    }

    /// Whether there is room for so many messages, and takes it.
    fn take(&mut self, count: usize) -> Result<bool> {
        let need = count * self.each;

        if self.free < need {
            let mut held: libc::c_int = 0;
            let request = match self.stream {
                Stream::Pipe => libc::FIONREAD,
                Stream::Unix => libc::TIOCOUTQ,
            };
            // SAFETY: there is room for the answer.
            call(unsafe { libc::ioctl(self.file.as_raw_fd(), request, &mut held) } as isize)?;
            self.free = self.capacity.saturating_sub(held as usize);
        }
        if self.free < need {
            return Ok(false);
        }
        self.free -= need;
        Ok(true)
    }
}

struct FileSender<'a> {
    ring: Ring,
    /// Of one file after the other.
    requests: Vec<squeue::Entry>,
    /// The same, each waiting for the one before it in the same file.
    chains: Vec<squeue::Entry>,
    /// Whether a message is never written in part.
    in_one_piece: bool,
    rooms: Vec<Room<'a>>,
    stream: Stream,
}

impl FileSender<'_> {
    /// Sends one message, waiting as long as it takes.
    fn send_one(&mut self, file: usize, mut message: &[u8]) -> Result<()> {
        while !message.is_empty() {
            let request = self
                .stream
                .write(self.rooms[file].file, message.as_ptr(), message.len());
            let mut sent = 0;
            // SAFETY: the message stays until it is done.
            unsafe {
                self.ring.run(&[request], |done| {
                    sent = result(done.result())?;
                    Ok(())
                })
            }?;
            message = &message[sent..];
        }
        self.rooms[file].free = 0;
        Ok(())
    }
}

impl Sender for FileSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        let whole = count == outbox.batch();
        let mut room = whole;

        for file in &mut self.rooms {
            room = room && file.take(count)?;
        }
        if room || whole && self.in_one_piece {
            let size = outbox.size();
            let requests = if room { &self.requests } else { &self.chains };

            if !room {
                self.rooms.iter_mut().for_each(|file| file.free = 0);
            }
            // SAFETY: the outbox stays, and is not changed before they are done.
            return unsafe {
                self.ring.run(requests, |done| {
                    ensure!(result(done.result())? == size, "written in part");
                    Ok(())
                })
            };
        }
        for index in 0..count {
            for file in 0..self.rooms.len() {
                self.send_one(file, outbox.message(index))?;
            }
        }
        Ok(())
    }
}

struct FileReceiver {
    batch: Batch,
}

impl Receiver for FileReceiver {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        while self.batch.receive(sink)? == 0 {}
        Ok(())
    }
}

/// Receives messages that may come in pieces.
struct LongReceiver<'a> {
    ring: Ring,
    buffer: &'static mut [u8],
    filled: usize,
    file: &'a OwnedFd,
    stream: Stream,
}

impl Receiver for LongReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        while self.filled < self.buffer.len() {
            let rest = &mut self.buffer[self.filled..];
            let request = self
                .stream
                .read(self.file, rest.as_mut_ptr(), rest.len(), true);
            // SAFETY: the buffer stays.
            unsafe {
                self.ring.run(&[request], |done| {
                    let len = result(done.result())?;
                    ensure!(len > 0, "end of file");
                    self.filled += len;
                    Ok(())
                })
            }?;
        }
        sink.take(self.buffer);
        self.filled = 0;
        Ok(())
    }
}
