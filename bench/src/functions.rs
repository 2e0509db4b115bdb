// SPDX-License-Identifier: GPL-2.0

//! Where the instructions of a request go, function by function.

use crate::alone::Request;
use crate::budget::{part, work, BATCH, SIZE};
use crate::cpu::Placement;
use crate::flood::{flood, Effort};
use crate::pingpong::ping_pong;
use crate::transport::Kind;
use crate::work::Fanout;
use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Round trips that are counted.
const TRIPS: u64 = 1000;
/// A function that nowhere has so much of all instructions shares a line with others.
const LEAST: f64 = 0.01;
/// How far what was counted may be from what the clock says: it counts the two
/// looks at it, and jumps where all CPUs are idle.
const TOLERANCE: f64 = 0.05;

/// The functions of the kernel, by where they begin.
struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// Those of the kernel that runs.
    fn here() -> Result<Self> {
        let symbols = Self::new(&fs::read_to_string("/proc/kallsyms")?);

        ensure!(
            symbols.0.keys().any(|&address| address != 0),
            "the addresses in /proc/kallsyms are hidden: run as root"
        );
        Ok(symbols)
    }

    /// From lines like the ones in /proc/kallsyms.
    fn new(lines: &str) -> Self {
        let mut symbols = BTreeMap::new();

        for line in lines.lines() {
            let mut fields = line.split_whitespace();
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else {
                continue;
            };
            let name = format!("{:#}", rustc_demangle::demangle(name));
            // In its own crate a path need not begin with it.
            let name = match fields.next() {
                Some(of) => {
                    let own = format!("{}::", of.trim_matches(['[', ']']));
                    format!("{} {of}", name.replace(&own, ""))
                }
                None => name,
            };
            symbols.entry(address).or_insert(name);
        }
        Self(symbols)
    }

    /// Which function an address is in.
    fn name(&self, address: u64) -> &str {
        if address >> 63 == 0 {
            return "user space";
        }
        match self.0.range(..=address).next_back() {
            Some((_, name)) => name,
            None => "unknown",
        }
    }
}

/// What was counted, for each kind of request.
pub struct Table {
    columns: Vec<&'static str>,
    /// By function, a figure for each column.
    rows: BTreeMap<String, Vec<f64>>,
}

impl Table {
    /// Measures all of it. The plugin writes to `counts`.
    pub fn measure(counts: &Path) -> Result<Self> {
        let symbols = Symbols::here()?;
        let mut table = Self {
            columns: Vec::new(),
            rows: BTreeMap::new(),
        };
        let mut column =
            |name: &'static str, measure: &mut dyn FnMut() -> Result<(f64, u64)>| -> Result<()> {
                // What an earlier one has left says nothing of this one.
                let _ = fs::remove_file(counts);
                let (time, requests) = measure()?;
                let lines = fs::read_to_string(counts).with_context(|| {
                    format!(
                        "{}: no plugin has counted (scripts/bench --functions)",
                        counts.display()
                    )
                })?;
                table.add(name, &lines, &symbols, requests)?;
                let counted = table.total(table.columns.len() - 1);
                ensure!(
                    (counted / time - 1.0).abs() < TOLERANCE,
                    "{name}: {counted:.0} instructions are counted, the clock says {time:.0}"
                );
                Ok(())
            };

