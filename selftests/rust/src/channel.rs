// SPDX-License-Identifier: GPL-2.0

//! Channels, subscribers and messages.

use crate::abi::{self, ChannelAttach, ChannelCreate, MsgHdr};
use crate::region::Region;
use crate::ring::{Completion, Ring, MAX_BATCH};
use crate::sqe::{Sqe, IO_LINK};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Who gets a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Exactly one receiver.
    #[default]
    Unicast,
    /// Exactly one receiver; wake-ups go round.
    Multicast,
    /// Every receiver.
    Broadcast,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Unicast, Kind::Multicast, Kind::Broadcast];

    /// The bits of [`ChannelCreate::flags`].
    pub fn flags(self) -> u32 {
        match self {
            Kind::Unicast => 0,
            Kind::Multicast => abi::F_MULTICAST,
            Kind::Broadcast => abi::F_BROADCAST,
        }
    }
}

/// How to make a channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelConfig {
    /// Who gets a message.
    pub kind: Kind,
    /// Messages it holds: a power of two.
    pub entries: u32,
    /// Largest message, in bytes.
    pub max_msg_size: u32,
    /// Who may receive (read) and send (write), as for a file.
    pub mode: u32,
    /// A name to attach by, or 0 for none.
    pub key: u64,
    /// Check permission for every message, and let nobody map the region.
    pub private: bool,
}

impl Default for ChannelConfig {
    /// A small unicast channel for this user, without a key.
    fn default() -> Self {
        Self {
            kind: Kind::Unicast,
            entries: 16,
            max_msg_size: 4096,
            mode: 0o600,
            key: 0,
            private: false,
        }
    }
}

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    payload: &'a [u8],
    target: u32,
    tag: u64,
}

impl<'a> Message<'a> {
    /// A message with this content.
    pub fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            target: 0,
            tag: 0,
        }
    }

    /// For one subscriber only.
    pub fn to(self, target: u32) -> Self {
        Self { target, ..self }
    }

    /// With a number that receivers find in [`MsgHdr::sender_data`].
    pub fn tag(self, tag: u64) -> Self {
        Self { tag, ..self }
    }

    fn sqe(&self, id: u32) -> Sqe {
        Sqe {
            file_index: self.target,
            user_data: self.tag,
            ..Sqe::send(id, self.payload.as_ptr(), self.payload.len())
        }
    }
}

impl Ring {
    /// Makes a channel. Dropping the [`Channel`] destroys it.
    pub fn create(&self, config: &ChannelConfig) -> io::Result<Channel<'_>> {
        let private = if config.private { abi::F_PRIVATE } else { 0 };
        let mut create = ChannelCreate {
            flags: config.kind.flags() | private,
            ring_entries: config.entries,
            max_msg_size: config.max_msg_size,
            mode: config.mode,
            key: config.key,
            ..ChannelCreate::default()
        };

        self.register_create(&mut create)?;
        Ok(Channel {
            ring: self,
            id: create.channel_id_out,
            destroyed: false,
        })
    }

    /// Becomes a subscriber of the channel with this id; `flags` are `SUB_*` of
    /// [`abi`].
    pub fn attach(&self, channel: u32, flags: u32) -> io::Result<Subscriber<'_>> {
        self.attach_to(ChannelAttach {
            channel_id: channel,
            flags,
            ..ChannelAttach::default()
        })
    }

    /// Becomes a subscriber of the channel with this key.
    pub fn attach_by_key(&self, key: u64, flags: u32) -> io::Result<Subscriber<'_>> {
        if key == 0 {
            // In the call it would mean: by id.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.attach_to(ChannelAttach {
            key,
            flags,
            ..ChannelAttach::default()
        })
    }

    fn attach_to(&self, mut attach: ChannelAttach) -> io::Result<Subscriber<'_>> {
        self.register_attach(&mut attach)?;
        Ok(Subscriber {
            ring: self,
            id: attach.local_id_out,
            // SAFETY: the kernel has just made this file descriptor for us.
            file: unsafe { OwnedFd::from_raw_fd(attach.channel_fd) },
            mmap_offset: attach.mmap_offset_out,
            region_size: attach.region_size as usize,
            detached: false,
        })
    }

    /// Sends by a channel's id, without being a subscriber of it.
    pub fn send_to_channel(&self, channel: u32, message: Message<'_>) -> io::Result<()> {
        // SAFETY: the message borrows its payload for the call.
        unsafe { self.run_one(message.sqe(channel)) }.map(drop)
    }
}

