// SPDX-License-Identifier: GPL-2.0

//! Results as tables, which are Markdown and can be read on a terminal.

use crate::latency::LINE;
use crate::results::{Case, Latency, Results, Throughput};
use crate::stat::Stat;
use crate::work::Fanout;
use std::fmt::Write;

/// A table with aligned columns.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: Vec<String>) -> Self {
        Self { rows: vec![head] }
    }

    fn render(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();

        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _ = match column {
                    0 => write!(text, "| {cell:<width$} "),
                    _ => write!(text, "| {cell:>width$} "),
                };
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let _ = match column {
                        0 => write!(text, "| {} ", "-".repeat(*width)),
                        _ => write!(text, "| {}: ", "-".repeat(width.saturating_sub(1))),
                    };
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// Bytes as people say them.
pub fn bytes(size: usize) -> String {
    if size >= 1024 && size.is_multiple_of(1024) {
        format!("{} KiB", size / 1024)
    } else {
        format!("{size} B")
    }
}

/// Values in order, each once.
pub fn distinct<T: PartialEq + Ord + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<_> = values.collect();

    values.sort();
    values.dedup();
    values
}

fn cell(found: &Throughput) -> String {
    let text = format!("{:.0} / {:.0}", found.total.median, found.sender.median);

    with_spread(text, &found.total)
}

fn with_spread(mut text: String, time: &Stat) -> String {
    if time.rounds.len() == 1 {
        text.push_str(" (1)");
    } else if time.spread() >= 10.0 {
        let _ = write!(text, " ±{:.0} %", time.spread() / 2.0);
    }
    text
}

impl Results {
    /// The whole of it, in Markdown.
    pub fn markdown(&self) -> String {
        let unit = self.clock.unit();
        let mut text = String::from("# Results\n\n");

        let mut machine = None;
        for run in &self.runs {
            if machine.replace(&run.machine) != Some(&run.machine) {
                text.push_str(&run.machine.describe("- "));
            }
            let name = run.name.as_deref().unwrap_or("measured with");
            let _ = writeln!(text, "- {name}: `{}`", run.command);
            if run.done < run.planned {
                let _ = writeln!(
                    text,
                    "- **cut short**: {} of {} were measured",
                    run.done, run.planned
                );
            }
        }
        let _ = writeln!(
            text,
            "- figures are {unit} for one message, medians of the rounds: until the last receiver \
             has it / until it is sent; ± is half of the spread between rounds, where that is 5 % \
             or more; (1) where there was one round only\n"
        );
        self.parts(&mut text);
        self.sizes(Fanout::One, &mut text);
        self.sizes(Fanout::Each, &mut text);
        self.sizes(Fanout::Any, &mut text);
        self.scaling(Fanout::Each, &mut text);
        self.scaling(Fanout::Any, &mut text);
        self.latencies(&mut text);
        if !self.left_out.is_empty() {
            text.push_str("## Not measured\n\n");
            for left_out in &self.left_out {
                let _ = writeln!(text, "- {left_out}");
            }
            text.push('\n');
        }
        if !self.errors.is_empty() {
            text.push_str("## Errors\n\n");
            for error in &self.errors {
                let _ = writeln!(text, "- {error}");
            }
        }
        text
    }

    fn parts(&self, text: &mut String) {
        if self.parts.is_empty() {
            return;
        }
        let mut table = Table::new(
            ["request", "set-up", "batch", "each"]
                .map(String::from)
                .into(),
        );

        for part in &self.parts {
            table.rows.push(vec![
                part.line(),
                part.setup.clone(),
                part.batch.to_string(),
                with_spread(format!("{:.0}", part.time.median), &part.time),
            ]);
        }
        let _ = writeln!(text, "## Requests alone\n\n{}", table.render());
    }

