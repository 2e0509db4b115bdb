// SPDX-License-Identifier: GPL-2.0

//! The mapped region of a channel.

use crate::abi::{MsgDesc, RingHeader, RING_VERSION};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{fence, AtomicU64, Ordering};

/// A read-only map of a channel's messages, which the kernel writes meanwhile:
/// nothing in it is ever borrowed, only copied.
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    header: RingHeader,
}

/// A message copied out of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionMessage {
    /// Its descriptor.
    pub desc: MsgDesc,
    /// Its content.
    pub payload: Vec<u8>,
}

impl Region {
    pub(crate) fn map(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;

        // SAFETY: a new map at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }

        let start: NonNull<u8> = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        if len < size_of::<RingHeader>() {
            // SAFETY: the map made above, of which nobody knows.
            unsafe { libc::munmap(start.as_ptr().cast(), len) };
            return Err(io::ErrorKind::InvalidData.into());
        }

        // SAFETY: a map starts on a page and is long enough for the header.
        let header = unsafe { start.cast::<RingHeader>().read_volatile() };
        let region = Self { start, len, header };

        region.check()?;
        Ok(region)
    }

    /// Whether all that the header promises lies inside the map.
    fn check(&self) -> io::Result<()> {
        let header = &self.header;
        let slots = u64::from(header.ring_entries);
        let fits = |offset: u32, stride: u32, size: u64| {
            let end = u64::from(offset) + slots * u64::from(stride);

            u64::from(stride) >= size && end <= self.len as u64
        };
        let good = header.version == RING_VERSION
            && header.ring_entries.is_power_of_two()
            && header.ring_mask == header.ring_entries - 1
            && header.desc_offset % 8 == 0
            && header.desc_size % 8 == 0
            && fits(
                header.desc_offset,
                header.desc_size,
                size_of::<MsgDesc>() as u64,
            )
            && fits(
                header.data_offset,
                header.data_stride,
                u64::from(header.max_msg_size),
            );

        if !good {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("bad region of {} bytes: {header:?}", self.len),
            ));
        }
        Ok(())
    }

    /// Bytes mapped.
    pub fn size(&self) -> usize {
        self.len
    }

    /// The header as it was when the region was mapped; of its fields only
    /// `tail` and `head` ever change.
    pub fn header(&self) -> &RingHeader {
        &self.header
    }

    /// The position the next message will get.
    pub fn tail(&self) -> u64 {
        self.load(offset_of!(RingHeader, tail), Ordering::Acquire)
    }

    /// The oldest position still held.
    pub fn head(&self) -> u64 {
        self.load(offset_of!(RingHeader, head), Ordering::Acquire)
    }

    /// Copies the message at a position, or gives `None` where it is not
    /// published yet, or no longer held and its slot may be used again.
    pub fn read(&self, position: u64) -> Option<RegionMessage> {
        let slot = (position & u64::from(self.header.ring_mask)) as usize;
        let at = self.header.desc_offset as usize + slot * self.header.desc_size as usize;
        let seq_at = at + offset_of!(MsgDesc, seq);

        if self.load(seq_at, Ordering::Acquire) != position + 1 {
            return None;
        }

        // SAFETY: `check` found every descriptor inside the map and aligned.
        let desc = unsafe { self.start.add(at).cast::<MsgDesc>().read_volatile() };
        let payload_at = self.header.data_offset as usize + desc.offset as usize;
        let payload = self.copy(payload_at, desc.len as usize);

        // What was read is worth something only if nobody could write over it.
        // `seq` would not tell: it changes last.
        fence(Ordering::Acquire);
        if self.head() > position {
            return None;
        }
        Some(RegionMessage {
            desc,
            payload: payload?,
        })
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        assert!(at % 8 == 0 && at + 8 <= self.len);
        // SAFETY: inside the map and aligned. A load of a lock-free atomic
        // does not write, so that a read-only map will do.
        unsafe { self.start.add(at).cast::<AtomicU64>().as_ref() }.load(order)
    }

    fn copy(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        if at.checked_add(len)? > self.len {
            return None;
        }
        // Byte by byte: the kernel may be writing, and whether it did is known
        // afterwards only.
        Some(
            (at..at + len)
                // SAFETY: inside the map.
                .map(|at| unsafe { self.start.add(at).read_volatile() })
                .collect(),
        )
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the map is ours and nothing borrows from it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;

    const ENTRIES: u32 = 4;

    fn header() -> RingHeader {
        RingHeader {
            tail: 6,
            head: 2,
            version: RING_VERSION,
            ring_entries: ENTRIES,
            ring_mask: ENTRIES - 1,
            max_msg_size: 100,
            desc_offset: 4096,
            desc_size: 64,
            data_offset: 8192,
            data_stride: 128,
            ..RingHeader::zeroed()
        }
    }

    /// A file that looks like a region in which position 5 is published.
    fn file(header: RingHeader) -> std::fs::File {
        let name = format!("ipc-region-test-{:?}", std::thread::current().id());
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let mut file = std::fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let desc = MsgDesc {
            seq: 6,
            sender_data: 77,
            offset: 128,
            len: 5,
            ..MsgDesc::zeroed()
        };
        let mut put = |at: u64, bytes: &[u8]| {
            file.seek(io::SeekFrom::Start(at)).unwrap();
            file.write_all(bytes).unwrap();
        };

        put(0, bytemuck::bytes_of(&header));
        put(4096 + 64, bytemuck::bytes_of(&desc));
        put(8192 + 128, b"hello");
        put(12287, &[0]);
        std::fs::remove_file(path).unwrap();
        file
    }

    #[test]
    fn published_and_not() {
        let region = Region::map(file(header()).as_fd(), 0, 12288).unwrap();

        assert_eq!((region.head(), region.tail()), (2, 6));
        let message = region.read(5).unwrap();
        assert_eq!(message.payload, b"hello");
        assert_eq!(message.desc.sender_data, 77);
        assert_eq!(region.read(1), None);
        assert_eq!(region.read(9), None);
        assert_eq!(region.read(0), None);
    }

    #[test]
    fn no_longer_held() {
        let header = RingHeader {
            head: 6,
            ..header()
        };
        let region = Region::map(file(header).as_fd(), 0, 12288).unwrap();

        assert_eq!(region.read(5), None);
    }

    #[test]
    fn header_that_lies() {
        let lies = [
            RingHeader {
                version: 2,
                ..header()
            },
            RingHeader {
                ring_entries: 3,
                ..header()
            },
            RingHeader {
                ring_mask: 7,
                ..header()
            },
            RingHeader {
                desc_size: 32,
                ..header()
            },
            RingHeader {
                data_stride: 64,
                ..header()
            },
            RingHeader {
                data_offset: 12000,
                ..header()
            },
        ];

        for lie in lies {
            assert!(Region::map(file(lie).as_fd(), 0, 12288).is_err());
        }
    }
}
