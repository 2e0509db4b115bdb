// SPDX-License-Identifier: GPL-2.0

//! io_uring IPC channels and their peers, measured alike.

mod alone;
mod board;
mod budget;
mod channel;
mod clock;
mod cpu;
mod crowd;
mod flood;
mod functions;
mod latency;
mod locked;
mod machine;
mod mark;
mod multishot;
mod outbox;
mod payload;
mod pingpong;
mod plot;
mod privilege;
mod processes;
mod provided;
mod rated;
mod results;
mod ring;
mod shared;
mod sink;
mod stat;
mod suite;
mod table;
mod transport;
mod wakeup;
mod window;
mod work;

use anyhow::{bail, ensure, Context, Result};
use budget::{Budget, Check};
use clap::{Parser, Subcommand, ValueEnum};
use clock::Clock;
use io_uring_ipc::Setup;
use machine::Machine;
use results::Results;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use suite::Plan;
use transport::Kind;
use work::{Fanout, Work};

/// Measures io_uring IPC channels and what else carries messages.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Abi {
    /// Plain sends and receives, as the RFC has them.
    Rfc,
    /// All there is.
    Full,
}

#[derive(Subcommand)]
enum Command {
    /// Check the budgets on the instruction clock; exit status 1 where a limit is
    /// missed, which is the goal or what has been reached of it.
    Check {
        /// What to use of the channels.
        #[arg(long, value_enum, default_value = "full")]
        abi: Abi,
        /// On any clock: then the figures mean little.
        #[arg(long)]
        any_clock: bool,
    },
    /// Count the instructions of the calls that hold a channel's lock, with one
    /// subscriber and with many.
    Locked {
        /// On any clock: then the figures mean little.
        #[arg(long)]
        any_clock: bool,
    },
    /// Count the instructions of each function that a request goes through: what
    /// QEMU's plugin counts, which bench/count is.
    Functions {
        /// Where the plugin puts them.
        counts: PathBuf,
    },
    /// Measure everything and write results.json, results.md and pictures.
    Run(Run),
    /// Make results.md and pictures of what was written before.
    Report {
        /// One results.json, or several of one machine; as NAME=FILE, of any, to be
        /// compared.
        #[arg(required = true)]
        results: Vec<String>,
        /// Where to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Measure one thing.
    One {
        /// What carries the messages.
        transport: Kind,
        /// unicast, broadcast or multicast.
        #[arg(long, default_value = "unicast", value_parser = mode)]
        mode: Fanout,
        /// Bytes of a message.
        #[arg(long, default_value_t = 64, value_parser = size)]
        size: usize,
        /// Processes that receive.
        #[arg(long, default_value_t = 1, value_parser = receivers)]
        receivers: usize,
        /// Messages sent together.
        #[arg(long, default_value_t = 16, value_parser = batch)]
        batch: usize,
        /// How rings are set up: plain, defer_taskrun, sqpoll.
        #[arg(long, default_value = "defer_taskrun")]
        setup: Setup,
        /// Rounds.
        #[arg(long, default_value_t = 3, value_parser = rounds)]
        rounds: usize,
        /// Milliseconds of a round.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(MS))]
        ms: u64,
        /// Round trips of single messages to measure instead.
        #[arg(
            long,
            value_parser = clap::value_parser!(u64).range(1..=MESSAGES),
            conflicts_with_all = ["mode", "receivers", "batch", "rounds", "ms"]
        )]
        ping_pong: Option<u64>,
        /// All processes on one CPU.
        #[arg(long)]
        one_cpu: bool,
    },
}

/// Milliseconds that a round may be asked to take.
const MS: RangeInclusive<u64> = 1..=60_000;
/// Messages that latency may be asked of.
const MESSAGES: u64 = 100_000_000;
/// Microseconds from one of them to the next.
const INTERVALS: RangeInclusive<u64> = 1..=1_000_000;

