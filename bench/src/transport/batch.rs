// SPDX-License-Identifier: GPL-2.0

//! Several receives submitted together, of which only the first may wait.

use crate::payload;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use anyhow::{ensure, Result};
use io_uring::squeue;

/// Receives for one batch, with their buffers.
pub struct Batch {
    ring: Ring,
    /// With their indices as `user_data`.
    requests: Vec<squeue::Entry>,
    buffer: *const u8,
    size: usize,
    /// The first is under way since the last time: it had found nothing, and
    /// the others then did.
    waiting: bool,
    /// What was found in any order, to be put in that of the messages' numbers. Empty when
    /// the kernel gets the buffers again.
    unordered: Option<Vec<&'static [u8]>>,
}

impl Batch {
    /// Receives of up to `size` bytes; `request` makes the one with this index
    /// and this buffer.
    pub fn new(
        ring: Ring,
        batch: usize,
        size: usize,
        mut request: impl FnMut(usize, *mut u8) -> squeue::Entry,
    ) -> Self {
        // Never given back: the kernel may be writing to it when an error ends us.
        let buffer: &'static mut [u8] = vec![0; batch * size].leak();
        let requests = buffer
            .chunks_mut(size)
            .enumerate()
            .map(|(index, chunk)| request(index, chunk.as_mut_ptr()).user_data(index as u64))
            .collect();

        Self {
            ring,
            requests,
            buffer: buffer.as_ptr(),
            size,
            waiting: false,
            unordered: None,
        }
    }

    /// For requests of which one that finds nothing may be tried again behind others.
    pub fn unordered(mut self) -> Self {
        self.unordered = Some(Vec::with_capacity(self.requests.len()));
        self
    }

    /// Receives once: how many messages there were.
    ///
    /// The kernel runs the requests one after the other, and completions are in
    /// the order in which messages were taken, unless this is [`Self::unordered`].
    pub fn receive(&mut self, sink: &mut Sink<'_>) -> Result<u64> {
        let mut others = 0;
        let mut found = 0;

        if !self.waiting {
            // SAFETY: the buffers stay, and are looked at when a request is done.
            unsafe { self.ring.push(&self.requests) };
            self.waiting = true;
            others = self.requests.len() - 1;
        }
        loop {
            self.ring.enter(others.max(1))?;
            for done in self.ring.completions() {
                let index = done.user_data() as usize;

                match index {
                    0 => self.waiting = false,
                    _ => others -= 1,
                }
                if done.result() == -libc::EAGAIN {
                    continue;
                }
                let len = result(done.result())?;
                ensure!(len <= self.size, "{len} bytes in a buffer of {}", self.size);
                // SAFETY: the request's part of the buffer, which is never given back, is
                // that long, and the kernel has done with it.
                let message =
                    unsafe { std::slice::from_raw_parts(self.buffer.add(index * self.size), len) };
                match &mut self.unordered {
                    None => sink.take(message),
                    Some(all) => all.push(message),
                }
                found += 1;
            }
            if others == 0 && (found > 0 || !self.waiting) {
                break;
            }
        }
        if let Some(all) = &mut self.unordered {
            all.sort_unstable_by_key(|message| payload::number(message));
            all.drain(..).for_each(|message| sink.take(message));
        }
        Ok(found)
    }
}
