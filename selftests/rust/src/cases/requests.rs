// SPDX-License-Identifier: GPL-2.0

//! What tests with requests under way have in common.

use super::bulk::each_once;
use super::of_kind;
use crate::harness::{fails, same};
use anyhow::{anyhow, ensure, Context, Result};
use io_uring_ipc::{
    abi, Channel, ChannelConfig, Completion, Done, InFlight, Kind, Request, Ring, Setup, Subscriber,
};
use std::io;
use std::ops::Range;
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

/// Nobody waits that long unless a wake-up was lost.
pub const LIMIT: Duration = Duration::from_secs(10);
/// What has not happened by then does not happen.
pub const A_WHILE: Duration = Duration::from_millis(30);
/// Requests that [`send_waiting`] starts together.
const BATCH: u64 = 16;

/// Two rings: one for requests under way, and another one, since a ring does nothing else then.
pub struct Rings {
    pub here: Ring,
    pub elsewhere: Ring,
}

impl Rings {
    pub fn new(setup: Setup) -> Result<Self> {
        Ok(Self {
            here: Ring::new(setup)?,
            elsewhere: Ring::new(setup)?,
        })
    }

    /// A channel made elsewhere, its sender there, its receiver here, and requests under way.
    pub fn receiving(
        &self,
        config: &ChannelConfig,
    ) -> Result<(Channel<'_>, Subscriber<'_>, Subscriber<'_>, InFlight<'_>)> {
        let channel = self.elsewhere.create(config)?;
        let sender = channel.attach(abi::SUB_SEND)?;
        let receiver = self.here.attach(channel.id(), abi::SUB_RECV)?;

        Ok((channel, sender, receiver, InFlight::new(&self.here)?))
    }

    /// A channel made elsewhere, its receiver there, its sender here, and requests under way.
    pub fn sending(
        &self,
        config: &ChannelConfig,
    ) -> Result<(Channel<'_>, Subscriber<'_>, Subscriber<'_>, InFlight<'_>)> {
        let channel = self.elsewhere.create(config)?;
        let receiver = channel.attach(abi::SUB_RECV)?;
        let sender = self.here.attach(channel.id(), abi::SUB_SEND)?;

        Ok((channel, receiver, sender, InFlight::new(&self.here)?))
    }
}

/// A message of eight bytes whose sender waits for room. The number is also the
/// request's `user_data`.
pub fn send_number(sender: u32, number: u64) -> Request {
    Request::send(sender, &number.to_ne_bytes())
        .with(abi::SEND_WAIT)
        .user_data(number)
}

/// A receive of such a message, which waits for it.
pub fn recv_number(receiver: u32) -> Request {
    Request::recv(receiver, 8).with(abi::RECV_WAIT)
}

/// The number in what was received.
pub fn number_of(done: &Done) -> Result<u64> {
    let len = done.completion().result().context("receiving a number")?;

    same("length of a number", len, 8)?;
    Ok(u64::from_ne_bytes(done.bytes().try_into()?))
}

/// Makes sure that nothing completes.
pub fn quiet(requests: &mut InFlight<'_>) -> Result<()> {
    match requests.next(A_WHILE) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        Err(error) => Err(error.into()),
        Ok(done) => Err(anyhow!("completed too early: {:?}", done.completion())),
    }
}

/// The next completion, which has to come.
pub fn next(requests: &mut InFlight<'_>) -> Result<Done> {
    requests.next(LIMIT).context("waiting for a completion")
}

/// The next completion has to be this request's last, a failure.
pub fn next_fails(requests: &mut InFlight<'_>, user_data: u64, errno: i32) -> Result<()> {
    ends_with(next(requests)?.completion(), user_data, errno)
}

/// This completion has to be this request's last, a failure.
pub fn ends_with(completion: Completion, user_data: u64, errno: i32) -> Result<()> {
    same("user_data", completion.user_data, user_data)?;
    fails("a request that ends", completion.result(), errno)?;
    same("MORE of a failure", completion.more(), false)
}

/// Results of the next completions, sorted by `user_data`.
pub fn results(requests: &mut InFlight<'_>, count: usize) -> Result<Vec<(u64, i32)>> {
    let mut results = (0..count)
        .map(|_| {
            let completion = next(requests)?.completion();

            Ok((completion.user_data, completion.res))
        })
        .collect::<Result<Vec<_>>>()?;

    results.sort_unstable();
    Ok(results)
}

