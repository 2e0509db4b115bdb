// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of arrays that wrap.

use super::*;

#[kunit_tests(io_uring_ipc_wrapping_array)]
mod suite {
    use super::*;

    #[test]
    fn length_is_a_power_of_two() {
        for len in [0, 3, 12] {
            assert_eq!(WrappingArray::new(len, || 0).err(), Some(EINVAL));
        }
        assert!(WrappingArray::new(1, || 0).is_ok_and(|array| array.len() == 1));
    }

    #[test]
    fn index_wraps() -> Result {
        let mut array = WrappingArray::new(4, || 0)?;

        for index in 0..4 {
            *array.at_mut(index + 8) = index;
        }
        assert_eq!(*array.at(3), 3);
        assert_eq!(*array.at(4), 0);
        assert_eq!(*array.at(usize::MAX), 3);
        assert!(array.into_iter().eq(0..4));
        Ok(())
    }
}
