// SPDX-License-Identifier: GPL-2.0

//! Where receivers put messages: they are looked at, counted and forgotten.

use crate::board::{Board, Progress};
use crate::clock::now_ns;
use crate::payload;
use crate::work::Fanout;
use std::sync::atomic::{AtomicU64, Ordering};

/// A receiver's messages.
pub struct Sink<'a> {
    board: &'a Board,
    index: usize,
    size: usize,
    /// Whether no message may be missing.
    all: bool,
    next: u64,
    /// From this message on more than the number is looked at.
    look_from: u64,
    /// Where the ages of messages go, in nanoseconds.
    ages: Option<&'a [AtomicU64]>,
    progress: Progress,
}

impl<'a> Sink<'a> {
    /// For receiver `index`. Of a round of whole messages all bytes are compared,
    /// and the numbers alone of others.
    pub fn new(board: &'a Board, index: usize, size: usize, fanout: Fanout) -> Self {
        Self {
            board,
            index,
            size,
            all: fanout != Fanout::Any,
            next: 0,
            look_from: 0,
            ages: None,
            progress: Progress::default(),
        }
    }

    /// Measures how long ago the time in a message's second word was, in rounds
    /// of messages that are not whole. Message 0 would have the first sample.
    pub fn ages(mut self, samples: &'a [AtomicU64]) -> Self {
        self.ages = Some(samples);
        self
    }

    /// Takes a message.
    #[inline]
    pub fn take(&mut self, message: &[u8]) {
        let number = payload::number(message);
        let right = if self.all {
            number == self.next
        } else {
            number >= self.next
        };

        if !right || message.len() != self.size {
            self.board.blame(self.index);
        }
        if number >= self.look_from {
            self.look_at(message, number);
        }
        self.next = number.wrapping_add(1);
        self.progress.new += 1;
        self.progress.sum = self.progress.sum.wrapping_add(number);
        self.progress.squares = self
            .progress
            .squares
            .wrapping_add(number.wrapping_mul(number));
    }

    #[cold]
    fn look_at(&mut self, message: &[u8], number: u64) {
        let (whole, end) = self.board.round();

        if whole {
            if !payload::is_right(message, number) {
                self.board.blame(self.index);
            }
        } else if let Some(samples) = self.ages {
            let age = now_ns().saturating_sub(payload::number(&message[8..]));
            if let Some(sample) = samples.get(number as usize) {
                sample.store(age, Ordering::Relaxed);
            }
        } else {
            self.look_from = end;
        }
    }

    /// Tells the others about what was taken.
    #[inline]
    pub fn publish(&mut self) {
        if self.progress.new != 0 {
            self.progress.count += self.progress.new;
            self.board.publish(self.index, self.progress);
            self.progress.new = 0;
        }
    }
}
