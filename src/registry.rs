// SPDX-License-Identifier: GPL-2.0

//! The names of channels: ids and keys.
//!
//! Channels and subscribers share one space of ids, so that an id in an SQE names one thing. Ids
//! are given out in turn and come back only after all others. Channels are found in the IPC
//! namespace they were made in, and nowhere else.

use super::{
    channel::Channel,
    member::Member,
    rfl::{ipc_namespace::IpcNamespaceId, rlimit, user::UserId},
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    bindings,
    error::Error,
    fs::File,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{aref::ARef, Arc},
};

/// The highest id: `sqe->fd` is signed.
const MAX_ID: u32 = i32::MAX as u32;

/// A key in its namespace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: IpcNamespaceId,
    /// Not 0, which is no key.
    pub(crate) key: u64,
}

/// Names the ring that a channel belongs to without keeping it: never used again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u64);

/// A channel that can be found.
pub(crate) struct Entry {
    pub(crate) channel: Arc<Channel>,
    /// The file of requests that send by the channel's id.
    pub(crate) door: ARef<File>,
    pub(crate) owner: Owner,
}

/// A subscriber that the owner of its channel can find. Its ring finds it in a table of its own.
#[derive(Clone)]
pub(crate) struct Attachment {
    pub(crate) channel: Arc<Channel>,
    pub(crate) member: Arc<Member>,
}

/// What an id stands for; nothing yet for what is being made.
///
/// The last one drops a channel, which takes its time: not with the registry locked.
#[must_use]
pub(crate) enum Name {
    Channel {
        key: Option<Key>,
        /// Whose it is counted as.
        user: UserId,
        entry: Option<Entry>,
    },
    Subscriber(Option<Attachment>),
}

/// Memory for a name; made before the registry is locked, for somebody whose memory cgroup is full
/// would keep all others waiting.
pub(crate) struct NameNode(RBTreeNodeReservation<u32, Name>);

impl NameNode {
    /// Charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?))
    }
}

/// The same for all that a channel needs.
pub(crate) struct ChannelNodes {
    name: NameNode,
    key: RBTreeNodeReservation<Key, u32>,
    user: RBTreeNodeReservation<UserId, u32>,
}

impl ChannelNodes {
    /// Charged to the caller's memory cgroup. Sleeps.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            name: NameNode::new()?,
            key: RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
            user: RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
        })
    }
}

/// All names.
pub(crate) struct Registry {
    names: RBTree<u32, Name>,
    keys: RBTree<Key, u32>,
    /// How many channels users have: those who have any.
    users: RBTree<UserId, u32>,
    /// How many a user may have.
    channels_per_user: u32,
    last_id: u32,
    last_owner: u64,
}

impl Registry {
    pub(crate) fn new(channels_per_user: u32) -> Self {
        Self {
            names: RBTree::new(),
            keys: RBTree::new(),
            users: RBTree::new(),
            channels_per_user,
            last_id: 0,
            last_owner: 0,
        }
    }

    pub(crate) fn new_owner(&mut self) -> Owner {
        self.last_owner += 1;
        Owner(self.last_owner)
    }

    /// Takes the next free id for a channel of the caller's, and the key.
    ///
    /// Fails with `EEXIST` where the key is taken, `EDQUOT` where the user has too many channels,
    /// `ENOSPC` where all ids are in use.
    pub(crate) fn reserve_channel(&mut self, key: Option<Key>, nodes: ChannelNodes) -> Result<u32> {
        if key.is_some_and(|key| self.keys.get(&key).is_some()) {
            return Err(EEXIST);
        }
        let user = UserId::current();
        let count = self.users.get(&user).copied().unwrap_or(0);

        if count >= self.channels_per_user && !rlimit::may_be_exceeded() {
            return Err(Error::from_errno(-(bindings::EDQUOT as i32)));
        }
        let name = Name::Channel {
            key,
            user,
            entry: None,
        };
        let id = self.reserve(name, nodes.name)?;

        if let Some(key) = key {
            self.keys.insert(nodes.key.into_node(key, id));
        }
        match self.users.get_mut(&user) {
            Some(count) => *count += 1,
            None => drop(self.users.insert(nodes.user.into_node(user, 1))),
        }
        Ok(id)
    }

