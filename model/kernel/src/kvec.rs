// SPDX-License-Identifier: GPL-2.0

//! Vectors that grow only where they are told to.

use crate::{
    alloc::Flags,
    error::{code::*, Result},
};
use std::ops::{Deref, DerefMut};

/// A vector.
#[derive(Debug)]
pub struct KVec<T>(Vec<T>);

/// The same, for many elements.
pub type KVVec<T> = KVec<T>;

impl<T> KVec<T> {
    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Room for `capacity` elements.
    pub fn with_capacity(capacity: usize, _flags: Flags) -> Result<Self> {
        Ok(Self(Vec::with_capacity(capacity)))
    }

    /// How many it has room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Adds an element.
    pub fn push(&mut self, element: T, _flags: Flags) -> Result {
        self.0.push(element);
        Ok(())
    }

    /// Adds an element if there is room, or returns it.
    pub fn push_within_capacity(&mut self, element: T) -> Result<(), T> {
        if self.0.len() == self.0.capacity() {
            return Err(element);
        }
        self.0.push(element);
        Ok(())
    }

    /// Inserts an element if there is room, or returns it.
    pub fn insert_within_capacity(&mut self, at: usize, element: T) -> Result<(), T> {
        if self.0.len() == self.0.capacity() {
            return Err(element);
        }
        self.0.insert(at, element);
        Ok(())
    }

    /// Takes an element out.
    pub fn remove(&mut self, at: usize) -> Result<T> {
        if at < self.0.len() {
            Ok(self.0.remove(at))
        } else {
            Err(EINVAL)
        }
    }

    /// Takes all elements out.
    pub fn drain_all(&mut self) -> impl Iterator<Item = T> + '_ {
        self.0.drain(..)
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<Vec<T>> for KVec<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

impl<T> IntoIterator for KVec<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
