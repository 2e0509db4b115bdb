// SPDX-License-Identifier: GPL-2.0

//! User space's memory.
//!
//! A message is a number, not 0, and its payload as many bytes of that value. So whoever has got
//! one can tell whether all of it belongs together.

use kernel::prelude::*;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// From one buffer's address to the next one's.
const STRIDE: u64 = 1 << 12;

/// A task's memory for a message.
#[derive(Default)]
pub(crate) struct Memory {
    /// The payload's bytes.
    pub(crate) payload: Cell<[u8; 2]>,
    /// What stands before it.
    pub(crate) header: RefCell<Vec<u8>>,
    present: Cell<bool>,
    /// How often the page still goes away when it has just been made present.
    pub(crate) faults: Cell<u32>,
    /// Whether it goes away for good after that.
    pub(crate) is_unmapped: Cell<bool>,
}

impl Memory {
    /// Has its page present from the beginning.
    pub(crate) fn touch(&self) {
        self.present.set(true);
    }

    /// Makes the page present, though maybe not for long.
    fn fault_in(&self) -> Result {
        let faults = self.faults.get();

        if faults == 0 && self.is_unmapped.get() {
            return Err(EFAULT);
        }
        self.present.set(faults == 0);
        self.faults.set(faults.saturating_sub(1));
        Ok(())
    }
}

thread_local! {
    /// All threads of a test run on one thread of the host, one execution after the other.
    static BUFFERS: RefCell<Vec<Rc<Memory>>> = const { RefCell::new(Vec::new()) };
}

/// Forgets all memory.
pub(crate) fn reset() {
    BUFFERS.take();
}

/// A range of the calling task's memory.
#[derive(Clone, Copy)]
pub(crate) struct UserBuffer {
    addr: u64,
    len: usize,
}

impl UserBuffer {
    /// New memory; returns its address.
    pub(crate) fn allocate(memory: Rc<Memory>) -> u64 {
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.push(memory);
            buffers.len() as u64 * STRIDE
        })
    }

    pub(crate) fn new(addr: u64, len: usize) -> Result<Self> {
        Ok(Self { addr, len })
    }

    pub(crate) fn new_readable(addr: u64, len: usize) -> Result<Self> {
        let buffer = Self { addr, len };

        buffer.memory().fault_in()?;
        Ok(buffer)
    }

    fn memory(&self) -> Rc<Memory> {
        let index = (self.addr / STRIDE - 1) as usize;

        BUFFERS.with_borrow(|buffers| buffers[index].clone())
    }

    /// The memory, where its page is there.
    pub(crate) fn present(&self) -> Result<Rc<Memory>> {
        Some(self.memory())
            .filter(|memory| memory.present.get())
            .ok_or(EFAULT)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(self, len: usize) -> Self {
        Self {
            len: self.len.min(len),
            ..self
        }
    }

    pub(crate) fn after(self, len: usize) -> Self {
        let len = self.len.min(len);

        Self {
            addr: self.addr + len as u64,
            len: self.len - len,
        }
    }

    pub(crate) fn read_all(&self) -> Result<KVVec<u8>> {
        let memory = self.memory();

        if memory.is_unmapped.get() {
            return Err(EFAULT);
        }
        Ok(KVVec::from(vec![memory.payload.get()[0]; self.len]))
    }

    pub(crate) fn fault_in_writeable(&self) -> Result {
        self.memory().fault_in()
    }

    pub(crate) fn is_writeable(&self) -> bool {
        let memory = self.memory();
        let stays = memory.faults.get() == 0 && !memory.is_unmapped.get();

        if stays {
            memory.present.set(true);
        }
        stays
    }

    pub(crate) fn write_nofault(&self, bytes: &[u8]) -> Result {
        self.present()?.header.replace(bytes.to_vec());
        Ok(())
    }
}
