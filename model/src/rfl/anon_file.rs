// SPDX-License-Identifier: GPL-2.0

//! Files without a name: only what a type says of itself.

use super::wait_queue::PollRequest;
use kernel::{mm::virt::VmaNew, prelude::*, seq_file::SeqFile};
use std::marker::PhantomData;

/// What a file of this kind can do.
pub(crate) trait AnonFile: Sized + 'static {
    const NAME: &'static CStr;

    fn operations() -> &'static FileOperations<Self>;

    fn poll<'a>(&'a self, request: &PollRequest<'a>) -> u32;

    fn mmap(&self, vma: &VmaNew) -> Result;

    fn ioctl(&self, command: u32, argument: usize) -> Result;

    fn show_fdinfo(&self, m: &SeqFile);
}

/// A table of operations. There is no file that needs it.
pub(crate) struct FileOperations<T>(PhantomData<fn() -> T>);

impl<T> FileOperations<T> {
    pub(crate) const fn new(_owner: &'static ThisModule) -> Self {
        Self(PhantomData)
    }
}