/// A channel of this ring. Dropping it destroys the channel: senders get
/// [`ENDED`](crate::ENDED), receivers too once they have what is left.
pub struct Channel<'ring> {
    ring: &'ring Ring,
    id: u32,
    destroyed: bool,
}

impl<'ring> Channel<'ring> {
    /// What other rings and processes attach to and send to.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Becomes a subscriber with the channel's own ring.
    pub fn attach(&self, flags: u32) -> io::Result<Subscriber<'ring>> {
        self.ring.attach(self.id, flags)
    }

    /// Ends the channel, and says whether that went well.
    pub fn destroy(mut self) -> io::Result<()> {
        self.destroyed = true;
        self.ring.register_destroy(self.id)
    }
}

impl Drop for Channel<'_> {
    fn drop(&mut self) {
        if !self.destroyed {
            // Somebody who may has destroyed it before: fine as well.
            let _ = self.ring.register_destroy(self.id);
        }
    }
}

/// What `poll(2)` says of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// There is a message for this subscriber.
    pub readable: bool,
    /// A send would be accepted.
    pub writable: bool,
    /// The channel is destroyed, or this subscriber detached. Messages may be left to receive.
    pub ended: bool,
}

/// One end of a channel. Dropping it detaches it.
pub struct Subscriber<'ring> {
    ring: &'ring Ring,
    id: u32,
    file: OwnedFd,
    mmap_offset: u64,
    region_size: usize,
    detached: bool,
}

impl Subscriber<'_> {
    /// What others target, and see as [`MsgHdr::sender_id`].
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends one message, or fails with [`FULL`](crate::FULL).
    pub fn send(&self, message: Message<'_>) -> io::Result<()> {
        // SAFETY: the message borrows its payload for the call.
        unsafe { self.ring.run_one(message.sqe(self.id)) }.map(drop)
    }

    /// Sends messages with one system call, in order, until one fails: `Ok` is
    /// how many are sent, the error is the first message's.
    pub fn send_batch(&self, messages: &[Message<'_>]) -> io::Result<usize> {
        let sqes = messages.iter().map(|message| message.sqe(self.id));

        // SAFETY: the messages borrow their payloads for the call.
        unsafe { self.run_in_order(sqes) }.map(|sent| sent.len())
    }

    /// Receives one message, or fails with [`EMPTY`](crate::EMPTY). `Ok` is its
    /// length; what does not fit the buffer is lost.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_with_flags(buffer, 0)
    }

    /// Receives with `RECV_*` flags of [`abi`]; `Ok` is the kernel's result.
    pub fn recv_with_flags(&self, buffer: &mut [u8], flags: u16) -> io::Result<usize> {
        let sqe = Sqe {
            ioprio: flags,
            ..Sqe::recv(self.id, buffer.as_mut_ptr(), buffer.len())
        };

        // SAFETY: the buffer is ours alone during the call.
        unsafe { self.ring.run_one(sqe) }
    }

    /// Receives one message with its header. `buffer` has to have room for both.
    pub fn recv_with_header<'b>(&self, buffer: &'b mut [u8]) -> io::Result<(MsgHdr, &'b [u8])> {
        let len = self.recv_with_flags(buffer, abi::RECV_HDR)?;
        let (header, payload) = buffer[..len]
            .split_at_checked(size_of::<MsgHdr>())
            .ok_or(io::ErrorKind::UnexpectedEof)?;

        Ok((bytemuck::pod_read_unaligned(header), payload))
    }

    /// Receives messages with one system call, one in each buffer, until one
    /// fails: `Ok` has the lengths of those received, the error is the first's.
    pub fn recv_batch(&self, buffers: &mut [Vec<u8>]) -> io::Result<Vec<usize>> {
        let sqes = buffers
            .iter_mut()
            .map(|buffer| Sqe::recv(self.id, buffer.as_mut_ptr(), buffer.len()));

        // SAFETY: the buffers are ours alone during the call.
        unsafe { self.run_in_order(sqes) }
    }

    /// Runs requests as one chain of linked ones, in which the first that fails
    /// cancels the rest.
    ///
    /// # Safety
    ///
    /// As for [`Ring::run`].
    unsafe fn run_in_order(&self, sqes: impl Iterator<Item = Sqe>) -> io::Result<Vec<usize>> {
        let mut sqes: Vec<_> = sqes.take(MAX_BATCH).collect();

        if let Some((_last, others)) = sqes.split_last_mut() {
            others.iter_mut().for_each(|sqe| sqe.flags |= IO_LINK);
        }
        // SAFETY: the caller vouches for it.
        good_prefix(&unsafe { self.ring.run(&sqes) }?)
    }

    /// Sleeps until there is something to receive (if `readable`), room to send
    /// (if `writable`), or the channel has ended.
    pub fn wait(&self, readable: bool, writable: bool, limit: Duration) -> io::Result<Events> {
        let deadline = Instant::now() + limit;
        let mut events = 0;

        if readable {
            events |= libc::POLLIN;
        }
        if writable {
            events |= libc::POLLOUT;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut poll = libc::pollfd {
                fd: self.file.as_raw_fd(),
                events,
                revents: 0,
            };
            // Rounded up, or the last bit of the time is spent spinning.
            let left_ms = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);

            // SAFETY: `poll` is one valid entry.
            match unsafe { libc::poll(&mut poll, 1, left_ms) } {
                1.. => {
                    if poll.revents & libc::POLLNVAL != 0 {
                        return Err(io::Error::from_raw_os_error(libc::EBADF));
                    }
                    return Ok(Events {
                        readable: poll.revents & libc::POLLIN != 0,
                        writable: poll.revents & libc::POLLOUT != 0,
                        ended: poll.revents & (libc::POLLHUP | libc::POLLERR) != 0,
                    });
                }
                0 => return Err(io::ErrorKind::TimedOut.into()),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// What is the case now, without sleeping.
    pub fn events(&self) -> io::Result<Events> {
        match self.wait(true, true, Duration::ZERO) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Events {
                readable: false,
                writable: false,
                ended: false,
            }),
            result => result,
        }
    }

    /// Maps the channel's region, to look at messages without a system call.
    /// The map outlives the subscriber, the channel and the ring.
    pub fn map(&self) -> io::Result<Region> {
        Region::map(self.file.as_fd(), self.mmap_offset, self.region_size)
    }

    /// Where and how long the region is in the file, for an own `mmap(2)`.
    pub fn mmap_args(&self) -> (u64, usize) {
        (self.mmap_offset, self.region_size)
    }

    /// Leaves the channel, and says whether that went well.
    pub fn detach(mut self) -> io::Result<()> {
        self.detached = true;
        self.ring.register_detach(self.id)
    }
}

