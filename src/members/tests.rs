// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the table of members.

use super::{sleepers::Wait, *};
use crate::member::{Rights, Service};

const ALL_RIGHTS: Rights = Rights {
    send: true,
    recv: true,
};
const TO_SEND: Rights = Rights {
    send: true,
    recv: false,
};
const TO_RECEIVE: Rights = Rights {
    send: false,
    recv: true,
};
const BOTH: [Access; 2] = [Access::Read, Access::Write];

fn add(members: &mut Members, id: u32, rights: Rights) -> Result<Arc<Member>> {
    let member = Member::new(id, rights, Service::default())?;

    if !members.has_spare() {
        members.grow(Table::larger_than(members.len(), 16)?);
    }
    members.insert(member.clone(), &BOTH)?;
    Ok(member)
}

/// Subscribers, receivers asleep, senders asleep.
fn counts(members: &Members) -> [usize; 3] {
    let population = members.population();

    [
        population.subscribers,
        population.receivers_asleep,
        population.senders_asleep,
    ]
}

fn granted(member: &Member) -> [bool; 2] {
    BOTH.map(|access| member.is_granted(access))
}

#[kunit_tests(io_uring_ipc_members)]
mod suite {
    use super::*;

    #[test]
    fn ids_are_kept_in_order() -> Result {
        let mut members = Members::new();
        let none = SleepCounts::new();

        for id in [30, 10, 20, 0, 40] {
            add(&mut members, id, ALL_RIGHTS)?;
        }
        assert_eq!(members.len(), 5);
        assert!(members
            .entries
            .iter()
            .map(|entry| entry.member.id)
            .eq([0, 10, 20, 30, 40]));
        assert_eq!(add(&mut members, 20, ALL_RIGHTS).err(), Some(EEXIST));
        assert!(members.remove(20, &none).is_some());
        assert!(members.remove(20, &none).is_none());
        assert_eq!(members.is_receiver(20), false);
        assert_eq!(members.is_receiver(30), true);
        Ok(())
    }

    #[test]
    fn turns_go_round() -> Result {
        let mut members = Members::new();

        for id in [10, 20, 30] {
            add(&mut members, id, ALL_RIGHTS)?;
        }
        assert!(members.round(10).eq([1, 2, 0]));
        assert!(members.round(30).eq([0, 1, 2]));
        // Also after one that has left.
        assert!(members.round(15).eq([1, 2, 0]));
        assert!(members.round(0).eq([0, 1, 2]));
        assert!(members.round(99).eq([0, 1, 2]));
        Ok(())
    }

    #[test]
    fn table_has_a_limit() {
        assert!(Table::larger_than(4, 4).is_ok());
        assert_eq!(Table::larger_than(5, 4).err(), Some(ENOSPC));
    }

    #[test]
    fn receivers_are_counted() -> Result {
        let mut members = Members::new();
        let none = SleepCounts::new();

        add(&mut members, DOOR, TO_SEND)?;
        add(&mut members, 1, TO_RECEIVE)?;
        add(&mut members, 2, ALL_RIGHTS)?;
        assert_eq!(members.nr_receivers(), 2);
        assert_eq!(counts(&members), [2, 0, 0]);
        members.remove(DOOR, &none);
        assert_eq!(members.nr_receivers(), 2);
        members.remove(1, &none);
        assert_eq!(members.nr_receivers(), 1);
        Ok(())
    }

    #[test]
    fn slowest_cursor_is_a_receivers() -> Result {
        let mut members = Members::new();

        assert_eq!(members.slowest_cursor(|_| {}), None);
        add(&mut members, 1, TO_SEND)?;
        assert_eq!(members.slowest_cursor(|_| {}), None);
        for (id, position) in [(2, 300), (3, 200), (4, 250)] {
            add(&mut members, id, TO_RECEIVE)?.cursor.raise(position);
        }
        assert_eq!(members.slowest_cursor(|_| {}), Some(200));
        // Each is advanced before it is looked at.
        assert_eq!(
            members.slowest_cursor(|member| member.cursor.raise(220)),
            Some(220)
        );
        Ok(())
    }

