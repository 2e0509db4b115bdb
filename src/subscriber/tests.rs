// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what a subscriber may do. The tests run with all capabilities: whom the mode of a
//! channel keeps out is for `selftests/rights.c`.

use super::*;
use crate::{
    member::{Rights, Service},
    register::tests::channel,
    uapi::channel_flags,
};
use kernel::{fs::File, sync::aref::ARef};

fn attach(flags: u32, send: bool, recv: bool) -> Result<(Subscriber, ARef<File>)> {
    let (channel, door) = channel(1, flags)?;
    let member = Member::new(2, Rights { send, recv }, Service::default())?;

    channel.join(&member, false)?;
    Ok((Subscriber { channel, member }, door))
}

#[kunit_tests(io_uring_ipc_permission)]
mod suite {
    use super::*;

    #[test]
    fn rights_are_needed() -> Result {
        for flags in [0, channel_flags::PRIVATE] {
            let (sender, _door) = attach(flags, true, false)?;
            let (receiver, _door) = attach(flags, false, true)?;

            assert_eq!(sender.check(Access::Write), Ok(()));
            assert_eq!(sender.check(Access::Read), Err(EACCES));
            assert_eq!(receiver.check(Access::Read), Ok(()));
            assert_eq!(receiver.check(Access::Write), Err(EACCES));
        }
        Ok(())
    }

    #[test]
    fn detached_subscriber_may_do_nothing() -> Result {
        for flags in [0, channel_flags::PRIVATE] {
            let (subscriber, _door) = attach(flags, true, true)?;

            subscriber.detach();
            assert_eq!(subscriber.check(Access::Read), Err(ENOENT));
            assert_eq!(subscriber.check(Access::Write), Err(ENOENT));
            assert_eq!(subscriber.has_ended(), true);
        }
        Ok(())
    }

    #[test]
    fn destroyed_channel_is_for_receiving() -> Result {
        for flags in [0, channel_flags::PRIVATE] {
            let (subscriber, _door) = attach(flags, true, true)?;

            assert_eq!(subscriber.is_writable(false), true);
            subscriber.channel.destroy();
            assert_eq!(subscriber.check(Access::Read), Ok(()));
            assert_eq!(subscriber.check(Access::Write), Err(EPIPE));
            assert_eq!(subscriber.is_writable(false), false);
            assert_eq!(subscriber.has_ended(), true);
        }
        Ok(())
    }

    #[test]
    fn door_is_for_sending() -> Result {
        let (channel, door) = channel(1, 0)?;
        let door = crate::rfl::anon_file::data::<Subscriber>(&door).ok_or(EINVAL)?;

        assert_eq!(door.check(Access::Read), Err(EACCES));
        assert_eq!(door.check(Access::Write), Ok(()));
        channel.destroy();
        assert_eq!(door.check(Access::Write), Err(EPIPE));
        Ok(())
    }
}
