// SPDX-License-Identifier: GPL-2.0

//! One message there and one back, with as few system calls as can be: where
//! there is a ring, one call sends and receives.

use super::file::Ends;
use super::{Kind, Receiver, Sender, Stream, Transport};
use crate::channel::{Channel, Subscriber};
use crate::multishot::Multishot;
use crate::outbox::Outbox;
use crate::provided::GROUP;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::work::Work;
use anyhow::{ensure, Result};
use io_uring::squeue;
use io_uring_ipc::abi;
use io_uring_ipc::sqe::Sqe;

/// `user_data` of what sends; what receives has 0.
const SEND: u64 = 1;

/// One side of a conversation.
pub trait Duplex {
    /// Sends the message of the outbox it was made for, if `send`, and then
    /// waits for one, if `receive`.
    fn exchange(
        &mut self,
        outbox: &Outbox,
        sink: &mut Sink<'_>,
        send: bool,
        receive: bool,
    ) -> Result<()>;
}

/// What both sides need, made before they are processes. Side 0 sends to queue 0
/// and receives from queue 1, side 1 the other way round.
pub struct Line {
    kind: Kind,
    work: Work,
    queues: Queues,
}

enum Queues {
    Files(Stream, [Ends; 2]),
    Channels(Box<[Channel; 2]>),
    Others([Box<dyn Transport>; 2]),
}

/// A line of this kind.
pub fn duplex(kind: Kind, work: &Work) -> Result<Line> {
    let channel = || Channel::new(io_uring_ipc::Kind::Unicast, work.entries(), work.size);
    let queues = match kind {
        Kind::UringPipe | Kind::UringPipeMultishot => Queues::Files(
            Stream::Pipe,
            [Stream::Pipe.open(work)?, Stream::Pipe.open(work)?],
        ),
        Kind::UringUnix | Kind::UringUnixMultishot => Queues::Files(
            Stream::Unix,
            [Stream::Unix.open(work)?, Stream::Unix.open(work)?],
        ),
        Kind::IpcWait | Kind::IpcMultishot => Queues::Channels(Box::new([channel()?, channel()?])),
        _ => Queues::Others([kind.make(work)?, kind.make(work)?]),
    };

    Ok(Line {
        kind,
        work: *work,
        queues,
    })
}

impl Line {
    /// Side 0 or 1, in the process that it is for.
    pub fn side(&self, side: usize, outbox: &Outbox) -> Result<Box<dyn Duplex + '_>> {
        let (to, from) = (side, 1 - side);
        let size = self.work.size;
        let multishot = matches!(
            self.kind,
            Kind::UringPipeMultishot | Kind::UringUnixMultishot | Kind::IpcMultishot
        );
        let buffers = self.work.entries();
        let ring = |completions| Ring::new(self.work.setup, 8, completions);
        let buffer: &'static mut [u8] = vec![0; size].leak();

        let (ring, send, receive, subscribers) = match &self.queues {
            Queues::Others(both) => {
                return Ok(Box::new(Halves {
                    sender: both[to].sender(outbox)?,
                    receiver: both[from].receiver(0)?,
                }))
            }
            Queues::Files(stream, files) => (
                ring(2 * buffers)?,
                stream.write(&files[to].tx, outbox.address(0), size),
                if multishot {
                    stream.read_multishot(&files[from].rx)
                } else {
                    stream.read(&files[from].rx, buffer.as_mut_ptr(), size, true)
                },
                Vec::new(),
            ),
            Queues::Channels(channels) => {
                let ring = ring(2 * buffers)?;
                let sender = channels[to].attach(&ring, abi::SUB_SEND)?;
                let receiver = channels[from].attach(&ring, abi::SUB_RECV)?;
                let receive = if multishot {
                    Sqe::recv_multishot(receiver.id, GROUP)
                } else {
                    Sqe::recv(receiver.id, buffer.as_mut_ptr(), size).with(abi::RECV_WAIT)
                };
                let send = Sqe::send(sender.id, outbox.address(0), size);
                (
                    ring,
                    send.into_entry(),
                    receive.into_entry(),
                    vec![sender, receiver],
                )
            }
        };
        let send = send.user_data(SEND);

        Ok(if multishot {
            Box::new(MultishotSide {
                multishot: Multishot::new(ring, receive, buffers, size)?,
                send,
                _subscribers: subscribers,
            })
        } else {
            Box::new(RingSide {
                ring,
                requests: [send, receive],
                _subscribers: subscribers,
                buffer: buffer.as_ptr(),
                size,
            })
        })
    }
}

/// A sender and a receiver that know nothing of each other.
struct Halves<'a> {
    sender: Box<dyn Sender + 'a>,
    receiver: Box<dyn Receiver + 'a>,
}

impl Duplex for Halves<'_> {
    fn exchange(
        &mut self,
        outbox: &Outbox,
        sink: &mut Sink<'_>,
        send: bool,
        receive: bool,
    ) -> Result<()> {
        if send {
            self.sender.send(outbox, 1)?;
        }
        if receive {
            self.receiver.receive(sink)?;
        }
        Ok(())
    }
}

/// A request to send and one to receive, submitted together.
struct RingSide {
    ring: Ring,
    requests: [squeue::Entry; 2],
    _subscribers: Vec<Subscriber>,
    buffer: *const u8,
    size: usize,
}

impl Duplex for RingSide {
    fn exchange(
        &mut self,
        _outbox: &Outbox,
        sink: &mut Sink<'_>,
        send: bool,
        receive: bool,
    ) -> Result<()> {
        let requests = &self.requests[usize::from(!send)..1 + usize::from(receive)];
        let mut len = 0;

        // SAFETY: outbox and buffer stay until they are done.
        unsafe {
            self.ring.run(requests, |done| {
                let moved = result(done.result())?;
                if done.user_data() != SEND {
                    len = moved;
                }
                Ok(())
            })
        }?;
        if receive {
            ensure!(len <= self.size, "a message too long");
            // SAFETY: the buffer is that long, and the kernel has done with it.
            sink.take(unsafe { std::slice::from_raw_parts(self.buffer, len) });
        }
        Ok(())
    }
}

/// A request to send, and one that receives all the time.
struct MultishotSide {
    multishot: Multishot,
    send: squeue::Entry,
    _subscribers: Vec<Subscriber>,
}

impl Duplex for MultishotSide {
    fn exchange(
        &mut self,
        _outbox: &Outbox,
        sink: &mut Sink<'_>,
        send: bool,
        receive: bool,
    ) -> Result<()> {
        // SAFETY: the outbox stays until it is sent.
        unsafe {
            self.multishot
                .exchange(send.then_some(&self.send), receive, sink)
        }
    }
}
