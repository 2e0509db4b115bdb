// SPDX-License-Identifier: GPL-2.0

//! All there is to measure, one after the other.

use crate::alone::{Part, Request};
use crate::clock::Clock;
use crate::cpu::Placement;
use crate::flood::{flood, Effort};
use crate::latency::Percentiles;
use crate::machine::Machine;
use crate::pingpong::ping_pong;
use crate::rated::rated;
use crate::results::{Alone, Case, Latency, Pace, Results, Throughput, SCHEMA};
use crate::transport::Kind;
use crate::work::{Fanout, Work};
use anyhow::Result;
use io_uring_ipc::Setup;
use std::io::{IsTerminal, Write};

/// What to measure, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What carries the messages.
    pub transports: Vec<Kind>,
    /// Who gets them.
    pub modes: Vec<Fanout>,
    /// Bytes of a message.
    pub sizes: Vec<usize>,
    /// Processes that receive, where there can be several.
    pub receivers: Vec<usize>,
    /// Messages sent together.
    pub batches: Vec<usize>,
    /// How rings are set up.
    pub setups: Vec<Setup>,
    /// Each number of receivers with each size, not only with the least; the
    /// most receivers get all sizes anyway.
    pub all: bool,
    /// How long throughput is measured.
    pub effort: Effort,
    /// Messages for latencies; none with 0.
    pub messages: u64,
    /// Nanoseconds from one message to the next where they are rated.
    pub intervals_ns: Vec<u64>,
}

/// Bytes of the messages whose latency is measured.
const LATENCY_SIZES: [usize; 2] = [64, 4096];

/// One line of the plan.
enum Item {
    Alone(Request, Part),
    Throughput(Kind, Work),
    Latency(Kind, Work, Pace),
}

impl Item {
    /// Whether somebody waits by looking again and again, so that instructions
    /// say how long that was and not what the work takes.
    fn spins(&self) -> bool {
        match self {
            Item::Alone(..) => false,
            Item::Throughput(kind, _) | Item::Latency(kind, _, Pace::PingPong) => {
                *kind == Kind::IpcPoll
            }
            Item::Latency(_, _, Pace::Rated(_)) => true,
        }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Item::Alone(request, part) => {
                let (request, setup) = (request.name(), part.setup.name());
                write!(f, "{request}, batch {}, {setup}", part.batch)
            }
            Item::Throughput(kind, work) => write!(f, "{}", Case::new(*kind, work)),
            Item::Latency(kind, work, pace) => {
                write!(f, "{}: {}", Case::new(*kind, work), pace.name())
            }
        }
    }
}

impl Plan {
    /// Set-ups that mean something to a transport.
    fn setups(&self, kind: Kind) -> &[Setup] {
        if kind.has_rings() {
            &self.setups
        } else {
            &self.setups[..1]
        }
    }

    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();

