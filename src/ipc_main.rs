// SPDX-License-Identifier: GPL-2.0

//! IPC channels for io_uring.
//!
//! A message goes through these files: [`ops`] (where io_uring comes in), [`send`], [`channel`]
//! with [`members`] and [`delivery`], [`ring`], and [`recv`]. [`register`] makes and ends what
//! they work on, [`registry`] and [`handles`] find it, [`subscriber`] is the file behind it.

#![crate_name = "io_uring_ipc"]

use kernel::prelude::*;

#[path = "../rust/mod.rs"]
mod rfl;

#[deny(unsafe_code)]
mod channel;
#[deny(unsafe_code)]
mod delivery;
#[deny(unsafe_code)]
mod handles;
#[deny(unsafe_code)]
mod id_table;
#[deny(unsafe_code)]
mod losses;
#[deny(unsafe_code)]
mod member;
#[deny(unsafe_code)]
mod members;
#[deny(unsafe_code)]
mod notices;
mod ops;
#[deny(unsafe_code)]
mod recv;
#[deny(unsafe_code)]
mod register;
#[deny(unsafe_code)]
mod registry;
#[deny(unsafe_code)]
mod ring;
#[deny(unsafe_code)]
mod send;
#[deny(unsafe_code)]
mod send_queue;
#[deny(unsafe_code)]
mod subscriber;
#[deny(unsafe_code)]
mod uapi;

#[cfg(not(ioipc_test))]
module! {
    type: IpcModule,
    name: "io_uring_ipc",
    authors: ["The io_uring IPC authors"],
    description: "IPC channels for io_uring",
    license: "GPL",
    // What the core asks for: not its name, for which `blacklist` would not hold.
    alias: ["io_uring-ipc-channels"],
    params: {
        max_user_channels: u32 {
            default: 1024,
            description: "Channels that a user may have (CAP_SYS_RESOURCE: any number)",
        },
        max_subscribers: u32 {
            default: 4096,
            description: "Subscribers that a channel may have",
        },
    },
}

#[cfg(ioipc_test)]
module! {
    type: IpcModule,
    name: "io_uring_ipc",
    authors: ["The io_uring IPC authors"],
    description: "IPC channels for io_uring, built for tests",
    license: "GPL",
    alias: ["io_uring-ipc-channels"],
    params: {
        max_user_channels: u32 {
            default: 1024,
            description: "Channels that a user may have (CAP_SYS_RESOURCE: any number)",
        },
        max_subscribers: u32 {
            default: 4096,
            description: "Subscribers that a channel may have",
        },
        first_position: u64 {
            default: 0,
            description: "Position of every channel's first message, to see it pass 2^32",
        },
    },
}

/// How many channels a user may have, who lacks `CAP_SYS_RESOURCE`.
fn max_user_channels() -> u32 {
    *module_parameters::max_user_channels.value()
}

/// How many subscribers a channel may have.
fn max_subscribers() -> u32 {
    *module_parameters::max_subscribers.value()
}

/// The position of every channel's first message.
fn first_position() -> u64 {
    #[cfg(ioipc_test)]
    return *module_parameters::first_position.value();
    #[cfg(not(ioipc_test))]
    return 0;
}

struct IpcModule {
    _registration: ops::Registration,
}

impl kernel::Module for IpcModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registration: ops::Registration::new()?,
        })
    }
}
