// SPDX-License-Identifier: GPL-2.0

//! What is in a message: its number, and bytes that follow from it.

/// Bytes of the number that a message starts with.
pub const NUMBER: usize = 8;

/// The word that message `number` has at word `index`.
fn word(number: u64, index: usize) -> u64 {
    match index {
        0 => number,
        // A word that is shifted, left over from another message, or zero does
        // not look right.
        _ => (number ^ (index as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// The number that the message says it has.
#[inline]
pub fn number(message: &[u8]) -> u64 {
    match message.first_chunk::<NUMBER>() {
        Some(number) => u64::from_ne_bytes(*number),
        None => u64::MAX,
    }
}

/// Writes the whole of message `number`.
pub fn fill(message: &mut [u8], number: u64) {
    for (index, chunk) in message.chunks_mut(NUMBER).enumerate() {
        chunk.copy_from_slice(&word(number, index).to_ne_bytes()[..chunk.len()]);
    }
}

/// Whether this is message `number`, every byte of it.
pub fn is_right(message: &[u8], number: u64) -> bool {
    message
        .chunks(NUMBER)
        .enumerate()
        .all(|(index, chunk)| *chunk == word(number, index).to_ne_bytes()[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for size in [8, 9, 64, 1000] {
            let mut message = vec![0; size];

            fill(&mut message, 77);
            assert_eq!(number(&message), 77);
            assert!(is_right(&message, 77));
            assert!(!is_right(&message, 78));
            for byte in 0..size {
                message[byte] ^= 1;
                assert!(!is_right(&message, 77));
                message[byte] ^= 1;
            }
        }
    }
}
