// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the table from ids to things.

use super::*;

const SMALLEST: u32 = IdTable::<u32>::SMALLEST as u32;

/// A table of `ids`, each with its double.
fn table(ids: impl IntoIterator<Item = u32>) -> Result<IdTable<u32>> {
    let mut table = IdTable::new()?;

    for id in ids {
        table.reserve()?;
        table.insert(id, id.wrapping_mul(2));
    }
    Ok(table)
}

#[kunit_tests(io_uring_ipc_id_table)]
mod suite {
    use super::*;

    #[test]
    fn empty_table_has_nothing() -> Result {
        let mut table = table([])?;

        assert_eq!(table.len(), 0);
        assert_eq!(table.get(1), None);
        assert_eq!(table.get(0), None);
        assert_eq!(table.remove(1), None);
        assert_eq!(table.len(), 0);
        assert!(table.iter().next().is_none());
        Ok(())
    }

    #[test]
    fn table_grows() -> Result {
        let table = table(1..=1000)?;

        assert_eq!(table.len(), 1000);
        // One place in four is free: a search ends.
        assert!(table.places.len() * 3 >= 1000 * 4 - 4);
        for id in 1..=1000 {
            assert_eq!(table.get(id), Some(&(id * 2)));
        }
        assert_eq!(table.get(1001), None);
        assert_eq!(table.iter().count(), 1000);
        Ok(())
    }

    #[test]
    fn same_place_is_shared_round_the_end() -> Result {
        // All of these belong at the last place.
        let ids = [1, 2, 3, 4].map(|lap| lap * SMALLEST - 1);
        let table = table(ids)?;

        assert_eq!(table.places.len(), SMALLEST as usize);
        for id in ids {
            assert_eq!(table.get(id), Some(&(id * 2)));
        }
        assert_eq!(table.get(5 * SMALLEST - 1), None);
        Ok(())
    }

    #[test]
    fn what_lies_behind_is_found_after_a_removal() -> Result {
        let ids = [7, 15, 1, 23, 2];

        for gone in ids {
            let mut table = table(ids)?;

            assert_eq!(table.remove(gone), Some(gone * 2));
            assert_eq!(table.remove(gone), None);
            assert_eq!(table.len(), ids.len() - 1);
            for id in ids {
                assert_eq!(table.get(id).is_some(), id != gone);
            }
        }
        Ok(())
    }

    #[test]
    fn largest_id_is_as_good() -> Result {
        let mut table = table([u32::MAX, i32::MAX as u32])?;

        assert_eq!(table.get(u32::MAX), Some(&(u32::MAX - 1)));
        assert_eq!(table.remove(u32::MAX), Some(u32::MAX - 1));
        assert!(table.get(i32::MAX as u32).is_some());
        Ok(())
    }
}