/// Receives exactly these numbers, each by a request that waits.
pub fn recv_waiting(requests: &mut InFlight<'_>, receiver: u32, numbers: Range<u64>) -> Result<()> {
    for number in numbers {
        requests.start([recv_number(receiver)])?;
        let done = next(requests).with_context(|| format!("for number {number}"))?;

        same("number received", number_of(&done)?, number)?;
    }
    Ok(())
}

/// Sends numbers by requests that wait for room, several of them at a time.
pub fn send_waiting(requests: &mut InFlight<'_>, sender: u32, numbers: Range<u64>) -> Result<()> {
    let mut from = numbers.start;

    while from < numbers.end {
        let to = numbers.end.min(from + BATCH);

        requests.start((from..to).map(|number| send_number(sender, number)))?;
        for _ in from..to {
            let sent = next(requests)?.completion();

            same("sent", sent.result().context("sending")?, 8)?;
        }
        from = to;
    }
    Ok(())
}

/// Has a thread send numbers to a channel with [`send_waiting`].
pub fn spawn_sender<'scope>(
    scope: &'scope Scope<'scope, '_>,
    setup: Setup,
    channel: u32,
    count: u64,
) -> ScopedJoinHandle<'scope, Result<()>> {
    scope.spawn(move || {
        let ring = Ring::new(setup)?;
        let sender = ring.attach(channel, abi::SUB_SEND)?;

        let mut requests = InFlight::new(&ring)?;

        send_waiting(&mut requests, sender.id(), 0..count)
    })
}

/// The result of a thread.
pub fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// What a receiver does with a ring of its own until the channel ends: gives the
/// numbers it gets.
pub type Work = fn(&mut InFlight<'_>, receiver: u32) -> Result<Vec<u64>>;

/// Sends numbers to several receivers on a thread each, then destroys the
/// channel. Each number has to reach one of them, and each gets them in order.
pub fn through_workers(setup: Setup, kind: Kind, count: u64, work: Work) -> Result<()> {
    const WORKERS: usize = 3;

    let ring = Ring::new(setup)?;
    let channel = ring.create(&of_kind(kind))?;
    let sender = channel.attach(abi::SUB_SEND)?;
    let id = channel.id();
    let (attached, all_attached) = mpsc::channel();

    let got = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let attached = attached.clone();

                scope.spawn(move || {
                    let ring = Ring::new(setup)?;
                    let receiver = ring.attach(id, abi::SUB_RECV)?;
                    let mut requests = InFlight::new(&ring)?;

                    attached.send(())?;
                    work(&mut requests, receiver.id())
                })
            })
            .collect();

        for _ in 0..WORKERS {
            all_attached
                .recv_timeout(LIMIT)
                .context("a receiver does not start")?;
        }
        send_waiting(&mut InFlight::new(&ring)?, sender.id(), 0..count)?;
        channel.destroy()?;
        workers.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;

    for numbers in &got {
        ensure!(
            numbers.is_sorted_by(|a, b| a < b),
            "a receiver got messages out of order"
        );
    }
    each_once(&got.concat(), count)
}

/// A multishot receive that is started again where it ends without having
/// failed, or for want of buffers.
pub struct Multishot {
    receiver: u32,
    group: u16,
    flags: u16,
    /// How often it was started again since the completion queue was full.
    pub restarts: u32,
}

impl Multishot {
    /// Starts it; its `user_data` is the receiver's id.
    pub fn start(
        requests: &mut InFlight<'_>,
        receiver: u32,
        group: u16,
        flags: u16,
    ) -> Result<Self> {
        let multishot = Self {
            receiver,
            group,
            flags,
            restarts: 0,
        };

        multishot.submit(requests)?;
        Ok(multishot)
    }

    fn submit(&self, requests: &mut InFlight<'_>) -> Result<()> {
        let request = Request::recv_multishot(self.receiver, self.group)
            .with(self.flags)
            .user_data(self.receiver.into());

        Ok(requests.start([request])?)
    }

    /// The next message, or the error that ended it.
    pub fn next(&mut self, requests: &mut InFlight<'_>) -> Result<Done> {
        loop {
            let done = next(requests)?;
            let completion = done.completion();

            same("user_data", completion.user_data, self.receiver.into())?;
            if completion.more() {
                ensure!(completion.res >= 0, "an error with MORE: {completion:?}");
                return Ok(done);
            }
            match completion.res {
                0.. => {
                    self.restarts += 1;
                    self.submit(requests)?;
                    return Ok(done);
                }
                // By now those that were in use are given back.
                error if error == -libc::ENOBUFS => self.submit(requests)?,
                _ => return Ok(done),
            }
        }
    }
}
