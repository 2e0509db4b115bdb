// SPDX-License-Identifier: GPL-2.0

//! What this process may have beyond the system's limits.

use std::fs;

const CAP_SYS_RESOURCE: u32 = 24;

/// Whether it has CAP_SYS_RESOURCE: pipes, sockets and POSIX queues may be larger than
/// others may have them.
pub fn is_beyond_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());

    effective.is_some_and(|mask| mask >> CAP_SYS_RESOURCE & 1 != 0)
}
