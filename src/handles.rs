// SPDX-License-Identifier: GPL-2.0

//! What one io_uring ring has attached and made: the ids that its SQEs may use.

use super::{
    id_table::IdTable,
    ops,
    registry::Owner,
    rfl::{anon_file, rlimit},
    subscriber::Subscriber,
};
use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, fs::File, prelude::*, sync::aref::ARef};

/// A ring's table. Used under `uring_lock` only.
pub(crate) struct Handles {
    /// Each subscriber stays attached for as long as its file is here.
    subscribers: IdTable<ARef<File>>,
    /// Channels to destroy with the ring, if they still are: at most twice as many as there have
    /// been at once.
    created: KVec<u32>,
    pub(crate) owner: Owner,
}

impl Handles {
    pub(crate) fn new() -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                subscribers: IdTable::new()?,
                created: KVec::new(),
                owner: ops::registry().new_owner(),
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// The file of a subscriber of this ring.
    #[inline(always)]
    pub(crate) fn subscriber(&self, id: u32) -> Option<&ARef<File>> {
        self.subscribers.get(id)
    }

    /// Makes room for one more subscriber; `EMFILE` where the ring may have no more: they are
    /// files, and closing `channel_fd` does not end them, so the ring's table has the limit that
    /// the file table has.
    pub(crate) fn reserve(&mut self) -> Result {
        if self.subscribers.len() >= rlimit::open_files() {
            return Err(EMFILE);
        }
        self.subscribers.reserve()
    }

    /// Makes an id usable by this ring; there must be [room](Self::reserve).
    pub(crate) fn insert(&mut self, id: u32, file: ARef<File>) {
        self.subscribers.insert(id, file);
    }

    /// Detaches a subscriber; `ENOENT` where this ring has none of that id.
    pub(crate) fn detach(&mut self, id: u32) -> Result {
        let file = self.subscribers.remove(id).ok_or(ENOENT)?;

        end(id, &file);
        Ok(())
    }

    /// Makes room to remember one more channel.
    pub(crate) fn reserve_created(&mut self) -> Result {
        if self.created.len() == self.created.capacity() {
            let registry = ops::registry();

            // Somebody may have destroyed them since, from any ring.
            self.created
                .retain(|&mut id| registry.is_owned(id, self.owner));
            drop(registry);
            // Not soon again: as many more as there are.
            let more = self.created.len() + 1;

            self.created.reserve(more, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(())
    }

    /// Remembers a channel that this ring has made; there must be [room](Self::reserve_created).
    pub(crate) fn remember_created(&mut self, id: u32) {
        // Cannot fail, there is room.
        let _ = self.created.push_within_capacity(id);
    }

    /// Whether nothing of what the ring has attached and made is left.
    pub(crate) fn is_empty(&mut self) -> bool {
        if self.subscribers.len() != 0 {
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
    pub(crate) fn close(&self) {
        for (id, file) in self.subscribers.iter() {
            end(id, file);
        }
        for &id in self.created.iter() {
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
    let name = ops::registry().release(id);

    drop(name);
}

#[cfg(ioipc_kunit)]
mod tests;
