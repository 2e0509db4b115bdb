// SPDX-License-Identifier: GPL-2.0

//! What a message may cost, checked on the instruction clock.

use crate::alone::{copy, Part};
use crate::cpu::Placement;
use crate::flood::{flood, Effort};
use crate::pingpong::ping_pong;
use crate::stat::Stat;
use crate::transport::Kind as Way;
use crate::wakeup;
use crate::work::{Fanout, Work};
use anyhow::Result;
use io_uring_ipc::{abi, Kind, Setup};

/// Bytes of the messages that budgets are about.
pub const SIZE: usize = 64;
/// Messages sent together.
pub const BATCH: usize = 16;
/// Receivers of a broadcast, workers of a multicast.
const MANY: usize = 16;
/// Subscribers that must not slow a sender down.
const CROWD: usize = 256;
/// Bytes of a long message.
const LONG: usize = 32 << 10;
/// How rings are set up.
const SETUP: Setup = Setup::DeferTaskrun;

/// What a figure is held to.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// It has to be 0.
    Zero,
    /// Measured / reference: what is aimed at, and the most that it may be. Where the goal has not
    /// been reached, the limit is what has been, and a little more than the clock's spread. A
    /// change may not lose that.
    Ratio { goal: f64, limit: f64 },
    /// Nothing. It is shown because it says more about one that is.
    Shown,
}

/// A budget and what was measured.
#[derive(Clone, Debug)]
pub struct Budget {
    what: String,
    against: String,
    /// In the clock's unit.
    measured: Stat,
    /// What it is compared with, in the clock's unit.
    reference: f64,
    bound: Bound,
}

impl Budget {
    fn ratio(&self) -> f64 {
        self.measured.median / self.reference
    }

    /// Whether there is anything to be reached.
    pub fn has_goal(&self) -> bool {
        !matches!(self.bound, Bound::Shown)
    }

    /// Whether there is a goal, and it is reached.
    pub fn is_reached(&self) -> bool {
        match self.bound {
            Bound::Zero => self.measured.max == 0.0,
            Bound::Ratio { goal, .. } => self.ratio() <= goal,
            Bound::Shown => false,
        }
    }

    /// Whether the limit is kept, if there is one.
    pub fn is_kept(&self) -> bool {
        match self.bound {
            Bound::Zero => self.measured.max == 0.0,
            Bound::Ratio { limit, .. } => self.ratio() <= limit,
            Bound::Shown => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.has_goal(), self.is_kept(), self.is_reached()) {
            (false, ..) => "",
            (true, false, _) => "MISSED",
            (true, true, false) => "OVER GOAL",
            (true, true, true) => "reached",
        }
    }

    /// The table's first lines.
    pub fn head() -> String {
        format!(
            "{:<44} {:>9} {:>5}  {:<40} {:>9} {:>7} {:>7} {:>7}",
            "what", "measured", "± %", "compared with", "is", "ratio", "goal", "limit"
        )
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            what,
            measured,
            against,
            reference,
            bound,
        } = self;
        let ratio = self.ratio();

        write!(f, "{what:<44} {:>9.0} ", measured.median)?;
        match measured.spread() / 2.0 {
            half if half >= 0.1 => write!(f, "{half:>5.1}")?,
            _ => write!(f, "{:>5}", "")?,
        }
        write!(f, "  {against:<40} ")?;
        match bound {
            Bound::Zero => write!(f, "{:>9} {:>7} {:>7} {:>7}", "", "", 0, 0)?,
            Bound::Ratio { goal, limit } => {
                write!(f, "{reference:>9.0} {ratio:>7.3} {goal:>7.3} {limit:>7.3}")?;
            }
            Bound::Shown => write!(f, "{reference:>9.0} {ratio:>7.3} {:>7} {:>7}", "-", "-")?,
        }
        write!(f, "  {}", self.verdict())
    }
}

/// What budgets about one kind of request measure.
pub fn part() -> Part {
    Part {
        size: SIZE,
        batch: BATCH,
        setup: SETUP,
        entries: 1024,
        rounds: 5,
    }
}

/// What budgets about messages between processes measure.
pub fn work(fanout: Fanout, size: usize, receivers: usize, batch: usize) -> Work {
    Work {
        fanout,
        size,
        receivers,
        batch,
        setup: SETUP,
    }
}

/// All checks, told one by one to `report`.
pub struct Check<'a> {
    report: &'a mut dyn FnMut(&Budget),
    budgets: Vec<Budget>,
    place: Placement,
}

