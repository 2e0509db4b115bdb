// SPDX-License-Identifier: GPL-2.0

//! Tests of io_uring IPC channels, with KTAP on standard output.
//!
//! Every test runs in a process of its own with a time limit, so that one that
//! panics or hangs fails alone. Most run once for each way to set up a ring,
//! as `NAME.plain`, `NAME.defer_taskrun` and `NAME.sqpoll`.

mod cases;
mod harness;
mod helper;
mod procfs;

use anyhow::{bail, Context, Result};
use clap::Parser;
use harness::Test;
use io_uring_ipc::{ChannelConfig, Ring, Setup};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Tests of io_uring IPC channels; KTAP on standard output")]
struct Args {
    /// Print the names of all tests, and run none
    #[arg(long)]
    list: bool,

    /// Run this test only (may be repeated); NAME alone means every NAME.SETUP
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,

    /// Seconds until a test counts as hanging
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// Run one test in this process
    #[arg(long, value_name = "NAME", hide = true)]
    inside: Option<String>,

    /// Be the other process of a test
    #[arg(long, value_name = "ROLE", num_args = 1.., hide = true)]
    role: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let args = Args::parse();

    if let Some(role) = &args.role {
        return harness::report(helper::play(role));
    }
    if let Some(name) = &args.inside {
        return harness::report(harness::find(name).and_then(|test| test.run()));
    }
    if args.list {
        harness::all().iter().for_each(|test| println!("{test}"));
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            println!("Bail out! {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let mut tests = harness::all();

    for name in &args.tests {
        if !tests.iter().any(|test| test.is_called(name)) {
            bail!("no test is called {name}");
        }
    }
    if !args.tests.is_empty() {
        tests.retain(|test: &Test| args.tests.iter().any(|name| test.is_called(name)));
    }

    println!("KTAP version 1");
    Ring::new(Setup::Plain)?
        .create(&ChannelConfig::default())
        .context("cannot make a channel (is the module loaded?)")?;
    harness::run_all(&tests, Duration::from_secs(args.timeout))
}
