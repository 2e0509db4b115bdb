// SPDX-License-Identifier: GPL-2.0

//! What the processes report, and the table made of it.

use crate::Mode;
use anyhow::{Context, Result};
use std::fmt;

/// The line in which a sender or receiver says what it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages sent or received, without end marks.
    pub messages: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// When the sender started, or the receiver had everything.
    pub time_ns: u64,
}

impl Report {
    /// Finds the values in the line.
    pub fn parse(line: &str) -> Result<Self> {
        let value = |name: &str| -> Result<u64> {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .and_then(|value| value.parse().ok())
                .with_context(|| format!("no {name} in the report {line:?}"))
        };

        Ok(Self {
            messages: value("messages")?,
            bytes: value("bytes")?,
            time_ns: value("start_ns").or_else(|_| value("end_ns"))?,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            bytes,
            time_ns,
        } = self;

        write!(f, "messages={messages} bytes={bytes} end_ns={time_ns}")
    }
}

/// A line of the table.
pub struct Row {
    /// How messages were distributed.
    pub mode: Mode,
    /// What the sender did.
    pub sender: Report,
    /// What each receiver did.
    pub receivers: Vec<Report>,
}

impl Row {
    /// The table's first line.
    pub fn head() -> String {
        format!(
            "{:<10}{:>10}{:>10}{:>12}{:>10}{:>9}  {}",
            "mode", "receivers", "messages", "bytes", "seconds", "MB/s", "sha256"
        )
    }

    /// From the first send to the last receiver's end.
    pub fn seconds(&self) -> f64 {
        let end = self.receivers.iter().map(|report| report.time_ns).max();

        end.unwrap_or(0).saturating_sub(self.sender.time_ns) as f64 / 1e9
    }

    /// What does not add up, if anything.
    pub fn mismatch(&self) -> Option<String> {
        let sent = (self.sender.messages, self.sender.bytes);
        let got = |reports: &[Report]| {
            let messages: u64 = reports.iter().map(|report| report.messages).sum();
            let bytes: u64 = reports.iter().map(|report| report.bytes).sum();

            (messages, bytes)
        };
        let wrong = match self.mode {
            // Every receiver got everything ...
            Mode::Broadcast => self
                .receivers
                .iter()
                .map(|report| got(std::slice::from_ref(report)))
                .find(|&got| got != sent),
            // ... or all of them together did.
            Mode::Multicast | Mode::Unicast => {
                Some(got(&self.receivers)).filter(|&got| got != sent)
            }
        };

        wrong.map(|got| format!("received {got:?}, sent {sent:?} (messages, bytes)"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();

        write!(
            f,
            "{:<10}{:>10}{:>10}{:>12}{:>10.3}{:>9.1}  ok",
            self.mode,
            self.receivers.len(),
            self.sender.messages,
            self.sender.bytes,
            seconds,
            self.sender.bytes as f64 / 1e6 / seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(messages: u64, bytes: u64, time_ns: u64) -> Report {
        Report {
            messages,
            bytes,
            time_ns,
        }
    }

    fn row(mode: Mode, receivers: Vec<Report>) -> Row {
        Row {
            mode,
            sender: report(10, 1000, 500_000_000),
            receivers,
        }
    }

    #[test]
    fn report_there_and_back() {
        let report = report(1, 2, 3);

        assert_eq!(Report::parse(&report.to_string()).unwrap(), report);
        let line = "messages=1 bytes=2 start_ns=3\n";
        assert_eq!(Report::parse(line).unwrap(), report);
        assert!(Report::parse("messages=1 bytes=x").is_err());
        assert!(Report::parse("").is_err());
    }

    #[test]
    fn adding_up() {
        let part = |messages| report(messages, messages * 100, 0);

        for (mode, good) in [
            (Mode::Broadcast, vec![10, 10]),
            (Mode::Multicast, vec![4, 0, 6]),
            (Mode::Unicast, vec![10]),
        ] {
            let good: Vec<_> = good.into_iter().map(part).collect();
            let mut bad = good.clone();

            bad[0].bytes -= 1;
            assert_eq!(row(mode, good).mismatch(), None);
            assert!(row(mode, bad).mismatch().is_some());
        }
    }

    #[test]
    fn table() {
        let row = row(
            Mode::Broadcast,
            vec![
                report(10, 1000, 900_000_000),
                report(10, 1000, 1_500_000_000),
            ],
        );

        assert_eq!(row.seconds(), 1.0);
        assert_eq!(
            row.to_string(),
            "broadcast          2        10        1000     1.000      0.0  ok"
        );
        assert_eq!(
            Row::head().len(),
            row.to_string().len() + "sha256".len() - 2
        );
    }
}
