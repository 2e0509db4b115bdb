// SPDX-License-Identifier: GPL-2.0

//! Messages that can be told apart, and seen to be whole.

use anyhow::{ensure, Context, Result};
use io_uring_ipc::abi::{self, MsgHdr};

/// What a receive writes before the payload.
pub const HEADER_LEN: usize = size_of::<MsgHdr>();

/// A message's number: who sent it, in which life, and which one of that life it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(u64);

const MARK: u64 = 0xc4;

impl Number {
    pub fn new(slot: usize, life: u32, count: u32) -> Self {
        Self(MARK << 56 | (slot as u64) << 48 | u64::from(life & 0xffff) << 32 | u64::from(count))
    }

    /// The number that an SQE or a journal has.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits >> 56 == MARK).then_some(Self(bits))
    }

    pub fn bits(self) -> u64 {
        self.0
    }

    /// Slot and life of who sent it.
    pub fn sender(self) -> (usize, u32) {
        (
            (self.0 >> 48) as usize & 0xff,
            (self.0 >> 32) as u32 & 0xffff,
        )
    }

    pub fn count(self) -> u32 {
        self.0 as u32
    }

    /// Its payload: every message's differs from every other's.
    pub fn payload(self, len: usize) -> Vec<u8> {
        let mut word = self.0;

        (0..len)
            .map(|_| {
                word = word
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (word >> 56) as u8
            })
            .collect()
    }
}

/// What a receiver has of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub number: Number,
    /// Its position in the channel, from 0.
    pub position: u64,
    /// Whether it says that messages before it have been lost.
    pub has_lost: bool,
    /// The sender's subscriber id, or 0.
    pub sender: u32,
}

/// Looks at what was received; fails where it is not as it was sent.
pub fn check(bytes: &[u8]) -> Result<Received> {
    let (header, payload) = bytes.split_at_checked(HEADER_LEN).context("no header")?;
    let header: MsgHdr = bytemuck::pod_read_unaligned(header);
    let number = Number::from_bits(header.sender_data)
        .with_context(|| format!("not a message of ours: {header:?}"))?;

    ensure!(
        header.len as usize == payload.len(),
        "{} bytes of {header:?}",
        payload.len()
    );
    ensure!(
        header.msg_id > 0 && header.flags == 0,
        "a header that cannot be: {header:?}"
    );
    ensure!(
        payload == number.payload(payload.len()),
        "torn, or another one's: {header:?}"
    );
    Ok(Received {
        number,
        position: header.msg_id - 1,
        has_lost: header.lost != 0,
        sender: header.sender_id,
    })
}

/// Whether it is a notice of who has come or gone; fails where that is not as notices are.
pub fn is_notice(bytes: &[u8]) -> Result<bool> {
    let header = bytes.get(..HEADER_LEN).context("no header")?;
    let header: MsgHdr = bytemuck::pod_read_unaligned(header);

    if header.flags == 0 {
        return Ok(false);
    }
    let expected = MsgHdr {
        flags: header.flags,
        sender_id: header.sender_id,
        pid: header.pid,
        uid: header.uid,
        gid: header.gid,
        ..MsgHdr::default()
    };

    ensure!(
        header.flags == abi::MSG_F_JOIN || header.flags == abi::MSG_F_LEAVE,
        "flags that cannot be: {header:?}"
    );
    ensure!(
        bytes == bytemuck::bytes_of(&expected) && header.sender_id != 0 && header.pid != 0,
        "a notice that cannot be: {header:?}"
    );
    Ok(true)
}

/// The message in a buffer that was cleared before, if one is there.
pub fn find(bytes: &[u8]) -> Option<Result<Received>> {
    let header: MsgHdr = bytemuck::pod_read_unaligned(bytes.get(..HEADER_LEN)?);

    if header.msg_id == 0 {
        return None;
    }
    let end = HEADER_LEN + header.len as usize;

    Some(
        bytes
            .get(..end)
            .context("a message longer than its buffer")
            .and_then(check),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: Number, len: usize) -> Vec<u8> {
        let header = MsgHdr {
            msg_id: 5,
            sender_data: number.bits(),
            len: len as u32,
            sender_id: 3,
            ..MsgHdr::default()
        };

        [bytemuck::bytes_of(&header), &number.payload(len)].concat()
    }

    #[test]
    fn whole_and_torn() {
        let number = Number::new(7, 300, 9);
        let mut bytes = message(number, 100);
        let received = check(&bytes).unwrap();

        assert_eq!((number.sender(), number.count()), ((7, 300), 9));
        assert_eq!((received.number, received.position), (number, 4));
        bytes[120] ^= 1;
        assert!(check(&bytes).is_err());
        assert!(check(&bytes[..140]).is_err());
        assert!(check(&message(Number(1), 0)).is_err());
    }

    #[test]
    fn found_or_not() {
        let mut buffer = message(Number::new(0, 0, 0), 10);

        buffer.resize(4096, 0);
        assert!(find(&buffer).unwrap().is_ok());
        assert!(find(&[0; 4096]).is_none());
    }
}