        for request in [
            Request::Nop,
            Request::Send,
            Request::EmptyReceive,
            Request::MultishotDrain,
        ] {
            let part = part();
            column(request.name(), &mut || {
                Ok((part.measure(request)?.median, part.entries as u64))
            })?;
        }
        let place = Placement::apart()?;
        column("unicast", &mut || {
            let effort = Effort {
                rounds: 1,
                round_ns: 40_000_000,
            };
            let work = work(Fanout::One, SIZE, 1, BATCH);
            let done = flood(Kind::IpcMultishot, &work, &place, effort)?;
            Ok((done.total.median, done.messages))
        })?;
        column("ping-pong", &mut || {
            let work = work(Fanout::One, SIZE, 1, 1);
            let done = ping_pong(Kind::IpcWait, &work, &place, TRIPS, false)?;
            Ok((done.mean, TRIPS))
        })?;
        Ok(table)
    }

    /// Adds a column of what the plugin has counted for so many requests.
    fn add(
        &mut self,
        name: &'static str,
        lines: &str,
        symbols: &Symbols,
        requests: u64,
    ) -> Result<()> {
        let columns = self.columns.len();

        for line in lines.lines() {
            let (address, count) = line.split_once(' ').context("a line has no count")?;
            let address = u64::from_str_radix(address, 16)?;
            let count: u64 = count.parse()?;
            let row = self.rows.entry(symbols.name(address).into()).or_default();

            row.resize(columns + 1, 0.0);
            row[columns] += count as f64 / requests as f64;
        }
        self.columns.push(name);
        for row in self.rows.values_mut() {
            row.resize(columns + 1, 0.0);
        }
        Ok(())
    }

    fn total(&self, column: usize) -> f64 {
        self.rows.values().map(|row| row[column]).sum()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = 0..self.columns.len();
        let totals: Vec<f64> = columns.clone().map(|column| self.total(column)).collect();
        // The largest part of any column that it has.
        let weight = |row: &[f64]| -> f64 {
            let parts = row
                .iter()
                .zip(&totals)
                .map(|(figure, total)| figure / total);
            parts.fold(0.0, f64::max)
        };
        let sum = |rows: &[(&String, &Vec<f64>)]| -> Vec<f64> {
            let column = |column| {
                rows.iter()
                    .map(|(_, row): &(_, &Vec<f64>)| row[column])
                    .sum()
            };
            columns.clone().map(column).collect()
        };
        let line = |f: &mut std::fmt::Formatter<'_>, name: &str, row: &[f64]| {
            write!(f, "| {name} |")?;
            for figure in row {
                match figure.round() {
                    0.0 => write!(f, " |")?,
                    figure => write!(f, " {figure} |")?,
                }
            }
            writeln!(f)
        };
        let (mut rows, others): (Vec<_>, Vec<_>) =
            self.rows.iter().partition(|(_, row)| weight(row) >= LEAST);
        let modules: Vec<_> = self
            .rows
            .iter()
            .filter(|(name, _)| name.ends_with(']'))
            .collect();

        rows.sort_by(|(_, a), (_, b)| weight(b).total_cmp(&weight(a)));
        writeln!(f, "| function | {} |", self.columns.join(" | "))?;
        writeln!(f, "| --- |{}", " ---: |".repeat(self.columns.len()))?;
        for (name, row) in &rows {
            line(f, &format!("`{name}`"), row)?;
        }
        line(f, &format!("{} others", others.len()), &sum(&others))?;
        line(f, "all functions of modules", &sum(&modules))?;
        line(f, "all", &totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "ffffffff81000000 T first\n\
        ffffffff81000000 t alias\n\
        ffffffff81000010 D data\n\
        ffffffff81000100 t second.cold\n\
        ffffffffa0000000 t _RNvCskwGfYPst2Cb_3foo16example_function\t[foo]\n";

    #[test]
    fn an_address_is_in_the_function_that_begins_last() {
        let symbols = Symbols::new(SYMBOLS);

        assert_eq!(symbols.name(0xffff_ffff_8100_0000), "first");
        assert_eq!(symbols.name(0xffff_ffff_8100_00ff), "first");
        assert_eq!(symbols.name(0xffff_ffff_8100_0100), "second.cold");
        assert_eq!(
            symbols.name(0xffff_ffff_a000_0001),
            "example_function [foo]"
        );
        assert_eq!(symbols.name(0x40_0000), "user space");
        assert_eq!(symbols.name(0xffff_ffff_8000_0000), "unknown");
    }

    #[test]
    fn each_column_adds_up() {
        let symbols = Symbols::new(SYMBOLS);
        let mut table = Table {
            columns: Vec::new(),
            rows: BTreeMap::new(),
        };

        table
            .add(
                "one",
                "ffffffff81000000 20\nffffffff81000008 20\n400000 10\n",
                &symbols,
                10,
            )
            .unwrap();
        table
            .add(
                "two",
                "ffffffff81000100 5000\nffffffffa0000000 40\n",
                &symbols,
                10,
            )
            .unwrap();
        assert_eq!(
            table.to_string(),
            "| function | one | two |\n\
             | --- | ---: | ---: |\n\
             | `second.cold` | | 500 |\n\
             | `first` | 4 | |\n\
             | `user space` | 1 | |\n\
             | 1 others | | 4 |\n\
             | all functions of modules | | 4 |\n\
             | all | 5 | 504 |\n"
        );
        assert!(table.add("three", "ffff", &symbols, 1).is_err());
    }
}
