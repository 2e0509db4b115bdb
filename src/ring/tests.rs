// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what one CPU sees of a ring. All start shortly before 2^32, with four slots.

use super::*;
use kernel::prelude::*;

const ENTRIES: u32 = 4;
const FIRST: u64 = (1 << 32) - 2;
/// Steps that are more than enough.
const MANY: usize = 64;

struct Heap {
    header: Header,
    slots: KVec<Slot>,
}

impl Memory for Heap {
    fn header(&self) -> &Header {
        &self.header
    }

    fn slot(&self, position: u64) -> &Slot {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }
}

fn ring(sharing: Sharing) -> Result<Ring<Heap>> {
    let mut slots = KVec::new();

    for _ in 0..ENTRIES {
        slots.push(pin_init::zeroed(), GFP_KERNEL)?;
    }
    let heap = Heap {
        header: pin_init::zeroed(),
        slots,
    };

    Ok(Ring::new(heap, ENTRIES, sharing, FIRST))
}

fn cursor() -> Word64 {
    Word64::new(FIRST)
}

/// Sends a message to `target`, or to all; `None` where the ring is full.
fn send(ring: &Ring<Heap>, target: u32) -> Option<u64> {
    let claim = ring.claim()?;
    let position = claim.position();

    claim.publish(&record(position, target));
    Some(position)
}

fn record(position: u64, target: u32) -> Record {
    Record {
        sender_data: !position,
        len: position as u32 & 0xff,
        target,
        sender_id: 7,
    }
}

/// The position of the next message for receiver `id`.
fn next(ring: &Ring<Heap>, cursor: &Word64, id: u32) -> Option<u64> {
    ring.find(cursor, id).map(Found::position)
}

/// Takes and finishes the next message for receiver `id`.
fn receive(ring: &Ring<Heap>, cursor: &Word64, id: u32) -> Option<u64> {
    let found = ring.find(cursor, id)?;

    found.take(cursor)?.done();
    Some(found.position())
}

#[kunit_tests(io_uring_ipc_ring)]
mod suite {
    use super::*;

    #[test]
    fn new_ring_is_empty() -> Result {
        let ring = ring(Sharing::Competing)?;

        assert_eq!(ring.head(), FIRST);
        assert_eq!(ring.tail(), FIRST);
        assert_eq!(ring.room(), ENTRIES);
        assert_eq!(next(&ring, &cursor(), 1), None);
        // Also for a cursor from before the first message.
        assert_eq!(next(&ring, &Word64::new(0), 1), None);
        Ok(())
    }

    #[test]
    fn ring_fills_up() -> Result {
        let ring = ring(Sharing::Competing)?;

        for at in 0..u64::from(ENTRIES) {
            assert_eq!(ring.room(), ENTRIES - at as u32);
            assert_eq!(send(&ring, 0), Some(FIRST + at));
        }
        assert_eq!(ring.room(), 0);
        assert_eq!(send(&ring, 0), None);
        assert_eq!(ring.tail(), FIRST + u64::from(ENTRIES));
        Ok(())
    }

    #[test]
    fn messages_come_in_order_for_many_laps() -> Result {
        let ring = ring(Sharing::Competing)?;
        let cursor = cursor();

        for position in FIRST..FIRST + 20 {
            assert_eq!(send(&ring, 0), Some(position));
            let Some(found) = ring.find(&cursor, 1) else {
                return Err(ENOENT);
            };
            let (got, sent) = (found.record(), record(position, 0));

            assert_eq!(found.position(), position);
            assert_eq!(found.len(), sent.len);
            assert_eq!(got.sender_data, sent.sender_data);
            assert_eq!(got.target, 0);
            assert_eq!(got.sender_id, sent.sender_id);
            assert_eq!(receive(&ring, &cursor, 1), Some(position));
            ring.reclaim_taken(MANY, |_| false);
            assert_eq!(ring.room(), ENTRIES);
        }
        assert_eq!(next(&ring, &cursor, 1), None);
        Ok(())
    }

