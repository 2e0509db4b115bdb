// SPDX-License-Identifier: GPL-2.0

//! Files without a name in any file system.
//!
//! C header: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h)

use super::{bindings, inode::Inode, wait_queue::PollRequest};
use core::{marker::PhantomData, ptr, ptr::NonNull};
use kernel::{
    bindings::{__poll_t, file, file_operations, inode, poll_table, seq_file, vm_area_struct},
    error::{from_err_ptr, from_result},
    ffi::{c_int, c_long, c_uint, c_ulong},
    fs::{File, LocalFile},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::aref::ARef,
    types::ForeignOwnable,
};

/// What a file of this kind can do. The value is dropped when the last reference to the file is.
pub(crate) trait AnonFile: Sized + Send + Sync + 'static {
    /// The name after `anon_inode:` in `/proc/<pid>/fd`.
    const NAME: &'static CStr;

    /// The type's one table of operations.
    fn operations() -> &'static FileOperations<Self>;

    /// Queues the caller where it wants to wait, and says which events are there (`EPOLL*`).
    fn poll<'a>(&'a self, request: &PollRequest<'a>) -> u32;

    /// Maps the file. The mapping holds a reference to the file.
    fn mmap(&self, vma: &VmaNew) -> Result;

    /// Does what an `ioctl()` asks for, whose argument is a number; `ENOTTY` for what is unknown.
    fn ioctl(&self, command: u32, argument: usize) -> Result;

    /// Prints lines for `/proc/<pid>/fdinfo/<fd>`.
    fn show_fdinfo(&self, m: &SeqFile);
}

/// `struct file_operations` of the files of a `T`.
pub(crate) struct FileOperations<T>(file_operations, PhantomData<fn() -> T>);

// SAFETY: The table is only read.
unsafe impl<T> Sync for FileOperations<T> {}

