// SPDX-License-Identifier: GPL-2.0

//! Distributions of times.

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Where the times of many messages lie, in nanoseconds of the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// Their mean.
    pub mean: f64,
    /// Half of them are at most this.
    pub p50: u64,
    /// 90 % are at most this.
    pub p90: u64,
    /// 99 % are at most this.
    pub p99: u64,
    /// 99.9 % are at most this.
    pub p999: u64,
    /// The most.
    pub max: u64,
}

impl Percentiles {
    /// Of these times, by a histogram of three digits.
    pub fn of(times: &[u64]) -> Result<Self> {
        let mut histogram = Histogram::<u64>::new(3)?;

        for time in times {
            histogram.record(*time)?;
        }
        Ok(Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }

    /// p50, p90, p99, p99.9, max; p99.9 where it is not one of the longest ten.
    pub fn line(&self) -> [Option<u64>; 5] {
        let p999 = (self.count >= ENOUGH).then_some(self.p999);

        [
            Some(self.p50),
            Some(self.p90),
            Some(self.p99),
            p999,
            Some(self.max),
        ]
    }
}

/// Times of which p99.9 says something.
const ENOUGH: u64 = 10_000;

/// What [`Percentiles::line`] has.
pub const LINE: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let times: Vec<u64> = (1..=1000).collect();
        let found = Percentiles::of(&times).unwrap();

        assert_eq!(
            found.line(),
            [Some(500), Some(900), Some(990), None, Some(1000)]
        );
        assert_eq!((found.count, found.min, found.p999), (1000, 1, 999));

        let found = Percentiles::of(&times.repeat(10)).unwrap();

        assert_eq!(found.line()[3], Some(999));
    }
}
