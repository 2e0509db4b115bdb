// SPDX-License-Identifier: GPL-2.0

//! Results as pictures.

use crate::latency::LINE;
use crate::results::{Case, Pace, Results, Throughput};
use crate::table::{bytes, distinct};
use crate::transport::Kind;
use crate::work::Fanout;
use anyhow::{anyhow, Result};
use io_uring_ipc::Setup;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// Pixels.
const SIZE: (u32, u32) = (900, 560);

/// Points of one transport: (index of the column, figure).
struct Line {
    kind: Kind,
    name: String,
    /// How strong its colour is: where runs are compared, that of the last one is.
    strength: f64,
    points: Vec<(usize, f64)>,
}

impl Line {
    fn style(&self) -> ShapeStyle {
        ShapeStyle {
            color: colour(self.kind).mix(self.strength),
            filled: true,
            stroke_width: if self.kind.is_ipc() { 3 } else { 1 },
        }
    }
}

/// Which of a message's two times a picture shows.
#[derive(Clone, Copy)]
enum Until {
    Received,
    Sent,
}

impl Until {
    fn of(self, found: &Throughput) -> f64 {
        match self {
            Until::Received => found.total.median,
            Until::Sent => found.sender.median,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Until::Received => "received",
            Until::Sent => "sent",
        }
    }

    /// What its pictures' names end with.
    fn suffix(self) -> &'static str {
        match self {
            Until::Received => "",
            Until::Sent => "-sent",
        }
    }
}

/// What a picture of throughputs shows, and where it goes.
#[derive(Clone, Copy)]
struct View<'a> {
    directory: &'a Path,
    name: &'static str,
    mode: Fanout,
    batch: usize,
    until: Until,
}

impl View<'_> {
    /// The picture's file; `by` is what its columns are, if not sizes.
    fn file(&self, by: &str) -> PathBuf {
        let (name, batch, suffix) = (self.name, self.batch, self.until.suffix());

        self.directory
            .join(format!("{name}{by}-batch-{batch}{suffix}.svg"))
    }
}

/// One colour for each transport, in all pictures; channels have the strong ones.
fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Pipe => RGBColor(120, 120, 120),
        Kind::Unix => RGBColor(160, 120, 70),
        Kind::UnixMmsg => RGBColor(205, 170, 125),
        Kind::Mq => RGBColor(150, 110, 170),
        Kind::Shm => RGBColor(60, 60, 60),
        Kind::UringPipe => RGBColor(80, 150, 200),
        Kind::UringPipeMultishot => RGBColor(150, 200, 230),
        Kind::UringUnix => RGBColor(70, 160, 140),
        Kind::UringUnixMultishot => RGBColor(150, 205, 190),
        Kind::MsgRing => RGBColor(200, 150, 190),
        Kind::IpcPoll => RGBColor(240, 150, 0),
        Kind::IpcWait => RGBColor(220, 60, 40),
        Kind::IpcMultishot => RGBColor(160, 0, 30),
    }
}

/// A picture with columns that have names and a logarithmic axis of figures.
fn draw(path: &Path, title: &str, unit: &str, columns: &[String], lines: &[Line]) -> Result<()> {
    let figures = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.1)
    };
    let low = figures().fold(f64::MAX, f64::min) / 1.5;
    let high = figures().fold(0.0, f64::max) * 1.5;
    let fail = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());

    if lines.is_empty() || low <= 0.0 || columns.len() < 2 {
        return Ok(());
    }
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| fail(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(190)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..(columns.len() - 1) as f64, (low..high).log_scale())
        .map_err(|error| fail(&error))?;
    chart
        .configure_mesh()
        .x_labels(columns.len())
        .x_label_formatter(&|x| match x.fract() {
            0.0 => columns.get(*x as usize).cloned().unwrap_or_default(),
            _ => String::new(),
        })
        .y_label_formatter(&|y| format!("{y:.0}"))
        .y_desc(unit)
        .light_line_style(RGBColor(238, 238, 238))
        .draw()
        .map_err(|error| fail(&error))?;

    for line in lines {
        let style = line.style();
        let radius = 2 + style.stroke_width / 2;
        let points = || line.points.iter().map(|&(x, y)| (x as f64, y));

        chart
            .draw_series(LineSeries::new(points(), style))
            .map_err(|error| fail(&error))?;
        chart
            .draw_series(points().map(|point| Circle::new(point, radius, style)))
            .map_err(|error| fail(&error))?;
    }
    // The legend, outside of the picture proper.
    let left = SIZE.0 as i32 - 175;
    for (row, line) in lines.iter().enumerate() {
        let y = 60 + 20 * row as i32;

        area.draw(&PathElement::new([(left, y), (left + 18, y)], line.style()))
            .map_err(|error| fail(&error))?;
        area.draw(&Text::new(
            line.name.as_str(),
            (left + 24, y - 6),
            ("sans-serif", 12),
        ))
        .map_err(|error| fail(&error))?;
    }
    area.present().map_err(|error| fail(&error))
}

impl Results {
    /// Draws everything there is to `directory`.
    pub fn draw(&self, directory: &Path) -> Result<()> {
        for batch in distinct(self.throughput.iter().map(|found| found.case.batch)) {
            for (name, mode) in [
                ("point-to-point", Fanout::One),
                ("broadcast", Fanout::Each),
                ("multicast", Fanout::Any),
            ] {
                for until in [Until::Received, Until::Sent] {
                    let view = View {
                        directory,
                        name,
                        mode,
                        batch,
                        until,
                    };

                    self.draw_sizes(view)?;
                    self.draw_scaling(view)?;
                }
            }
        }
        self.draw_latency(directory)
    }