impl<'a> Check<'a> {
    /// Checks everything, or with `rfc` what needs the RFC's ABI only.
    pub fn run(rfc: bool, report: &'a mut dyn FnMut(&Budget)) -> Result<Vec<Budget>> {
        let mut check = Self {
            report,
            budgets: Vec::new(),
            place: Placement::apart()?,
        };

        check.rfc()?;
        if !rfc {
            check.alone()?;
            check.unicast()?;
            check.ping_pong()?;
            check.many()?;
            check.crowd()?;
            check.busy()?;
            check.wakeups()?;
            check.long()?;
        }
        Ok(check.budgets)
    }

    /// Adds a budget whose goal is reached, and has to be.
    fn reached(&mut self, what: &str, measured: Stat, against: &str, reference: f64, goal: f64) {
        self.kept(what, measured, against, reference, goal, goal);
    }

    /// Adds a budget whose goal is not reached; what has been is kept.
    fn kept(
        &mut self,
        what: &str,
        measured: Stat,
        against: &str,
        reference: f64,
        goal: f64,
        limit: f64,
    ) {
        self.push(Budget {
            what: what.into(),
            against: against.into(),
            measured,
            reference,
            bound: Bound::Ratio { goal, limit },
        });
    }

    /// Adds a figure that has no budget.
    fn shown(&mut self, what: &str, measured: Stat, against: &str, reference: f64) {
        self.push(Budget {
            what: what.into(),
            against: against.into(),
            measured,
            reference,
            bound: Bound::Shown,
        });
    }

    fn push(&mut self, budget: Budget) {
        (self.report)(&budget);
        self.budgets.push(budget);
    }

    fn nop() -> Result<f64> {
        Ok(part().nop()?.median)
    }

    /// All sides together, for a message.
    fn flood(&self, way: Way, fanout: Fanout, size: usize, receivers: usize) -> Result<Stat> {
        let work = work(fanout, size, receivers, BATCH);
        let effort = Effort {
            rounds: 3,
            round_ns: 40_000_000,
        };

        Ok(flood(way, &work, &self.place, effort)?.total)
    }

    fn rfc(&mut self) -> Result<()> {
        let nop = Self::nop()?;
        let send = part().send(Kind::Unicast, 1, 0)?;
        let empty = part().empty_receive()?;

        let against = "NOP, batch 16";

        self.kept("RFC ABI: send, batch 16", send, against, nop, 1.5, 1.76);
        self.kept(
            "RFC ABI: empty receive, batch 16",
            empty,
            against,
            nop,
            1.25,
            1.53,
        );
        Ok(())
    }

    fn alone(&mut self) -> Result<()> {
        let nop = Self::nop()?;
        let send = part().send(Kind::Unicast, 1, abi::SEND_WAIT)?;
        let drain = part().multishot_drain()?;

        let against = "NOP, batch 16";

        self.kept("send alone, batch 16", send, against, nop, 1.45, 1.76);
        self.kept("multishot drain alone", drain, against, nop, 1.3, 1.46);
        Ok(())
    }

    fn unicast(&mut self) -> Result<()> {
        let nop = Self::nop()?;
        let ours = self.flood(Way::IpcMultishot, Fanout::One, SIZE, 1)?;
        let uring = self.flood(Way::UringPipe, Fanout::One, SIZE, 1)?.median;
        let multishot = self
            .flood(Way::UringPipeMultishot, Fanout::One, SIZE, 1)?
            .median;
        let pipe = self.flood(Way::Pipe, Fanout::One, SIZE, 1)?.median;
        let what = "unicast, batch 16, multishot";

        self.kept(what, ours.clone(), "NOP, batch 16", nop, 2.8, 3.37);
        self.kept(
            what,
            ours.clone(),
            "io_uring on a pipe, batch 16",
            uring,
            0.42,
            0.51,
        );
        let against = "io_uring on a pipe, multishot reads";
        self.shown(what, ours.clone(), against, multishot);
        self.reached(what, ours, "write + read on a pipe", pipe, 1.0);
        Ok(())
    }

    fn ping_pong(&mut self) -> Result<()> {
        let work = work(Fanout::One, SIZE, 1, 1);
        let trips = |way| -> Result<Stat> {
            let means: Result<Vec<_>> = (0..3)
                .map(|_| Ok(ping_pong(way, &work, &self.place, 500, false)?.mean))
                .collect();
            Ok(Stat::new(means?))
        };
        let ours = trips(Way::IpcWait)?;
        let uring = trips(Way::UringPipe)?.median;
        let ours_multishot = trips(Way::IpcMultishot)?;
        let uring_multishot = trips(Way::UringPipeMultishot)?.median;
        let what = "ping-pong, waiting receives";

        self.kept(what, ours.clone(), "io_uring on pipes", uring, 0.82, 0.925);
        let against = "io_uring on pipes, multishot reads";

        self.shown(what, ours, against, uring_multishot);
        self.shown(
            "ping-pong, multishot receives",
            ours_multishot,
            against,
            uring_multishot,
        );
        Ok(())
    }

