// SPDX-License-Identifier: GPL-2.0

//! Streams a file through io_uring IPC channels: receivers, and the driver that
//! starts senders (a C program, `stream.c`) and receivers as processes of their
//! own and compares what arrives.

mod receive;
mod report;
mod run;

use clap::{Parser, Subcommand, ValueEnum};
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Streams a file through io_uring IPC channels")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receive what a sender streams, and write it to a file
    Receive {
        /// How the sender distributes messages
        #[arg(long)]
        mode: Mode,

        /// The sender's key
        #[arg(long)]
        key: u64,

        /// The file to write
        output: PathBuf,
    },

    /// Stream a file in every mode, and compare what arrives
    Run {
        /// The sending program
        #[arg(long)]
        sender: PathBuf,

        /// Where the copies go, for a while
        #[arg(long)]
        dir: PathBuf,

        /// Seconds until a mode counts as hanging
        #[arg(long, default_value_t = 120)]
        limit: u64,

        /// The file to stream
        file: PathBuf,
    },
}

/// How messages are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// All to all receivers.
    Broadcast,
    /// Each to one of the receivers.
    Multicast,
    /// All to the one receiver.
    Unicast,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Broadcast => "broadcast",
            Mode::Multicast => "multicast",
            Mode::Unicast => "unicast",
        })
    }
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Receive { mode, key, output } => receive::receive(mode, key, &output),
        Command::Run {
            sender,
            dir,
            limit,
            file,
        } => run::run(&sender, &dir, limit, &file),
    };

    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipc-stream-demo: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
