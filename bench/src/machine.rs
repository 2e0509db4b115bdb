// SPDX-License-Identifier: GPL-2.0

//! Where figures were measured.

use crate::clock::Clock;
use crate::cpu;
use crate::privilege;
use serde::{Deserialize, Serialize};
use std::fs;

/// A machine, as far as it can be seen from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Release and version of the kernel.
    pub kernel: String,
    /// When it preempts, where that can be seen.
    pub preemption: String,
    /// The processor's name.
    pub processor: String,
    /// CPUs this program may use.
    pub cpus: usize,
    /// What runs the machine, or that nothing does.
    pub accelerator: String,
    /// What the kernel takes the time from.
    pub clock_source: String,
    /// Which security mitigations the kernel says are at work.
    pub mitigations: Vec<String>,
    /// What to think of when reading the figures.
    pub caveats: Vec<String>,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// What a line of /proc/cpuinfo says.
fn cpuinfo(field: &str) -> Option<String> {
    read("/proc/cpuinfo")?
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .strip_prefix(':')
                .map(str::trim)
        })
        .map(str::to_owned)
}

/// The hypervisor's signature, if there is one.
#[cfg(target_arch = "x86_64")]
fn hypervisor() -> Option<String> {
    use std::arch::x86_64::__cpuid;

    if __cpuid(1).ecx & 1 << 31 == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let name: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .filter(|byte| *byte != 0)
        .collect();

    Some(String::from_utf8_lossy(&name).into_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> Option<String> {
    None
}

fn accelerator(clock: Clock) -> String {
    let vendor = read("/sys/class/dmi/id/sys_vendor").unwrap_or_default();

    match hypervisor().as_deref() {
        None if vendor == "QEMU" => "QEMU".into(),
        None => "none: bare metal".into(),
        Some(name) if name.starts_with("TCG") => match clock {
            Clock::Instructions => "QEMU, software emulation (TCG), counting instructions".into(),
            Clock::Wall => "QEMU, software emulation (TCG)".into(),
        },
        Some(name) if name.starts_with("KVM") => "KVM".into(),
        Some(name) => format!("hypervisor {name}"),
    }
}

/// What is in parentheses in a list such as "none voluntary (full) lazy".
fn preemption() -> Option<String> {
    let modes = read("/sys/kernel/debug/sched/preempt")?;

    Some(modes.split_once('(')?.1.split_once(')')?.0.to_owned())
}

fn mitigations() -> Vec<String> {
    let Ok(files) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return Vec::new();
    };
    let mut found: Vec<_> = files
        .flatten()
        .filter_map(|file| {
            let text = read(file.path().to_str()?)?;
            text.starts_with("Mitigation")
                .then(|| format!("{}: {text}", file.file_name().to_string_lossy()))
        })
        .collect();

    found.sort();
    found
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let clock = Clock::here();
        let cpus = cpu::allowed().map(|cpus| cpus.len()).unwrap_or(1);
        let accelerator = accelerator(clock);
        let mut caveats = Vec::new();

        match clock {
            Clock::Instructions => caveats.push(
                "Figures are instructions of all CPUs together, not time: nothing about caches, \
                 branches, and CPUs that work at once."
                    .to_owned(),
            ),
            Clock::Wall if accelerator.contains("TCG") => caveats.push(
                "Software emulation: only ratios mean anything, and those not much.".to_owned(),
            ),
            Clock::Wall => {}
        }
        if cpus < 3 {
            caveats.push(format!(
                "{cpus} CPUs: what many do to each other cannot be seen."
            ));
        }
        caveats.push(match cpus {
            0..=2 => "Several receivers share one CPU.".to_owned(),
            _ => format!("More than {} receivers share CPUs.", cpus - 1),
        });
        if !privilege::is_beyond_limits() {
            caveats.push(
                "Without CAP_SYS_RESOURCE pipes, sockets and POSIX queues hold less than others."
                    .to_owned(),
            );
        }
        Self {
            kernel: [
                read("/proc/sys/kernel/osrelease"),
                read("/proc/sys/kernel/version"),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
            preemption: preemption().unwrap_or_else(|| "unknown".into()),
            processor: cpuinfo("model name").unwrap_or_else(|| "unknown".into()),
            cpus,
            accelerator,
            clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .unwrap_or_else(|| "unknown".into()),
            mitigations: mitigations(),
            caveats,
        }
    }

    /// In a few lines, each starting with `mark`.
    pub fn describe(&self, mark: &str) -> String {
        let mut lines = vec![
            format!("kernel: {}, preemption: {}", self.kernel, self.preemption),
            format!(
                "machine: {}, {} CPUs, accelerator: {}, clock source: {}",
                self.processor, self.cpus, self.accelerator, self.clock_source
            ),
        ];

        if !self.mitigations.is_empty() {
            lines.push(format!("mitigations: {}", self.mitigations.join("; ")));
        }
        lines.extend(self.caveats.iter().map(|text| format!("caveat: {text}")));
        lines.iter().map(|line| format!("{mark}{line}\n")).collect()
    }
}
