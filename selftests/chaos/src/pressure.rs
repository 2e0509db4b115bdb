// SPDX-License-Identifier: GPL-2.0

//! Too little memory: a control group with a limit, and a process in it that takes what is left.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

const GROUPS: &str = "/sys/fs/cgroup";
const LIMIT: u64 = 24 << 20;
/// What the process leaves to the others.
const SPARE: u64 = 256 << 10;
const CHUNK: usize = 1 << 20;
/// How often it looks whether somebody has found too little: there are slow kernels.
const PATIENCE: u32 = 100;

/// How often memory was short.
#[derive(Default)]
pub struct Shortage {
    /// The group was at its limit.
    pub refused: u64,
    /// A process was killed for memory.
    pub kills: u64,
}

impl Shortage {
    fn of(group: &Path) -> Result<Self> {
        let events = fs::read_to_string(group.join("memory.events"))?;
        let number = |name| {
            events
                .lines()
                .filter_map(|line| line.split_once(' '))
                .find(|(key, _)| *key == name)
                .and_then(|(_, number)| number.parse().ok())
                .with_context(|| format!("memory.events without {name}"))
        };

        Ok(Self {
            refused: number("max")?,
            kills: number("oom_kill")?,
        })
    }
}

pub struct Pressure {
    group: PathBuf,
    hog: Option<Child>,
}

impl Pressure {
    pub fn new() -> Result<Self> {
        let group = Path::new(GROUPS).join(format!("ipc-chaos-{}", std::process::id()));

        fs::write(Path::new(GROUPS).join("cgroup.subtree_control"), "+memory")
            .context("no memory controller")?;
        fs::create_dir(&group)?;
        fs::write(group.join("memory.max"), LIMIT.to_string())?;
        Ok(Self { group, hog: None })
    }

    /// Puts a process under the limit.
    pub fn add(&self, process: u32) {
        // It may have been killed already.
        let _ = fs::write(self.group.join("cgroup.procs"), process.to_string());
    }

    /// Sees that the process that takes the memory is there: it is the first to be killed.
    pub fn keep_up(&mut self) -> Result<()> {
        if let Some(hog) = &mut self.hog {
            if hog.try_wait()?.is_none() {
                return Ok(());
            }
        }
        let hog = Command::new("/proc/self/exe")
            .arg("--hog")
            .arg(&self.group)
            .spawn()?;
        self.add(hog.id());
        self.hog = Some(hog);
        Ok(())
    }

    /// Ends it; there is as much memory as anybody likes.
    pub fn end(&mut self) -> Result<()> {
        if let Some(mut hog) = self.hog.take() {
            hog.kill()?;
            hog.wait()?;
        }
        fs::write(self.group.join("memory.max"), "max")?;
        Ok(())
    }

    /// What there has been so far.
    pub fn shortage(&self) -> Result<Shortage> {
        Shortage::of(&self.group)
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        // Processes killed a moment ago may still be in it.
        for _ in 0..100 {
            if self.end().is_err() || fs::remove_dir(&self.group).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Takes all but a little of the group's memory, gives a quarter of it back when somebody has found
/// too little, or nobody does, and again.
pub fn hog(group: &Path) -> Result<()> {
    let left = || -> Result<u64> {
        let number = |name: &str| -> Result<u64> {
            let text = fs::read_to_string(group.join(name))?;
            Ok(text.trim().parse().unwrap_or(u64::MAX))
        };
        Ok(number("memory.max")?.saturating_sub(number("memory.current")?))
    };
    let mut taken: Vec<Vec<u8>> = Vec::new();

    // SAFETY: no memory is involved. The hog ends with its supervisor.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    fs::write("/proc/self/oom_score_adj", "1000")?;
    loop {
        let chunk = left()?.saturating_sub(SPARE).min(CHUNK as u64) as usize;

        if chunk >= 4096 {
            // Ones, or the pages would not be there.
            taken.push(vec![1; chunk]);
            continue;
        }
        let before = Shortage::of(group)?.refused;
        for _ in 0..PATIENCE {
            thread::sleep(Duration::from_millis(20));
            if Shortage::of(group)?.refused != before {
                break;
            }
        }
        taken.truncate(taken.len() * 3 / 4);
        thread::sleep(Duration::from_millis(5));
    }
}
