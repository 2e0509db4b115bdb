// SPDX-License-Identifier: GPL-2.0

//! A figure measured several times.

use serde::{Deserialize, Serialize};

/// What several rounds gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stat {
    /// The middle one, or the mean of the two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// All, in order of time.
    pub rounds: Vec<f64>,
}

impl Stat {
    /// Of at least one round.
    pub fn new(rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();

        sorted.sort_by(f64::total_cmp);
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Self {
            median: (sorted[low] + sorted[high]) / 2.0,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            rounds,
        }
    }

    /// How far apart least and most are, in percent of the median.
    pub fn spread(&self) -> f64 {
        100.0 * (self.max - self.min) / self.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Stat::new(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Stat::new(vec![4.0, 1.0]).median, 2.5);
        assert_eq!(Stat::new(vec![4.0, 1.0]).spread(), 120.0);
    }
}