    /// A row for each label, a column for each value of `column`.
    fn matrix(
        &self,
        chosen: &[&Throughput],
        head: &str,
        column: fn(&Case) -> usize,
        name: fn(usize) -> String,
    ) -> String {
        let columns = distinct(chosen.iter().map(|found| column(&found.case)));
        let mut labels: Vec<String> = Vec::new();

        for found in chosen {
            let label = found.case.label();
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let mut table = Table::new(
            std::iter::once(head.to_owned())
                .chain(columns.iter().map(|&value| name(value)))
                .collect(),
        );
        for label in labels {
            let mut row = vec![label.clone()];

            row.extend(columns.iter().map(|&value| {
                chosen
                    .iter()
                    .find(|found| found.case.label() == label && column(&found.case) == value)
                    .map_or(String::new(), |found| cell(found))
            }));
            table.rows.push(row);
        }
        table.render()
    }

    /// Each batch of a mode that was measured with the most receivers.
    fn sizes(&self, mode: Fanout, text: &mut String) {
        let of_mode = || {
            self.throughput
                .iter()
                .filter(move |found| found.case.mode == mode)
        };
        let Some(most) = of_mode().map(|found| found.case.receivers).max() else {
            return;
        };

        for batch in distinct(of_mode().map(|found| found.case.batch)) {
            let chosen: Vec<_> = of_mode()
                .filter(|found| found.case.receivers == most && found.case.batch == batch)
                .collect();
            let table = self.matrix(&chosen, "until received / sent", |case| case.size, bytes);
            let receivers = match most {
                1 => "1 receiver".to_owned(),
                _ => format!("{most} receivers"),
            };
            let _ = writeln!(
                text,
                "## {}, {receivers}, batch {batch}\n\n{table}",
                mode.name()
            );
        }
    }

    /// The least size by the number of receivers.
    fn scaling(&self, mode: Fanout, text: &mut String) {
        let of_mode = || {
            self.throughput
                .iter()
                .filter(move |found| found.case.mode == mode)
        };
        let Some(size) = of_mode().map(|found| found.case.size).min() else {
            return;
        };

        for batch in distinct(of_mode().map(|found| found.case.batch)) {
            let chosen: Vec<_> = of_mode()
                .filter(|found| found.case.size == size && found.case.batch == batch)
                .collect();
            let table = self.matrix(
                &chosen,
                "until received / sent",
                |case| case.receivers,
                |receivers| format!("to {receivers}"),
            );
            let _ = writeln!(
                text,
                "## {}, {}, by receivers, batch {batch}\n\n{table}",
                mode.name(),
                bytes(size)
            );
        }
    }

    fn latencies(&self, text: &mut String) {
        let mut paces = Vec::new();

        for found in &self.latency {
            if !paces.contains(&(found.pace, found.case.size)) {
                paces.push((found.pace, found.case.size));
            }
        }
        for (pace, size) in paces {
            let mut table = Table::new(
                std::iter::once("transport")
                    .chain(LINE)
                    .map(String::from)
                    .collect(),
            );
            for found in &self.latency {
                if found.pace == pace && found.case.size == size {
                    let mut row = vec![found.case.label()];
                    row.extend(found.line());
                    table.rows.push(row);
                }
            }
            let _ = writeln!(
                text,
                "## Latency: {}, {}\n\n{}",
                pace.name(),
                bytes(size),
                table.render()
            );
        }
    }
}

impl Latency {
    /// What a table has of it.
    fn line(&self) -> Vec<String> {
        let (Some(times), Some(p50)) = (&self.times, &self.p50) else {
            let share = format!("{:.0} % of the rate", 100.0 * self.reached);
            let none = LINE.iter().skip(1).map(|_| "-".to_owned());

            return std::iter::once(share).chain(none).collect();
        };
        let mut line = times
            .line()
            .map(|time| time.map_or("-".to_owned(), |time| time.to_string()));

        line[0] = with_spread(std::mem::take(&mut line[0]), p50);
        line.into()
    }
}
