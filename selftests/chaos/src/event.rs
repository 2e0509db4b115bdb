// SPDX-License-Identifier: GPL-2.0

//! What a process tells of itself, before it does something and after.

use crate::message::{Number, Received};
use crate::shared::Record;
use anyhow::{Context, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has made a channel.
    Created { channel: u32, entry: u32 },
    /// It is a subscriber, which receives from `cursor` on; a lossy one that had lost so many
    /// messages before it looked.
    Attached {
        subscriber: u32,
        channel: u32,
        cursor: u64,
        lossy: Option<u64>,
    },
    /// It is about to leave, or to be made to.
    Detaching { subscriber: u32 },
    /// It is about to send.
    Sending {
        number: Number,
        channel: u32,
        target: u32,
    },
    /// The kernel has said what became of that.
    Sent { number: Number, good: bool },
    /// The kernel is about to get this buffer for a message.
    Lent { buffer: u32, subscriber: u32 },
    /// A message is in it.
    Got { buffer: u32, received: Received },
    /// It is the process's again, without a message.
    Back { buffer: u32 },
    /// There is nothing more for this subscriber, which has lost so many messages, and everybody
    /// has ended sending.
    Drained { subscriber: u32, lost: u64 },
    /// It is there, and nothing of the life before is left.
    Started { life: u32 },
}

impl Event {
    pub fn record(self) -> Record {
        let two = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);

        match self {
            Event::Created { channel, entry } => [1, two(channel, entry), 0, 0],
            Event::Attached {
                subscriber,
                channel,
                cursor,
                lossy,
            } => [
                2,
                two(subscriber, channel),
                cursor,
                lossy.map_or(0, |lost| lost << 1 | 1),
            ],
            Event::Detaching { subscriber } => [3, two(subscriber, 0), 0, 0],
            Event::Sending {
                number,
                channel,
                target,
            } => [4, two(channel, target), number.bits(), 0],
            Event::Sent { number, good } => [5, good.into(), number.bits(), 0],
            Event::Lent { buffer, subscriber } => [6, two(buffer, subscriber), 0, 0],
            Event::Got { buffer, received } => [
                7,
                two(buffer, received.sender),
                received.number.bits(),
                received.position << 1 | u64::from(received.has_lost),
            ],
            Event::Back { buffer } => [8, two(buffer, 0), 0, 0],
            Event::Drained { subscriber, lost } => [9, two(subscriber, 0), lost, 0],
            Event::Started { life } => [10, two(life, 0), 0, 0],
        }
    }

    pub fn from_record(record: Record) -> Result<Self> {
        let [kind, words, third, fourth] = record;
        let (high, low) = ((words >> 32) as u32, words as u32);
        let number = || Number::from_bits(third).context("no message's number");

        Ok(match kind {
            1 => Event::Created {
                channel: high,
                entry: low,
            },
            2 => Event::Attached {
                subscriber: high,
                channel: low,
                cursor: third,
                lossy: (fourth & 1 != 0).then_some(fourth >> 1),
            },
            3 => Event::Detaching { subscriber: high },
            4 => Event::Sending {
                number: number()?,
                channel: high,
                target: low,
            },
            5 => Event::Sent {
                number: number()?,
                good: low != 0,
            },
            6 => Event::Lent {
                buffer: high,
                subscriber: low,
            },
            7 => Event::Got {
                buffer: high,
                received: Received {
                    number: number()?,
                    position: fourth >> 1,
                    has_lost: fourth & 1 != 0,
                    sender: low,
                },
            },
            8 => Event::Back { buffer: high },
            9 => Event::Drained {
                subscriber: high,
                lost: third,
            },
            10 => Event::Started { life: high },
            _ => anyhow::bail!("a journal with a record {record:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let number = Number::new(1, 2, 3);
        let received = Received {
            number,
            position: 1 << 40,
            has_lost: true,
            sender: 9,
        };
        let (channel, subscriber, buffer) = (70, u32::MAX, 63);

        for event in [
            Event::Created { channel, entry: 3 },
            Event::Attached {
                subscriber,
                channel,
                cursor: 1 << 50,
                lossy: Some(1 << 33),
            },
            Event::Detaching { subscriber },
            Event::Sending {
                number,
                channel,
                target: 4,
            },
            Event::Sent { number, good: true },
            Event::Lent { buffer, subscriber },
            Event::Got { buffer, received },
            Event::Back { buffer },
            Event::Drained {
                subscriber,
                lost: 1 << 33,
            },
            Event::Started { life: 300 },
        ] {
            assert_eq!(Event::from_record(event.record()).unwrap(), event);
        }
        assert!(Event::from_record([0; 4]).is_err());
    }
}
