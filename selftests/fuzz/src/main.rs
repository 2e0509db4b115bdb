// SPDX-License-Identifier: GPL-2.0

//! A fuzzer for io_uring IPC channels.
//!
//! It runs programs of a grammar and keeps those that lead the kernel somewhere new: where KCOV is
//! (the fuzz and the debug kernel), to a new step in the module's code; elsewhere, to a new result
//! of a call or a request. After each program the kernel's log, the module's references and the
//! promises of the contract are looked at.

mod actor;
mod corpus;
mod executor;
mod feedback;
mod judge;
mod kcov;
mod pages;
mod program;

use anyhow::{ensure, Context, Result};
use clap::{Parser, Subcommand};
use corpus::{Corpus, Running};
use judge::Judge;
use mutatis::Session;
use program::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// How often the fuzzer says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "A fuzzer for io_uring IPC channels")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Look for programs that break something
    Run {
        /// Programs to start with
        #[arg(long)]
        corpus: PathBuf,

        /// Where to put what was found; running.txt there is the program that runs
        #[arg(long)]
        findings: PathBuf,

        #[arg(long, default_value_t = 60)]
        seconds: u64,

        /// Which mutations
        #[arg(long, env = "IOIPC_SEED")]
        seed: Option<u64>,
    },
    /// Run the programs of files, as tests: KTAP
    Replay {
        /// How often each of them
        #[arg(long, default_value_t = 3)]
        times: u32,

        /// Tell the result of everything
        #[arg(long)]
        trace: bool,

        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Make a program that breaks something as small as possible
    Minimise {
        file: PathBuf,

        /// A command that fails if the file behind it still breaks something
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().what {
        What::Run {
            corpus,
            findings,
            seconds,
            seed,
        } => run(
            &corpus,
            &findings,
            Duration::from_secs(seconds),
            seed.unwrap_or_else(some_seed),
        ),
        What::Replay {
            times,
            trace,
            files,
        } => {
            actor::TRACE.store(trace, Ordering::Relaxed);
            replay(times, &files)
        }
        What::Minimise { file, command } => minimise(&file, &command),
    };

    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn some_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);

    now.map_or(0, |time| time.as_micros() as u64)
}

/// Small random numbers (xorshift), for what the mutations do not choose.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;

    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    }
}

/// Runs one program; its text is in a file meanwhile, should the machine die.
fn run_one(
    judge: &mut Judge,
    running: &mut Running,
    findings: &Path,
    program: &Program,
) -> Result<Vec<u16>> {
    running.set(program)?;
    judge.run(program).inspect_err(|_| {
        let crash = findings.join("crash.txt");

        // The error says what it is about; the program is in the other file as well.
        let _ = corpus::write(&crash, [program]);
        eprintln!("the program is in {}", crash.display());
    })
}

fn run(path: &Path, findings: &Path, length: Duration, seed: u64) -> Result<()> {
    let mut judge = Judge::new()?;
    let mut corpus = Corpus::default();
    let mut session = Session::new().seed(seed);
    let mut random = random(seed);
    let start = Instant::now();
    let mut said = start;
    let mut programs = 0_u64;

    fs::create_dir_all(findings)?;
    let mut running = Running::create(&findings.join("running.txt"))?;
    println!(
        "seed {seed}, {} s, guided by {}",
        length.as_secs(),
        if kcov::is_there() {
            "the module's coverage and by results"
        } else {
            "results only (this kernel has no KCOV)"
        }
    );
    for program in corpus::read(path)? {
        let signals = run_one(&mut judge, &mut running, findings, &program)?;
        corpus.add(program, signals);
        programs += 1;
    }
    let say = |judge: &Judge, corpus: &Corpus, programs| {
        println!(
            "{} s: {} operations in {programs} programs; {} programs show {} different things",
            start.elapsed().as_secs(),
            judge.operations(),
            corpus.len(),
            corpus.signals()
        );
    };
    say(&judge, &corpus, programs);

    while start.elapsed() < length {
        let program = corpus.next(&mut session, &mut random);
        let signals = run_one(&mut judge, &mut running, findings, &program)?;

        programs += 1;
        corpus.add(program, signals);
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            say(&judge, &corpus, programs);
        }
    }
    say(&judge, &corpus, programs);
    let essence = corpus.essence();

    println!("{} programs show all of it", essence.len());
    corpus::write(&findings.join("corpus.txt"), essence)
}

fn replay(times: u32, files: &[PathBuf]) -> Result<()> {
    let mut judge = Judge::new()?;
    let mut failed = 0;

    println!("KTAP version 1");
    println!("1..{}", files.len());
    for (index, file) in files.iter().enumerate() {
        let programs = corpus::read(file)?;
        ensure!(!programs.is_empty(), "no program in {}", file.display());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut outcome = Ok(());

        for program in programs
            .iter()
            .cycle()
            .take(programs.len() * times as usize)
        {
            outcome = judge.run(program).map(drop);
            if outcome.is_err() {
                break;
            }
        }
        match outcome {
            Ok(()) => println!("ok {} {name} # {} programs", index + 1, programs.len()),
            Err(error) => {
                failed += 1;
                format!("{error:#}")
                    .lines()
                    .for_each(|line| println!("# {line}"));
                println!("not ok {} {name}", index + 1);
            }
        }
    }
    println!("# {} operations", judge.operations());
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

/// Whether a program still breaks something.
fn breaks(program: &Program, path: &Path, command: &[String]) -> Result<bool> {
    let (name, arguments) = command.split_first().context("no command")?;

    corpus::write(path, [program])?;
    let status = Command::new(name).args(arguments).arg(path).status()?;
    Ok(!status.success())
}

fn minimise(file: &Path, command: &[String]) -> Result<()> {
    let mut program = corpus::read(file)?
        .into_iter()
        .next()
        .context("no program")?;
    let path = file.with_extension("minimal.txt");

    ensure!(
        breaks(&program, &path, command)?,
        "it does not break anything as it is"
    );
    'smaller: loop {
        for other in program.smaller() {
            if breaks(&other, &path, command)? {
                program = other;
                continue 'smaller;
            }
        }
        break;
    }
    // Numbers as small as possible, as long as that leads anywhere.
    let mut session = Session::new().seed(0).shrink(true);
    for _ in 0..20 {
        let mut other = program.clone();

        if session.mutate(&mut other).is_ok() && breaks(&other, &path, command)? {
            program = other;
        }
    }
    corpus::write(&path, [&program])?;
    println!("{}", path.display());
    Ok(())
}
