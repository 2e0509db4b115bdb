// SPDX-License-Identifier: GPL-2.0

//! Flow control for what has none of its own: a sender does not send more than
//! receivers have room for.

use crate::shared::{futex_wait, futex_wake, Plain, Shared};
use crate::work::{Fanout, Work};
use anyhow::Result;
use std::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};

/// What a sender that sleeps waits for.
#[repr(C, align(128))]
struct Waiting {
    /// Whether it sleeps, or is about to.
    asleep: AtomicU32,
    /// Messages that have to have been received before it is woken.
    wanted: AtomicU64,
}

/// Messages received, by one receiver or by all that compete.
#[repr(C, align(128))]
struct Received(AtomicU64);

// SAFETY: atomics only.
unsafe impl Plain for Waiting {}
// SAFETY: atomics only.
unsafe impl Plain for Received {}

/// How many messages may be on their way, and how many have come.
pub struct Window {
    waiting: Shared<Waiting>,
    /// Of each receiver, or of all together for [`Fanout::Any`].
    received: Shared<Received>,
    fanout: Fanout,
    size: u64,
}

impl Window {
    /// As many messages as the work holds. Made before the processes are.
    pub fn new(work: &Work) -> Result<Self> {
        let counts = match work.fanout {
            Fanout::One | Fanout::Each => work.receivers,
            Fanout::Any => 1,
        };

        Ok(Self {
            waiting: Shared::new(1)?,
            received: Shared::new(counts)?,
            fanout: work.fanout,
            size: work.entries() as u64,
        })
    }

    /// Messages that all receivers have got, or all together.
    fn received(&self) -> u64 {
        self.received
            .iter()
            .map(|received| received.0.load(Ordering::Acquire))
            .min()
            .unwrap_or(0)
    }

    /// Receiver `index` has got so many messages more.
    #[inline]
    pub fn took(&self, index: usize, new: u64) {
        let waiting = &self.waiting[0];
        let received = match self.fanout {
            Fanout::One | Fanout::Each => &self.received[index],
            Fanout::Any => &self.received[0],
        };

        received.0.fetch_add(new, Ordering::Release);
        // The sender says that it sleeps and then looks at what was received,
        // with a fence between these as well: one of both sees the other's.
        fence(Ordering::SeqCst);
        if waiting.asleep.load(Ordering::Acquire) != 0
            && self.received() >= waiting.wanted.load(Ordering::Relaxed)
            && waiting.asleep.swap(0, Ordering::AcqRel) != 0
        {
            futex_wake(&waiting.asleep);
        }
    }

    /// Sleeps until so many messages have been received.
    fn wait(&self, wanted: u64) {
        let waiting = &self.waiting[0];

        while self.received() < wanted {
            waiting.wanted.store(wanted, Ordering::Relaxed);
            waiting.asleep.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
            if self.received() < wanted {
                futex_wait(&waiting.asleep, 1);
            }
        }
        waiting.asleep.store(0, Ordering::Relaxed);
    }
}

/// The sender's side of a window.
pub struct Credit<'a> {
    window: &'a Window,
    sent: u64,
    /// When last looked at.
    received: u64,
}

impl<'a> Credit<'a> {
    /// Nothing has been sent yet.
    pub fn new(window: &'a Window) -> Self {
        Self {
            window,
            sent: 0,
            received: 0,
        }
    }

    /// Waits until there is room for `count` messages, and takes it. Who has to
    /// sleep does until half of the window is free.
    #[inline]
    pub fn take(&mut self, count: u64) {
        let window = self.window;
        let sent = self.sent + count;

        if sent - self.received > window.size {
            self.received = window.received();
            if sent - self.received > window.size {
                window.wait((sent - window.size / 2).min(self.sent));
                self.received = window.received();
            }
        }
        self.sent = sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring_ipc::Setup;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Threads send through a small window, and no receiver sees more in it than
    /// there is room for. A wake-up that is lost is a time-out.
    fn run(fanout: Fanout, receivers: usize, batch: usize) {
        // A multiple of all batches.
        const MESSAGES: u64 = 12_800;
        let work = Work {
            fanout,
            // A window of 64.
            size: 65536,
            receivers,
            batch,
            setup: Setup::Plain,
        };
        let window: &'static Window = Box::leak(Box::new(Window::new(&work).unwrap()));
        let sent: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let taken: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let (tell, told) = mpsc::channel();
        let copies = if fanout == Fanout::Each { receivers } else { 1 } as u64;

        for index in 0..receivers {
            let tell = tell.clone();

            thread::spawn(move || {
                let mut mine = 0;

                loop {
                    let done = match fanout {
                        Fanout::Any => taken.load(Ordering::Acquire),
                        _ => mine,
                    };
                    if done == MESSAGES {
                        break;
                    }
                    let there = sent.load(Ordering::Acquire).saturating_sub(done);
                    // Of those who compete, others may have gone on since.
                    assert!(
                        fanout == Fanout::Any || there <= window.size,
                        "{there} in a window"
                    );
                    if there == 0 {
                        thread::yield_now();
                        continue;
                    }
                    if fanout == Fanout::Any
                        && taken
                            .compare_exchange(done, done + 1, Ordering::AcqRel, Ordering::Relaxed)
                            .is_err()
                    {
                        continue;
                    }
                    mine += 1;
                    window.took(index, 1);
                }
                tell.send(mine).unwrap();
            });
        }
        thread::spawn(move || {
            let mut credit = Credit::new(window);

            for _ in 0..MESSAGES / batch as u64 {
                credit.take(batch as u64);
                sent.fetch_add(batch as u64, Ordering::AcqRel);
            }
            tell.send(0).unwrap();
        });
        let done: u64 = (0..=receivers)
            .map(|_| told.recv_timeout(Duration::from_secs(60)).unwrap())
            .sum();

        assert_eq!(done, MESSAGES * copies);
    }

    #[test]
    fn one_receiver() {
        run(Fanout::One, 1, 1);
        run(Fanout::One, 1, 16);
        run(Fanout::One, 1, 64);
    }

    #[test]
    fn each_receiver() {
        run(Fanout::Each, 3, 16);
    }

    #[test]
    fn any_receiver() {
        run(Fanout::Any, 3, 16);
    }
}
