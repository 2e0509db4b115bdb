// SPDX-License-Identifier: GPL-2.0

//! Which CPU a process runs on.

use anyhow::Result;
use std::io;
use std::sync::OnceLock;

/// The CPUs this process may use.
pub fn allowed() -> Result<Vec<usize>> {
    // SAFETY: all bytes zero is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };

    // SAFETY: `set` is as long as said.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok((0..libc::CPU_SETSIZE as usize)
        // SAFETY: numbers below CPU_SETSIZE are in the set's memory.
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// What `allowed()` was when this program started.
static ALL: OnceLock<Vec<usize>> = OnceLock::new();

/// Remembers the CPUs there are, before anything is pinned.
pub fn remember() -> Result<()> {
    let all = allowed()?;

    ALL.get_or_init(|| all);
    Ok(())
}

/// Keeps this process on one CPU.
pub fn pin(cpu: usize) -> Result<()> {
    restrict(&[cpu])
}

/// Runs `start` as if this process were not pinned: kernel threads that it
/// starts go where they like, then, and need not share the process's CPU.
pub fn unpinned<T>(start: impl FnOnce() -> T) -> Result<T> {
    let now = allowed()?;

    restrict(ALL.get().unwrap_or(&now))?;
    let done = start();
    restrict(&now)?;
    Ok(done)
}

fn restrict(cpus: &[usize]) -> Result<()> {
    // SAFETY: all bytes zero is an empty set, and the numbers are ones that
    // `allowed()` has given.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.iter().for_each(|&cpu| libc::CPU_SET(cpu, &mut set));
        set
    };

    // SAFETY: `set` is as long as said.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}

/// Where processes go.
#[derive(Clone, Debug)]
pub struct Placement {
    cpus: Vec<usize>,
}

impl Placement {
    /// The sender on the first allowed CPU, receivers in turn on the others.
    pub fn apart() -> Result<Self> {
        Ok(Self { cpus: allowed()? })
    }

    /// All on one CPU.
    pub fn together() -> Result<Self> {
        let mut cpus = allowed()?;

        cpus.truncate(1);
        Ok(Self { cpus })
    }

    /// The sender's CPU.
    pub fn sender(&self) -> usize {
        self.cpus[0]
    }

    /// The CPU of receiver `index`.
    pub fn receiver(&self, index: usize) -> usize {
        match self.cpus.len() {
            1 => self.cpus[0],
            len => self.cpus[1 + index % (len - 1)],
        }
    }
}
