// SPDX-License-Identifier: GPL-2.0

//! Processes that do not end.

use std::fs;

/// Where in the kernel each thread of a process is, for people to read.
pub fn where_it_is(process: u32) -> String {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return format!("process {process} is gone\n");
    };
    let mut text = String::new();

    for thread in threads.flatten() {
        let path = thread.path();
        let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
        let status = read("status");
        let state = status
            .lines()
            .find(|line| line.starts_with("State:"))
            .unwrap_or("State: unknown");

        text += &format!("{}: {state}, in {}\n", path.display(), read("wchan"));
        text += &read("stack");
    }
    text
}
