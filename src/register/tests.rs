// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what a channel can be made from.

use super::*;

/// What asks for a channel with `flags`, of four slots.
fn request(flags: u32) -> ChannelCreate {
    ChannelCreate {
        flags,
        ring_entries: 4,
        max_msg_size: 16,
        mode: 0,
        key: 0,
        channel_id_out: 0,
        reserved: [0; 3],
    }
}

/// A channel that nobody finds, with nobody attached but its door.
pub(crate) fn channel(id: u32, flags: u32) -> Result<(Arc<Channel>, ARef<File>)> {
    make_channel(id, Parameters::new(&request(flags))?, 0)
}

fn refused(request: ChannelCreate) -> bool {
    Parameters::new(&request).err() == Some(EINVAL)
}

#[kunit_tests(io_uring_ipc_register)]
mod suite {
    use super::*;

    #[test]
    fn flags_name_a_mode() -> Result {
        let mode = |flags| Parameters::new(&request(flags)).map(|parameters| parameters.mode);

        assert!(mode(0)? == Mode::Unicast);
        assert!(mode(channel_flags::BROADCAST)? == Mode::Broadcast);
        assert!(mode(channel_flags::MULTICAST)? == Mode::Multicast);
        assert!(mode(channel_flags::MULTICAST | channel_flags::PRIVATE)? == Mode::Multicast);
        assert!(refused(request(
            channel_flags::BROADCAST | channel_flags::MULTICAST
        )));
        assert!(!Parameters::new(&request(0))?.private);
        assert!(Parameters::new(&request(channel_flags::PRIVATE))?.private);
        Ok(())
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for bit in 4..32 {
            assert!(refused(request(1 << bit)));
        }
        for at in 0..3 {
            let mut request = request(0);

            request.reserved[at] = 1;
            assert!(refused(request));
        }
    }

    #[test]
    fn entries_are_a_power_of_two() {
        for bit in 0..32 {
            let ring_entries = 1 << bit;
            let with = |ring_entries| ChannelCreate {
                ring_entries,
                ..request(0)
            };

            assert_eq!(
                refused(with(ring_entries)),
                ring_entries > uapi::MAX_RING_ENTRIES
            );
            assert!(refused(with(ring_entries | 1 << ((bit + 1) % 32))));
        }
        assert!(refused(ChannelCreate {
            ring_entries: 0,
            ..request(0)
        }));
    }

    #[test]
    fn message_size_is_bounded() {
        let with = |max_msg_size| ChannelCreate {
            max_msg_size,
            ..request(0)
        };

        assert!(refused(with(0)));
        assert!(!refused(with(1)));
        assert!(!refused(with(uapi::MAX_MSG_SIZE)));
        assert!(refused(with(uapi::MAX_MSG_SIZE + 1)));
        assert!(refused(with(u32::MAX)));
    }

    #[test]
    fn region_fits_its_size() {
        assert!(refused(ChannelCreate {
            ring_entries: uapi::MAX_RING_ENTRIES,
            max_msg_size: uapi::MAX_MSG_SIZE,
            ..request(0)
        }));
        // 2^31 bytes of payload alone, and the largest that is less.
        let with = |ring_entries| ChannelCreate {
            ring_entries,
            max_msg_size: uapi::MAX_MSG_SIZE,
            ..request(0)
        };

        assert!(refused(with(1 << 11)));
        assert!(!refused(with(1 << 10)));
        assert!(Layout::<Slot>::new(3, 1).is_none());
        assert!(Layout::<Slot>::new(1 << 63, 1).is_none());
        assert!(Layout::<Slot>::new(1, usize::MAX).is_none());
        assert!(Layout::<Slot>::new(1 << 57, 64).is_none());
    }

    #[test]
    fn parts_of_a_region_lie_apart() -> Result {
        for (entries, size) in [(1, 1), (1, 64), (4, 65), (64, 4096), (1024, 100)] {
            let layout = Layout::<Slot>::new(entries, size).ok_or(EINVAL)?;

            assert!(size_of::<crate::ring::Header>() <= Layout::<Slot>::SLOTS);
            assert!(Layout::<Slot>::SLOTS + entries * size_of::<Slot>() <= layout.cells());
            assert!(layout.stride() >= size && layout.stride() % 64 == 0);
            assert!(layout.cells() + entries * layout.stride() <= layout.size());
            assert!(layout.cells() % 4096 == 0 && layout.size() % 4096 == 0);
        }
        Ok(())
    }
}
