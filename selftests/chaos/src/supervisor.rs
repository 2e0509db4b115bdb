// SPDX-License-Identifier: GPL-2.0

//! Starts the processes, kills them, and looks what has become of their messages.

use crate::account::{Books, Summary};
use crate::event::Event;
use crate::message;
use crate::plan::Kills;
use crate::pressure::{Pressure, Shortage};
use crate::shared::{Buffers, Mapped, Phase, Shared, BUFFER_SIZE, CHANNELS, SLOTS};
use crate::witness::Witness;
use crate::worker::Identity;
use anyhow::{bail, ensure, Context, Result};
use io_uring_ipc::{abi, Channel, ChannelConfig, Kind, Ring};
use kernel_verdict::{where_it_is, Log, Patience};
use std::fs;
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// A process that does not get on for so long, or does not die, is stuck.
const STUCK: Duration = Duration::from_secs(60);

pub struct Options {
    pub seed: u64,
    pub length: Duration,
}

/// What happened, besides messages.
#[derive(Default)]
pub struct Counts {
    pub lives: u64,
    pub killed: u64,
    pub channels: u64,
    pub steps: u64,
    pub memory: Shortage,
}

struct Process {
    child: Child,
    identity: Identity,
    buffers: Mapped<Buffers>,
    steps: u64,
    /// Since it has finished a step.
    idle: Patience,
    ended: bool,
}

/// A directory in memory, gone when dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub struct Supervisor<'ring> {
    options: Options,
    ring: &'ring Ring,
    log: &'ring mut Log,
    kills: Kills,
    books: Books,
    shared: Mapped<Shared>,
    processes: Vec<Process>,
    /// Channels that stay, which nobody watches: of each what is left is taken at the end.
    kept: Vec<Channel<'ring>>,
    witnesses: Vec<Witness<'ring>>,
    pressure: Pressure,
    counts: Counts,
    directory: Directory,
}