    fn count_off(&mut self, user: UserId) {
        match self.users.get_mut(&user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.users.remove(&user)),
        }
    }

    /// Takes the next free id for a subscriber; `ENOSPC` where all are in use.
    pub(crate) fn reserve_subscriber(&mut self, node: NameNode) -> Result<u32> {
        self.reserve(Name::Subscriber(None), node)
    }

    fn reserve(&mut self, name: Name, node: NameNode) -> Result<u32> {
        let mut id = self.last_id;
        loop {
            id = if id == MAX_ID { 1 } else { id + 1 };
            if self.names.get(&id).is_none() {
                break;
            }
            if id == self.last_id {
                return Err(ENOSPC);
            }
        }

        self.names.insert(node.0.into_node(id, name));
        self.last_id = id;
        Ok(id)
    }

    /// Gives an id back, with all that was taken along with it.
    pub(crate) fn release(&mut self, id: u32) -> Option<Name> {
        let name = self.names.remove(&id)?;

        if let Name::Channel { key, user, .. } = &name {
            if let Some(key) = key {
                self.keys.remove(key);
            }
            self.count_off(*user);
        }
        Some(name)
    }

    /// Makes a channel known by the names reserved for it.
    pub(crate) fn publish_channel(&mut self, entry: Entry) {
        if let Some(Name::Channel { entry: place, .. }) = self.names.get_mut(&entry.channel.id) {
            *place = Some(entry);
        }
    }

    /// Makes a subscriber known by the id reserved for it.
    pub(crate) fn publish_subscriber(&mut self, attachment: Attachment) {
        if let Some(Name::Subscriber(place)) = self.names.get_mut(&attachment.member.id) {
            *place = Some(attachment);
        }
    }

    /// The channel `id`, where the caller's namespace has it; `ENOENT`.
    pub(crate) fn by_id(&self, id: u32) -> Result<&Entry> {
        match self.names.get(&id) {
            Some(Name::Channel {
                entry: Some(entry), ..
            }) if entry.channel.is_visible() => Ok(entry),
            _ => Err(ENOENT),
        }
    }

    /// The subscriber `id`, where the caller's namespace has its channel, or had it; `ENOENT`.
    pub(crate) fn subscriber(&self, id: u32) -> Result<&Attachment> {
        match self.names.get(&id) {
            Some(Name::Subscriber(Some(attachment))) if attachment.channel.is_visible() => {
                Ok(attachment)
            }
            _ => Err(ENOENT),
        }
    }

    /// The channel with `key` in the caller's namespace; `ENOENT`.
    pub(crate) fn by_key(&self, key: u64) -> Result<&Entry> {
        let namespace = IpcNamespaceId::current();
        let id = self.keys.get(&Key { namespace, key }).ok_or(ENOENT)?;

        self.by_id(*id)
    }

    /// Whether `id` is a channel that the ring `owner` has made.
    pub(crate) fn is_owned(&self, id: u32, owner: Owner) -> bool {
        matches!(
            self.names.get(&id),
            Some(Name::Channel { entry: Some(entry), .. }) if entry.owner == owner
        )
    }

    /// Takes a channel's names away, if the ring that made it is `owner`.
    pub(crate) fn remove_owned(&mut self, id: u32, owner: Owner) -> Option<Entry> {
        if self.is_owned(id, owner) {
            self.remove(id)
        } else {
            None
        }
    }

    /// Takes away the names of a channel that is known.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Entry> {
        match self.names.get(&id)? {
            Name::Channel { entry: Some(_), .. } => match self.release(id)? {
                Name::Channel { entry, .. } => entry,
                Name::Subscriber(_) => None,
            },
            _ => None,
        }
    }
}

#[cfg(ioipc_kunit)]
mod tests;
