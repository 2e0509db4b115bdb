// SPDX-License-Identifier: GPL-2.0

//! The module's channels under a model checker.
//!
//! What decides who gets a message and who is woken is the module's very own source. Around it
//! stand in: for the `kernel` crate the crate of that name here, for the module's abstractions
//! [`rfl`], and for the io_uring core [`task`].

#![cfg(test)]
#![recursion_limit = "256"] // pin_init! takes a step for each field
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

// The module's own files are formatted with the module, whose own tests stand beside them.
#[rustfmt::skip]
#[path = "../../src/channel.rs"]
mod channel;
#[rustfmt::skip]
#[path = "../../src/delivery.rs"]
mod delivery;
#[rustfmt::skip]
#[path = "../../src/losses.rs"]
mod losses;
#[rustfmt::skip]
#[path = "../../src/member.rs"]
mod member;
#[rustfmt::skip]
#[path = "../../src/members.rs"]
mod members;
#[rustfmt::skip]
#[path = "../../src/notices.rs"]
mod notices;
#[rustfmt::skip]
#[path = "../../src/recv.rs"]
mod recv;
#[rustfmt::skip]
#[path = "../../src/ring.rs"]
mod ring;
#[rustfmt::skip]
#[path = "../../src/send.rs"]
mod send;
#[rustfmt::skip]
#[path = "../../src/send_queue.rs"]
mod send_queue;
#[rustfmt::skip]
#[path = "../../src/subscriber.rs"]
mod subscriber;
#[rustfmt::skip]
#[path = "../../src/uapi.rs"]
mod uapi;

static THIS_MODULE: kernel::ThisModule = kernel::ThisModule;