    /// Whether this set-up of rings is the one that pictures show: the one that
    /// costs least, if it was measured, or else the first that was.
    pub fn is_drawn(&self, case: &Case) -> bool {
        let measured = || {
            let of_throughput = self.throughput.iter().map(|found| &found.case);
            let of_latency = self.latency.iter().map(|found| &found.case);

            of_throughput
                .chain(of_latency)
                .filter_map(|case| case.setup.as_deref())
        };
        let best = Setup::DeferTaskrun.name();
        let drawn = measured()
            .find(|&setup| setup == best)
            .or_else(|| measured().next());

        case.setup.is_none() || case.setup.as_deref() == drawn
    }

    fn chosen(&self, view: View<'_>) -> Vec<&Throughput> {
        self.throughput
            .iter()
            .filter(|Throughput { case, .. }| {
                case.mode == view.mode && case.batch == view.batch && self.is_drawn(case)
            })
            .collect()
    }

    fn unit(&self, until: Until) -> String {
        format!(
            "{} for a message, until {}",
            self.clock.unit(),
            until.name()
        )
    }

    fn draw_sizes(&self, view: View<'_>) -> Result<()> {
        let chosen = self.chosen(view);
        let most = chosen.iter().map(|found| found.case.receivers).max();
        let chosen: Vec<_> = chosen
            .into_iter()
            .filter(|found| Some(found.case.receivers) == most)
            .collect();
        let sizes = distinct(chosen.iter().map(|found| found.case.size));
        let columns: Vec<_> = sizes.iter().map(|&size| bytes(size)).collect();
        let title = match most {
            Some(most @ 2..) => format!("{} to {most}, batch {}", view.mode.name(), view.batch),
            _ => format!("point to point, batch {}", view.batch),
        };

        draw(
            &view.file(""),
            &title,
            &self.unit(view.until),
            &columns,
            &self.lines(&chosen, &sizes, |found| found.case.size, view.until),
        )
    }

    fn draw_scaling(&self, view: View<'_>) -> Result<()> {
        let chosen = self.chosen(view);
        let least = chosen.iter().map(|found| found.case.size).min();
        let chosen: Vec<_> = chosen
            .into_iter()
            .filter(|found| Some(found.case.size) == least)
            .collect();
        let receivers = distinct(chosen.iter().map(|found| found.case.receivers));
        let columns: Vec<_> = receivers.iter().map(usize::to_string).collect();
        let title = format!(
            "{} of {} by the number of receivers, batch {}",
            view.mode.name(),
            bytes(least.unwrap_or(0)),
            view.batch
        );

        draw(
            &view.file("-scaling"),
            &title,
            &self.unit(view.until),
            &columns,
            &self.lines(
                &chosen,
                &receivers,
                |found| found.case.receivers,
                view.until,
            ),
        )
    }

    /// The points of what has been measured of this case and its like.
    fn line(&self, case: &Case, points: Vec<(usize, f64)>) -> Line {
        let last = self.runs.last().and_then(|run| run.name.as_ref());

        Line {
            kind: case.transport,
            name: case.line(),
            strength: if case.from.as_ref() == last { 1.0 } else { 0.4 },
            points,
        }
    }

    fn lines(
        &self,
        chosen: &[&Throughput],
        columns: &[usize],
        column: fn(&Throughput) -> usize,
        until: Until,
    ) -> Vec<Line> {
        let mut lines = Vec::new();

        for (transport, from) in distinct(
            chosen
                .iter()
                .map(|found| (found.case.transport, &found.case.from)),
        ) {
            let is_of = |case: &Case| case.transport == transport && &case.from == from;
            let Some(first) = chosen.iter().find(|found| is_of(&found.case)) else {
                continue;
            };
            let points = columns.iter().enumerate().filter_map(|(index, &value)| {
                chosen
                    .iter()
                    .find(|found| is_of(&found.case) && column(found) == value)
                    .map(|found| (index, until.of(found)))
            });

            lines.push(self.line(&first.case, points.collect()));
        }
        lines
    }

    fn draw_latency(&self, directory: &Path) -> Result<()> {
        let mut paces: Vec<Pace> = Vec::new();

        for found in &self.latency {
            if !paces.contains(&found.pace) {
                paces.push(found.pace);
            }
        }
        let size = self.latency.iter().map(|found| found.case.size).min();
        for pace in paces {
            let chosen: Vec<Line> = self
                .latency
                .iter()
                .filter(|found| {
                    found.pace == pace
                        && Some(found.case.size) == size
                        && self.is_drawn(&found.case)
                })
                .filter_map(|found| {
                    let times = found.times.as_ref()?.line();
                    let points = (0..)
                        .zip(times)
                        .filter_map(|(column, time)| Some((column, time? as f64)));

                    Some(self.line(&found.case, points.collect()))
                })
                .collect();
            let name = match pace {
                Pace::PingPong => "latency-ping-pong.svg".to_owned(),
                Pace::Rated(ns) => format!("latency-rated-{}us.svg", ns / 1000),
            };

            draw(
                &directory.join(name),
                &format!("latency of {}: {}", bytes(size.unwrap_or(0)), pace.name()),
                self.clock.unit(),
                &LINE.map(String::from),
                &chosen,
            )?;
        }
        Ok(())
    }
}
