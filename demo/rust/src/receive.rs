// SPDX-License-Identifier: GPL-2.0

//! One receiver. The protocol is described in `stream.c`.

use crate::report::Report;
use crate::Mode;
use anyhow::{ensure, Context, Result};
use io_uring_ipc::abi::{self, MsgHdr};
use io_uring_ipc::{failed_with, Done, InFlight, Message, Request, Ring, Setup, Subscriber};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Largest message, the sender's `CHUNK_SIZE`.
const CHUNK_SIZE: usize = 32768;

/// Buffers for messages: as many as may arrive while some are being written.
const BUFFERS: u16 = 64;

/// How long a sender may take to start.
const START: Duration = Duration::from_secs(20);

/// How long nothing may arrive.
const SILENCE: Duration = Duration::from_secs(60);

/// `user_data` of the requests.
const RECEIVE: u64 = 1;
const CANCEL: u64 = 2;

const NOTE_ATTACHED: u32 = 1;
const NOTE_WRITTEN: u32 = 2;

/// What a receiver tells the sender: `struct note` there.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Note {
    kind: u32,
    subscriber: u32,
}

/// Receives a file, tells the sender, and prints a [`Report`].
pub fn receive(mode: Mode, key: u64, output: &Path) -> Result<()> {
    // Multicast workers write the same file, each its pieces of it.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(output)
        .with_context(|| output.display().to_string())?;

    // Two rings: the one for the data is busy with the receive.
    let rings = [
        Ring::new(Setup::DeferTaskrun)?,
        Ring::new(Setup::DeferTaskrun)?,
    ];
    let data = attach_when_there(&rings[0], key)?;
    let notes = rings[1].attach_by_key(key + 1, abi::SUB_SEND)?;

    tell(&notes, NOTE_ATTACHED, &data)?;
    let report = receive_all(&rings[0], &data, mode, &file)?;
    tell(&notes, NOTE_WRITTEN, &data)?;

    println!("{report}");
    Ok(())
}

/// Attaches to the data, waiting for the sender to make the channel.
fn attach_when_there(ring: &Ring, key: u64) -> Result<Subscriber<'_>> {
    let deadline = Instant::now() + START;

    loop {
        let result = ring.attach_by_key(key, abi::SUB_RECV);

        if !failed_with(&result, libc::ENOENT) || Instant::now() > deadline {
            return result.context("attaching to the data channel");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn tell(notes: &Subscriber<'_>, kind: u32, data: &Subscriber<'_>) -> Result<()> {
    let note = Note {
        kind,
        subscriber: data.id(),
    };

    notes
        .send(Message::new(bytemuck::bytes_of(&note)))
        .context("sending a note")
}

/// Writes messages until the end mark comes.
fn receive_all(ring: &Ring, data: &Subscriber<'_>, mode: Mode, file: &File) -> Result<Report> {
    let mut requests = InFlight::new(ring)?;
    let group = requests.provide(BUFFERS, size_of::<MsgHdr>() + CHUNK_SIZE)?;
    let mut report = Report::default();
    let mut ended = false;

    while !ended || requests.running() > 0 {
        if requests.running() == 0 {
            let receive = Request::recv_multishot(data.id(), group).with(abi::RECV_HDR);

            requests.start([receive.user_data(RECEIVE)])?;
        }

        let done = requests.next(SILENCE).context("waiting")?;
        if !has_message(&done, ended)? {
            continue;
        }
        if !write(&done, mode, file, &mut report)? {
            // What a worker gets before it is cancelled nobody else has.
            ended = true;
            requests.start([Request::cancel(RECEIVE).user_data(CANCEL)])?;
        }
    }
    report.time_ns = now_ns();
    Ok(report)
}

/// Whether this is a message. If not, it may be something to go on after.
fn has_message(done: &Done, ended: bool) -> Result<bool> {
    let completion = done.completion();
    let go_on = match completion.result() {
        _ if completion.user_data == CANCEL => true,
        // Messages came faster than buffers back. By now all are; what was not
        // received is still in the channel.
        result if failed_with(&result, libc::ENOBUFS) => true,
        result => ended && failed_with(&result, libc::ECANCELED),
    };

    if !go_on {
        completion.result().context("receiving")?;
    }
    Ok(!go_on)
}

/// Writes a message where it belongs; false for the end mark.
fn write(done: &Done, mode: Mode, file: &File, report: &mut Report) -> Result<bool> {
    let (header, piece) = done.message()?;
    let offset = header.sender_data;

    ensure!(
        header.len as usize == piece.len(),
        "{} bytes of a message of {}",
        piece.len(),
        header.len
    );
    // A worker gets only some of the pieces; else they come one by one.
    if mode != Mode::Multicast {
        ensure!(
            offset == report.bytes,
            "a message for offset {offset}, after {} bytes",
            report.bytes
        );
    }
    if piece.is_empty() {
        return Ok(false);
    }
    file.write_all_at(piece, offset).context("writing")?;
    report.messages += 1;
    report.bytes += piece.len() as u64;
    Ok(true)
}

/// The monotonic clock, which is the same for all processes.
fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    // SAFETY: `now` is what the call writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
