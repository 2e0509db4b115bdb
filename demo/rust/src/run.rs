// SPDX-License-Identifier: GPL-2.0

//! The driver: starts the processes, waits for them, and compares.

use crate::report::{Report, Row};
use crate::Mode;
use anyhow::{bail, ensure, Context, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A smaller file would hardly fill the channel.
const MIN_SIZE: u64 = 8 << 20;

/// What is streamed to how many.
const MODES: [(Mode, usize); 3] = [
    (Mode::Broadcast, 4),
    (Mode::Multicast, 4),
    (Mode::Unicast, 1),
];

/// Streams `file` in every mode and prints the table.
pub fn run(sender: &Path, dir: &Path, limit: u64, file: &Path) -> Result<()> {
    let size = fs::metadata(file)
        .with_context(|| file.display().to_string())?
        .len();
    ensure!(
        size >= MIN_SIZE,
        "{} has {size} bytes: take a file of {MIN_SIZE} or more",
        file.display()
    );
    let expected = sha256(file)?;

    println!("{}: {size} bytes, sha256 {expected}", file.display());
    println!("{}", Row::head());
    for (mode, receivers) in MODES {
        let stream = Stream {
            sender,
            file,
            mode,
            // Two keys for each, and none that another run has.
            key: u64::from(std::process::id()) << 32 | (mode as u64) << 1 | 0x100,
            outputs: outputs(dir, mode, receivers),
            receivers,
        };
        let row = stream
            .run(Duration::from_secs(limit))
            .and_then(|row| stream.compare(&expected).map(|()| row))
            .with_context(|| mode.to_string())?;

        println!("{row}");
        if mode == Mode::Multicast {
            let shares: Vec<_> = row
                .receivers
                .iter()
                .map(|report| report.messages.to_string())
                .collect();

            println!("           messages of each worker: {}", shares.join(", "));
        }
        stream.remove_outputs()?;
    }
    println!("MB/s count the file once, however many receive it.");
    Ok(())
}

/// The files that receivers write: the same for all workers of a multicast.
fn outputs(dir: &Path, mode: Mode, receivers: usize) -> Vec<PathBuf> {
    let files = if mode == Mode::Multicast {
        1
    } else {
        receivers
    };

    (0..files)
        .map(|number| dir.join(format!("{mode}.{number}")))
        .collect()
}

/// A file on its way.
struct Stream<'a> {
    sender: &'a Path,
    file: &'a Path,
    mode: Mode,
    key: u64,
    outputs: Vec<PathBuf>,
    receivers: usize,
}

impl Stream<'_> {
    /// Runs the processes, and looks whether their reports fit together.
    fn run(&self, limit: Duration) -> Result<Row> {
        let mut processes = Processes::default();

        processes.start(
            "the sender",
            Command::new(self.sender)
                .arg(self.mode.to_string())
                .arg(self.key.to_string())
                .arg(self.receivers.to_string())
                .arg(self.file),
        )?;
        for number in 0..self.receivers {
            processes.start(
                &format!("receiver {number}"),
                Command::new("/proc/self/exe")
                    .args(["receive", "--mode", &self.mode.to_string()])
                    .args(["--key", &self.key.to_string()])
                    .arg(&self.outputs[number % self.outputs.len()]),
            )?;
        }

        let mut reports = processes.finish(limit)?;
        let row = Row {
            mode: self.mode,
            sender: reports.remove(0),
            receivers: reports,
        };

        if let Some(mismatch) = row.mismatch() {
            bail!("{mismatch}");
        }
        Ok(row)
    }

    /// Compares what was written with what was to be sent.
    fn compare(&self, expected: &str) -> Result<()> {
        for output in &self.outputs {
            let found = sha256(output)?;

            ensure!(
                found == expected,
                "{} differs: sha256 {found}",
                output.display()
            );
        }
        Ok(())
    }

    fn remove_outputs(&self) -> Result<()> {
        for output in &self.outputs {
            fs::remove_file(output).with_context(|| output.display().to_string())?;
        }
        Ok(())
    }
}

/// Processes that belong together: none outlives a failure of another.
#[derive(Default)]
struct Processes {
    running: Vec<(String, Child)>,
}

impl Processes {
    fn start(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;

        self.running.push((name.to_owned(), child));
        Ok(())
    }

    /// Waits until all have ended well, and gives their reports.
    fn finish(mut self, limit: Duration) -> Result<Vec<Report>> {
        let deadline = Instant::now() + limit;

        loop {
            let mut missing = Vec::new();

            for (name, child) in &mut self.running {
                match child.try_wait()? {
                    Some(status) => ensure!(status.success(), "{name} failed: {status}"),
                    None => missing.push(name.as_str()),
                }
            }
            if missing.is_empty() {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "hanging after {} s: {}",
                limit.as_secs(),
                missing.join(", ")
            );
            thread::sleep(Duration::from_millis(5));
        }

        self.running
            .iter_mut()
            .map(|(name, child)| {
                let mut line = String::new();
                let output = child.stdout.as_mut().context("no pipe")?;

                output.read_to_string(&mut line)?;
                Report::parse(&line).with_context(|| name.clone())
            })
            .collect()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // Those that have ended are not there to be killed.
            let _ = child.kill();
        }

        // One that does not die even so is no reason to hang as well.
        let deadline = Instant::now() + Duration::from_secs(5);
        for (name, child) in &mut self.running {
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    eprintln!("{name} does not end, even when killed");
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The SHA-256 of a file, as `sha256sum` prints it.
fn sha256(path: &Path) -> Result<String> {
    let context = || path.display().to_string();
    let mut file = File::open(path).with_context(context)?;
    let mut buffer = vec![0; 1 << 20];
    let mut hash = Sha256::new();

    loop {
        match file.read(&mut buffer).with_context(context)? {
            0 => break,
            len => hash.update(&buffer[..len]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");

        command.args(["-c", script]);
        command
    }

    fn start(scripts: &[&str]) -> Processes {
        let mut processes = Processes::default();

        for script in scripts {
            processes.start(script, &mut shell(script)).unwrap();
        }
        processes
    }

    #[test]
    fn checksum() {
        let path = std::env::temp_dir().join(format!("ipc-demo-{}", std::process::id()));

        fs::write(&path, b"abc").unwrap();
        let sum = sha256(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(
            sum,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn reports_of_processes() {
        let line = "echo messages=1 bytes=2 end_ns=3";
        let reports = start(&[line, line]).finish(LONG).unwrap();

        assert_eq!(reports.len(), 2);
        assert_eq!(reports[1].bytes, 2);
        assert!(start(&["echo nothing"]).finish(LONG).is_err());
    }

    #[test]
    fn failures_are_loud() {
        let error = start(&["exec sleep 60", "exit 3"])
            .finish(LONG)
            .unwrap_err();
        assert!(error.to_string().contains("exit 3 failed"));

        let error = start(&["exec sleep 60"]).finish(SHORT).unwrap_err();
        assert!(error.to_string().contains("hanging"));
    }

    #[test]
    fn files_of_modes() {
        let dir = Path::new("/d");

        assert_eq!(outputs(dir, Mode::Multicast, 4).len(), 1);
        assert_eq!(outputs(dir, Mode::Broadcast, 4).len(), 4);
        assert_eq!(outputs(dir, Mode::Unicast, 1), [Path::new("/d/unicast.0")]);
    }
}
