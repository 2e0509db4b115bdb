// SPDX-License-Identifier: GPL-2.0

//! How long somebody has waited.

use std::time::{Duration, Instant};

/// Between two looks no more than this counts.
const MOST: Duration = Duration::from_millis(200);

/// Time spent waiting, by a clock that stands still where the whole machine does: a virtual one may
/// be stopped for minutes, and nobody in it is to blame.
pub struct Patience {
    last: Instant,
    spent: Duration,
}

impl Patience {
    /// Begins to wait.
    #[expect(clippy::new_without_default, reason = "it starts something")]
    pub fn new() -> Self {
        Self {
            last: Instant::now(),
            spent: Duration::ZERO,
        }
    }

    /// How long it has been. To be asked often.
    pub fn spent(&mut self) -> Duration {
        let now = Instant::now();

        self.spent += (now - self.last).min(MOST);
        self.last = now;
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn stands_still() {
        let mut patience = Patience::new();

        sleep(2 * MOST);
        assert_eq!(patience.spent(), MOST);
        sleep(MOST / 4);
        assert!(patience.spent() > MOST && patience.spent() <= 3 * MOST);
    }
}