#[derive(clap::Args)]
struct Run {
    /// Where results.json, results.md and pictures go.
    #[arg(long)]
    out: Option<PathBuf>,
    /// A few minutes: fewer sizes, one batch, one set-up, fewer rounds.
    #[arg(long)]
    quick: bool,
    /// Each number of receivers with each size: takes hours in software
    /// emulation.
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// What to use of the channels.
    #[arg(long, value_enum, default_value = "full")]
    abi: Abi,
    /// What carries the messages.
    #[arg(long, value_delimiter = ',')]
    transports: Vec<Kind>,
    /// unicast, broadcast, multicast.
    #[arg(long, value_delimiter = ',', value_parser = mode)]
    modes: Vec<Fanout>,
    /// Bytes of a message: powers of two, 16 to 65536.
    #[arg(long, value_delimiter = ',', value_parser = size)]
    sizes: Vec<usize>,
    /// Processes that receive, up to 64.
    #[arg(long, value_delimiter = ',', value_parser = receivers)]
    receivers: Vec<usize>,
    /// Messages sent together: powers of two, up to 64.
    #[arg(long, value_delimiter = ',', value_parser = batch)]
    batches: Vec<usize>,
    /// plain, defer_taskrun, sqpoll.
    #[arg(long, value_delimiter = ',')]
    setups: Vec<Setup>,
    /// Rounds of each measurement.
    #[arg(long, value_parser = rounds)]
    rounds: Option<usize>,
    /// Milliseconds of a round.
    #[arg(long, value_parser = clap::value_parser!(u64).range(MS))]
    ms: Option<u64>,
    /// Messages of which latency is measured, in all rounds; 0: none.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=MESSAGES))]
    messages: Option<u64>,
    /// Microseconds from one message to the next where they are rated.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(INTERVALS))]
    intervals: Vec<u64>,
}

fn mode(name: &str) -> Result<Fanout> {
    [Fanout::One, Fanout::Each, Fanout::Any]
        .into_iter()
        .find(|fanout| fanout.name() == name)
        .with_context(|| format!("no mode is called {name}"))
}

fn number(text: &str, least: usize, most: usize, power: bool) -> Result<usize> {
    let number: usize = text.parse()?;

    ensure!(
        (least..=most).contains(&number) && (!power || number.is_power_of_two()),
        "not {}{least} to {most}",
        if power { "a power of two, " } else { "" }
    );
    Ok(number)
}

fn size(text: &str) -> Result<usize> {
    number(text, 16, 65536, true)
}

fn receivers(text: &str) -> Result<usize> {
    number(text, 1, 64, false)
}

fn batch(text: &str) -> Result<usize> {
    number(text, 1, 64, true)
}

fn rounds(text: &str) -> Result<usize> {
    number(text, 1, 1000, false)
}

/// What was asked for, or else what is usual.
fn or<T: Clone>(asked: &[T], usual: &[T]) -> Vec<T> {
    if asked.is_empty() { usual } else { asked }.to_vec()
}

impl Run {
    fn plan(&self) -> Result<Plan> {
        let quick = self.quick;
        let beyond_rfc = |kind: &Kind| kind.is_ipc() && *kind != Kind::IpcPoll;
        let mut transports = or(&self.transports, &Kind::ALL);

        if self.abi == Abi::Rfc {
            if let Some(kind) = self.transports.iter().find(|kind| beyond_rfc(kind)) {
                bail!("{} needs more than the RFC's ABI", kind.name());
            }
            transports.retain(|kind| !beyond_rfc(kind));
        }
        let setups: &[Setup] = match quick {
            true => &[Setup::DeferTaskrun],
            false => &[Setup::DeferTaskrun, Setup::Plain, Setup::SqPoll],
        };
        let mut plan = Plan {
            transports,
            modes: or(&self.modes, &[Fanout::One, Fanout::Each, Fanout::Any]),
            sizes: match quick {
                true => or(&self.sizes, &[64, 4096, 32768]),
                false => or(&self.sizes, &[64, 256, 1024, 4096, 16384, 32768]),
            },
            receivers: match quick {
                true => or(&self.receivers, &[1, 4, 16]),
                false => or(&self.receivers, &[1, 2, 4, 8, 16]),
            },
            batches: or(&self.batches, if quick { &[16] } else { &[1, 16] }),
            setups: or(&self.setups, setups),
            all: self.all,
            effort: flood::Effort {
                rounds: self.rounds.unwrap_or(if quick { 3 } else { 5 }),
                round_ns: self.ms.unwrap_or(if quick { 20 } else { 50 }) * 1_000_000,
            },
            latency_sizes: or(&self.sizes, &[64, 4096]),
            messages: self.messages.unwrap_or(if quick { 2000 } else { 20000 }),
            intervals_ns: or(&self.intervals, if quick { &[100] } else { &[10, 100] })
                .iter()
                .map(|us| us * 1000)
                .collect(),
        };

        plan.sizes.sort_unstable();
        Ok(plan)
    }

