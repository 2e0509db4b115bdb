// SPDX-License-Identifier: GPL-2.0

//! One request that receives everything, to provided buffers.

use crate::provided::Buffers;
use crate::ring::{result, Ring};
use crate::sink::Sink;
use crate::transport::Receiver;
use anyhow::{ensure, Result};
use io_uring::{cqueue, squeue};

/// One request that receives everything, of a channel or of a file.
pub struct Multishot {
    ring: Ring,
    request: squeue::Entry,
    buffers: Buffers,
}

impl Multishot {
    /// Starts the request with `count` provided buffers.
    pub fn new(mut ring: Ring, request: squeue::Entry, count: usize, size: usize) -> Result<Self> {
        let buffers = Buffers::new(&ring, count.next_power_of_two(), size)?;

        // SAFETY: the buffers stay for good.
        unsafe { ring.push(std::slice::from_ref(&request)) };
        ring.enter(0)?;
        Ok(Self {
            ring,
            request,
            buffers,
        })
    }

    /// Shows `take` each message that is there and the buffer it is in, and gives
    /// the buffers back: the kernel uses them in turn, so that a message stays
    /// until as many others have come as there are buffers. How many messages
    /// and how many other completions that were.
    #[inline]
    pub fn reap(&mut self, mut take: impl FnMut(u16, &[u8])) -> Result<(usize, usize)> {
        let (mut found, mut others, mut over) = (0, 0, false);

        for done in self.ring.completions() {
            let flags = done.flags();

            if done.user_data() != 0 {
                result(done.result())?;
                others += 1;
                continue;
            }
            over |= !cqueue::more(flags);
            match cqueue::buffer_select(flags) {
                Some(id) => {
                    take(id, self.buffers.get(id, result(done.result())?));
                    self.buffers.give_back(id);
                    found += 1;
                }
                // It had used up all the buffers; they are coming back.
                None => ensure!(
                    done.result() == -libc::ENOBUFS,
                    "multishot receive: {}",
                    std::io::Error::from_raw_os_error(-done.result())
                ),
            }
        }
        if found > 0 {
            self.buffers.publish();
        }
        if over {
            // SAFETY: the buffers stay for good.
            unsafe { self.ring.push(std::slice::from_ref(&self.request)) };
        }
        Ok((found, others))
    }

    /// What is in a buffer.
    pub fn message(&self, id: u16, len: usize) -> &[u8] {
        self.buffers.get(id, len)
    }

    /// Submits what is queued, and waits until something has completed.
    #[inline]
    pub fn wait(&mut self) -> Result<()> {
        self.ring.enter(1)
    }

    /// Submits a request whose `user_data` is not 0, if there is one, and waits
    /// for it and for a message, if that is wanted.
    ///
    /// # Safety
    ///
    /// What it points at has to be valid until it has completed.
    pub unsafe fn exchange(
        &mut self,
        request: Option<&squeue::Entry>,
        receive: bool,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        if let Some(request) = request {
            // SAFETY: the caller vouches for it.
            unsafe { self.ring.push(std::slice::from_ref(request)) };
        }
        let mut left = usize::from(request.is_some()) + usize::from(receive);
        while left > 0 {
            self.ring.enter(left)?;
            let (found, others) = self.reap(|_, message| sink.take(message))?;
            left = left.saturating_sub(found + others);
        }
        Ok(())
    }
}

impl Receiver for Multishot {
    fn receive(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        loop {
            if self.reap(|_, message| sink.take(message))?.0 > 0 {
                return Ok(());
            }
            self.wait()?;
        }
    }
}