/// Runs it all; fails where a process misbehaves or is stuck.
pub fn run<'a>(options: Options, ring: &'a Ring, log: &'a mut Log) -> Result<(Summary, Counts)> {
    let mut supervisor = Supervisor::new(options, ring, log)?;

    supervisor.chaos()?;
    supervisor.end()?;
    supervisor.counts.memory = supervisor.pressure.shortage()?;
    let books = mem::take(&mut supervisor.books);
    Ok((books.judge(), mem::take(&mut supervisor.counts)))
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Most are gone.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl<'ring> Supervisor<'ring> {
    fn new(options: Options, ring: &'ring Ring, log: &'ring mut Log) -> Result<Self> {
        let directory = PathBuf::from(format!("/dev/shm/ipc-chaos-{}", std::process::id()));

        fs::create_dir(&directory)?;
        let directory = Directory(directory);
        let mut supervisor = Self {
            kills: Kills::new(options.seed, SLOTS),
            options,
            ring,
            log,
            books: Books::default(),
            shared: Mapped::create(&directory.0.join("shared"))?,
            processes: Vec::new(),
            kept: Vec::new(),
            witnesses: Vec::new(),
            pressure: Pressure::new()?,
            counts: Counts::default(),
            directory,
        };

        supervisor.make_channels()?;
        for slot in 0..SLOTS {
            let process = supervisor.start(slot, 0)?;
            supervisor.processes.push(process);
        }
        Ok(supervisor)
    }

    /// Those that stay, of all kinds; the others leave as many entries to the processes.
    fn make_channels(&mut self) -> Result<()> {
        let kinds = [
            (Kind::Unicast, false),
            (Kind::Multicast, true),
            (Kind::Broadcast, false),
            (Kind::Unicast, false),
        ];

        for (entry, (kind, private)) in kinds.into_iter().enumerate() {
            let channel = self.ring.create(&ChannelConfig {
                kind,
                private,
                entries: 32,
                mode: 0o666,
                ..ChannelConfig::default()
            })?;

            if kind == Kind::Broadcast {
                self.watch(channel.id(), entry)?;
            } else {
                self.books.open(channel.id(), false, 0);
                self.shared.channels[entry].store(channel.id(), Ordering::Release);
            }
            self.kept.push(channel);
        }
        Ok(())
    }

    /// Lets everybody use a channel, if it is still there.
    fn watch(&mut self, channel: u32, entry: usize) -> Result<()> {
        let taken = &self.shared.channels[entry];

        self.counts.channels += 1;
        if taken.load(Ordering::Relaxed) != 0 {
            // Two have chosen the same entry. The later one stays unused.
            return Ok(());
        }
        let Some(witness) = Witness::new(self.ring, channel, entry)? else {
            return Ok(());
        };

        self.books.open(channel, witness.broadcast, witness.id());
        self.witnesses.push(witness);
        taken.store(channel, Ordering::Release);
        Ok(())
    }

    fn start(&mut self, slot: usize, life: u32) -> Result<Process> {
        let identity = Identity {
            directory: self.directory.0.clone(),
            slot,
            life,
            seed: Some(self.options.seed),
        };
        let buffers = Mapped::create(&identity.buffers())?;

        self.counts.lives += 1;
        self.shared.slots[slot].life.store(life, Ordering::Release);
        let child = Command::new("/proc/self/exe")
            .args(identity.args())
            .spawn()?;
        self.pressure.add(child.id());
        Ok(Process {
            child,
            identity,
            buffers,
            steps: 0,
            idle: Patience::new(),
            ended: false,
        })
    }

    fn chaos(&mut self) -> Result<()> {
        let end = Instant::now() + self.options.length;
        let mut kill = self.kills.next();
        let mut last_kill = Instant::now();

        while Instant::now() < end {
            self.round()?;
            self.pressure.keep_up()?;
            // Processes killed for memory fill it.
            self.log.look()?;
            if let Some((_, slot)) = kill.filter(|(pause, _)| last_kill.elapsed() >= *pause) {
                // Whether it has ended or not: it is looked at in the next round.
                self.processes[slot].child.kill()?;
                self.counts.killed += 1;
                last_kill = Instant::now();
                kill = self.kills.next();
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Reads all journals, and does what there is to be done.
    fn round(&mut self) -> Result<()> {
        for slot in 0..SLOTS {
            self.read(slot)?;
        }
        self.books.settle();

        let steps: Vec<_> = (0..SLOTS).map(|slot| self.progress(slot)).collect();
        for witness in &mut self.witnesses {
            witness.look(&mut self.books, &self.shared, &steps)?;
        }
        self.witnesses.retain(|witness| !witness.finished);

        for slot in 0..SLOTS {
            self.look_after(slot)?;
        }
        Ok(())
    }

    /// What changes when a process has finished a step, or has ended.
    fn progress(&self, slot: usize) -> (u32, u64, bool) {
        let process = &self.processes[slot];
        let steps = self.shared.slots[slot].steps.load(Ordering::Acquire);

        (process.identity.life, steps, process.ended)
    }

    fn read(&mut self, slot: usize) -> Result<()> {
        while let Some(record) = self.shared.slots[slot].journal.read() {
            let event = Event::from_record(record)?;

            match event {
                Event::Created { channel, entry } => self.watch(channel, entry as usize)?,
                Event::Started { life } if life != self.processes[slot].identity.life => {
                    self.go_on(slot, life)?;
                }
                _ => self.books.event(slot, event),
            }
        }
        Ok(())
    }

    /// A process has started again by `exec`, and waits.
    fn go_on(&mut self, slot: usize, life: u32) -> Result<()> {
        self.account(slot)?;

        let process = &mut self.processes[slot];
        process.identity.life = life;
        process.buffers = Mapped::create(&process.identity.buffers())?;
        self.counts.lives += 1;
        self.shared.slots[slot].life.store(life, Ordering::Release);
        Ok(())
    }

    /// Looks at what a life has left behind.
    fn account(&mut self, slot: usize) -> Result<()> {
        let process = &self.processes[slot];

        self.books.ended(slot, |buffer| {
            message::find(&process.buffers.copy(buffer as usize, BUFFER_SIZE))
        });
        Ok(fs::remove_file(process.identity.buffers())?)
    }

    /// Whether a process has ended, or does not get on.
    fn look_after(&mut self, slot: usize) -> Result<()> {
        if self.processes[slot].ended {
            return Ok(());
        }
        let steps = self.shared.slots[slot].steps.load(Ordering::Relaxed);
        let process = &mut self.processes[slot];

        match process.child.try_wait()? {
            Some(status) => return self.ended(slot, status),
            None if steps != process.steps => {
                process.steps = steps;
                process.idle = Patience::new();
            }
            None if process.idle.spent() > STUCK => {
                let place = where_it_is(process.child.id());
                bail!("process {slot} is stuck:\n{place}");
            }
            None => {}
        }
        Ok(())
    }

    fn ended(&mut self, slot: usize, status: ExitStatus) -> Result<()> {
        self.read(slot)?;
        let process = &mut self.processes[slot];
        let life = process.identity.life;

        if self.shared.phase() != Phase::Chaos && status.success() {
            // It has told all there is to tell.
            process.ended = true;
            return Ok(());
        }
        ensure!(
            status.signal() == Some(libc::SIGKILL),
            "process {slot} in its life {life} has ended: {status}"
        );
        self.account(slot)?;
        if self.shared.phase() == Phase::Chaos {
            self.counts.steps += self.shared.slots[slot].steps.swap(0, Ordering::Relaxed);
            self.processes[slot] = self.start(slot, life + 1)?;
        } else {
            self.processes[slot].ended = true;
        }
        Ok(())
    }

    fn wait_for(&mut self, phase: Phase) -> Result<()> {
        let mut patience = Patience::new();

        self.shared.set_phase(phase);
        while (0..SLOTS).any(|slot| {
            let reached = self.shared.slots[slot].reached.load(Ordering::Acquire);
            !self.processes[slot].ended && (reached < phase as u32 || phase == Phase::Drain)
        }) {
            ensure!(patience.spent() < 2 * STUCK, "there is no end: {phase:?}");
            self.round()?;
            thread::sleep(Duration::from_millis(1));
        }
        self.round()
    }

    fn end(&mut self) -> Result<()> {
        self.pressure.end()?;
        self.wait_for(Phase::Quiet)?;
        self.wait_for(Phase::Drain)?;
        for slot in 0..SLOTS {
            self.read(slot)?;
            self.counts.steps += self.shared.slots[slot].steps.load(Ordering::Relaxed);
        }
        self.books.settle();

        for witness in &mut self.witnesses {
            witness.take_rest(&mut self.books)?;
        }
        // What is left in the others.
        for channel in &self.kept {
            let last = channel.attach(abi::SUB_RECV).context("the last receiver")?;

            self.books.attached(last.id(), channel.id(), 0, None);
            let mut last = Witness::of(last, false, CHANNELS);
            last.take_rest(&mut self.books)?;
        }
        Ok(())
    }
}
