// SPDX-License-Identifier: GPL-2.0

//! Runs tests, each in a process of its own, and reports as KTAP.

use crate::cases;
use anyhow::{anyhow, Context, Result};
use io_uring_ipc::Setup;
use kernel_verdict::Log;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a test does.
#[derive(Clone, Copy)]
pub enum Run {
    /// It needs no ring, or chooses itself.
    Once(fn() -> Result<()>),
    /// It runs with every set-up of rings.
    EachSetup(fn(Setup) -> Result<()>),
}

/// A test as the list of all tests has it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub run: Run,
}

/// A test that can be run.
#[derive(Clone, Copy)]
pub struct Test {
    case: Case,
    setup: Option<Setup>,
}

impl Test {
    /// Whether `name` is this test's, or that of a group it belongs to.
    pub fn is_called(&self, name: &str) -> bool {
        name == self.case.name || name == self.to_string()
    }

    /// Runs it in this process.
    pub fn run(&self) -> Result<()> {
        match self.case.run {
            Run::Once(run) => run(),
            Run::EachSetup(run) => run(self.setup.context("no ring set-up")?),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setup {
            None => f.write_str(self.case.name),
            Some(setup) => write!(f, "{}.{}", self.case.name, setup.name()),
        }
    }
}

/// Every test.
pub fn all() -> Vec<Test> {
    let mut tests = Vec::new();

    for case in cases::all() {
        match case.run {
            Run::Once(_) => tests.push(Test { case, setup: None }),
            Run::EachSetup(_) => tests.extend(Setup::ALL.map(|setup| Test {
                case,
                setup: Some(setup),
            })),
        }
    }
    tests
}

/// The test with this full name.
pub fn find(name: &str) -> Result<Test> {
    all()
        .into_iter()
        .find(|test| test.to_string() == name)
        .with_context(|| format!("no test is called {name}"))
}

/// The exit status for a result, the reason going to standard error.
pub fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs tests and prints what became of them.
pub fn run_all(tests: &[Test], limit: Duration) -> Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    // What came before is not these tests' doing.
    let mut log = Log::from_now()?;

    println!("1..{}", tests.len());
    for (index, test) in tests.iter().enumerate() {
        let number = index + 1;

        match run_apart(test, limit)?.and_log(log.trouble()?) {
            Outcome::Passed => {
                passed += 1;
                println!("ok {number} {test}");
            }
            Outcome::Failed(reason, log) => {
                failed += 1;
                log.lines().for_each(|line| println!("# {line}"));
                println!("not ok {number} {test} # {reason}");
            }
        }
        io::stdout().flush()?;
    }
    println!("# Totals: pass:{passed} fail:{failed} skip:0");
    Ok(if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

enum Outcome {
    Passed,
    /// The reason, and all that there is to be read.
    Failed(String, String),
}

impl Outcome {
    /// A test of which the kernel complains has failed.
    fn and_log(self, trouble: Option<String>) -> Self {
        match (self, trouble) {
            (outcome, None) => outcome,
            (Self::Passed, Some(text)) => Self::Failed("the kernel complains".into(), text),
            (Self::Failed(reason, log), Some(text)) => {
                Self::Failed(reason, format!("{log}\n{text}"))
            }
        }
    }
}

/// Runs a test in a process group of its own, of which nothing is left after.
fn run_apart(test: &Test, limit: Duration) -> Result<Outcome> {
    let mut child = Command::new("/proc/self/exe")
        .args(["--inside", &test.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("starting a test")?;
    let group = i32::try_from(child.id())?;
    let log = collect(child.stderr.take().context("no pipe")?);

    let status = wait(&mut child, limit)?;

    // What a test has started ends with it. The group's number is that of the
    // child, which the kernel gives to nobody else so soon.
    //
    // SAFETY: no memory is involved.
    unsafe { libc::kill(-group, libc::SIGKILL) };

    let killed = match status {
        Some(_) => None,
        None => Some(wait(&mut child, Duration::from_secs(10))?),
    };
    let log = log.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    let last = log
        .lines()
        .rfind(|line| !line.trim().is_empty() && !line.starts_with("note: "))
        .unwrap_or("no reason given")
        .to_owned();

    Ok(match (status, killed) {
        (None, Some(None)) => Outcome::Failed("hangs in the kernel, even when killed".into(), log),
        (None, _) => Outcome::Failed(format!("no end after {} s", limit.as_secs()), log),
        (Some(status), _) => match (status.code(), status.signal()) {
            (Some(0), _) => Outcome::Passed,
            (_, Some(signal)) => Outcome::Failed(format!("killed by signal {signal}"), log),
            _ => Outcome::Failed(last, log),
        },
    })
}

/// Reads a pipe to its end, in the background.
fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();

    thread::spawn(move || {
        let mut bytes = Vec::new();

        // Half a log is better than none.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// Waits for a process, but not longer than `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;

    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Fails unless both are the same.
pub fn same<T: PartialEq + fmt::Debug>(what: &str, got: T, expected: T) -> Result<()> {
    if got != expected {
        return Err(anyhow!("{what}: {got:?}, expected {expected:?}"));
    }
    Ok(())
}

/// Fails unless `result` is this `errno`.
pub fn fails<T>(what: &str, result: io::Result<T>, errno: i32) -> Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        Err(error) => Err(anyhow!(
            "{what}: {error}, expected {}",
            io::Error::from_raw_os_error(errno)
        )),
        Ok(_) => Err(anyhow!(
            "{what}: succeeded, expected {}",
            io::Error::from_raw_os_error(errno)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let names: Vec<_> = all().iter().map(Test::to_string).collect();
        let mut unique = names.clone();

        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        assert!(names.iter().all(|name| find(name).is_ok()));
        assert!(find("nothing").is_err());
    }

    #[test]
    fn the_log_counts() {
        let fails =
            |outcome: Outcome, text: Option<&str>| match outcome.and_log(text.map(Into::into)) {
                Outcome::Passed => None,
                Outcome::Failed(reason, log) => Some((reason, log)),
            };

        assert!(fails(Outcome::Passed, None).is_none());
        assert_eq!(fails(Outcome::Passed, Some("BUG:")).unwrap().1, "BUG:");
        let (reason, log) = fails(Outcome::Failed("a".into(), "b".into()), Some("c")).unwrap();
        assert_eq!((&*reason, &*log), ("a", "b\nc"));
    }

    #[test]
    fn checks() {
        assert!(same("x", 1, 1).is_ok());
        assert!(same("x", 1, 2).is_err());
        let efault = || io::Result::<()>::Err(io::Error::from_raw_os_error(libc::EFAULT));
        assert!(fails("x", efault(), libc::EFAULT).is_ok());
        assert!(fails("x", efault(), libc::EINVAL).is_err());
        assert!(fails("x", Ok(()), libc::EFAULT).is_err());
    }

    #[test]
    fn waiting_has_a_limit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let short = Duration::from_millis(20);

        assert!(wait(&mut child, short).unwrap().is_none());
        child.kill().unwrap();
        assert!(wait(&mut child, Duration::from_secs(10)).unwrap().is_some());
    }
}