impl AsFd for Subscriber<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Subscriber<'_> {
    fn drop(&mut self) {
        if !self.detached {
            // Nothing to be done about an error.
            let _ = self.ring.register_detach(self.id);
        }
    }
}

/// The results of a chain up to its first failure, or that failure if there is
/// no result before it.
fn good_prefix(chain: &[Completion]) -> io::Result<Vec<usize>> {
    let good: Vec<usize> = chain
        .iter()
        .map_while(|completion| completion.result().ok())
        .collect();
    let mut rest = chain[good.len()..].iter();

    match rest.next() {
        Some(first) if rest.any(|completion| completion.res != -libc::ECANCELED) => {
            Err(io::Error::other(format!(
                "requests linked after one that failed ({}) were not cancelled",
                first.res
            )))
        }
        Some(first) if good.is_empty() => Err(first.result().unwrap_err()),
        _ => Ok(good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(results: &[i32]) -> Vec<Completion> {
        results
            .iter()
            .map(|&res| Completion {
                user_data: 0,
                res,
                flags: 0,
            })
            .collect()
    }

    #[test]
    fn prefix_of_a_chain() {
        let canceled = -libc::ECANCELED;

        assert_eq!(good_prefix(&[]).unwrap(), []);
        assert_eq!(good_prefix(&chain(&[3, 0])).unwrap(), [3, 0]);
        assert_eq!(good_prefix(&chain(&[3, -11, canceled])).unwrap(), [3]);

        let error = good_prefix(&chain(&[-11, canceled])).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(11));

        let error = good_prefix(&chain(&[-11, 5])).unwrap_err();
        assert_eq!(error.raw_os_error(), None);
    }

    #[test]
    fn message_fields() {
        let sqe = Message::new(b"abc").to(5).tag(9).sqe(7);

        assert_eq!(sqe.opcode, abi::OP_SEND);
        assert_eq!((sqe.fd, sqe.len), (7, 3));
        assert_eq!((sqe.file_index, sqe.user_data), (5, 9));
        assert_eq!((sqe.ioprio, sqe.rw_flags, sqe.buf_index), (0, 0, 0));
    }
}
