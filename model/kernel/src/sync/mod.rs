// SPDX-License-Identifier: GPL-2.0

//! What several threads do at once.

pub mod atomic;
pub mod barrier;

use crate::{alloc::Flags, error::Error};
use checker::Mutex;
use pinned_init::{InPlaceInit, PinInit};
use std::{
    convert::Infallible,
    ops::{Deref, DerefMut},
    pin::Pin,
};

/// A shared reference that counts.
#[derive(Debug)]
pub struct Arc<T>(Pin<std::sync::Arc<T>>);

impl<T> Arc<T> {
    /// Makes the value in its place.
    pub fn pin_init<E>(init: impl PinInit<T, E>, _flags: Flags) -> Result<Self, Error>
    where
        E: From<Infallible>,
        Error: From<E>,
    {
        Ok(Self(InPlaceInit::try_pin_init(init)?))
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A lock. Nobody sleeps or faults while it is held, which the checker does not see.
#[derive(Debug)]
pub struct SpinLock<T>(Mutex<T>);

impl<T> SpinLock<T> {
    /// A lock that nobody holds.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> impl DerefMut<Target = T> + '_ {
        self.0.lock().expect("no test goes on after a panic")
    }
}
