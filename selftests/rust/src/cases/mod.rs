// SPDX-License-Identifier: GPL-2.0

//! The tests.

mod arguments;
mod bulk;
mod delivery;
mod event_loops;
mod lifetime;
mod multishot;
mod multishot_bulk;
mod process;
mod receive;
mod region;
pub mod requests;
mod waiting;
mod waiting_bulk;
mod waiting_ends;

use crate::harness::{fails, same, Case, Run};
use anyhow::{ensure, Context, Result};
use io_uring_ipc::{abi, ChannelConfig, Events, Kind, Message, Subscriber, EMPTY};
use std::time::{Duration, Instant};

/// Every test.
pub fn all() -> Vec<Case> {
    let mut cases = vec![Case {
        name: "abi_sizes",
        run: Run::Once(abi_sizes),
    }];

    for module in [
        delivery::CASES,
        receive::CASES,
        arguments::CASES,
        lifetime::CASES,
        process::CASES,
        region::CASES,
        bulk::CASES,
        waiting::CASES,
        waiting_ends::CASES,
        waiting_bulk::CASES,
        multishot::CASES,
        multishot_bulk::CASES,
        event_loops::CASES,
    ] {
        cases.extend(module.iter().map(|&(name, run)| Case {
            name,
            run: Run::EachSetup(run),
        }));
    }
    cases
}

/// A module's tests: names and functions.
type Cases = &'static [(&'static str, fn(io_uring_ipc::Setup) -> Result<()>)];

/// The numbers that old binaries have compiled in. The layout of each
/// structure is checked when this program is built.
fn abi_sizes() -> Result<()> {
    same("CREATE", size_of::<abi::ChannelCreate>(), 40)?;
    same("ATTACH", size_of::<abi::ChannelAttach>(), 48)?;
    same("message header", size_of::<abi::MsgHdr>(), 48)?;
    same("region header", size_of::<abi::RingHeader>(), 160)?;
    same("descriptor", size_of::<abi::MsgDesc>(), 64)?;
    same("SQE", size_of::<io_uring_ipc::sqe::Sqe>(), 64)?;
    same("opcodes", (abi::OP_SEND, abi::OP_RECV), (65, 66))?;
    same("first call", abi::REGISTER_CREATE, 38)?;
    same("last call", abi::REGISTER_DESTROY, 41)
}

/// A channel of this kind, else as by default.
fn of_kind(kind: Kind) -> ChannelConfig {
    ChannelConfig {
        kind,
        ..ChannelConfig::default()
    }
}

/// A key that no other test uses at the same time.
fn some_key(number: u64) -> u64 {
    u64::from(std::process::id()) << 32 | 0xc0de_0000 | number
}

/// Sends numbers, each as a message of eight bytes.
fn send_numbers(sender: &Subscriber<'_>, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
    for number in numbers {
        let payload = number.to_ne_bytes();

        sender
            .send(Message::new(&payload))
            .with_context(|| format!("sending number {number}"))?;
    }
    Ok(())
}

/// Sleeps as [`Subscriber::wait`] does, and has to be woken: when its time is up poll(2) looks once
/// more, and finds what nobody has woken it for.
pub fn woken(
    subscriber: &Subscriber<'_>,
    readable: bool,
    writable: bool,
    limit: Duration,
) -> Result<Events> {
    let begin = Instant::now();
    let events = subscriber.wait(readable, writable, limit)?;

    ensure!(begin.elapsed() < limit, "nobody has woken it: {events:?}");
    Ok(events)
}

/// Receives one number.
fn recv_number(receiver: &Subscriber<'_>) -> Result<u64> {
    let mut buffer = [0; 16];
    let len = receiver.recv(&mut buffer).context("receiving a number")?;

    same("length of a number", len, 8)?;
    Ok(u64::from_ne_bytes(buffer[..8].try_into()?))
}

/// Receives exactly these numbers, after which there is nothing.
fn expect_numbers(receiver: &Subscriber<'_>, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
    for number in numbers {
        same("number received", recv_number(receiver)?, number)?;
    }
    expect_empty(receiver)
}

/// Makes sure that there is nothing to receive.
fn expect_empty(receiver: &Subscriber<'_>) -> Result<()> {
    fails(
        "receiving from an empty channel",
        receiver.recv(&mut [0; 16]),
        EMPTY,
    )
}
