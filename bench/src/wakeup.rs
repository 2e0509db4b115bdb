// SPDX-License-Identifier: GPL-2.0

//! What it takes to wake who waits, and what it takes to have waited.
//!
//! Both sides are rings of one task, so a wake-up ends with work queued for that
//! task: what the scheduler takes where a task sleeps comes on top, as it does for
//! whatever is waited for. A figure is of one request by itself, which is in a
//! system call by itself.

use crate::alone::Part;
use crate::channel::{Channel, Subscriber};
use crate::clock::{settle, timed};
use crate::outbox::Outbox;
use crate::provided::{Buffers, GROUP};
use crate::ring::Ring;
use crate::stat::Stat;
use anyhow::{ensure, Result};
use io_uring::{opcode, squeue, types};
use io_uring_ipc::sqe::Sqe;
use io_uring_ipc::{abi, Kind};

/// Messages of a channel that fills up.
const FEW: usize = 4;
/// Requests that are timed in a round.
const TIMES: u64 = 200;

/// What a case is told: what, with a wake-up, compared with what, without.
type Report<'a> = &'a mut dyn FnMut(&str, Stat, &str, Stat);

/// Two rings, and a channel from one to the other.
struct Line {
    to: Ring,
    from: Ring,
    _channel: Channel,
    sender: Subscriber,
    receiver: Subscriber,
    send: squeue::Entry,
    waiting_send: squeue::Entry,
    receive: squeue::Entry,
    waiting_receive: squeue::Entry,
    size: usize,
    // What the requests point at.
    _buffer: Vec<u8>,
    _outbox: Outbox,
}

impl Line {
    fn new(part: &Part, entries: usize) -> Result<Self> {
        let to = Ring::new(part.setup, 1, 0)?;
        let from = Ring::new(part.setup, 1, 0)?;
        let channel = Channel::new(Kind::Unicast, entries, part.size)?;
        let sender = channel.attach(&to, abi::SUB_SEND)?;
        let receiver = channel.attach(&from, abi::SUB_RECV)?;
        let mut outbox = Outbox::new(1, part.size);
        let mut buffer = vec![0u8; part.size];

        outbox.fill(0);
        let send = || Sqe::send(sender.id, outbox.address(0), part.size);
        let mut receive = || Sqe::recv(receiver.id, buffer.as_mut_ptr(), part.size);
        Ok(Self {
            send: send().into_entry(),
            waiting_send: send().with(abi::SEND_WAIT).into_entry(),
            receive: receive().into_entry(),
            waiting_receive: receive().with(abi::RECV_WAIT).into_entry(),
            to,
            from,
            _channel: channel,
            sender,
            receiver,
            size: part.size,
            _buffer: buffer,
            _outbox: outbox,
        })
    }

    /// Submits what is to wait.
    fn park(ring: &mut Ring, request: &squeue::Entry) -> Result<()> {
        // SAFETY: what it points at stays as long as the ring.
        unsafe { ring.push(std::slice::from_ref(request)) };
        ring.enter(0)?;
        ensure!(ring.completions().is_empty(), "it does not wait");
        Ok(())
    }

    /// Waits for the one that does.
    fn reap(ring: &mut Ring, expected: usize) -> Result<()> {
        ring.enter(1)?;
        let results: Vec<_> = ring.completions().map(|done| done.result()).collect();

        ensure!(results == [expected as i32], "results {results:?}");
        Ok(())
    }

    fn one(ring: &mut Ring, request: &squeue::Entry, expected: usize) -> Result<()> {
        // SAFETY: what it points at stays as long as the ring.
        unsafe {
            ring.run(std::slice::from_ref(request), |done| {
                ensure!(done.result() == expected as i32, "result {}", done.result());
                Ok(())
            })
        }
    }

    /// To be called before what is timed: a task's first request after it has used
    /// another ring takes some 300 more.
    fn enter(ring: &mut Ring) -> Result<()> {
        Self::one(ring, &opcode::Nop::new().build(), 0)
    }

    fn send(&mut self) -> Result<()> {
        Self::one(&mut self.to, &self.send, self.size)
    }

    fn receive(&mut self) -> Result<()> {
        Self::one(&mut self.from, &self.receive, self.size)
    }

    /// Its time.
    fn timed_send(&mut self) -> Result<u64> {
        Self::enter(&mut self.to)?;
        timed(|| self.send())
    }

    /// Its time.
    fn timed_receive(&mut self) -> Result<u64> {
        Self::enter(&mut self.from)?;
        timed(|| self.receive())
    }
}

