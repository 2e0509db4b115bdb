// SPDX-License-Identifier: GPL-2.0

//! All there is to measure, one after the other.

use crate::alone::{Part, Request};
use crate::clock::Clock;
use crate::cpu::{self, Placement};
use crate::flood::{flood, Effort};
use crate::latency::Percentiles;
use crate::pingpong::ping_pong;
use crate::rated::{rated, Rated};
use crate::results::{Alone, Case, Latency, Pace, Results, Throughput};
use crate::stat::Stat;
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
    /// Messages for each latency, in all rounds together; none with 0.
    pub messages: u64,
    /// Bytes of those.
    pub latency_sizes: Vec<usize>,
    /// Nanoseconds from one message to the next where they are rated.
    pub intervals_ns: Vec<u64>,
}

/// One line of the plan.
enum Item {
    Alone(Request, Part),
    Throughput(Kind, Work),
    Latency(Kind, Work, Pace),
}

impl Item {
    /// Why it is not measured on this clock, if it is not, and of what that is so:
    /// there is no such thing, or kernel threads that poll outnumber the CPUs by so
    /// much that it takes minutes, or who waits by looking again and again executes
    /// instructions that say how long that was.
    fn is_left_out(&self, clock: Clock, cpus: usize) -> Option<String> {
        let (kind, work, pace) = match self {
            // Others deliver to a ring while its process sends, and not when it
            // asks.
            Item::Alone(Request::MultishotDrain, part) if part.setup != Setup::DeferTaskrun => {
                return Some(format!(
                    "{}, {}: messages are delivered before it is timed",
                    Request::MultishotDrain.name(),
                    part.setup.name()
                ));
            }
            Item::Alone(..) => return None,
            Item::Throughput(kind, work) => (kind, work, None),
            Item::Latency(kind, work, pace) => (kind, work, Some(pace)),
        };
        let rate = match pace {
            Some(pace @ Pace::Rated(_)) => Some(pace.name()),
            _ => None,
        };

        if let Some(why) = kind.refuses(work) {
            return Some(format!("{}: {why}", kind.name()));
        }
        if *kind == Kind::MsgRing && rate.is_some() {
            return Some(format!(
                "{}: a completion has no room for the time a message was due",
                kind.name()
            ));
        }
        if rate.is_some() && cpus < 2 {
            return Some("one way: the sender spins, on the receiver's CPU".into());
        }
        if kind.has_rings() && work.setup == Setup::SqPoll && work.receivers + 1 > 2 * cpus {
            return Some(format!(
                "{}: more than {} kernel threads that poll, on {cpus} CPUs",
                work.setup.name(),
                2 * cpus
            ));
        }
        if *kind == Kind::IpcPoll && work.setup == Setup::SqPoll && pace.is_some() && cpus < 4 {
            return Some(format!(
                "{}, {}: two kernel threads and two processes poll, on {cpus} CPUs, for an answer",
                kind.name(),
                work.setup.name()
            ));
        }
        if clock == Clock::Wall {
            return None;
        }
        if *kind == Kind::IpcPoll {
            return Some(format!(
                "{}: it polls, and instructions would count how long it waits",
                kind.name()
            ));
        }
        Some(format!(
            "{}: the sender spins, and instructions would count how long it does",
            rate?
        ))
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

    /// What is measured, and a line for each reason not to measure the rest.
    fn items(&self, clock: Clock, cpus: usize) -> (Vec<Item>, Vec<String>) {
        let (mut items, mut left_out) = (Vec::new(), Vec::<(String, usize)>::new());

        for item in self.all_items() {
            let Some(line) = item.is_left_out(clock, cpus) else {
                items.push(item);
                continue;
            };
            match left_out.iter_mut().find(|(known, _)| *known == line) {
                Some((_, count)) => *count += 1,
                None => left_out.push((line, 1)),
            }
        }
        let left_out = left_out
            .into_iter()
            .map(|(line, count)| format!("{line} ({count})"))
            .collect();
        (items, left_out)
    }

    fn all_items(&self) -> Vec<Item> {
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
                            items.push(Item::Throughput(kind, work));
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
            for &size in &self.latency_sizes {
                for &kind in &self.transports {
                    for &setup in self.setups(kind) {
                        let work = Work {
                            fanout: Fanout::One,
                            size,
                            receivers: 1,
                            batch: 1,
                            setup,
                        };
                        items.push(Item::Latency(kind, work, pace));
                    }
                }
            }
        }
    }

