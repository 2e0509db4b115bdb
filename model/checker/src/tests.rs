// SPDX-License-Identifier: GPL-2.0

//! What the checker is relied on for.

use crate::{
    atomic::{fence, AtomicU32, Ordering::*},
    check, thread, Depth,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// All results that a test has in the orders that are tried.
fn results<T: Ord + Send + 'static>(test: impl Fn() -> T + Send + Sync + 'static) -> BTreeSet<T> {
    let results = Arc::new(Mutex::new(BTreeSet::new()));
    let inner = results.clone();

    check(Depth::Exhaustive, move || {
        inner.lock().unwrap().insert(test());
    });
    let results = std::mem::take(&mut *results.lock().unwrap());
    results
}

/// A thread's own load hides no order of its store.
#[test]
fn a_load_hides_no_order() {
    let found = results(|| {
        let word = Arc::new(AtomicU32::new(0));
        let other = word.clone();
        let other = thread::spawn(move || {
            other.load(Relaxed);
            other.store(1, Relaxed);
        });
        let seen = word.load(Relaxed);

        other.join().unwrap();
        seen
    });

    assert_eq!(found, [0, 1].into());
}

/// Two threads that store one word and load the other's.
fn store_buffering(barrier: bool) -> BTreeSet<(u32, u32)> {
    results(move || {
        let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let run = move |words: &[AtomicU32; 2], own: usize| {
            words[own].store(1, Relaxed);
            if barrier {
                fence(SeqCst);
            }
            words[1 - own].load(Relaxed)
        };
        let other = words.clone();
        let other = thread::spawn(move || run(&other, 1));
        let own = run(&words, 0);

        (own, other.join().unwrap())
    })
}

/// With full barriers between, one of them sees the other.
#[test]
fn a_full_barrier_is_one() {
    assert!(!store_buffering(true).contains(&(0, 0)));
}

/// Without, neither may.
#[cfg(not(feature = "shuttle"))]
#[test]
fn loads_may_be_old() {
    assert!(store_buffering(false).contains(&(0, 0)));
}