        for &setup in &self.setups {
            for &batch in &self.batches {
                let part = Part {
                    size: 64,
                    batch,
                    setup,
                    entries: 1024,
                    rounds: self.effort.rounds,
                };
                items.push(Item::Alone(Request::Nop, part));
                if self.transports.iter().any(|kind| kind.is_ipc()) {
                    items.push(Item::Alone(Request::Send, part));
                    items.push(Item::Alone(Request::EmptyReceive, part));
                    if self.transports.contains(&Kind::IpcMultishot) {
                        items.push(Item::Alone(Request::MultishotDrain, part));
                    }
                }
            }
        }
        for &fanout in &self.modes {
            self.throughput(fanout, &mut items);
        }
        if self.messages > 0 {
            self.latency(&mut items);
        }
        if Clock::here() == Clock::Instructions {
            items.retain(|item| !item.spins());
        }
        items
    }

    fn throughput(&self, fanout: Fanout, items: &mut Vec<Item>) {
        let most = self.receivers.iter().copied().max().unwrap_or(1);
        let receivers = match fanout {
            Fanout::One => &[1][..],
            _ => &self.receivers,
        };

        for &receivers in receivers {
            let sizes = if self.all || fanout == Fanout::One || receivers == most {
                &self.sizes[..]
            } else {
                &self.sizes[..1]
            };
            for &size in sizes {
                for &batch in &self.batches {
                    for &kind in &self.transports {
                        for &setup in self.setups(kind) {
                            let work = Work {
                                fanout,
                                size,
                                receivers,
                                batch,
                                setup,
                            };
                            if kind.can(&work) {
                                items.push(Item::Throughput(kind, work));
                            }
                        }
                    }
                }
            }
        }
    }

    fn latency(&self, items: &mut Vec<Item>) {
        let paces = std::iter::once(Pace::PingPong)
            .chain(self.intervals_ns.iter().copied().map(Pace::Rated));

        for pace in paces {
            for size in LATENCY_SIZES {
                for &kind in &self.transports {
                    for &setup in self.setups(kind) {
                        let work = Work {
                            fanout: Fanout::One,
                            size,
                            receivers: 1,
                            batch: 1,
                            setup,
                        };
                        // A completion has no room for the time it was due.
                        let timeless = kind == Kind::MsgRing && pace != Pace::PingPong;
                        if kind.can(&work) && !timeless {
                            items.push(Item::Latency(kind, work, pace));
                        }
                    }
                }
            }
        }
    }

    /// Measures all of it, saying what it is at.
    pub fn run(&self, command: String) -> Result<Results> {
        let items = self.items();
        let place = Placement::apart()?;
        let mut results = Results {
            schema: SCHEMA,
            command,
            clock: Clock::here(),
            machine: Machine::here(),
            parts: Vec::new(),
            throughput: Vec::new(),
            latency: Vec::new(),
            errors: Vec::new(),
        };
        let mut progress = Progress::new(items.len());

        for item in &items {
            progress.next(item);
            if let Err(error) = self.measure(item, &place, &mut results, &mut progress) {
                let error = format!("{item}: {error:#}");
                progress.error(&error);
                results.errors.push(error);
            }
        }
        progress.finish();
        Ok(results)
    }

    fn measure(
        &self,
        item: &Item,
        place: &Placement,
        results: &mut Results,
        progress: &mut Progress,
    ) -> Result<()> {
        match item {
            Item::Alone(request, part) => {
                let time = part.measure(*request)?;

                progress.figure(&format!("{:.0}", time.median));
                results.parts.push(Alone {
                    what: request.name().into(),
                    batch: part.batch,
                    setup: part.setup.name().into(),
                    time,
                });
            }
            Item::Throughput(kind, work) => {
                let done = flood(*kind, work, place, self.effort)?;

                progress.figure(&format!(
                    "{:.0}, sender {:.0}",
                    done.total.median, done.sender.median
                ));
                results.throughput.push(Throughput {
                    case: Case::new(*kind, work),
                    messages: done.messages,
                    sender: done.sender,
                    total: done.total,
                });
            }
            Item::Latency(kind, work, pace) => {
                let times = match pace {
                    Pace::PingPong => ping_pong(*kind, work, place, self.messages, true)?.trips,
                    Pace::Rated(ns) => rated(*kind, work, place, self.messages, *ns)?,
                };
                let times = Percentiles::of(&times)?;

                progress.figure(&format!("p50 {}, p99 {}", times.p50, times.p99));
                results.latency.push(Latency {
                    case: Case::new(*kind, work),
                    pace: *pace,
                    times,
                });
            }
        }
        Ok(())
    }
}

/// What is being done, on standard error: on a terminal in one line.
struct Progress {
    total: usize,
    done: usize,
    terminal: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn next(&mut self, item: &Item) {
        self.done += 1;
        let start = if self.terminal { "\r\x1b[K" } else { "" };
        eprint!("{start}[{}/{}] {item}", self.done, self.total);
        let _ = std::io::stderr().flush();
    }

    fn figure(&mut self, figure: &str) {
        if !self.terminal {
            eprintln!(": {figure}");
        }
    }

    fn error(&mut self, error: &str) {
        eprintln!("\nerror: {error}");
    }

    fn finish(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// For tables: how rings that are not asked about are set up.
pub fn is_preferred(setup: Option<&str>) -> bool {
    setup.is_none_or(|setup| setup == Setup::DeferTaskrun.name())
}