    fn many(&mut self) -> Result<()> {
        let nop = Self::nop()?;
        let ours = self.flood(Way::IpcMultishot, Fanout::Any, SIZE, MANY)?;
        let unix = self.flood(Way::Unix, Fanout::Any, SIZE, MANY)?.median;

        self.reached(
            "multicast to 16, batch 16",
            ours,
            "AF_UNIX pair, 16 readers",
            unix,
            0.6,
        );

        let deliveries = MANY as f64;
        let each = |way| -> Result<Stat> {
            let all = self.flood(way, Fanout::Each, SIZE, MANY)?;
            Ok(Stat::new(
                all.rounds.iter().map(|all| all / deliveries).collect(),
            ))
        };
        let ours = each(Way::IpcMultishot)?;
        let pipes = each(Way::UringPipe)?.median;
        let multishot = each(Way::UringPipeMultishot)?.median;
        let what = "broadcast to 16, batch 16, each delivery";

        self.reached(what, ours.clone(), "NOP, batch 16", nop, 1.9);
        self.reached(
            what,
            ours.clone(),
            "io_uring on 16 pipes, each delivery",
            pipes,
            0.27,
        );
        self.shown(
            what,
            ours,
            "the same, multishot reads, each delivery",
            multishot,
        );
        Ok(())
    }

    fn crowd(&mut self) -> Result<()> {
        for kind in [Kind::Unicast, Kind::Broadcast] {
            let part = Part {
                rounds: 3,
                ..part()
            };
            let one = part.send(kind, 1, abi::SEND_WAIT)?.median;
            let crowd = part.send(kind, CROWD, abi::SEND_WAIT)?;
            let what = format!("send, {CROWD} subscribers awake, {kind:?}").to_lowercase();

            self.reached(&what, crowd, "send, 1 subscriber", one, 1.05);
        }
        Ok(())
    }

    fn busy(&mut self) -> Result<()> {
        let [idle, woken] = part().wakeups_of_the_busy()?;

        for (what, wakeups) in [
            ("wake-ups of a receiver that does not wait", idle),
            ("wake-ups of a receiver woken already", woken),
        ] {
            self.push(Budget {
                what: what.into(),
                against: "none at all".into(),
                measured: Stat::new(vec![wakeups as f64]),
                reference: 0.0,
                bound: Bound::Zero,
            });
        }
        Ok(())
    }

    fn wakeups(&mut self) -> Result<()> {
        wakeup::measure(&part(), &mut |what, with, against, without| {
            self.shown(what, with, against, without.median);
        })
    }

    fn long(&mut self) -> Result<()> {
        let nop = Self::nop()?;
        let copies = 2.0 * copy(LONG, 5).median;
        let ours = self.flood(Way::IpcMultishot, Fanout::One, LONG, 1)?;

        // 1.15 copies and 2.8 NOP, as one ratio to what it is made of.
        self.reached(
            "32 KiB unicast, batch 16",
            ours,
            "1.15 x two copies + 2.8 x NOP",
            1.15 * copies + 2.8 * nop,
            1.0,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(measured: f64, reference: f64, bound: Bound) -> Budget {
        Budget {
            what: "a".into(),
            against: "b".into(),
            measured: Stat::new(vec![measured]),
            reference,
            bound,
        }
    }

    #[test]
    fn limits_and_goals() {
        let bound = Bound::Ratio {
            goal: 1.5,
            limit: 1.7,
        };

        for (measured, reference, reached, kept, verdict) in [
            (150.0, 100.0, true, true, "reached"),
            (151.0, 100.0, false, true, "OVER GOAL"),
            (170.0, 100.0, false, true, "OVER GOAL"),
            (171.0, 100.0, false, false, "MISSED"),
            // What has not been measured keeps nothing.
            (100.0, 0.0, false, false, "MISSED"),
            (0.0, 0.0, false, false, "MISSED"),
            (f64::NAN, 100.0, false, false, "MISSED"),
        ] {
            let budget = budget(measured, reference, bound);

            assert_eq!(
                (budget.is_reached(), budget.is_kept(), budget.verdict()),
                (reached, kept, verdict),
                "{measured} of {reference}"
            );
        }
    }

    #[test]
    fn none_at_all() {
        assert_eq!(budget(0.0, 0.0, Bound::Zero).verdict(), "reached");
        assert_eq!(budget(1.0, 0.0, Bound::Zero).verdict(), "MISSED");
        let shown = budget(9.0, 1.0, Bound::Shown);
        assert!(!shown.has_goal() && !shown.is_reached() && shown.is_kept());
    }
}
