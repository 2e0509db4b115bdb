// SPDX-License-Identifier: GPL-2.0

//! What a run has measured, as it is written to a file.

use crate::clock::Clock;
use crate::latency::Percentiles;
use crate::machine::Machine;
use crate::stat::Stat;
use crate::transport::Kind;
use crate::work::{Fanout, Work};
use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Changes when what is below does.
    pub schema: u32,
    /// How this program was called.
    pub command: String,
    /// What a nanosecond is, in all that follows.
    pub clock: Clock,
    /// Where.
    pub machine: Machine,
    /// Requests without a partner.
    pub parts: Vec<Alone>,
    /// Messages as fast as can be.
    pub throughput: Vec<Throughput>,
    /// Messages one by one.
    pub latency: Vec<Latency>,
    /// What was asked for and not measured, and why.
    pub left_out: Vec<String>,
    /// What failed, and how.
    pub errors: Vec<String>,
}

impl Results {
    /// Nothing yet, on this machine.
    pub fn new(command: String, clock: Clock, left_out: Vec<String>) -> Self {
        Self {
            schema: SCHEMA,
            command,
            clock,
            machine: Machine::here(),
            parts: Vec::new(),
            throughput: Vec::new(),
            latency: Vec::new(),
            left_out,
            errors: Vec::new(),
        }
    }

    /// Adds what another run on the same machine has measured. Of requests alone,
    /// which every run measures, the first figure stays.
    pub fn add(&mut self, other: Results) {
        self.command = format!("{}; {}", self.command, other.command);
        for part in other.parts {
            let known = self.parts.iter().any(|old| {
                (&old.what, old.batch, &old.setup) == (&part.what, part.batch, &part.setup)
            });
            if !known {
                self.parts.push(part);
            }
        }
        self.throughput.extend(other.throughput);
        self.latency.extend(other.latency);
        for left_out in other.left_out {
            if !self.left_out.contains(&left_out) {
                self.left_out.push(left_out);
            }
        }
        self.errors.extend(other.errors);
    }
}

/// [`Results::schema`] of this program.
pub const SCHEMA: u32 = 2;

/// What was measured: who did what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What carried the messages.
    pub transport: Kind,
    /// Who got a message.
    pub mode: Fanout,
    /// Bytes of a message.
    pub size: usize,
    /// Processes that received.
    pub receivers: usize,
    /// Messages sent together.
    pub batch: usize,
    /// How rings were set up, where there were any.
    pub setup: Option<String>,
}

impl Case {
    /// This work, done by that.
    pub fn new(transport: Kind, work: &Work) -> Self {
        Self {
            transport,
            mode: work.fanout,
            size: work.size,
            receivers: work.receivers,
            batch: work.batch,
            setup: transport.has_rings().then(|| work.setup.name().to_owned()),
        }
    }

    /// Transport and set-up of rings.
    pub fn label(&self) -> String {
        match &self.setup {
            Some(setup) => format!("{}, {setup}", self.transport.name()),
            None => self.transport.name().to_owned(),
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<9} to {:>2}, {:>5} B, batch {:>2}, {}",
            self.mode.name(),
            self.receivers,
            self.size,
            self.batch,
            self.label()
        )
    }
}

/// A kind of request, alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alone {
    /// Which.
    pub what: String,
    /// Requests submitted together.
    pub batch: usize,
    /// How the ring was set up.
    pub setup: String,
    /// Nanoseconds of one.
    pub time: Stat,
}

/// Messages as fast as can be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// What was measured.
    pub case: Case,
    /// Messages of a round.
    pub messages: u64,
    /// Nanoseconds a message until the sender had sent the last.
    pub sender: Stat,
    /// Nanoseconds a message until the last receiver had the last.
    pub total: Stat,
}

/// How messages were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// There and back, the next when the last is back: times are round trips.
    PingPong,
    /// One every so many nanoseconds: times are from when it was due.
    Rated(u64),
}

impl Pace {
    /// In words.
    pub fn name(self) -> String {
        match self {
            Pace::PingPong => "ping-pong, round trip".into(),
            Pace::Rated(interval) => format!("one way, one every {} us", interval / 1000),
        }
    }
}

/// Messages one by one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// What was measured.
    pub case: Case,
    /// How they were sent.
    pub pace: Pace,
    /// How long they took.
    pub times: Percentiles,
}
