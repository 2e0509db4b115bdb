// SPDX-License-Identifier: GPL-2.0

//! The other process of tests that need two.
//!
//! It is this program again with `--role`. What it finds out it says on its
//! standard output, a line each; where it has to wait for the test, it reads a
//! line from its standard input.

use crate::cases::{requests, woken};
use crate::harness;
use anyhow::{bail, ensure, Context, Result};
use io_uring_ipc::{abi, failed_with, ChannelConfig, InFlight, Kind, Message, Request, Ring};
use io_uring_ipc::{Setup, EMPTY};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A user id without any rights.
pub const NOBODY: u32 = 65534;

const LIMIT: Duration = Duration::from_secs(30);

/// The process as the test sees it. It is killed where the test gives up.
pub struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it as user `uid`.
    pub fn start_as(uid: u32, setup: Setup, role: &str, args: &[u64]) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args(["--role", role, setup.name(), &uid.to_string()])
            .args(args.iter().map(u64::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a helper")?;

        Ok(Self {
            input: child.stdin.take().context("no pipe")?,
            output: BufReader::new(child.stdout.take().context("no pipe")?),
            child,
        })
    }

    /// Starts it as this user.
    pub fn start(setup: Setup, role: &str, args: &[u64]) -> Result<Self> {
        // SAFETY: no memory is involved.
        Self::start_as(unsafe { libc::geteuid() }, setup, role, args)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it says.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();

        ensure!(self.output.read_line(&mut line)? > 0, "a helper is gone");
        Ok(line.trim_end().to_owned())
    }

    /// Lets it go on where it waits.
    pub fn go_on(&mut self) -> Result<()> {
        self.input.write_all(b"\n").context("a helper is gone")
    }

    /// Waits for its end, which has to be a good one.
    pub fn finish(mut self) -> Result<()> {
        match harness::wait(&mut self.child, LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("a helper failed: {status}"),
            None => bail!("a helper hangs"),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended long since.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays a role: name, ring set-up, user id, numbers.
pub fn play(role: &[String]) -> Result<()> {
    let [name, setup, uid, args @ ..] = role else {
        bail!("incomplete role: {role:?}");
    };
    let uid: libc::uid_t = uid.parse()?;
    let args = args
        .iter()
        .map(|arg| arg.parse::<u64>())
        .collect::<Result<Vec<_>, _>>()?;

    become_user(uid)?;

    let ring = Ring::new(setup.parse().map_err(anyhow::Error::msg)?)?;
    match (name.as_str(), args.as_slice()) {
        ("destroy", &[id]) => say(outcome(ring.register_destroy(id as u32))),
        ("attach", &[id, flags]) => say(outcome(ring.attach(id as u32, flags as u32))),
        ("send", &[id, count]) => bare_sender(&ring, id as u32, count),
        ("own", &[key]) => owner(&ring, key),
        ("echo", &[there, back, count]) => echo(&ring, there, back, count),
        ("feed", &[key, count]) => feed(&ring, key, count),
        ("recv_forever", &[key]) => recv_forever(&ring, key),
        ("send_forever", &[key]) => send_forever(&ring, key),
        _ => bail!("no such role: {role:?}"),
    }
}

fn become_user(uid: libc::uid_t) -> Result<()> {
    // SAFETY: no memory is involved.
    if uid == unsafe { libc::geteuid() } {
        return Ok(());
    }
    // SAFETY: as above; an empty list of groups is not read.
    let failed = unsafe {
        libc::setgroups(0, std::ptr::null()) < 0
            || libc::setresgid(uid, uid, uid) < 0
            || libc::setresuid(uid, uid, uid) < 0
    };
    if failed {
        return Err(io::Error::last_os_error()).context("changing the user");
    }
    Ok(())
}

fn say(line: String) -> Result<()> {
    println!("{line}");
    Ok(io::stdout().flush()?)
}

fn wait_for_test() -> Result<()> {
    let mut line = String::new();

    ensure!(io::stdin().read_line(&mut line)? > 0, "the test is gone");
    Ok(())
}

/// 0 or the `errno`, as [`Helper::line`] gives it.
fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "0".into(),
        Err(error) => error.raw_os_error().unwrap_or(-1).to_string(),
    }
}

/// Sends numbers without being a subscriber, and says how each send went.
fn bare_sender(ring: &Ring, channel: u32, count: u64) -> Result<()> {
    for number in 0..count {
        let message = number.to_ne_bytes();

        say(outcome(ring.send_to_channel(
            channel,
            Message::new(&message).tag(number),
        )))?;
    }
    Ok(())
}

/// Has a channel until the test says so, and its file until a second time.
fn owner(ring: &Ring, key: u64) -> Result<()> {
    let channel = ring.create(&ChannelConfig {
        key,
        ..ChannelConfig::default()
    })?;

    say(channel.id().to_string())?;
    wait_for_test()?;
    say(outcome(channel.destroy()))
}

/// Receives from one channel and sends the same to another, both found by key.
fn echo(ring: &Ring, there: u64, back: u64, count: u64) -> Result<()> {
    let input = ring.attach_by_key(there, abi::SUB_RECV)?;
    let output = ring.attach_by_key(back, abi::SUB_SEND)?;
    let mut buffer = vec![0; 4096];

    say("attached".into())?;
    for _ in 0..count {
        let len = loop {
            let result = input.recv(&mut buffer);

            if !failed_with(&result, EMPTY) {
                break result?;
            }
            woken(&input, true, false, LIMIT)?;
        };
        woken(&output, false, true, LIMIT)?;
        output.send(Message::new(&buffer[..len]))?;
    }
    Ok(())
}

/// Sends numbers, waiting for room.
fn feed(ring: &Ring, key: u64, count: u64) -> Result<()> {
    let sender = ring.attach_by_key(key, abi::SUB_SEND)?;

    requests::send_waiting(&mut InFlight::new(ring)?, sender.id(), 0..count)
}

/// Waits for a message that never comes.
fn recv_forever(ring: &Ring, key: u64) -> Result<()> {
    let receiver = ring.attach_by_key(key, abi::SUB_RECV)?;

    wait_forever(ring, requests::recv_number(receiver.id()))
}

/// Waits for room that never comes.
fn send_forever(ring: &Ring, key: u64) -> Result<()> {
    let sender = ring.attach_by_key(key, abi::SUB_SEND)?;

    wait_forever(ring, requests::send_number(sender.id(), 666))
}

fn wait_forever(ring: &Ring, request: Request) -> Result<()> {
    let mut requests = InFlight::new(ring)?;

    requests.start([request])?;
    requests::quiet(&mut requests)?;
    say("waiting".into())?;
    wait_for_test()
}

/// A broadcast or other channel that anybody may use.
pub fn open_to_all(kind: Kind) -> ChannelConfig {
    ChannelConfig {
        kind,
        mode: 0o666,
        ..ChannelConfig::default()
    }
}
