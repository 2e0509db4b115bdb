// SPDX-License-Identifier: GPL-2.0

//! Programs that are worth changing: each has led the kernel where no other has.

use crate::program::Program;
use anyhow::{Context, Result};
use mutatis::Session;
use std::collections::HashSet;
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEAD: &str = "// SPDX-License-Identifier: GPL-2.0\n";

struct Entry {
    program: Program,
    signals: Vec<u16>,
}

#[derive(Default)]
pub struct Corpus {
    entries: Vec<Entry>,
    seen: HashSet<u16>,
}

/// The programs of a file, one a line.
pub fn read(path: &Path) -> Result<Vec<Program>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;

    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(Program::from_line)
        .collect::<Result<_>>()
        .with_context(|| path.display().to_string())
}

/// Writes such a file.
pub fn write<'a>(path: &Path, programs: impl IntoIterator<Item = &'a Program>) -> Result<()> {
    let mut text = String::from(HEAD);

    for program in programs {
        writeln!(text, "{}", program.to_line()?)?;
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// The file with the program that runs. One write for each: the file is the host's.
pub struct Running {
    file: File,
    len: usize,
}

impl Running {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;

        Ok(Self { file, len: 0 })
    }

    pub fn set(&mut self, program: &Program) -> Result<()> {
        let mut text = format!("{HEAD}{}\n", program.to_line()?);
        let len = text.len();

        // Empty lines over what was there.
        text.extend(std::iter::repeat_n('\n', self.len.saturating_sub(len)));
        self.len = len;
        Ok(self.file.write_all_at(text.as_bytes(), 0)?)
    }
}

impl Corpus {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn signals(&self) -> usize {
        self.seen.len()
    }

    /// Keeps a program if it has shown something new.
    pub fn add(&mut self, program: Program, signals: Vec<u16>) -> bool {
        let new = signals.iter().any(|signal| !self.seen.contains(signal));

        if new {
            self.seen.extend(&signals);
            self.entries.push(Entry { program, signals });
        }
        new
    }

    /// The next program to be run.
    pub fn next(&self, session: &mut Session, random: &mut impl FnMut(usize) -> usize) -> Program {
        let mut program = match self.entries.len() {
            0 => None,
            _ if random(20) == 0 => None,
            // Half of the time one of the newest.
            len if random(2) == 0 => self.entries.get(len - 1 - random(len.min(16))),
            len => self.entries.get(random(len)),
        }
        .map_or_else(
            || Program { actors: Vec::new() },
            |entry| entry.program.clone(),
        );

        if random(8) == 0 && !self.entries.is_empty() {
            let other = &self.entries[random(self.entries.len())].program;
            splice(&mut program, other, random);
        }
        for _ in 0..1 + random(if program.actors.is_empty() { 60 } else { 6 }) {
            // Some values have no mutation left.
            let _ = session.mutate(&mut program);
        }
        program.limit();
        program
    }

    /// The fewest programs (or nearly) that show all that was seen.
    pub fn essence(&self) -> Vec<&Program> {
        let mut left = self.seen.clone();
        let mut chosen = Vec::new();

        while !left.is_empty() {
            let gain = |entry: &&Entry| {
                let new = entry.signals.iter().filter(|it| left.contains(it)).count();
                let size = entry
                    .program
                    .to_line()
                    .map_or(usize::MAX, |line| line.len());

                (new, usize::MAX - size)
            };
            let Some(best) = self.entries.iter().max_by_key(gain) else {
                break;
            };
            chosen.push(&best.program);
            for signal in &best.signals {
                left.remove(signal);
            }
        }
        chosen
    }
}

/// Has one actor do what one of another program does.
fn splice(program: &mut Program, other: &Program, random: &mut impl FnMut(usize) -> usize) {
    let Some(donor) = random(4)
        .checked_rem(other.actors.len())
        .map(|index| &other.actors[index])
    else {
        return;
    };
    match random(4).checked_rem(program.actors.len()) {
        Some(index) if random(2) == 0 => {
            let calls = &mut program.actors[index].calls;
            let at = random(calls.len() + 1);

            calls.splice(at..at, donor.calls.iter().cloned());
        }
        _ => program.actors.push(donor.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(calls: usize) -> Program {
        Program {
            actors: vec![crate::program::Actor {
                process: false,
                setup: 0,
                again: 0,
                calls: vec![crate::program::Call::Unmap; calls],
            }],
        }
    }

    #[test]
    fn keeps_what_is_new() {
        let mut corpus = Corpus::default();

        assert!(corpus.add(program(1), vec![1, 2]));
        assert!(!corpus.add(program(2), vec![2, 1]));
        assert!(corpus.add(program(3), vec![3]));
        assert!(corpus.add(program(4), vec![1, 2, 3, 4]));
        assert_eq!((corpus.len(), corpus.signals()), (3, 4));
        assert_eq!(corpus.essence(), [&program(4)]);
    }

    #[test]
    fn file_and_back() {
        let path = std::env::temp_dir().join(format!("ipc-fuzz-test-{}", std::process::id()));
        let programs = [program(0), program(5)];

        write(&path, &programs).unwrap();
        assert_eq!(read(&path).unwrap(), programs);

        let mut running = Running::create(&path).unwrap();
        for program in programs.iter().rev() {
            running.set(program).unwrap();
            assert_eq!(&read(&path).unwrap()[0], program);
        }
        fs::remove_file(path).unwrap();
    }
}