    fn run(&self) -> Result<bool> {
        let plan = self.plan()?;

        if plan.transports.iter().any(|kind| kind.is_ipc()) {
            need_channels()?;
        }
        eprint!("{}", Machine::here().describe("# "));
        if let Some(out) = &self.out {
            fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        }
        let results = plan.run(called(), |results| match &self.out {
            Some(out) => results.save(out),
            None => Ok(()),
        })?;
        print!("{}", results.markdown());
        if let Some(out) = &self.out {
            report(&results, out)?;
        }
        Ok(results.errors.is_empty())
    }
}

/// What this program was called with, but for where results go.
fn called() -> String {
    let mut arguments = std::env::args().skip(1);
    let mut command = String::from("ipc-bench");

    while let Some(argument) = arguments.next() {
        if argument == "--out" {
            arguments.next();
        } else if !argument.starts_with("--out=") {
            command.push(' ');
            command.push_str(&argument);
        }
    }
    command
}

/// Writes what people read.
fn report(results: &Results, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let path = out.join("results.md");
    let text = format!(
        "<!-- SPDX-License-Identifier: GPL-2.0 -->\n{}",
        results.markdown()
    );

    fs::write(&path, text).with_context(|| path.display().to_string())?;
    results.draw(out)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();

    match cpu::remember().and_then(|()| run(arguments.command)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ipc-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::Check { abi, any_clock } => check(abi, any_clock),
        Command::Locked { any_clock } => locked(any_clock),
        Command::Functions { counts } => functions(&counts),
        Command::Run(run) => run.run(),
        Command::Report { results, out } => {
            let results = Results::load(&results)?;

            report(&results, &out)?;
            Ok(results.errors.is_empty())
        }
        Command::One {
            transport,
            mode: fanout,
            size,
            receivers,
            batch,
            setup,
            rounds,
            ms,
            ping_pong,
            one_cpu,
        } => {
            let work = Work {
                fanout,
                size,
                receivers,
                batch: if ping_pong.is_some() { 1 } else { batch },
                setup,
            };
            let place = if one_cpu {
                cpu::Placement::together()?
            } else {
                cpu::Placement::apart()?
            };
            if let Some(why) = transport.refuses(&work) {
                bail!("{} cannot do this: {why}", transport.name());
            }
            if let Some(trips) = ping_pong {
                let done = pingpong::ping_pong(transport, &work, &place, trips, false)?;
                println!("{}: round trip {:.0}", transport.name(), done.mean);
                return Ok(true);
            }
            let effort = flood::Effort {
                rounds,
                round_ns: ms * 1_000_000,
            };
            let done = flood::flood(transport, &work, &place, effort)?;
            println!(
                "{}: {} messages, sender {:.0}, total {:.0} ({:.1} %)",
                transport.name(),
                done.messages,
                done.sender.median,
                done.total.median,
                done.total.spread()
            );
            Ok(true)
        }
    }
}

/// Fails with a clear line where there are no channels.
fn need_channels() -> Result<()> {
    match channel::missing() {
        None => Ok(()),
        Some(why) => bail!("{why}"),
    }
}

/// What is for the instruction clock.
fn need_clock(any_clock: bool) -> Result<Clock> {
    let clock = Clock::here();

    need_channels()?;
    ensure!(
        any_clock || clock == Clock::Instructions,
        "this is for the instruction clock: scripts/bench, or --any-clock"
    );
    Ok(clock)
}

fn locked(any_clock: bool) -> Result<bool> {
    let clock = need_clock(any_clock)?;

    print!("{}", Machine::here().describe("# "));
    println!("# figures: {} of a whole system call", clock.unit());
    locked::measure()?;
    Ok(true)
}

fn functions(counts: &Path) -> Result<bool> {
    need_clock(false)?;
    eprint!("{}", Machine::here().describe("# "));
    print!("{}", functions::Table::measure(counts)?);
    Ok(true)
}

fn check(abi: Abi, any_clock: bool) -> Result<bool> {
    let clock = need_clock(any_clock)?;

    print!("{}", Machine::here().describe("# "));
    println!("# figures: {} for one message or request", clock.unit());
    println!("{}", Budget::head());
    let budgets = Check::run(abi == Abi::Rfc, &mut |budget| println!("{budget}"))?;
    let count = |is: fn(&Budget) -> bool| budgets.iter().filter(|budget| is(budget)).count();
    let (goals, reached) = (count(Budget::has_goal), count(Budget::is_reached));
    let missed = budgets.len() - count(Budget::is_kept);
    println!("# {reached} of {goals} goals are reached");
    println!("{} passed, {missed} failed", goals - missed);
    Ok(missed == 0)
}
