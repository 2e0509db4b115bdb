// SPDX-License-Identifier: GPL-2.0

//! Where receivers put messages: they are looked at, counted and forgotten.

use crate::board::{Board, Progress};
use crate::clock::now_ns;
use crate::payload;
use crate::work::Fanout;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done with a message besides counting.
#[derive(Clone, Copy)]
enum Look<'a> {
    /// Its number is compared.
    Number,
    /// All its bytes are, up to this number.
    Bytes { until: u64 },
    /// How late it is goes to these samples, in nanoseconds.
    Age { samples: &'a [AtomicU64] },
}

/// A receiver's messages.
pub struct Sink<'a> {
    board: &'a Board,
    index: usize,
    size: usize,
    /// Whether no message may be missing.
    all: bool,
    look: Look<'a>,
    next: u64,
    progress: Progress,
}

impl<'a> Sink<'a> {
    /// For receiver `index`. All bytes of the first `verify` messages are
    /// compared, and only the numbers of later ones.
    pub fn new(board: &'a Board, index: usize, size: usize, fanout: Fanout, verify: u64) -> Self {
        Self {
            board,
            index,
            size,
            all: fanout != Fanout::Any,
            look: Look::Bytes { until: verify },
            next: 0,
            progress: Progress::default(),
        }
    }

    /// Measures how long ago the time in a message's second word was.
    pub fn ages(mut self, samples: &'a [AtomicU64]) -> Self {
        self.look = Look::Age { samples };
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
        if !matches!(self.look, Look::Number) {
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
        match self.look {
            Look::Number => {}
            Look::Bytes { until } if number < until => {
                if !payload::is_right(message, number) {
                    self.board.blame(self.index);
                }
            }
            Look::Bytes { .. } => self.look = Look::Number,
            Look::Age { samples } => {
                let age = now_ns().saturating_sub(payload::number(&message[8..]));
                if let Some(sample) = samples.get(number as usize) {
                    sample.store(age, Ordering::Relaxed);
                }
            }
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
