// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what a ring remembers.

use super::*;

#[kunit_tests(io_uring_ipc_handles)]
mod suite {
    use super::*;

    #[test]
    fn channels_that_are_gone_are_forgotten() -> Result {
        let mut handles = Handles::new()?;

        for id in 1..=1000 {
            handles.reserve_created()?;
            // Nobody's, as after a DESTROY.
            handles.remember_created(id);
            assert_eq!(handles.created.last(), Some(&id));
            assert!(handles.created.len() <= 8);
        }
        assert!(handles.is_empty());
        Ok(())
    }
}
