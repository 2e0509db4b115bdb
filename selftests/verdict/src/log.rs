// SPDX-License-Identifier: GPL-2.0

//! The kernel's log.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;

/// What no line of the log may contain, and comments.
const TROUBLE: &str = include_str!("../../log_trouble");

/// The kernel's log from some moment on.
pub struct Log {
    records: File,
    trouble: String,
}

impl Log {
    /// Starts with what comes next.
    pub fn from_now() -> Result<Self> {
        let mut records = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("/dev/kmsg")?;

        records.seek(SeekFrom::End(0)).context("/dev/kmsg")?;
        Ok(Self {
            records,
            trouble: String::new(),
        })
    }

    /// Reads what is new, and keeps it if there is trouble in it. To be called before the kernel
    /// has to overwrite records: lost ones are trouble.
    pub fn look(&mut self) -> Result<()> {
        let mut record = [0; 8192];
        let mut lost = false;
        let mut seen = String::new();

        loop {
            match self.records.read(&mut record) {
                Ok(0) => break,
                Ok(len) => {
                    seen.push_str(text(&String::from_utf8_lossy(&record[..len])));
                    seen.push('\n');
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    seen.push_str("(here records were overwritten before anybody read them)\n");
                    lost = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
        if lost || is_trouble(&seen) {
            self.trouble.push_str(&seen);
        }
        Ok(())
    }

    /// What there was of trouble since the last time.
    pub fn trouble(&mut self) -> Result<Option<String>> {
        self.look()?;
        Ok(Some(mem::take(&mut self.trouble)).filter(|trouble| !trouble.is_empty()))
    }
}

/// A record without its numbers, and without its dictionary.
fn text(record: &str) -> &str {
    let text = record.split_once(';').map_or(record, |(_, text)| text);

    text.lines().next().unwrap_or("")
}

fn is_trouble(log: &str) -> bool {
    TROUBLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .any(|word| log.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let record = "4,1234,5678,-;WARNING: at x.c:1\n SUBSYSTEM=y\n";

        assert_eq!(text(record), "WARNING: at x.c:1");
        assert_eq!(text("nonsense"), "nonsense");
    }

    #[test]
    fn trouble_and_none() {
        assert!(is_trouble("a\nBUG: KASAN: slab-use-after-free in b\n"));
        assert!(is_trouble(
            "INFO: task x:1 blocked for more than 20 seconds."
        ));
        assert!(!is_trouble("oom-kill:constraint\nCall Trace:\n <TASK>\n"));
        assert!(!is_trouble(""));
    }
}
