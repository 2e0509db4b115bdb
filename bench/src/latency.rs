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

    /// p50, p90, p99, p99.9, max.
    pub fn line(&self) -> [u64; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max]
    }
}

/// What [`Percentiles::line`] has.
pub const LINE: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let times: Vec<u64> = (1..=1000).collect();
        let found = Percentiles::of(&times).unwrap();

        assert_eq!(found.line(), [500, 900, 990, 999, 1000]);
        assert_eq!((found.count, found.min), (1000, 1));
    }
}