    #[test]
    fn rights_are_granted_and_revoked() -> Result {
        let mut members = Members::new();
        let none = SleepCounts::new();
        let both = add(&mut members, 1, ALL_RIGHTS)?;
        let sender = add(&mut members, 2, TO_SEND)?;
        let receiver = add(&mut members, 3, TO_RECEIVE)?;

        assert_eq!(granted(&both), [true, true]);
        // Nobody is granted what it has no right to.
        assert_eq!(granted(&sender), [false, true]);
        assert_eq!(granted(&receiver), [true, false]);
        members.remove(1, &none);
        assert_eq!(granted(&both), [false, false]);
        assert_eq!(both.is_detached(), true);
        members.revoke_sends();
        assert_eq!(granted(&sender), [false, false]);
        assert_eq!(granted(&receiver), [true, false]);
        assert_eq!(receiver.is_detached(), false);
        Ok(())
    }

    #[test]
    fn sleepers_are_counted_once_each() -> Result {
        let mut members = Members::new();
        let asleep = SleepCounts::new();

        for id in [1, 2] {
            add(&mut members, id, ALL_RIGHTS)?;
        }
        assert_eq!(asleep.anybody(), false);
        for id in [1, 1, 2, 99] {
            members.sleep_for_message(id, &asleep);
        }
        assert_eq!(counts(&members), [2, 2, 0]);
        assert_eq!(asleep.any_receiver(), true);
        assert_eq!(asleep.any_sender(), false);
        members.sleep_for_room(2, true, &asleep);
        assert_eq!(counts(&members), [2, 2, 1]);
        assert_eq!(asleep.any_sender(), true);
        // Whoever leaves sleeps no more, and a mark without anybody queued goes without a wake-up.
        members.remove(2, &asleep);
        assert_eq!(counts(&members), [1, 1, 0]);
        assert_eq!(asleep.any_sender(), false);
        members.wake(1, &asleep);
        assert_eq!(counts(&members), [1, 0, 0]);
        assert_eq!(asleep.anybody(), false);
        Ok(())
    }

    #[test]
    fn end_leaves_nobody_asleep() -> Result {
        let mut members = Members::new();
        let asleep = SleepCounts::new();

        for id in [1, 2] {
            add(&mut members, id, ALL_RIGHTS)?;
            members.sleep_for_message(id, &asleep);
            members.sleep_for_room(id, false, &asleep);
            members.sleep_for_room(id, true, &asleep);
        }
        members.wake_for_end(&asleep);
        assert_eq!(asleep.anybody(), false);
        assert_eq!(counts(&members), [2, 0, 0]);
        Ok(())
    }

    #[test]
    fn members_sleep_as_what_they_wait_with() -> Result {
        let mut members = Members::new();
        let asleep = SleepCounts::new();
        let member = add(&mut members, 1, TO_RECEIVE)?;

        members.sleep_for_message(1, &asleep);
        assert_eq!(asleep.any(Wait::Poll), true);
        assert_eq!(asleep.any(Wait::Receive), false);
        member.receive_waits();
        members.sleep_for_message(1, &asleep);
        assert_eq!(asleep.any(Wait::Receive), true);
        member.receive_ends();
        assert_eq!(member.receives(), 0);
        Ok(())
    }

    #[test]
    fn being_chosen_is_seen_once() -> Result {
        let member = Member::new(1, TO_RECEIVE, Service::default())?;

        assert_eq!(member.is_chosen(), false);
        member.chosen.store_relaxed(1);
        assert_eq!(member.is_chosen(), true);
        assert_eq!(member.is_chosen(), false);
        member.chosen.store_relaxed(1);
        assert_eq!(member.receive_looks(), true);
        assert_eq!(member.receive_looks(), false);
        assert_eq!(member.is_chosen(), false);
        Ok(())
    }
}
