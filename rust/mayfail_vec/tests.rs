// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of vectors that may fail.

use super::*;
use kernel::prelude::*;

#[kunit_tests(io_uring_ipc_mayfail_vec)]
mod suite {
    use super::*;

    #[test]
    fn contents_move_with_it() -> Result {
        let mut numbers = MayfailVec::new();

        // From nothing by way of kmalloc() to many pages.
        for number in 0..20_000_u32 {
            numbers.push(number, GFP_KERNEL)?;
        }
        assert_eq!(numbers.len(), 20_000);
        assert!(numbers
            .iter()
            .enumerate()
            .all(|(at, &number)| at == number as usize));
        Ok(())
    }

    #[test]
    fn nothing_takes_no_memory() -> Result {
        let nothing = MayfailVec::<u64>::with_capacity(0, GFP_KERNEL)?;
        let units = MayfailVec::<()>::with_capacity(100, GFP_KERNEL)?;

        assert_eq!((nothing.len(), units.len()), (0, 0));
        Ok(())
    }

    #[test]
    fn zeroes_what_it_is_to() -> Result {
        for _ in 0..8 {
            // What was there before is not to be seen.
            for len in [64, 4096, 40_000] {
                let mut dirt = MayfailVec::with_capacity(len, GFP_KERNEL)?;

                for _ in 0..len {
                    dirt.push(0xff_u8, GFP_KERNEL)?;
                }
            }
            let small = Box::<[u8; 64], Mayfail>::zeroed(GFP_KERNEL)?;
            let page = Box::<[u8; 4096], Mayfail>::zeroed(GFP_KERNEL)?;
            let pages = Box::<[u8; 40_000], Mayfail>::zeroed(GFP_KERNEL)?;

            assert!(small.iter().all(|&byte| byte == 0));
            assert!(page.iter().all(|&byte| byte == 0));
            assert!(pages.iter().all(|&byte| byte == 0));
        }
        Ok(())
    }

    #[test]
    fn does_not_sleep_where_it_may_not() {
        assert!(MayfailVec::<u64>::with_capacity(8, GFP_ATOMIC).is_err());
        assert!(MayfailVec::<u64>::with_capacity(8, GFP_NOWAIT).is_err());
    }

    #[test]
    fn too_much_is_refused() {
        assert!(MayfailVec::<u64>::with_capacity(usize::MAX / 16, GFP_KERNEL).is_err());
    }
}
