// SPDX-License-Identifier: GPL-2.0

//! What a run has measured, as it is written to a file.

use crate::clock::Clock;
use crate::latency::Percentiles;
use crate::machine::Machine;
use crate::stat::Stat;
use crate::transport::Kind;
use crate::work::{Fanout, Work};
use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Changes when what is below does.
    pub schema: u32,
    /// What a nanosecond is, in all that follows.
    pub clock: Clock,
    /// Each run that what follows is from.
    pub runs: Vec<Run>,
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

/// A run of this program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// What it is called where it is compared with others.
    pub name: Option<String>,
    /// How this program was called.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// How much it was to measure, and how much it has, or has failed to.
    pub planned: usize,
    /// As above.
    pub done: usize,
}

impl Results {
    /// Nothing yet of so much, on this machine.
    pub fn new(command: String, clock: Clock, planned: usize, left_out: Vec<String>) -> Self {
        Self {
            schema: SCHEMA,
            clock,
            runs: vec![Run {
                name: None,
                command,
                machine: Machine::here(),
                planned,
                done: 0,
            }],
            parts: Vec::new(),
            throughput: Vec::new(),
            latency: Vec::new(),
            left_out,
            errors: Vec::new(),
        }
    }

    /// Writes what there is, so that a run that is cut short leaves a whole file.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join("results.json");
        let new = directory.join("results.json.new");
        let text = serde_json::to_string_pretty(self)? + "\n";

        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| path.display().to_string())
    }

    /// What earlier runs have written, together: files, or NAME=FILE.
    pub fn load(arguments: &[String]) -> Result<Self> {
        let mut all: Option<Self> = None;

        for argument in arguments {
            let named = argument.split_once('=');
            let (name, path) = match named.filter(|_| !Path::new(argument).exists()) {
                Some((name, path)) => (Some(name), path),
                None => (None, argument.as_str()),
            };
            let mut found = Self::load_one(Path::new(path)).with_context(|| path.to_owned())?;

            if let Some(name) = name {
                found.call(name);
            }
            match &mut all {
                None => all = Some(found),
                Some(all) => all.add(found).with_context(|| path.to_owned())?,
            }
        }
        all.context("no results")
    }

    fn load_one(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let text = fs::read(path)?;
        let version: Version = serde_json::from_slice(&text).context("not what `run` writes")?;

        ensure!(
            version.schema == SCHEMA,
            "written by another version of this program"
        );
        Ok(serde_json::from_slice(&text)?)
    }

    /// One more of what was planned is done.
    pub fn step(&mut self) {
        for run in &mut self.runs {
            run.done += 1;
        }
    }

    /// Gives what was measured a name, to tell it from what others measure.
    fn call(&mut self, name: &str) {
        let set = |of: &mut Option<String>| *of = Some(name.to_owned());

        self.runs.iter_mut().for_each(|run| set(&mut run.name));
        self.parts.iter_mut().for_each(|part| set(&mut part.from));
        let throughput = self.throughput.iter_mut().map(|found| &mut found.case);
        let latency = self.latency.iter_mut().map(|found| &mut found.case);
        throughput
            .chain(latency)
            .for_each(|case| set(&mut case.from));
        for line in self.left_out.iter_mut().chain(&mut self.errors) {
            *line = format!("{name}: {line}");
        }
    }

    /// Adds what another run has measured: on the same machine, or under another
    /// name. Of requests alone, which every run measures, the first figure stays.
    fn add(&mut self, other: Results) -> Result<()> {
        ensure!(self.clock == other.clock, "measured on another clock");
        for run in &other.runs {
            let strangers = |known: &&Run| known.name == run.name && known.machine != run.machine;

            ensure!(
                !self.runs.iter().any(|known| strangers(&known)),
                "measured on another machine: to be compared by name, as NAME=FILE"
            );
        }
        for found in &other.throughput {
            let known = self.throughput.iter().any(|old| old.case == found.case);
            ensure!(!known, "{}: measured twice", found.case);
        }
        for found in &other.latency {
            let is_old = |old: &Latency| (&old.case, old.pace) == (&found.case, found.pace);
            let known = self.latency.iter().any(is_old);
            ensure!(!known, "{}: measured twice", found.case);
        }
        self.runs.extend(other.runs);
        for part in other.parts {
            if !self.parts.iter().any(|old| old.is_as(&part)) {
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
        Ok(())
    }
}

/// [`Results::schema`] of this program.
pub const SCHEMA: u32 = 3;

/// What it is called, with the name of the run where several are compared.
fn of_run(from: &Option<String>, what: &str) -> String {
    match from {
        Some(from) => format!("{from}: {what}"),
        None => what.to_owned(),
    }
}

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
    /// By which run, where several are compared.
    pub from: Option<String>,
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
            from: None,
        }
    }

    /// Transport and by which run.
    pub fn line(&self) -> String {
        of_run(&self.from, self.transport.name())
    }

    /// The same, and set-up of rings.
    pub fn label(&self) -> String {
        match &self.setup {
            Some(setup) => format!("{}, {setup}", self.line()),
            None => self.line(),
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
    /// By which run, where several are compared.
    pub from: Option<String>,
    /// Nanoseconds of one.
    pub time: Stat,
}

impl Alone {
    /// Which, and by which run.
    pub fn line(&self) -> String {
        of_run(&self.from, &self.what)
    }

    fn is_as(&self, other: &Self) -> bool {
        (&self.what, self.batch, &self.setup, &self.from)
            == (&other.what, other.batch, &other.setup, &other.from)
    }
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
    /// The share of the rate at which messages could be sent; 1 where there is no rate.
    pub reached: f64,
    /// How long they took; nothing where the rate was not reached, and times would
    /// say for how long that was tried.
    pub times: Option<Percentiles>,
    /// p50 of each round, one after the other between other processes.
    pub p50: Option<Stat>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring_ipc::Setup;

    /// What a run has measured of messages of this size.
    fn results(size: usize) -> Results {
        let mut results = Results::new("command".into(), Clock::Wall, 2, Vec::new());
        let work = Work {
            fanout: Fanout::One,
            size,
            receivers: 1,
            batch: 1,
            setup: Setup::Plain,
        };
        let time = || Stat::new(vec![1.0, 2.0]);

        results.throughput.push(Throughput {
            case: Case::new(Kind::IpcPoll, &work),
            messages: 1,
            sender: time(),
            total: time(),
        });
        results.parts.push(Alone {
            what: "nop".into(),
            batch: 1,
            setup: "plain".into(),
            from: None,
            time: time(),
        });
        results.step();
        results
    }

    #[test]
    fn runs_of_one_machine_are_added() {
        let mut all = results(64);

        all.add(results(256)).unwrap();
        assert_eq!((all.throughput.len(), all.parts.len()), (2, 1));
        let text = all.markdown();
        assert!(text.contains("64 B") && text.contains("256 B"), "{text}");
        assert_eq!(text.matches("cut short**: 1 of 2").count(), 2, "{text}");

        // The same again, by another clock, and elsewhere.
        assert!(all.add(results(64)).is_err());
        let mut other = results(1024);
        other.clock = Clock::Instructions;
        assert!(all.add(other).is_err());
        let mut other = results(1024);
        other.runs[0].machine.accelerator.push('!');
        assert!(all.add(other).is_err());
        assert_eq!(all.throughput.len(), 2);
    }

    #[test]
    fn named_runs_are_compared() {
        let (mut all, mut other) = (results(64), results(64));

        all.call("old");
        other.call("new");
        other.runs[0].machine.kernel.push('!');
        all.add(other).unwrap();
        let text = all.markdown();
        for label in ["old: ipc-poll, plain", "new: ipc-poll, plain", "old: nop"] {
            assert!(text.contains(label), "{label} in {text}");
        }
        let mut twice = results(64);
        twice.call("old");
        assert!(all.add(twice).is_err());
    }

    #[test]
    fn a_rate_that_was_not_reached_has_no_times() {
        let mut all = results(64);
        let case = all.throughput[0].case.clone();

        all.latency.push(Latency {
            case,
            pace: Pace::Rated(10_000),
            reached: 0.25,
            times: None,
            p50: None,
        });
        assert!(all.markdown().contains("25 % of the rate"));
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let directory = std::env::temp_dir().join(format!("ipc-bench-{}", std::process::id()));
        let path = directory.join("results.json");
        let of = |name: &str| vec![format!("{name}{}", path.display())];
        let error = |name| format!("{:#}", Results::load(&of(name)).unwrap_err());

        fs::create_dir_all(&directory).unwrap();
        results(64).save(&directory).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(Results::load(&of("")).unwrap().throughput.len(), 1);
        let named = Results::load(&of("old=")).unwrap();
        assert_eq!(named.throughput[0].case.from.as_deref(), Some("old"));
        assert!(error("none").contains("No such file"));

        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(error("").contains("not what `run` writes"));
        fs::write(&path, r#"{"schema": 1, "command": "x"}"#).unwrap();
        assert!(error("").contains("another version"));
        fs::remove_dir_all(&directory).unwrap();
        assert!(results(64).save(&directory).is_err());
    }

    #[test]
    fn one_round_is_said() {
        let mut all = results(64);

        all.throughput[0].total = Stat::new(vec![7.0]);
        assert!(all.markdown().contains("7 / 2 (1)"));
    }
}
