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
        let first = queue.join(submitter, None, || 1)?.ok_or(ENOSPC)?;
        let second = queue.join(submitter, None, || 1)?.ok_or(ENOSPC)?;

        assert!(first != 0 && second != 0);
        assert_eq!(queue.len(), 2);
        for (ticket, goes) in [(first, true), (second, false), (0, false)] {
            assert_eq!(queue.may_go(submitter, ticket), goes);
        }
        queue.leave(submitter, first, |_| {});
        assert_eq!(queue.may_go(submitter, second), true);
        assert_eq!(queue.may_go(submitter, 0), false);
        queue.leave(submitter, second, |_| {});
        assert_eq!(queue.may_go(submitter, 0), true);
        assert_eq!(queue.len(), 0);
        Ok(())
    }

    #[test]
    fn submitters_do_not_wait_for_one_another() -> Result {
        let queue = queue()?;
        let submitters = [(1, 1), (1, 2), (2, 1)].map(|(ring, task)| Submitter::new(ring, task));
        let ticket = queue.join(submitters[1], None, || 1)?.ok_or(ENOSPC)?;

        assert_eq!(queue.may_go(submitters[0], 0), true);
        assert_eq!(queue.may_go(submitters[1], 0), false);
        assert_eq!(queue.may_go(submitters[2], 0), true);
        queue.leave(submitters[1], ticket, |_| {});
        Ok(())
    }

    #[test]
    fn so_many_may_wait() -> Result {
        let queue = queue()?;
        let submitter = Submitter::new(1, 1);

        for ticket in 1..=u64::from(MAX_WAITING) {
            assert_eq!(queue.join(submitter, None, || 1), Ok(Some(ticket)));
        }
        assert_eq!(queue.join(submitter, None, || 1), Ok(None));
        queue.leave(submitter, 500, |_| {});
        assert_eq!(queue.join(submitter, None, || 1)?.is_some(), true);
        assert_eq!(queue.len(), MAX_WAITING);
        Ok(())
    }

    #[test]
    fn who_has_left_counts_no_more() -> Result {
        let queue = queue()?;
        let submitter = Submitter::new(1, 1);
        let sum = core::cell::Cell::new(0);
        let count = |by| sum.set(sum.get() + by);
        let arrive = || {
            count(1);
            1
        };
        let first = queue.join(submitter, None, arrive)?.ok_or(ENOSPC)?;
        let second = queue.join(submitter, None, arrive)?.ok_or(ENOSPC)?;

        queue.leave(submitter, first, count);
        assert_eq!(sum.get(), 1);
        queue.close(count);
        queue.close(count);
        assert_eq!(sum.get(), 0);
        // They wait nevertheless, until they have ended.
        let third = queue.join(submitter, None, arrive)?.ok_or(ENOSPC)?;

        assert_eq!(queue.len(), 2);
        for ticket in [second, third] {
            queue.leave(submitter, ticket, count);
        }
        assert_eq!((queue.len(), sum.get()), (0, 0));
        Ok(())
    }

    #[test]
    fn who_waits_all_the_time_is_before_others() -> Result {
        let (first, second) = (queue()?, queue()?);
        let submitter = Submitter::new(1, 1);
        let join =
            |queue: &SendQueue, number| queue.join(submitter, None, || number)?.ok_or(ENOSPC);

        assert!(!first.is_before(&second));
        let old = join(&first, 1)?;
        assert!(first.is_before(&second) && !second.is_before(&first));
        let other = join(&second, 2)?;
        let new = join(&first, 3)?;
        first.leave(submitter, old, |_| {});
        assert!(first.is_before(&second) && !second.is_before(&first));
        first.leave(submitter, new, |_| {});
        assert!(second.is_before(&first) && !first.is_before(&second));
        second.leave(submitter, other, |_| {});
        Ok(())
    }
}
