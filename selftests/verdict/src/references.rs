// SPDX-License-Identifier: GPL-2.0

//! What pins the module: a ring's table, a file or a request of a channel.

use crate::Patience;
use anyhow::{ensure, Context, Result};
use std::fs;
use std::thread;
use std::time::Duration;

const COUNT: &str = "/sys/module/io_uring_ipc/refcnt";

/// How often the module was held at some moment.
pub struct References {
    before: u32,
}

impl References {
    /// Remembers how often it is held now.
    pub fn now() -> Result<Self> {
        Ok(Self { before: count()? })
    }

    /// Waits until it is held no more often than then: the kernel ends rings in the background.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let mut patience = Patience::new();

        loop {
            let now = count()?;

            if now <= self.before {
                return Ok(());
            }
            ensure!(
                patience.spent() < limit,
                "the module is held {now} times, not {}, after {} s",
                self.before,
                limit.as_secs()
            );
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn count() -> Result<u32> {
    let text = fs::read_to_string(COUNT).context("is the module loaded?")?;

    text.trim().parse().context(COUNT)
}