    #[test]
    fn receivers_stop_at_the_window() -> Result {
        let ring = ring(Sharing::Competing)?;
        let cursor = cursor();
        let claim = ring.claim().ok_or(ENOSPC)?;

        assert_eq!(ring.publish_uncovers(FIRST), false);
        assert_eq!(send(&ring, 0), Some(FIRST + 1));
        assert_eq!(next(&ring, &cursor, 1), None);
        claim.publish(&record(FIRST, 0));
        assert_eq!(ring.publish_uncovers(FIRST), true);
        assert_eq!(ring.publish_uncovers(FIRST + 1), false);
        assert_eq!(next(&ring, &cursor, 1), Some(FIRST));
        Ok(())
    }

    #[test]
    fn window_is_uncovered_though_the_next_slot_was_reused() -> Result {
        let ring = ring(Sharing::Broadcast)?;

        for _ in 0..2 {
            while send(&ring, 0).is_some() {}
            ring.reclaim_passed(MANY, None);
        }
        assert_eq!(ring.publish_uncovers(FIRST), true);
        Ok(())
    }

    #[test]
    fn dropped_claims_are_skipped() -> Result {
        let ring = ring(Sharing::Competing)?;
        let cursor = cursor();

        drop(ring.claim());
        assert_eq!(next(&ring, &cursor, 1), None);
        assert_eq!(cursor.load_relaxed(), FIRST + 1);
        assert_eq!(send(&ring, 0), Some(FIRST + 1));
        assert_eq!(next(&ring, &cursor, 1), Some(FIRST + 1));
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST + 1);
        Ok(())
    }

    #[test]
    fn targeted_messages_are_for_their_target() -> Result {
        for sharing in [Sharing::Competing, Sharing::Broadcast] {
            let ring = ring(sharing)?;
            let (one, two) = (cursor(), cursor());

            assert_eq!(send(&ring, 2), Some(FIRST));
            assert_eq!(next(&ring, &one, 1), None);
            assert_eq!(one.load_relaxed(), FIRST + 1);
            assert_eq!(next(&ring, &two, 2), Some(FIRST));
            assert_eq!(two.load_relaxed(), FIRST);
        }
        Ok(())
    }

    #[test]
    fn broadcast_is_passed_once_with_each_cursor() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursors = [cursor(), cursor()];

        assert_eq!(send(&ring, 0), Some(FIRST));
        for cursor in &cursors {
            assert_eq!(next(&ring, cursor, 1), Some(FIRST));
            assert_eq!(ring.pass(cursor, FIRST), true);
            assert_eq!(ring.pass(cursor, FIRST), false);
            assert_eq!(next(&ring, cursor, 1), None);
        }
        Ok(())
    }

    #[test]
    fn broadcast_is_held_until_the_slowest_has_passed() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursor = cursor();

        while send(&ring, 0).is_some() {}
        ring.reclaim_passed(MANY, Some(FIRST));
        assert_eq!(ring.room(), 0);
        assert_eq!(ring.still_held(FIRST), true);
        assert_eq!(ring.pass(&cursor, FIRST), true);
        ring.reclaim_passed(MANY, Some(cursor.load_relaxed()));
        assert_eq!(ring.room(), 1);
        assert_eq!(ring.still_held(FIRST), false);
        assert_eq!(ring.still_held(FIRST + 1), true);
        // Whoever comes with an older cursor does not move the head back.
        ring.reclaim_passed(MANY, Some(FIRST));
        assert_eq!(ring.head(), FIRST + 1);
        // Nor does one that is ahead of all messages move it past them.
        ring.reclaim_passed(MANY, Some(FIRST + 100));
        assert_eq!(ring.head(), ring.tail());
        Ok(())
    }

    #[test]
    fn broadcast_without_receivers_is_held_until_published() -> Result {
        let ring = ring(Sharing::Broadcast)?;

        assert_eq!(send(&ring, 0), Some(FIRST));
        let claim = ring.claim().ok_or(ENOSPC)?;

        assert_eq!(send(&ring, 0), Some(FIRST + 2));
        ring.reclaim_passed(MANY, None);
        assert_eq!(ring.head(), FIRST + 1);
        claim.publish(&record(FIRST + 1, 0));
        ring.reclaim_passed(MANY, None);
        assert_eq!(ring.head(), FIRST + 3);
        Ok(())
    }

    #[test]
    fn reclaiming_looks_at_so_many_slots() -> Result {
        let (broadcast, competing) = (ring(Sharing::Broadcast)?, ring(Sharing::Competing)?);
        let cursor = cursor();

        while send(&broadcast, 0).is_some() {}
        broadcast.reclaim_passed(2, None);
        assert_eq!(broadcast.head(), FIRST + 2);

        while send(&competing, 0).is_some() {}
        while receive(&competing, &cursor, 1).is_some() {}
        competing.reclaim_taken(2, |_| false);
        assert_eq!(competing.head(), FIRST + 2);
        competing.reclaim_taken(MANY, |_| false);
        assert_eq!(competing.head(), competing.tail());
        Ok(())
    }

    #[test]
    fn one_receiver_takes_a_message() -> Result {
        let ring = ring(Sharing::Competing)?;
        let (one, two) = (cursor(), cursor());

        assert_eq!(send(&ring, 0), Some(FIRST));
        let found = ring.find(&one, 1).ok_or(ENOENT)?;
        let taken = found.take(&one).ok_or(EBUSY)?;

        assert!(found.take(&two).is_none());
        assert_eq!(next(&ring, &two, 2), None);
        // It may come back: neither the second cursor nor the head goes past it.
        assert_eq!(two.load_relaxed(), FIRST);
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST);
        taken.done();
        assert_eq!(next(&ring, &two, 2), None);
        assert_eq!(two.load_relaxed(), FIRST + 1);
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST + 1);
        Ok(())
    }

    #[test]
    fn message_given_back_is_for_all_again() -> Result {
        let ring = ring(Sharing::Competing)?;
        let (one, two) = (cursor(), cursor());

        assert_eq!(send(&ring, 0), Some(FIRST));
        assert_eq!(send(&ring, 0), Some(FIRST + 1));
        let taken = ring.find(&one, 1).ok_or(ENOENT)?.take(&one).ok_or(EBUSY)?;

        // The search goes on behind what is taken.
        assert_eq!(next(&ring, &two, 2), Some(FIRST + 1));
        assert_eq!(receive(&ring, &two, 2), Some(FIRST + 1));
        drop(taken);
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST);
        assert_eq!(receive(&ring, &two, 2), Some(FIRST));
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST + 2);
        Ok(())
    }

    #[test]
    fn late_receiver_does_not_take_what_it_has_not_seen() -> Result {
        let ring = ring(Sharing::Competing)?;
        let (slow, fast) = (cursor(), cursor());

        assert_eq!(send(&ring, 0), Some(FIRST));
        let late = ring.find(&slow, 1).ok_or(ENOENT)?;

        // A lap later there is another message in the same slot.
        for position in FIRST..FIRST + u64::from(ENTRIES) {
            assert_eq!(receive(&ring, &fast, 2), Some(position));
            ring.reclaim_taken(MANY, |_| false);
            assert_eq!(send(&ring, 0), Some(position + 1));
        }
        assert!(late.take(&slow).is_none());
        assert_eq!(next(&ring, &slow, 1), Some(FIRST + u64::from(ENTRIES)));
        Ok(())
    }

    #[test]
    fn messages_for_the_gone_are_given_up() -> Result {
        let ring = ring(Sharing::Competing)?;
        let (one, two) = (cursor(), cursor());

        assert_eq!(send(&ring, 1), Some(FIRST));
        assert_eq!(send(&ring, 2), Some(FIRST + 1));
        ring.reclaim_taken(MANY, |_| false);
        assert_eq!(ring.head(), FIRST);
        let late = ring.find(&one, 1).ok_or(ENOENT)?;

        ring.reclaim_taken(MANY, |id| id == 1);
        assert_eq!(ring.head(), FIRST + 1);
        assert!(late.take(&one).is_none());
        // Not what somebody is reading.
        let taken = ring.find(&two, 2).ok_or(ENOENT)?.take(&two).ok_or(EBUSY)?;

        ring.reclaim_taken(MANY, |_| true);
        assert_eq!(ring.head(), FIRST + 1);
        drop(taken);
        // Not what is for all.
        assert_eq!(receive(&ring, &two, 2), Some(FIRST + 1));
        assert_eq!(send(&ring, 0), Some(FIRST + 2));
        ring.reclaim_taken(MANY, |_| true);
        assert_eq!(ring.head(), FIRST + 2);
        Ok(())
    }

    #[test]
    fn cursor_left_behind_goes_on_at_the_head() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursor = cursor();

        for _ in 0..3 {
            while send(&ring, 0).is_some() {}
            ring.reclaim_passed(MANY, None);
        }
        assert_eq!(send(&ring, 0), Some(FIRST + 12));
        assert_eq!(next(&ring, &cursor, 1), Some(FIRST + 12));
        assert_eq!(cursor.load_relaxed(), FIRST + 12);
        Ok(())
    }

    #[test]
    fn cursor_is_moved_by_so_many_slots() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursor = cursor();

        for _ in 0..3 {
            assert!(send(&ring, 2).is_some());
        }
        assert_eq!(send(&ring, 1), Some(FIRST + 3));
        ring.advance(&cursor, 1, 2);
        assert_eq!(cursor.load_relaxed(), FIRST + 2);
        // Not past what is for this receiver, however far.
        ring.advance(&cursor, 1, 100);
        assert_eq!(cursor.load_relaxed(), FIRST + 3);
        Ok(())
    }

    #[test]
    fn words_only_go_up() {
        let word = Word64::new(5);

        word.raise(4);
        assert_eq!(word.load_relaxed(), 5);
        word.raise(6);
        assert_eq!(word.load_relaxed(), 6);
        assert_eq!(word.replace(5, 9), false);
        assert_eq!(word.load_relaxed(), 6);
        word.raise(u64::MAX);
        assert_eq!(word.load_relaxed(), u64::MAX);
    }

    #[test]
    fn overrun_counts_what_is_for_the_receiver() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursor = cursor();

        assert_eq!(send(&ring, 1), Some(FIRST));
        assert_eq!(send(&ring, 2), Some(FIRST + 1));
        // One that is skipped.
        drop(ring.claim());
        assert_eq!(send(&ring, 0), Some(FIRST + 3));
        assert_eq!(ring.reclaimable(MANY, Some(FIRST + 3)), FIRST + 3);
        assert_eq!(ring.overrun(&cursor, 1, FIRST + 3, &|_| ()), 1);
        assert_eq!(cursor.load_relaxed(), FIRST + 3);
        // Who is past it already loses nothing.
        assert_eq!(ring.overrun(&cursor, 1, FIRST + 2, &|_| ()), 0);
        assert_eq!(cursor.load_relaxed(), FIRST + 3);
        Ok(())
    }

    #[test]
    fn overrun_does_not_count_what_was_passed_meanwhile() -> Result {
        let ring = ring(Sharing::Broadcast)?;
        let cursor = cursor();

        for _ in 0..ENTRIES {
            send(&ring, 0);
        }
        // The receiver is as fast once.
        let lost = ring.overrun(&cursor, 1, FIRST + 3, &|announced| {
            if announced == 3 {
                assert!(ring.pass(&cursor, FIRST));
            }
        });

        assert_eq!(lost, 2);
        assert_eq!(cursor.load_relaxed(), FIRST + 3);
        Ok(())
    }

    #[test]
    fn room_behind_a_receiver() -> Result {
        let ring = ring(Sharing::Broadcast)?;

        for _ in 0..ENTRIES {
            send(&ring, 0);
        }
        assert_eq!(ring.room_behind(Some(FIRST)), 0);
        assert_eq!(ring.room_behind(Some(FIRST + 3)), 3);
        assert_eq!(ring.room_behind(None), ENTRIES);
        ring.reclaim_to(FIRST + 1);
        let claim = ring.claim();
        assert_eq!(ring.room_behind(Some(FIRST + 1)), 0);
        drop(claim);
        Ok(())
    }
}