    /// Measures all of it, saying what it is at. `save` gets what there is after
    /// each measurement.
    pub fn run(
        &self,
        command: String,
        mut save: impl FnMut(&Results) -> Result<()>,
    ) -> Result<Results> {
        let clock = Clock::here();
        let (items, left_out) = self.items(clock, cpu::allowed()?.len());
        let place = Placement::apart()?;
        let mut results = Results::new(command, clock, items.len(), left_out);
        let mut progress = Progress::new(items.len());

        for left_out in &results.left_out {
            eprintln!("not measured: {left_out}");
        }
        for item in &items {
            progress.next(item);
            if let Err(error) = self.measure(item, &place, &mut results, &mut progress) {
                let error = format!("{item}: {error:#}");
                progress.error(&error);
                results.errors.push(error);
            }
            results.step();
            // What has been measured is still shown in the end.
            if let Err(error) = save(&results) {
                progress.error(&format!("{error:#}"));
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
                    from: None,
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
                let found = self.times(*kind, work, *pace, place)?;

                progress.figure(&match &found.times {
                    Some(times) => format!("p50 {}, p99 {}", times.p50, times.p99),
                    None => format!("{:.0} % of the rate", 100.0 * found.reached),
                });
                results.latency.push(found);
            }
        }
        Ok(())
    }

    /// Each round between processes of its own: some have more luck than others.
    fn times(&self, kind: Kind, work: &Work, pace: Pace, place: &Placement) -> Result<Latency> {
        let rounds = self.effort.rounds as u64;
        let messages = self.messages.div_ceil(rounds);
        let (mut all, mut medians, mut reached) = (Vec::new(), Vec::new(), 1.0f64);

        for _ in 0..rounds {
            let round = match pace {
                Pace::PingPong => ping_pong(kind, work, place, messages, true)?.trips,
                Pace::Rated(ns) => {
                    let done = rated(kind, work, place, messages, ns)?;

                    reached = reached.min(done.reached);
                    done.ages
                }
            };
            if reached < Rated::ENOUGH {
                break;
            }
            medians.push(Percentiles::of(&round)?.p50 as f64);
            all.extend(round);
        }
        let is_reached = reached >= Rated::ENOUGH;

        Ok(Latency {
            case: Case::new(kind, work),
            pace,
            reached,
            times: is_reached.then(|| Percentiles::of(&all)).transpose()?,
            p50: is_reached.then(|| Stat::new(medians)),
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::Stat;

    /// Everything once, in a set-up that is not the best.
    fn plan() -> Plan {
        Plan {
            transports: Kind::ALL.to_vec(),
            modes: vec![Fanout::One, Fanout::Each, Fanout::Any],
            sizes: vec![64, 32768],
            receivers: vec![1, 4],
            batches: vec![1, 16],
            setups: vec![Setup::Plain, Setup::SqPoll],
            all: true,
            effort: Effort {
                rounds: 1,
                round_ns: 1,
            },
            messages: 1,
            latency_sizes: vec![64],
            intervals_ns: vec![1000],
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let plan = plan();
        let all = plan.all_items().len();

        for (clock, polls, is_rated) in [
            (Clock::Wall, true, true),
            (Clock::Instructions, false, false),
        ] {
            let (items, left_out) = plan.items(clock, 2);
            let counts: usize = left_out
                .iter()
                .map(|line| {
                    let count = line.rsplit_once('(').unwrap().1;
                    count.strip_suffix(')').unwrap().parse::<usize>().unwrap()
                })
                .sum();
            let has = |is: fn(&Item) -> bool| items.iter().any(is);
            let polled = |item: &Item| match item {
                Item::Throughput(kind, work) if kind.has_rings() => work.setup == Setup::SqPoll,
                _ => false,
            };
            let crowd = |item: &Item| match item {
                Item::Throughput(_, work) => work.receivers == 4,
                _ => false,
            };

            assert_eq!(items.len() + counts, all, "{left_out:#?}");
            assert_eq!(
                has(|item| matches!(item, Item::Throughput(Kind::IpcPoll, _))),
                polls
            );
            assert_eq!(
                has(|item| matches!(item, Item::Latency(_, _, Pace::Rated(_)))),
                is_rated
            );
            assert!(items.iter().any(polled) && items.iter().any(crowd));
            assert!(!items.iter().any(|item| polled(item) && crowd(item)));
        }
    }

    #[test]
    fn pictures_have_rings_of_any_set_up() {
        let mut results = Results::new(String::new(), Clock::Wall, 0, Vec::new());

        for setup in [Setup::SqPoll, Setup::Plain, Setup::DeferTaskrun] {
            let work = Work {
                fanout: Fanout::One,
                size: 64,
                receivers: 1,
                batch: 1,
                setup,
            };
            results.throughput.push(Throughput {
                case: Case::new(Kind::IpcWait, &work),
                messages: 1,
                sender: Stat::new(vec![1.0]),
                total: Stat::new(vec![1.0]),
            });
        }
        let drawn = |results: &Results| -> Vec<_> {
            results
                .throughput
                .iter()
                .map(|found| results.is_drawn(&found.case))
                .collect()
        };

        assert_eq!(drawn(&results), [false, false, true]);
        results.throughput.pop();
        assert_eq!(drawn(&results), [true, false]);
        results.throughput[0].case.setup = None;
        assert_eq!(drawn(&results), [true, true]);
    }
}
