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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    fn message(number: u64) -> Vec<u8> {
        let mut message = vec![0; SIZE];

        payload::fill(&mut message, number);
        message
    }

    /// What is wrong when each receiver has got these; 4 were sent, of which the first
    /// two are whole.
    fn wrong(fanout: Fanout, received: &[&[Vec<u8>]]) -> Option<String> {
        let board = Board::new(received.len(), fanout).unwrap();
        let mut sinks: Vec<_> = (0..received.len())
            .map(|index| Sink::new(&board, index, SIZE, fanout))
            .collect();

        for (end, whole) in [(2, true), (4, false)] {
            board.begin(end, whole);
            for (sink, messages) in sinks.iter_mut().zip(received) {
                let of_round = |message: &&Vec<u8>| (payload::number(message) < 2) == whole;

                messages
                    .iter()
                    .filter(of_round)
                    .for_each(|message| sink.take(message));
                sink.publish();
            }
        }
        board.mismatch(4)
    }

    fn messages(numbers: &[u64]) -> Vec<Vec<u8>> {
        numbers.iter().copied().map(message).collect()
    }

    #[test]
    fn what_was_sent_is_right() {
        let all = messages(&[0, 1, 2, 3]);

        assert_eq!(wrong(Fanout::One, &[&all]), None);
        assert_eq!(wrong(Fanout::Each, &[&all, &all]), None);
        let (some, others) = (messages(&[0, 3]), messages(&[1, 2]));
        assert_eq!(wrong(Fanout::Any, &[&some, &others]), None);
    }

    #[test]
    fn one_message_makes_it_wrong() {
        for numbers in [
            // Lost, doubled, another one instead, and swapped.
            &[0, 1, 3][..],
            &[0, 1, 2, 2, 3],
            &[0, 1, 2, 4],
            &[0, 1, 3, 2],
            &[1, 0, 2, 3],
        ] {
            let all = messages(&[0, 1, 2, 3]);
            let bad = messages(numbers);

            assert!(wrong(Fanout::One, &[&bad]).is_some(), "{numbers:?}");
            assert!(wrong(Fanout::Each, &[&all, &bad]).is_some(), "{numbers:?}");
            assert!(wrong(Fanout::Any, &[&bad, &[]]).is_some(), "{numbers:?}");
        }
        let twice = messages(&[0, 1]);
        assert!(wrong(Fanout::Any, &[&twice, &messages(&[1, 2, 3])]).is_some());
        assert!(wrong(Fanout::Any, &[&twice, &messages(&[2])]).is_some());
    }

    #[test]
    fn every_byte_of_a_whole_message_counts() {
        for byte in [8, SIZE - 1] {
            let mut bad = messages(&[0, 1, 2, 3]);

            bad[1][byte] ^= 1;
            assert!(wrong(Fanout::One, &[&bad]).is_some(), "byte {byte}");
        }
        for len in [SIZE - 1, 8] {
            let mut bad = messages(&[0, 1, 2, 3]);

            bad[3].truncate(len);
            assert!(wrong(Fanout::One, &[&bad]).is_some(), "{len} bytes");
        }
    }
}
