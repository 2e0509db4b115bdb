// SPDX-License-Identifier: GPL-2.0

//! What one io_uring ring has attached and made: the ids that its SQEs may use.

use super::{ops, registry::Owner, rfl::anon_file, subscriber::Subscriber};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    fs::File,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::aref::ARef,
};

/// A ring's table. Used under `uring_lock` only.
pub(crate) struct Handles {
    /// Subscribers by id. Each stays attached for as long as its file is here.
    subscribers: RBTree<u32, ARef<File>>,
    /// Channels to destroy with the ring, if they still are.
    created: KVec<u32>,
    pub(crate) owner: Owner,
}

/// Room for a subscriber, made before it is needed.
pub(crate) struct Vacancy(RBTreeNode<u32, ARef<File>>);

impl Vacancy {
    pub(crate) fn new(id: u32, file: ARef<File>) -> Result<Self> {
        Ok(Self(RBTreeNode::new(id, file, GFP_KERNEL_ACCOUNT)?))
    }
}

impl Handles {
    pub(crate) fn new() -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                subscribers: RBTree::new(),
                created: KVec::new(),
                owner: ops::registry().new_owner(),
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// The file of a subscriber of this ring.
    #[inline(always)]
    pub(crate) fn subscriber(&self, id: u32) -> Option<&ARef<File>> {
        self.subscribers.get(&id)
    }

    /// Makes an id usable by this ring.
    pub(crate) fn insert(&mut self, vacancy: Vacancy) {
        self.subscribers.insert(vacancy.0);
    }

    /// Detaches a subscriber; `ENOENT` where this ring has none of that id.
    pub(crate) fn detach(&mut self, id: u32) -> Result {
        let file = self.subscribers.remove(&id).ok_or(ENOENT)?;

        end(id, &file);
        Ok(())
    }

    /// Makes room to remember one more channel.
    pub(crate) fn reserve_created(&mut self) -> Result {
        Ok(self.created.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// Remembers a channel that this ring has made; there must be [room](Self::reserve_created).
    pub(crate) fn remember_created(&mut self, id: u32) {
        // Cannot fail, there is room.
        let _ = self.created.push_within_capacity(id);
    }

    /// Whether nothing of what the ring has attached and made is left.
    pub(crate) fn is_empty(&mut self) -> bool {
        let (registry, owner) = (ops::registry(), self.owner);

        self.created.retain(|&mut id| registry.is_owned(id, owner));
        self.created.is_empty() && self.subscribers.is_empty()
    }

    /// Detaches all subscribers and destroys all channels of this ring.
    pub(crate) fn close(&mut self) {
        for (&id, file) in &self.subscribers {
            end(id, file);
        }
        self.subscribers = RBTree::new();

        for id in self.created.drain_all() {
            let entry = ops::registry().remove_owned(id, self.owner);

            if let Some(entry) = entry {
                entry.channel.destroy();
            }
        }
    }
}

/// Ends a subscriber's attachment and frees its id.
fn end(id: u32, file: &File) {
    if let Some(subscriber) = anon_file::data::<Subscriber>(file) {
        subscriber.detach();
    }
    ops::registry().release(id, None);
}
