// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of a channel and its members together.

use super::*;
use crate::{
    member::{Rights, Service},
    register::tests::channel,
    rfl::io_uring::Submitter,
    ring::Record,
    uapi::channel_flags::{BROADCAST, PRIVATE},
};

fn join(channel: &Channel, id: u32, replay: bool) -> Result<Arc<Member>> {
    let rights = Rights {
        send: true,
        recv: true,
    };
    let member = Member::new(id, rights, Service::default())?;

    channel.join(&member, replay)?;
    Ok(member)
}

/// Sends a message to `target`, or to all, and says whether there was room.
fn send(channel: &Channel, target: u32) -> bool {
    let Some(claim) = channel.ring().claim() else {
        return false;
    };

    claim.publish(&Record {
        sender_data: 0,
        len: 0,
        target,
        sender_id: 0,
    });
    true
}

fn held(channel: &Channel) -> u32 {
    channel.parameters.ring_entries - channel.ring().room()
}

#[kunit_tests(io_uring_ipc_channel)]
mod suite {
    use super::*;

    #[test]
    fn receivers_start_where_they_may() -> Result {
        let (broadcast, _door) = channel(1, BROADCAST)?;
        let (unicast, _door) = channel(2, 0)?;

        for channel in [&broadcast, &unicast] {
            assert!(send(channel, 0) && send(channel, 0));
        }
        let (head, tail) = (broadcast.ring().head(), broadcast.ring().tail());

        assert_eq!(tail - head, 2);
        assert_eq!(join(&broadcast, 3, false)?.cursor.load_relaxed(), tail);
        assert_eq!(join(&broadcast, 4, true)?.cursor.load_relaxed(), head);
        assert_eq!(join(&unicast, 5, false)?.cursor.load_relaxed(), head);
        assert_eq!(broadcast.nr_receivers(), 2);
        assert_eq!(broadcast.population().subscribers, 2);
        Ok(())
    }

    #[test]
    fn slowest_receiver_holds_up_senders_until_it_leaves() -> Result {
        let (channel, _door) = channel(1, BROADCAST)?;
        let slow = join(&channel, 2, false)?;
        let fast = join(&channel, 3, false)?;

        while send(&channel, 0) {}
        while let Some(found) = channel.find(&fast) {
            channel.ring().pass(&fast.cursor, found.position());
        }
        assert_eq!(channel.has_room(), false);
        channel.leave(&slow);
        assert_eq!(slow.is_detached(), true);
        assert_eq!(channel.has_room(), true);
        assert_eq!(held(&channel), 0);
        assert_eq!(channel.nr_receivers(), 1);
        Ok(())
    }

    #[test]
    fn nobody_holds_what_is_not_for_it() -> Result {
        let (channel, _door) = channel(1, BROADCAST)?;
        let target = join(&channel, 2, false)?;
        let other = join(&channel, 3, false)?;

        while send(&channel, 2) {}
        while let Some(found) = channel.find(&target) {
            channel.ring().pass(&target.cursor, found.position());
        }
        assert_eq!(channel.ring().room(), 0);
        // The other one has not looked.
        assert!(other.cursor.load_relaxed() < channel.ring().tail());
        assert_eq!(channel.has_room(), true);
        assert_eq!(other.cursor.load_relaxed(), channel.ring().tail());
        Ok(())
    }

    #[test]
    fn messages_for_who_has_left_make_room() -> Result {
        let (channel, _door) = channel(1, 0)?;
        let member = join(&channel, 2, false)?;

        while send(&channel, 2) {}
        assert_eq!(channel.has_room(), false);
        assert_eq!(channel.is_receiver(2), true);
        channel.leave(&member);
        assert_eq!(channel.is_receiver(2), false);
        assert_eq!(channel.has_room(), true);
        Ok(())
    }

    #[test]
    fn destroyed_channel_takes_nothing_and_nobody_more() -> Result {
        let (channel, _door) = channel(1, 0)?;
        let before = join(&channel, 2, false)?;

        assert!(before.is_granted(Access::Write) && before.is_granted(Access::Read));
        assert_eq!(channel.is_destroyed(), false);
        channel.destroy();
        assert_eq!(channel.is_destroyed(), true);
        assert!(!before.is_granted(Access::Write) && before.is_granted(Access::Read));
        assert_eq!(join(&channel, 3, false).err(), Some(ENOENT));
        Ok(())
    }

    #[test]
    fn private_channel_grants_nothing() -> Result {
        let (channel, _door) = channel(1, PRIVATE)?;
        let member = join(&channel, 2, false)?;

        assert!(!member.is_granted(Access::Write) && !member.is_granted(Access::Read));
        Ok(())
    }

    #[test]
    fn others_come_first_while_there_is_something_to_receive() -> Result {
        let (channel, _door) = channel(1, 0)?;
        let (member, other) = (join(&channel, 2, false)?, join(&channel, 3, false)?);
        let submitter = Submitter::new(1, 1);
        let wait = |member: &Member| {
            let arrive = || channel.waiting_send_arrives();
            member.sends.join(submitter, None, arrive)?.ok_or(ENOSPC)
        };

        let ticket = wait(&other)?;
        assert_eq!(channel.has_waiting_sends(), true);
        assert_eq!(channel.is_others_turn(&member), false);
        assert!(send(&channel, 0));
        assert_eq!(channel.is_others_turn(&member), true);
        // Nor when it waits, too. But not the other way round.
        wait(&member)?;
        assert_eq!(channel.is_others_turn(&member), true);
        assert_eq!(channel.is_others_turn(&other), false);
        other
            .sends
            .leave(submitter, ticket, |by| channel.count_waiting_sends(by));
        assert_eq!(channel.is_others_turn(&member), false);
        Ok(())
    }
}
