// SPDX-License-Identifier: GPL-2.0

//! Sorted maps.

use crate::{alloc::Flags, error::Result};
use std::{collections::BTreeMap, marker::PhantomData};

/// A sorted map.
#[derive(Debug)]
pub struct RBTree<K, V>(BTreeMap<K, V>);

impl<K: Ord, V> RBTree<K, V> {
    /// Nothing.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a node.
    pub fn insert(&mut self, node: RBTreeNode<K, V>) {
        let (key, value) = *node.0;

        self.0.insert(key, value);
    }

    /// Takes a node out.
    pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        self.0
            .remove_entry(key)
            .map(|entry| RBTreeNode(Box::new(entry)))
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    /// The first node that is not before `key`.
    pub fn cursor_lower_bound(&self, key: &K) -> Option<Cursor<'_, K, V>> {
        self.0
            .range(key..)
            .next()
            .map(|(key, value)| Cursor(key, value))
    }
}

impl<K: Ord, V> Default for RBTree<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// A place in a map.
#[derive(Debug)]
pub struct Cursor<'a, K, V>(&'a K, &'a V);

impl<K, V> Cursor<'_, K, V> {
    /// What is there.
    pub fn current(&self) -> (&K, &V) {
        (self.0, self.1)
    }
}

/// A node.
#[derive(Debug)]
pub struct RBTreeNode<K, V>(Box<(K, V)>);

/// Memory for a node.
#[derive(Debug)]
pub struct RBTreeNodeReservation<K, V>(PhantomData<(K, V)>);

impl<K, V> RBTreeNodeReservation<K, V> {
    /// Allocates it.
    pub fn new(_flags: Flags) -> Result<Self> {
        Ok(Self(PhantomData))
    }

    /// Makes a node of it.
    pub fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
        RBTreeNode(Box::new((key, value)))
    }
}
