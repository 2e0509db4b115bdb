// SPDX-License-Identifier: GPL-2.0

//! Subscribers of one ring that wait together.

use crate::channel::{Channel, Subscriber};
use crate::outbox::Outbox;
use crate::ring::Ring;
use anyhow::{ensure, Result};
use io_uring_ipc::sqe::Sqe;
use io_uring_ipc::{abi, Setup};

/// Bytes of a message, or of a header alone.
pub const SIZE: usize = 64;

/// Requests that are submitted together where nothing is timed.
const BATCH: usize = 64;

/// Requests of a ring that may wait.
const REQUESTS: usize = 256;

/// Where all messages of this program's side come from and go to. Nobody looks
/// at them.
fn memory() -> *mut u8 {
    Outbox::new(1, SIZE).address(0).cast_mut()
}

/// Subscribers of one ring.
pub struct Crowd {
    ring: Ring,
    /// In the order in which they were attached.
    pub subscribers: Vec<Subscriber>,
    memory: *mut u8,
}

impl Crowd {
    /// Attaches `count` subscribers; `rights` are `SUB_*`.
    pub fn new(channel: &Channel, count: usize, rights: u32) -> Result<Self> {
        // What has been woken is done when this program asks for it, and not
        // as a part of what has woken it.
        let ring = Ring::new(Setup::DeferTaskrun, REQUESTS, 0)?;
        let subscribers = (0..count)
            .map(|_| channel.attach(&ring, rights))
            .collect::<Result<_>>()?;

        Ok(Self {
            ring,
            subscribers,
            memory: memory(),
        })
    }

    /// The ring that has attached them.
    pub fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// A send of the first subscriber.
    pub fn send(&self, target: u32) -> Sqe {
        Sqe {
            file_index: target,
            ..Sqe::send(self.subscribers[0].id, self.memory, SIZE)
        }
    }

    /// A receive of the first subscriber.
    pub fn receive(&self) -> Sqe {
        Sqe::recv(self.subscribers[0].id, self.memory, SIZE)
    }

    /// Makes a request `count` times, each of which has to transfer a message.
    pub fn repeat(&mut self, request: Sqe, count: usize) -> Result<()> {
        let all = vec![request.into_entry(); count];

        for batch in all.chunks(BATCH) {
            // SAFETY: the memory stays.
            unsafe {
                self.ring.run(batch, |done| {
                    let result = done.result();

                    ensure!(result == SIZE as i32, "a request gave {result}");
                    Ok(())
                })
            }?;
        }
        Ok(())
    }

    /// Each receives all that there is for it.
    pub fn drain(&mut self) -> Result<()> {
        for subscriber in &self.subscribers {
            let receive = Sqe::recv(subscriber.id, self.memory, SIZE).with(abi::RECV_HDR);
            let batch = vec![receive.into_entry(); BATCH];
            let mut is_empty = false;

            while !is_empty {
                // SAFETY: the memory stays.
                unsafe {
                    self.ring.run(&batch, |done| {
                        is_empty |= done.result() == -libc::EAGAIN;
                        Ok(())
                    })
                }?;
            }
        }
        Ok(())
    }

    /// Leaves `each` receives of each waiting; `flags` are `RECV_*`.
    pub fn await_messages(&mut self, each: usize, flags: u16) -> Result<()> {
        let waits = flags | abi::RECV_WAIT;

        self.leave(each, |id, memory| Sqe::recv(id, memory, SIZE).with(waits))?;
        self.expect("ipc-receives-waiting", each as u64)
    }

    /// Leaves `each` sends of each waiting for room.
    pub fn await_room(&mut self, each: usize) -> Result<()> {
        self.leave(each, |id, memory| {
            Sqe::send(id, memory, SIZE).with(abi::SEND_WAIT)
        })?;
        self.expect("ipc-sends-waiting", each as u64)
    }

    fn leave(&mut self, each: usize, request: impl Fn(u32, *mut u8) -> Sqe) -> Result<()> {
        for subscriber in &self.subscribers {
            let batch = vec![request(subscriber.id, self.memory).into_entry(); each];

            // SAFETY: the memory stays.
            unsafe { self.ring.push(&batch) };
            self.ring.enter(0)?;
        }
        let early = self.ring.completions().count();

        ensure!(early == 0, "{early} requests did not wait");
        Ok(())
    }

    /// Waits until as many of those have completed, each with `result`.
    pub fn finish(&mut self, count: usize, result: i32) -> Result<()> {
        let mut left = count;

        while left > 0 {
            self.ring.enter(1)?;
            for done in self.ring.completions() {
                let is = done.result();

                ensure!(is == result && left > 0, "a request that waited gave {is}");
                left -= 1;
            }
        }
        Ok(())
    }

    /// Fails unless this number is `expected` in the fdinfo of each.
    pub fn expect(&self, name: &str, expected: u64) -> Result<()> {
        for subscriber in &self.subscribers {
            let is = subscriber.info(name)?;

            ensure!(is == expected, "{name} is {is} and not {expected}");
        }
        Ok(())
    }
}
