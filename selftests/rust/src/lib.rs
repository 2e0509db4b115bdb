// SPDX-License-Identifier: GPL-2.0

//! io_uring IPC channels from Rust.
//!
//! A [`Channel`] is a ring of messages in the kernel; a [`Subscriber`] sends to
//! it, receives from it, or both. Both belong to a [`Ring`], which wraps an
//! [`io_uring::IoUring`]. Calls of these complete before they return and never
//! wait for a message or for room: an empty channel is [`EMPTY`], a full one
//! [`FULL`], and [`Subscriber::wait`] sleeps until that changes.
//!
//! [`InFlight`] has the requests that wait in the kernel instead, and those that
//! receive one message after the other to buffers provided beforehand.
//!
//! ```no_run
//! use io_uring_ipc::{abi, ChannelConfig, Message, Ring, Setup};
//!
//! # fn main() -> std::io::Result<()> {
//! let ring = Ring::new(Setup::Plain)?;
//! let channel = ring.create(&ChannelConfig::default())?;
//! let subscriber = channel.attach(abi::SUB_BOTH)?;
//!
//! subscriber.send(Message::new(b"hello").tag(7))?;
//!
//! let mut buffer = [0; 128];
//! let (header, payload) = subscriber.recv_with_header(&mut buffer)?;
//! assert_eq!((header.sender_data, payload), (7, &b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! Programs that want many requests in flight build [`sqe::Sqe`]s and give them
//! to an [`io_uring::IoUring`] of their own.

pub mod abi;
mod channel;
mod in_flight;
mod provided;
mod region;
mod request;
mod ring;
pub mod sqe;

pub use channel::{Channel, ChannelConfig, Events, Kind, Message, Subscriber};
pub use in_flight::InFlight;
pub use region::{Region, RegionMessage};
pub use request::{Done, Request};
pub use ring::{register, Completion, Ring, Setup, MAX_BATCH};

/// `errno` of a receive that found no message.
pub const EMPTY: i32 = libc::EAGAIN;
/// `errno` of a send that found no room.
pub const FULL: i32 = libc::ENOBUFS;
/// `errno` once the channel is destroyed (and, for receivers, drained).
pub const ENDED: i32 = libc::EPIPE;

/// Whether `result` failed with this `errno`.
///
/// ```
/// let empty = Err::<(), _>(std::io::Error::from_raw_os_error(io_uring_ipc::EMPTY));
/// assert!(io_uring_ipc::failed_with(&empty, io_uring_ipc::EMPTY));
/// ```
pub fn failed_with<T>(result: &std::io::Result<T>, errno: i32) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(errno))
}
