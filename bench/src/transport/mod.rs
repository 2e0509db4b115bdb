// SPDX-License-Identifier: GPL-2.0

//! Ways to get messages from one process to others.

mod batch;
mod duplex;
mod file;
mod ipc;
mod mq;
mod msg_ring;
mod pipe;
mod shm;
mod unix;
mod uring_file;

pub use duplex::duplex;
pub use ipc::sends;

use self::ipc::Style;
use self::uring_file::Stream;
use crate::outbox::Outbox;
use crate::sink::Sink;
use crate::work::{Fanout, Work};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Made before the processes are forked; each makes its half in itself.
pub trait Transport {
    /// The sender's half, which sends what is in the outbox.
    fn sender(&self, outbox: &Outbox) -> Result<Box<dyn Sender + '_>>;

    /// The half of a receiver, able to receive what is sent from now on.
    fn receiver(&self, index: usize) -> Result<Box<dyn Receiver + '_>>;
}

/// Sends messages.
pub trait Sender {
    /// Sends the first `count` messages of the outbox this was made for, in
    /// order, and waits for room where there is none. When it returns, the
    /// outbox may change.
    fn send(&mut self, outbox: &Outbox, count: usize) -> Result<()>;
}

/// Receives messages.
pub trait Receiver {
    /// Waits for a message, and puts it and perhaps others into the sink.
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()>;
}

/// What there is to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `write(2)` and `read(2)` on pipes.
    Pipe,
    /// `send(2)` and `recv(2)` on AF_UNIX SOCK_SEQPACKET.
    Unix,
    /// `sendmmsg(2)` and `recvmmsg(2)` there.
    UnixMmsg,
    /// `mq_send(3)` and `mq_receive(3)`.
    Mq,
    /// A ring in shared memory, with eventfds for who sleeps.
    Shm,
    /// IORING_OP_WRITE and IORING_OP_READ on pipes.
    UringPipe,
    /// The same, received with IORING_OP_READ_MULTISHOT.
    UringPipeMultishot,
    /// IORING_OP_SEND and IORING_OP_RECV on AF_UNIX SOCK_SEQPACKET.
    UringUnix,
    /// The same, received by a multishot request.
    UringUnixMultishot,
    /// IORING_OP_MSG_RING: 8 bytes in a completion, nothing else.
    MsgRing,
    /// A channel whose receivers poll with plain receives: the RFC's ABI.
    IpcPoll,
    /// A channel received with waiting requests.
    IpcWait,
    /// A channel received by a multishot request to provided buffers.
    IpcMultishot,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 13] = [
        Kind::Pipe,
        Kind::Unix,
        Kind::UnixMmsg,
        Kind::Mq,
        Kind::Shm,
        Kind::UringPipe,
        Kind::UringPipeMultishot,
        Kind::UringUnix,
        Kind::UringUnixMultishot,
        Kind::MsgRing,
        Kind::IpcPoll,
        Kind::IpcWait,
        Kind::IpcMultishot,
    ];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pipe => "pipe",
            Kind::Unix => "unix",
            Kind::UnixMmsg => "unix-mmsg",
            Kind::Mq => "mq",
            Kind::Shm => "shm",
            Kind::UringPipe => "uring-pipe",
            Kind::UringPipeMultishot => "uring-pipe-multishot",
            Kind::UringUnix => "uring-unix",
            Kind::UringUnixMultishot => "uring-unix-multishot",
            Kind::MsgRing => "msg-ring",
            Kind::IpcPoll => "ipc-poll",
            Kind::IpcWait => "ipc-wait",
            Kind::IpcMultishot => "ipc-multishot",
        }
    }

    /// Whether it is a channel.
    pub fn is_ipc(self) -> bool {
        matches!(self, Kind::IpcPoll | Kind::IpcWait | Kind::IpcMultishot)
    }

    /// Whether the set-up of rings means something to it.
    pub fn has_rings(self) -> bool {
        !matches!(
            self,
            Kind::Pipe | Kind::Unix | Kind::UnixMmsg | Kind::Mq | Kind::Shm
        )
    }

    /// Why it cannot do this work, if it cannot.
    pub fn refuses(self, work: &Work) -> Option<&'static str> {
        let any = work.fanout == Fanout::Any;
        let one_go = work.size <= libc::PIPE_BUF;

        match self {
            _ if work.fanout == Fanout::One && work.receivers != 1 => {
                Some("unicast has one receiver")
            }
            Kind::Pipe | Kind::UringPipe | Kind::UringPipeMultishot if any && !one_go => {
                Some("readers that share a pipe get no more than 4 KiB in one piece")
            }
            Kind::UringPipeMultishot if !one_go => {
                Some("a multishot read may end anywhere in more than 4 KiB")
            }
            Kind::Mq if work.size > mq::largest() => {
                Some("longer than messages may be without CAP_SYS_RESOURCE")
            }
            Kind::UnixMmsg if work.batch == 1 => Some("the same as unix, one by one"),
            Kind::MsgRing if work.size != 64 => Some("a completion has no size"),
            Kind::MsgRing if any => Some("the sender chooses who gets a completion"),
            _ => None,
        }
    }

    /// Makes what has to be there before the processes are.
    pub fn make(self, work: &Work) -> Result<Box<dyn Transport>> {
        Ok(match self {
            Kind::Pipe => Box::new(pipe::Pipes::new(work)?),
            Kind::Unix => Box::new(unix::Sockets::new(work, false)?),
            Kind::UnixMmsg => Box::new(unix::Sockets::new(work, true)?),
            Kind::Mq => Box::new(mq::Queues::new(work)?),
            Kind::Shm => Box::new(shm::SharedRing::new(work)?),
            Kind::UringPipe => Box::new(uring_file::Files::new(work, Stream::Pipe, false)?),
            Kind::UringPipeMultishot => Box::new(uring_file::Files::new(work, Stream::Pipe, true)?),
            Kind::UringUnix => Box::new(uring_file::Files::new(work, Stream::Unix, false)?),
            Kind::UringUnixMultishot => Box::new(uring_file::Files::new(work, Stream::Unix, true)?),
            Kind::MsgRing => Box::new(msg_ring::Rings::new(work)?),
            Kind::IpcPoll => Box::new(ipc::Ipc::new(work, Style::Poll)?),
            Kind::IpcWait => Box::new(ipc::Ipc::new(work, Style::Wait)?),
            Kind::IpcMultishot => Box::new(ipc::Ipc::new(work, Style::Multishot)?),
        })
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
                format!(
                    "no transport is called {name}; there are {}",
                    names.join(", ")
                )
            })
    }
}

/// How many separate queues the work takes where a queue has one reader, or
/// several that compete.
fn queues(work: &Work) -> usize {
    match work.fanout {
        Fanout::One | Fanout::Any => 1,
        Fanout::Each => work.receivers,
    }
}
