// SPDX-License-Identifier: GPL-2.0

//! What one io_uring ring has attached and made: the ids that its SQEs may use.

use super::{
    ops,
    registry::Owner,
    rfl::{anon_file, rlimit},
    subscriber::Subscriber,
};
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
    nr_subscribers: usize,
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
                nr_subscribers: 0,
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

    /// Whether the ring may have one more subscriber: they are files, and closing `channel_fd`
    /// does not end them, so the ring's table has the limit that the file table has.
    pub(crate) fn check_limit(&self) -> Result {
        if self.nr_subscribers < rlimit::open_files() {
            Ok(())
        } else {
            Err(EMFILE)
        }
    }

    /// Makes an id usable by this ring.
    pub(crate) fn insert(&mut self, vacancy: Vacancy) {
        self.subscribers.insert(vacancy.0);
        self.nr_subscribers += 1;
    }

    /// Detaches a subscriber; `ENOENT` where this ring has none of that id.
    pub(crate) fn detach(&mut self, id: u32) -> Result {
        let file = self.subscribers.remove(&id).ok_or(ENOENT)?;

        self.nr_subscribers -= 1;
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
        if !self.subscribers.is_empty() {
            return false;
        }
        let registry = ops::registry();

        while let Some(&id) = self.created.last() {
            if registry.is_owned(id, self.owner) {
                return false;
            }
            self.created.pop();
        }
        true
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