impl<T: AnonFile> FileOperations<T> {
    /// The table; each file of it keeps `owner` loaded.
    pub(crate) const fn new(owner: &'static ThisModule) -> Self {
        Self(
            file_operations {
                owner: owner.as_ptr(),
                poll: Some(poll::<T>),
                mmap: Some(mmap::<T>),
                unlocked_ioctl: Some(ioctl::<T>),
                // No argument is a pointer.
                compat_ioctl: Some(ioctl::<T>),
                release: Some(release::<T>),
                show_fdinfo: Some(show_fdinfo::<T>),
                llseek: Some(kernel::bindings::noop_llseek),
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }
}

/// Takes over a file that has just been made, or the error in its place.
///
/// # Safety
///
/// `file` must be an error, or the only reference to a file, which the caller gives away.
unsafe fn take(file: *mut file) -> Result<ARef<File>> {
    let file = NonNull::new(from_err_ptr(file)?).ok_or(ENOMEM)?;

    // SAFETY: By the function's contract its one reference is ours, and nobody can use its
    // position yet.
    Ok(unsafe { LocalFile::assume_no_fdget_pos(ARef::from_raw(file.cast())) })
}

/// Makes a file of `data`.
pub(crate) fn new<T: AnonFile>(data: KBox<T>) -> Result<ARef<File>> {
    let data = data.into_foreign();

    // SAFETY: The table lives for ever; the file, which is new, becomes the owner of `data`, and
    // gives it back to `release()` alone.
    unsafe {
        take(bindings::helper_anon_file(
            T::NAME.as_char_ptr(),
            &T::operations().0,
            data,
            kernel::fs::file::flags::O_RDONLY as c_int,
        ))
    }
    .inspect_err(|_| {
        // SAFETY: No file was made: `data` is still ours.
        drop(unsafe { KBox::<T>::from_foreign(data) });
    })
}

/// A file with an inode of its own, which still waits for its data.
///
/// # Invariants
///
/// There is no other reference to the file, and its operations are those for a `T`.
pub(crate) struct UnboundFile<T: AnonFile>(ARef<File>, PhantomData<T>);

impl<T: AnonFile> UnboundFile<T> {
    /// Makes the file, its inode owned by the caller (fsuid, fsgid) with the permission bits
    /// `mode`.
    pub(crate) fn new(mode: u16) -> Result<(Self, Inode)> {
        // SAFETY: The table lives for ever, and copes with a file that has no data. The file is
        // new.
        let file = unsafe {
            take(bindings::helper_anon_file_own_inode(
                T::NAME.as_char_ptr(),
                &T::operations().0,
                kernel::fs::file::flags::O_RDONLY as c_int,
            ))
        }?;
        // SAFETY: It has just been made.
        let inode = unsafe { Inode::of_new_file(&file, mode) };

        // INVARIANT: It has just been made.
        Ok((Self(file, PhantomData), inode))
    }

    /// Gives the file its data.
    pub(crate) fn bind(self, data: KBox<T>) -> ARef<File> {
        // SAFETY: By the type's invariant nobody else looks at the field; the file becomes the
        // owner of `data`.
        unsafe { (*self.0.as_ptr()).private_data = data.into_foreign() };
        self.0
    }
}

/// The data of a file that is known to be a `T`'s.
///
/// # Safety
///
/// `file` must have been made by [`new`] or [`UnboundFile::bind`] with this `T`.
#[inline(always)]
pub(crate) unsafe fn data_unchecked<T: AnonFile>(file: &LocalFile) -> &T {
    // SAFETY: By the function's contract `private_data` is a `T`'s, which the file owns until its
    // last reference is gone.
    unsafe { KBox::<T>::borrow((*file.as_ptr()).private_data) }
}

/// The data of a file, if it is a `T`'s.
pub(crate) fn data<T: AnonFile>(file: &LocalFile) -> Option<&T> {
    // SAFETY: A file's operations are set before it is shared and stay.
    let operations = unsafe { (*file.as_ptr()).f_op };

    if !ptr::eq(operations, &T::operations().0) {
        return None;
    }
    // SAFETY: Only the functions above make files with this table, and they set the data before
    // the file is shared.
    (unsafe { !(*file.as_ptr()).private_data.is_null() })
        // SAFETY: As above.
        .then(|| unsafe { data_unchecked(file) })
}

/// # Safety
///
/// Called by the kernel only, for a file of `T`.
unsafe extern "C" fn poll<T: AnonFile>(file: *mut file, table: *mut poll_table) -> __poll_t {
    // SAFETY: The caller holds a reference to the file.
    let file = unsafe { File::from_raw_file(file) };
    // SAFETY: The table is the caller's, for this call.
    let request = unsafe { PollRequest::new(file, table) };

    data::<T>(file).map_or(0, |data| data.poll(&request))
}

/// # Safety
///
/// Called by the kernel only, for a file of `T`.
unsafe extern "C" fn mmap<T: AnonFile>(file: *mut file, vma: *mut vm_area_struct) -> c_int {
    // SAFETY: The caller holds a reference to the file.
    let file = unsafe { File::from_raw_file(file) };
    // SAFETY: The mapping is new, and locked by the caller for this call.
    let vma = unsafe { VmaNew::from_raw(vma) };

    from_result(|| data::<T>(file).ok_or(EINVAL)?.mmap(vma).map(|()| 0))
}

/// # Safety
///
/// Called by the kernel only, for a file of `T`.
unsafe extern "C" fn ioctl<T: AnonFile>(
    file: *mut file,
    command: c_uint,
    argument: c_ulong,
) -> c_long {
    // SAFETY: The caller holds a reference to the file.
    let file = unsafe { File::from_raw_file(file) };

    from_result(|| {
        data::<T>(file)
            .ok_or(ENOTTY)?
            .ioctl(command, argument)
            .map(|()| 0)
    })
}

/// # Safety
///
/// Called by the kernel only, once, for a file of `T` whose last reference is gone.
unsafe extern "C" fn release<T: AnonFile>(_inode: *mut inode, file: *mut file) -> c_int {
    // SAFETY: Nobody else uses the file any more.
    let data = unsafe { (*file).private_data };

    if !data.is_null() {
        // SAFETY: The file owned its data, and this is its end.
        drop(unsafe { KBox::<T>::from_foreign(data) });
    }
    0
}

/// # Safety
///
/// Called by the kernel only, for a file of `T`.
unsafe extern "C" fn show_fdinfo<T: AnonFile>(m: *mut seq_file, file: *mut file) {
    // SAFETY: The caller holds a reference to the file.
    let file = unsafe { File::from_raw_file(file) };
    // SAFETY: The sequence file is the caller's, for this call.
    let m = unsafe { SeqFile::from_raw(m) };

    if let Some(data) = data::<T>(file) {
        data.show_fdinfo(m);
    }
}
