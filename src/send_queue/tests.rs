// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the order of waiting sends.

use super::*;
use kernel::sync::Arc;

fn queue() -> Result<Arc<SendQueue>> {
    Arc::pin_init(SendQueue::new(), GFP_KERNEL)
}

#[kunit_tests(io_uring_ipc_send_queue)]
mod suite {
    use super::*;

    #[test]
    fn oldest_goes_first() -> Result {
        let queue = queue()?;
        let submitter = Submitter::new(1, 1);

        assert_eq!(queue.may_go(submitter, 0), true);
        let first = queue.join(submitter, None)?.ok_or(ENOSPC)?;
        let second = queue.join(submitter, None)?.ok_or(ENOSPC)?;

        assert!(first != 0 && second != 0);
        assert_eq!(queue.len(), 2);
        for (ticket, goes) in [(first, true), (second, false), (0, false)] {
            assert_eq!(queue.may_go(submitter, ticket), goes);
        }
        queue.leave(submitter, first);
        assert_eq!(queue.may_go(submitter, second), true);
        assert_eq!(queue.may_go(submitter, 0), false);
        queue.leave(submitter, second);
        assert_eq!(queue.may_go(submitter, 0), true);
        assert_eq!(queue.len(), 0);
        Ok(())
    }

    #[test]
    fn submitters_do_not_wait_for_one_another() -> Result {
        let queue = queue()?;
        let submitters = [(1, 1), (1, 2), (2, 1)].map(|(ring, task)| Submitter::new(ring, task));
        let ticket = queue.join(submitters[1], None)?.ok_or(ENOSPC)?;

        assert_eq!(queue.may_go(submitters[0], 0), true);
        assert_eq!(queue.may_go(submitters[1], 0), false);
        assert_eq!(queue.may_go(submitters[2], 0), true);
        queue.leave(submitters[1], ticket);
        Ok(())
    }

    #[test]
    fn so_many_may_wait() -> Result {
        let queue = queue()?;
        let submitter = Submitter::new(1, 1);

        for ticket in 1..=u64::from(MAX_WAITING) {
            assert_eq!(queue.join(submitter, None), Ok(Some(ticket)));
        }
        assert_eq!(queue.join(submitter, None), Ok(None));
        queue.leave(submitter, 500);
        assert_eq!(queue.join(submitter, None)?.is_some(), true);
        assert_eq!(queue.len(), MAX_WAITING);
        Ok(())
    }
}
