// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the names of channels.

use super::*;
use crate::{
    member::{Rights, Service},
    register::tests::channel,
};

fn key(key: u64) -> Option<Key> {
    Some(Key {
        namespace: IpcNamespaceId::current(),
        key,
    })
}

/// Makes a channel known.
fn publish(registry: &mut Registry, key: Option<Key>, owner: Owner) -> Result<u32> {
    let id = registry.reserve_channel(key, ChannelNodes::new()?)?;
    let (channel, door) = channel(id, 0)?;

    registry.publish_channel(Entry {
        channel,
        door,
        owner,
    });
    Ok(id)
}

#[kunit_tests(io_uring_ipc_registry)]
mod suite {
    use super::*;

    #[test]
    fn ids_are_given_out_in_turn() -> Result {
        let mut registry = Registry::new(u32::MAX);

        for id in 1..=5 {
            assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(id));
        }
        drop(registry.release(2));
        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(6));
        Ok(())
    }

    #[test]
    fn ids_start_anew_behind_the_last() -> Result {
        let mut registry = Registry::new(u32::MAX);

        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(1));
        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(2));
        drop(registry.release(1));
        registry.last_id = MAX_ID - 1;
        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(MAX_ID));
        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(1));
        // What is in use is passed over.
        assert_eq!(registry.reserve_subscriber(NameNode::new()?), Ok(3));
        Ok(())
    }

    #[test]
    fn channels_are_counted() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let user = UserId::current();
        let first = registry.reserve_channel(key(5), ChannelNodes::new()?)?;
        let second = registry.reserve_channel(None, ChannelNodes::new()?)?;

        assert_eq!(registry.users.get(&user), Some(&2));
        assert_eq!(
            registry.reserve_channel(key(5), ChannelNodes::new()?),
            Err(EEXIST)
        );
        let subscriber = registry.reserve_subscriber(NameNode::new()?)?;

        drop(registry.release(subscriber));
        assert_eq!(registry.users.get(&user), Some(&2));
        drop(registry.release(first));
        assert_eq!(registry.users.get(&user), Some(&1));
        drop(registry.release(second));
        // Nothing is kept of who has none.
        assert!(registry.users.get(&user).is_none());
        Ok(())
    }

    #[test]
    fn key_is_given_out_once() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let id = registry.reserve_channel(key(5), ChannelNodes::new()?)?;

        assert_eq!(
            registry.reserve_channel(key(5), ChannelNodes::new()?),
            Err(EEXIST)
        );
        assert_eq!(
            registry.reserve_channel(key(6), ChannelNodes::new()?),
            Ok(id + 1)
        );
        drop(registry.release(id));
        assert_eq!(
            registry.reserve_channel(key(5), ChannelNodes::new()?),
            Ok(id + 2)
        );
        Ok(())
    }

    #[test]
    fn what_is_reserved_is_not_found() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let owner = registry.new_owner();
        let id = registry.reserve_channel(key(5), ChannelNodes::new()?)?;

        assert_eq!(registry.by_id(id).err(), Some(ENOENT));
        assert_eq!(registry.by_key(5).err(), Some(ENOENT));
        assert_eq!(registry.is_owned(id, owner), false);
        assert!(registry.remove_owned(id, owner).is_none());
        assert_eq!(
            registry.reserve_channel(key(5), ChannelNodes::new()?),
            Err(EEXIST)
        );
        Ok(())
    }

    #[test]
    fn channel_is_found_until_removed() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let owner = registry.new_owner();
        let id = publish(&mut registry, key(5), owner)?;

        assert_eq!(registry.by_id(id)?.channel.id, id);
        assert_eq!(registry.by_key(5)?.channel.id, id);
        assert_eq!(registry.by_id(id + 1).err(), Some(ENOENT));
        assert_eq!(registry.by_key(6).err(), Some(ENOENT));
        assert!(registry.remove(id).is_some());
        assert!(registry.remove(id).is_none());
        assert_eq!(registry.by_id(id).err(), Some(ENOENT));
        assert_eq!(registry.by_key(5).err(), Some(ENOENT));
        // The key is free again.
        assert!(registry
            .reserve_channel(key(5), ChannelNodes::new()?)
            .is_ok());
        Ok(())
    }

    #[test]
    fn subscriber_is_no_channel() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let owner = registry.new_owner();
        let id = registry.reserve_subscriber(NameNode::new()?)?;
        let rights = Rights {
            send: true,
            recv: true,
        };

        assert_eq!(registry.subscriber(id).err(), Some(ENOENT));
        registry.publish_subscriber(Attachment {
            channel: channel(id + 1, 0)?.0,
            member: Member::new(id, rights, Service::default())?,
        });
        assert_eq!(registry.subscriber(id)?.member.id, id);
        assert_eq!(registry.by_id(id).err(), Some(ENOENT));
        assert!(registry.remove(id).is_none());
        assert_eq!(registry.is_owned(id, owner), false);
        assert!(registry.subscriber(id).is_ok());
        drop(registry.release(id));
        assert_eq!(registry.subscriber(id).err(), Some(ENOENT));
        Ok(())
    }

    #[test]
    fn only_the_owner_removes_its_channels() -> Result {
        let mut registry = Registry::new(u32::MAX);
        let (owner, other) = (registry.new_owner(), registry.new_owner());
        let id = publish(&mut registry, None, owner)?;

        assert!(owner != other);
        assert_eq!(registry.is_owned(id, other), false);
        assert!(registry.remove_owned(id, other).is_none());
        assert_eq!(registry.is_owned(id, owner), true);
        assert!(registry.remove_owned(id, owner).is_some());
        assert_eq!(registry.is_owned(id, owner), false);
        Ok(())
    }
}
