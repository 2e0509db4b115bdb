// SPDX-License-Identifier: GPL-2.0

//! Vectors of any size that fail where there is no memory, and nobody is killed for it.
//!
//! With the flags that `kernel::alloc::flags` has, a memory cgroup that is full has its tasks
//! killed until an allocation of some pages succeeds. Here the caller gets `ENOMEM` instead, and
//! the kernel's log says nothing of it.
//!
//! C headers: [`include/linux/slab.h`](srctree/include/linux/slab.h),
//! [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use super::bindings;
use core::{
    alloc::Layout,
    ptr::{self, NonNull}, //
};
use kernel::{
    alloc::{
        flags::{__GFP_ZERO, GFP_KERNEL},
        AllocError,
        Allocator,
        Flags,
        NumaNode,
        Vec, //
    },
    page::PAGE_SIZE, //
};

/// Allocates with flags of its own: `GFP_KERNEL_ACCOUNT`, `__GFP_RETRY_MAYFAIL` and
/// `__GFP_NOWARN`. More than a page may be in pieces. Sleeps: it fails for who does not ask for
/// `GFP_KERNEL`. Of other flags it knows `__GFP_ZERO`.
pub(crate) struct Mayfail;

/// A vector in such memory.
pub(crate) type MayfailVec<T> = Vec<T, Mayfail>;

// SAFETY: The helper alone makes this memory, keeps it until it is given back to it, preserves
// contents, and leaves the old memory alone where it fails. Flags are honoured: it sleeps only
// where it may, zeroes what it is to, and all others are about what it does anyway.
unsafe impl Allocator for Mayfail {
    const MIN_ALIGN: usize = kernel::bindings::ARCH_KMALLOC_MINALIGN;

    unsafe fn realloc(
        ptr: Option<NonNull<u8>>,
        layout: Layout,
        old_layout: Layout,
        flags: Flags,
        _nid: NumaNode,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let may_sleep = flags.contains(GFP_KERNEL) || layout.size() == 0;
        if layout.align() > PAGE_SIZE || !may_sleep {
            return Err(AllocError);
        }
        // So that `kmalloc()` aligns it, as `Kmalloc::aligned_layout()` has it.
        let size = layout.pad_to_align().size();
        let (old, old_size) = match ptr {
            Some(ptr) => (ptr.as_ptr().cast(), old_layout.size()),
            None => (ptr::null_mut(), 0),
        };

        // SAFETY: By the function's contract `old` is memory of this allocator that is the caller's
        // and has `old_size` bytes at least, unless those are none.
        let new = unsafe { bindings::helper_realloc_mayfail(old, old_size, size) };
        let new = if size == 0 {
            // As others have it for what has no size.
            layout.align() as *mut u8
        } else {
            new.cast()
        };

        let new = NonNull::new(new).ok_or(AllocError)?;
        if size > old_size && flags.contains(__GFP_ZERO) {
            // SAFETY: The memory has `size` bytes, is ours until we return, and `old_size` is the
            // length of what it has of old contents.
            unsafe { ptr::write_bytes(new.as_ptr().add(old_size), 0, size - old_size) };
        }
        Ok(NonNull::slice_from_raw_parts(new, size))
    }
}

#[cfg(ioipc_kunit)]
mod tests;