/// As [`rounds`], where each time wakes `who` once, by that line of its fdinfo.
fn waking(
    part: &Part,
    line: &mut Line,
    who: fn(&Line) -> &Subscriber,
    wakeups: &str,
    mut step: impl FnMut(&mut Line) -> Result<u64>,
) -> Result<Stat> {
    let before = who(line).info(wakeups)?;
    let time = rounds(part, 1, || step(line))?;
    let woken = who(line).info(wakeups)? - before;
    let times = TIMES * (part.rounds as u64 + 1);

    ensure!(woken == times, "{woken} wake-ups for {times} messages");
    Ok(time)
}

/// The time of one request in a round of many: `step` does what is to be done before,
/// what is timed (and gives its time, in so many `pieces`), and what is to be done after.
fn rounds(part: &Part, pieces: u64, mut step: impl FnMut() -> Result<u64>) -> Result<Stat> {
    // Looking at the clock takes time, too.
    let looks = 0..TIMES * pieces;
    let clock = looks.map(|_| timed(|| Ok(()))).sum::<Result<u64>>()?;
    let mut round = || -> Result<f64> {
        let all = (0..TIMES).map(|_| step()).sum::<Result<u64>>()?;
        Ok(all.saturating_sub(clock) as f64 / TIMES as f64)
    };

    settle();
    round()?;
    Ok(Stat::new(
        (0..part.rounds).map(|_| round()).collect::<Result<_>>()?,
    ))
}

/// Measures all of it.
pub fn measure(part: &Part, report: Report<'_>) -> Result<()> {
    let receiver: fn(&Line) -> &Subscriber = |line| &line.receiver;
    let alone = "the same, nobody waits";
    let mut line = Line::new(part, part.entries)?;

    let send = rounds(part, 1, || {
        let time = line.timed_send()?;
        line.receive()?;
        Ok(time)
    })?;
    let receive = rounds(part, 1, || {
        line.send()?;
        line.timed_receive()
    })?;
    let wake = waking(part, &mut line, receiver, "ipc-wakeups", |line| {
        Line::park(&mut line.from, &line.waiting_receive)?;
        let time = line.timed_send()?;
        Line::reap(&mut line.from, line.size)?;
        Ok(time)
    })?;
    report(
        "send that wakes a receive, batch 1",
        wake,
        alone,
        send.clone(),
    );
    let poll = opcode::PollAdd::new(types::Fd(line.receiver.fd()), libc::POLLIN as u32).build();
    let wake = waking(part, &mut line, receiver, "ipc-wakeups", |line| {
        Line::park(&mut line.from, &poll)?;
        let time = line.timed_send()?;
        Line::reap(&mut line.from, libc::POLLIN as usize)?;
        line.receive()?;
        Ok(time)
    })?;
    report(
        "send that wakes a POLL_ADD, batch 1",
        wake,
        alone,
        send.clone(),
    );
    let waited = rounds(part, 2, || {
        Line::enter(&mut line.from)?;
        let parked = timed(|| Line::park(&mut line.from, &line.waiting_receive))?;
        line.send()?;
        Ok(parked + timed(|| Line::reap(&mut line.from, line.size))?)
    })?;
    let found = "one that finds its message";
    report("receive that has waited, all of it", waited, found, receive);

    let mut buffers = Buffers::new(&line.from, FEW, part.size)?;
    let multishot = Sqe::recv_multishot(line.receiver.id, GROUP).into_entry();
    Line::park(&mut line.from, &multishot)?;
    let mut id = 0;
    let wake = waking(part, &mut line, receiver, "ipc-wakeups", |line| {
        let time = line.timed_send()?;
        Line::reap(&mut line.from, line.size)?;
        buffers.give_back(id);
        buffers.publish();
        id = (id + 1) % FEW as u16;
        Ok(time)
    })?;
    report(
        "send that wakes a multishot receive, batch 1",
        wake,
        alone,
        send,
    );

    let mut line = Line::new(part, FEW)?;
    for _ in 0..FEW {
        line.send()?;
    }
    let receive = rounds(part, 1, || {
        let time = line.timed_receive()?;
        line.send()?;
        Ok(time)
    })?;
    let sender: fn(&Line) -> &Subscriber = |line| &line.sender;
    let wake = waking(part, &mut line, sender, "ipc-room-wakeups", |line| {
        Line::park(&mut line.to, &line.waiting_send)?;
        let time = line.timed_receive()?;
        Line::reap(&mut line.to, line.size)?;
        Ok(time)
    })?;
    report("receive that wakes a send, batch 1", wake, alone, receive);
    Ok(())
}
