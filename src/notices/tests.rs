// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the notices that a channel keeps.

use super::*;

fn notice(subscriber: u32) -> Notice {
    Notice {
        number: 0,
        position: 0,
        flags: 0,
        subscriber,
        identity: Identity::nobody(),
    }
}

/// Whom the notices from `first` on are of.
fn kept(notices: &Notices, first: u64) -> impl Iterator<Item = u32> + '_ {
    (first..notices.end()).filter_map(|number| Some(notices.get(number)?.subscriber))
}

#[kunit_tests(io_uring_ipc_notices)]
mod suite {
    use super::*;

    #[test]
    fn nothing_without_places() {
        let mut notices = Notices::new();

        assert_eq!(notices.room(), 0);
        notices.push(notice(1));
        assert_eq!(notices.end(), 0);
        assert!(notices.get(0).is_none());
        assert!(notices.clear().is_none());
    }

    #[test]
    fn places_go_round() -> Result {
        let mut notices = Notices::new();

        assert!(notices.grow(Notices::places(3)?).is_none());
        assert_eq!(notices.room(), 4);
        for round in 0..5 {
            for subscriber in 0..4 {
                notices.push(notice(round + subscriber));
            }
            assert_eq!(notices.room(), 0);
            let first = notices.end() - 4;
            assert!(kept(&notices, first).eq(round..round + 4));
            notices.forget_before(first + 2);
            assert!(notices.get(first + 1).is_none());
            assert_eq!(notices.get(first + 2).map(|n| n.number), Some(first + 2));
            assert_eq!(notices.room(), 2);
            // Neither back nor past the end.
            notices.forget_before(first);
            assert_eq!(notices.room(), 2);
            notices.forget_before(first + 9);
            assert_eq!(notices.room(), 4);
            assert_eq!(notices.end(), first + 4);
        }
        Ok(())
    }

    #[test]
    fn what_is_kept_moves_to_more_places() -> Result {
        let mut notices = Notices::new();

        assert!(notices.grow(Notices::places(4)?).is_none());
        for subscriber in 0..4 {
            notices.push(notice(subscriber));
        }
        notices.forget_before(3);
        for subscriber in 4..7 {
            notices.push(notice(subscriber));
        }
        // Not more than there are.
        assert_eq!(
            notices
                .grow(Notices::places(4)?)
                .map(|rest| rest.notices.len()),
            Some(4)
        );
        assert_eq!(
            notices
                .grow(Notices::places(9)?)
                .map(|rest| rest.notices.len()),
            Some(4)
        );
        assert_eq!(notices.room(), 12);
        assert!(kept(&notices, 3).eq(3..7));
        assert_eq!(notices.clear().map(|places| places.notices.len()), Some(16));
        assert_eq!(notices.end(), 7);
        assert!(notices.get(6).is_none());
        Ok(())
    }

    #[test]
    fn there_is_a_limit() {
        assert_eq!(Notices::places(MAX_NOTICES + 1).err(), Some(ENOSPC));
    }
}
