// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the counts of what was lost.

use super::*;
use kernel::prelude::*;

#[kunit_tests(io_uring_ipc_losses)]
mod suite {
    use super::*;

    #[test]
    fn losses_are_reported_once() {
        let losses = Losses::new();

        assert_eq!(losses.any(), false);
        losses.count(|_| 3);
        losses.count(|_| 2);
        assert_eq!(losses.any(), true);
        assert_eq!(losses.unreported(), 5);
        losses.reported(5);
        assert_eq!(losses.any(), false);
        assert_eq!(losses.total(), 5);
    }

    #[test]
    fn what_was_announced_in_vain_is_not_lost() {
        let losses = Losses::new();

        losses.count(|_| 1);
        losses.count(|announce| {
            announce(4);
            assert_eq!(losses.unreported(), 5);
            announce(2);
            assert_eq!(losses.unreported(), 3);
            0
        });
        assert_eq!(losses.unreported(), 1);
        assert_eq!(losses.total(), 1);
    }
}
