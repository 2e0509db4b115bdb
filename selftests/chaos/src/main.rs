// SPDX-License-Identifier: GPL-2.0

//! Chaos: processes that do anything with channels at random, some of them killed at any time,
//! with little memory; and an account of every message that the kernel has acknowledged.
//!
//! KTAP on standard output. What is done follows from the seed, which is printed; when it is done
//! does not.

mod account;
mod event;
mod message;
mod plan;
mod pressure;
mod shared;
mod supervisor;
mod witness;
mod worker;

use anyhow::Result;
use clap::Parser;
use io_uring_ipc::{Ring, Setup};
use kernel_verdict::{Log, References};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

/// How long the kernel may take to end rings in the background.
const END_LIMIT: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Chaos in io_uring IPC channels; KTAP on standard output")]
struct Args {
    /// How long
    #[arg(
        long,
        env = "IOIPC_CHAOS",
        value_name = "SECONDS",
        default_value_t = 60
    )]
    seconds: u64,

    /// Print the first steps of a process for this seed, and do nothing
    #[arg(long)]
    plan: bool,

    /// Be one of the processes
    #[arg(long, hide = true)]
    worker: bool,

    #[command(flatten)]
    identity: worker::Identity,

    /// Hold a parent's files for so many milliseconds
    #[arg(long, hide = true)]
    linger: Option<u64>,

    /// Take the memory of a control group
    #[arg(long, hide = true)]
    hog: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<bool> {
    if let Some(ms) = args.linger {
        thread::sleep(Duration::from_millis(ms));
        return Ok(true);
    }
    if let Some(group) = args.hog {
        return pressure::hog(&group).map(|()| true);
    }
    if args.worker {
        return worker::run(&args.identity).map(|()| true);
    }
    let seed = args.identity.seed.unwrap_or_else(some_seed);
    if args.plan {
        for step in plan::Plan::new(seed, 0, 0).take(100) {
            println!("{step:?}");
        }
        return Ok(true);
    }
    chaos(seed, Duration::from_secs(args.seconds))
}

fn some_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);

    now.map_or(0, |time| time.as_micros() as u64 % 1_000_000_000)
}

/// One line of KTAP.
fn report(number: u32, what: &str, result: Result<()>) -> bool {
    match result {
        Ok(()) => println!("ok {number} {what}"),
        Err(error) => {
            format!("{error:#}")
                .lines()
                .for_each(|line| println!("# {line}"));
            println!("not ok {number} {what}");
            return false;
        }
    }
    true
}

fn chaos(seed: u64, length: Duration) -> Result<bool> {
    println!("KTAP version 1");
    println!("1..4");
    println!("# seed {seed}, {} s", length.as_secs());

    let mut log = Log::from_now()?;
    let references = References::now()?;
    let ring = Ring::new(Setup::Plain)?;
    let result = supervisor::run(supervisor::Options { seed, length }, &ring, &mut log);
    drop(ring);

    let (lived, accounted) = match result {
        Ok((summary, counts)) => (Ok(()), describe(&summary, &counts)),
        Err(error) => (Err(error), Err(anyhow::anyhow!("did not come to its end"))),
    };
    let results = [
        report(1, "every process gets on, and ends", lived),
        report(2, "every message is accounted for", accounted),
        report(3, "nothing is left", references.wait(END_LIMIT)),
        report(
            4,
            "the kernel does not complain",
            log.trouble().and_then(|trouble| match trouble {
                None => Ok(()),
                Some(text) => Err(anyhow::anyhow!(text)),
            }),
        ),
    ];
    if results != [true; 4] {
        println!("# the same plan again: --seed {seed}");
    }
    Ok(results == [true; 4])
}

fn describe(summary: &account::Summary, counts: &supervisor::Counts) -> Result<()> {
    println!(
        "# {} steps in {} lives, {} ended by kill -9; {} channels; {} times short of memory, {} killed for it",
        counts.steps,
        counts.lives,
        counts.killed,
        counts.channels,
        counts.memory.refused,
        counts.memory.kills
    );
    println!(
        "# {} sends acknowledged, {} failed, {} unknown (of which {} were received)",
        summary.good, summary.failed, summary.unknown, summary.unknown_received
    );
    println!(
        "# {} times received; {} for a subscriber that had left",
        summary.received, summary.undeliverable
    );
    for wrong in &summary.wrongs {
        println!("# {wrong}");
    }
    anyhow::ensure!(summary.nr_wrongs == 0, "{} complaints", summary.nr_wrongs);
    anyhow::ensure!(summary.good > 0, "nothing was sent");
    anyhow::ensure!(counts.memory.refused > 0, "memory was never short");
    Ok(())
}
