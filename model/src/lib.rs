// SPDX-License-Identifier: GPL-2.0

//! The module's channels under a model checker.
//!
//! What decides who gets a message and who is woken is the module's very own source. Around it
//! stand in: for the `kernel` crate the crate of that name here, for the module's abstractions
//! [`rfl`], and for the io_uring core [`task`].

#![cfg(test)]
#![expect(
    dead_code,
    reason = "files are included as they are, and not all of them is run"
)]
#![cfg_attr(
    not(feature = "shuttle"),
    expect(
        clippy::arc_with_non_send_sync,
        reason = "loom's types know only loom's threads"
    )
)]

mod rfl;
mod task;
mod tests;

#[path = "../../src/channel.rs"]
mod channel;
#[path = "../../src/delivery.rs"]
mod delivery;
#[path = "../../src/members.rs"]
mod members;
#[path = "../../src/recv.rs"]
mod recv;
#[path = "../../src/ring.rs"]
mod ring;
#[path = "../../src/send.rs"]
mod send;
#[path = "../../src/send_queue.rs"]
mod send_queue;
#[path = "../../src/subscriber.rs"]
mod subscriber;
#[path = "../../src/uapi.rs"]
mod uapi;

static THIS_MODULE: kernel::ThisModule = kernel::ThisModule;
