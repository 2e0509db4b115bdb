// SPDX-License-Identifier: GPL-2.0

//! AF_UNIX SOCK_SEQPACKET: a pair for each receiver, or one that all read from.

use super::file::{call, seqpacket, Ends};
use super::{queues, Receiver, Sender, Transport};
use crate::outbox::Outbox;
use crate::sink::Sink;
use crate::work::Work;
use anyhow::Result;
use std::os::fd::{AsRawFd, OwnedFd};

/// The sockets.
pub struct Sockets {
    pairs: Vec<Ends>,
    size: usize,
    batch: usize,
    /// Several messages with a call.
    mmsg: bool,
}

impl Sockets {
    /// Sockets for this work.
    pub fn new(work: &Work, mmsg: bool) -> Result<Self> {
        Ok(Self {
            pairs: (0..queues(work))
                .map(|_| seqpacket(work))
                .collect::<Result<_>>()?,
            size: work.size,
            batch: work.batch,
            mmsg,
        })
    }
}

impl Transport for Sockets {
    fn sender(&self, outbox: &Outbox) -> Result<Box<dyn Sender + '_>> {
        Ok(if self.mmsg {
            Box::new(MmsgSender {
                pairs: &self.pairs,
                heads: Heads::new(
                    (0..outbox.batch()).map(|index| outbox.address(index)),
                    self.size,
                ),
            })
        } else {
            Box::new(PlainSender { pairs: &self.pairs })
        })
    }

    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>> {
        let socket = &self.pairs[index % self.pairs.len()].rx;
        let buffer = vec![0; self.size * self.batch];

        Ok(if self.mmsg {
            let heads = Heads::new(
                buffer.chunks(self.size).map(|chunk| chunk.as_ptr()),
                self.size,
            );
            Box::new(MmsgReceiver {
                socket,
                buffer,
                size: self.size,
                heads,
            })
        } else {
            Box::new(PlainReceiver {
                socket,
                buffer: vec![0; self.size],
            })
        })
    }
}

struct PlainSender<'a> {
    pairs: &'a [Ends],
}

impl Sender for PlainSender<'_> {
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()> {
        for index in 0..count {
            let message = outbox.message(index);
            for pair in self.pairs {
                // SAFETY: the message is as long as said.
                call(unsafe {
                    libc::send(
                        pair.tx.as_raw_fd(),
                        message.as_ptr().cast(),
                        message.len(),
                        0,
                    )
                })?;
            }
        }
        Ok(())
    }
}

struct PlainReceiver<'a> {
    socket: &'a OwnedFd,
    buffer: Vec<u8>,
}

impl Receiver for PlainReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        // SAFETY: the buffer is as long as said.
        let len = call(unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                0,
            )
        })?;
        sink.take(&self.buffer[..len]);
        Ok(())
    }
}

/// Arguments of the calls for several messages.
struct Heads {
    _iovecs: Vec<libc::iovec>,
    heads: Vec<libc::mmsghdr>,
}

impl Heads {
    fn new(buffers: impl Iterator<Item = *const u8>, size: usize) -> Self {
        let mut iovecs: Vec<_> = buffers
            .map(|start| libc::iovec {
                iov_base: start.cast_mut().cast(),
                iov_len: size,
            })
            .collect();
        let heads = iovecs
            .iter_mut()
            .map(|iovec| {
                // SAFETY: all bytes zero is such a value.
                let mut head: libc::mmsghdr = unsafe { std::mem::zeroed() };
                head.msg_hdr.msg_iov = iovec;
                head.msg_hdr.msg_iovlen = 1;
                head
            })
            .collect();

        Self {
            _iovecs: iovecs,
            heads,
        }
    }
}

struct MmsgSender<'a> {
    pairs: &'a [Ends],
    heads: Heads,
}

impl Sender for MmsgSender<'_> {
    fn send(&mut self, _outbox: &Outbox, count: usize) -> Result<()> {
        for pair in self.pairs {
            let mut rest = &mut self.heads.heads[..count];

            while !rest.is_empty() {
                // SAFETY: the headers name the outbox's messages.
                let sent = call(unsafe {
                    libc::sendmmsg(
                        pair.tx.as_raw_fd(),
                        rest.as_mut_ptr(),
                        rest.len() as libc::c_uint,
                        0,
                    )
                } as isize)?;
                rest = &mut rest[sent..];
            }
        }
        Ok(())
    }
}

struct MmsgReceiver<'a> {
    socket: &'a OwnedFd,
    buffer: Vec<u8>,
    size: usize,
    heads: Heads,
}

impl Receiver for MmsgReceiver<'_> {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        // SAFETY: the headers name parts of the buffer.
        let count = call(unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                self.heads.heads.as_mut_ptr(),
                self.heads.heads.len() as libc::c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        } as isize)?;

        for (head, chunk) in self.heads.heads[..count]
            .iter()
            .zip(self.buffer.chunks(self.size))
        {
            sink.take(&chunk[..head.msg_len as usize]);
        }
        Ok(())
    }
}
