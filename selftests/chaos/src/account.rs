// SPDX-License-Identifier: GPL-2.0

//! What became of every message: the books that the supervisor keeps from all journals.
//!
//! A message whose send was acknowledged has to be received exactly once where receivers compete,
//! and by every receiver that was there in a broadcast, unless it is a lossy one, which has to tell
//! how many it has not received; a message for one subscriber by that one or, when it has left, by
//! nobody. What was still in the ring at the end counts as received: the
//! supervisor takes it out. A send that failed, or was cancelled, is not received by anybody. A
//! send that its process did not live to hear of may be received or not.

use crate::event::Event;
use crate::message::{Number, Received};
use anyhow::Result;
use std::collections::{HashMap, HashSet};

/// How many complaints are kept.
const MOST_WRONGS: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Send {
    UnderWay,
    Good,
    Failed,
    /// Its process has ended before it knew.
    Unknown,
}

struct Message {
    channel: u32,
    target: u32,
    send: Send,
    /// Who has received it; of a broadcast, how many of the witness and the target.
    copies: u8,
}

#[derive(Default)]
struct Channel {
    broadcast: bool,
    witness: u32,
    sends_under_way: u32,
    subscribers: u32,
    /// Broadcast: which message is where.
    positions: HashMap<u64, Number>,
    closed: bool,
}

struct Subscriber {
    channel: u32,
    /// Where its next message may be.
    next: u64,
    /// Broadcast: what it has passed over, from and up to.
    gaps: Vec<(u64, u64)>,
    here: bool,
    /// A lossy one had lost so many that lie before its first message here.
    lossy: Option<u64>,
    /// How many it has lost, when it has been drained.
    drained: Option<u64>,
}

impl Subscriber {
    fn has_got(&self, position: u64) -> bool {
        let is_there = |&(from, to): &(u64, u64)| (from..to).contains(&position);

        position < self.next && !self.gaps.iter().any(is_there)
    }

    /// Takes a position out of what has been passed over; false if it is not there.
    fn fill(&mut self, position: u64) -> bool {
        let is_there = |&(from, to): &(u64, u64)| (from..to).contains(&position);
        let Some(index) = self.gaps.iter().position(is_there) else {
            return false;
        };
        let (from, to) = self.gaps.swap_remove(index);

        self.gaps.push((from, position));
        self.gaps.push((position + 1, to));
        self.gaps.retain(|(from, to)| from < to);
        true
    }
}

/// A message received.
struct Arrival {
    subscriber: u32,
    received: Received,
    /// Nobody has told of it: it was in a buffer.
    found: bool,
}

/// What one process has under way.
#[derive(Default)]
struct Process {
    subscribers: Vec<u32>,
    sends: Vec<Number>,
    lent: HashMap<u32, u32>,
}

#[derive(Default)]
pub struct Books {
    processes: HashMap<usize, Process>,
    messages: HashMap<(usize, u32), Vec<Message>>,
    channels: HashMap<u32, Channel>,
    subscribers: HashMap<u32, Subscriber>,
    /// Not booked yet: the sender's journal may not be read so far.
    early: Vec<Arrival>,
    wrongs: Vec<String>,
    nr_wrongs: u64,
    received: u64,
}

/// The sum of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub good: u64,
    pub failed: u64,
    /// Sends that nobody lived to hear of, and how many of them were received.
    pub unknown: u64,
    pub unknown_received: u64,
    pub received: u64,
    /// For a subscriber that has left, or is lossy, and not received.
    pub undeliverable: u64,
    pub wrongs: Vec<String>,
    pub nr_wrongs: u64,
}

impl Books {
    fn wrong(&mut self, text: String) {
        self.nr_wrongs += 1;
        if self.wrongs.len() < MOST_WRONGS {
            self.wrongs.push(text);
        }
    }

    /// A channel, before anything is sent to it. `witness` is a subscriber of the supervisor's, or
    /// 0; where `broadcast` there has to be one.
    pub fn open(&mut self, channel: u32, broadcast: bool, witness: u32) {
        let entry = self.channels.entry(channel).or_default();

        entry.broadcast = broadcast;
        entry.witness = witness;
        if witness != 0 {
            self.attached(witness, channel, 0, None);
        }
    }

    /// Counts a subscriber of the supervisor's, or of a process.
    pub fn attached(&mut self, subscriber: u32, channel: u32, cursor: u64, lossy: Option<u64>) {
        self.channels.entry(channel).or_default().subscribers += 1;
        self.subscribers.insert(
            subscriber,
            Subscriber {
                channel,
                next: cursor,
                gaps: Vec::new(),
                here: true,
                lossy,
                drained: None,
            },
        );
    }

    fn left(&mut self, subscriber: u32) {
        let Some(entry) = self.subscribers.get_mut(&subscriber) else {
            return;
        };

        if std::mem::take(&mut entry.here) {
            if let Some(channel) = self.channels.get_mut(&entry.channel) {
                channel.subscribers -= 1;
            }
        }
    }

    /// What the journal of the process in `slot` says.
    pub fn event(&mut self, slot: usize, event: Event) {
        let process = self.processes.entry(slot).or_default();

        match event {
            Event::Attached {
                subscriber,
                channel,
                cursor,
                lossy,
            } => {
                process.subscribers.push(subscriber);
                self.attached(subscriber, channel, cursor, lossy);
            }
            Event::Detaching { subscriber } => self.left(subscriber),
            Event::Sending {
                number,
                channel,
                target,
            } => {
                process.sends.push(number);
                self.channels.entry(channel).or_default().sends_under_way += 1;

                let life = self.messages.entry(number.sender()).or_default();
                let count = life.len();

                life.push(Message {
                    channel,
                    target,
                    send: Send::UnderWay,
                    copies: 0,
                });
                if number.count() as usize != count {
                    self.wrong(format!("the journal of {number:?} has a hole"));
                }
            }
            Event::Sent { number, good } => {
                process.sends.retain(|&other| other != number);
                self.sent(number, if good { Send::Good } else { Send::Failed });
            }
            Event::Lent { buffer, subscriber } => {
                process.lent.insert(buffer, subscriber);
            }
            Event::Got { buffer, received } => match process.lent.remove(&buffer) {
                Some(subscriber) => self.received(subscriber, received),
                None => self.wrong(format!("{received:?} in a buffer that was not lent")),
            },
            Event::Back { buffer } => {
                process.lent.remove(&buffer);
            }
            Event::Drained { subscriber, lost } => {
                if let Some(subscriber) = self.subscribers.get_mut(&subscriber) {
                    subscriber.drained = Some(lost);
                }
            }
            // The supervisor's.
            Event::Created { .. } | Event::Started { .. } => {}
        }
    }

    fn sent(&mut self, number: Number, send: Send) {
        let Some(message) = self.message(number) else {
            return;
        };
        let channel = message.channel;

        message.send = send;
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.sends_under_way -= 1;
        }
    }

    fn message(&mut self, number: Number) -> Option<&mut Message> {
        self.messages
            .get_mut(&number.sender())?
            .get_mut(number.count() as usize)
    }

    /// A message that `subscriber` has received.
    pub fn received(&mut self, subscriber: u32, received: Received) {
        self.arrived(subscriber, received, false);
    }

    fn arrived(&mut self, subscriber: u32, received: Received, found: bool) {
        self.early.push(Arrival {
            subscriber,
            received,
            found,
        });
    }

    /// To be called when every journal has been read. What was received then is in the journal of
    /// its sender as well, but perhaps not yet in what had been read of that.
    pub fn settle(&mut self) {
        // What comes after such a one waits as well: the order counts.
        let mut behind = HashSet::new();

        for arrival in std::mem::take(&mut self.early) {
            let is_known = self.message(arrival.received.number).is_some();

            if behind.contains(&arrival.subscriber) || !is_known {
                behind.insert(arrival.subscriber);
                self.early.push(arrival);
            } else if let Err(wrong) = self.book(&arrival) {
                self.wrong(wrong);
            }
        }
    }

    fn book(&mut self, arrival: &Arrival) -> Result<(), String> {
        let &Arrival {
            subscriber: id,
            received,
            found,
        } = arrival;
        let Received {
            number, position, ..
        } = received;
        let message = self
            .messages
            .get_mut(&number.sender())
            .and_then(|life| life.get_mut(number.count() as usize))
            .ok_or("no message")?;
        let subscriber = self
            .subscribers
            .get_mut(&id)
            .ok_or_else(|| format!("{received:?} by an unknown subscriber {id}"))?;
        let channel = self
            .channels
            .get_mut(&message.channel)
            .ok_or("no channel")?;
        let other = message.target != 0 && message.target != id;

        if received.has_lost && subscriber.lossy.is_none() {
            return Err(format!("{received:?} by {id}, which cannot lose any"));
        }
        if subscriber.channel != message.channel || other {
            return Err(format!("{received:?}: {id} has got another one's message"));
        }
        if channel.broadcast && found && subscriber.has_got(position) {
            // Of two receives at once the later one has copied it as well, and not got it.
            return Ok(());
        }
        self.received += 1;
        if !channel.broadcast || message.target != 0 || id == channel.witness {
            message.copies = message.copies.saturating_add(1);
            if message.copies > 1 {
                return Err(format!("{received:?} twice, the last time by {id}"));
            }
        }
        if !channel.broadcast {
            return Ok(());
        }
        if *channel.positions.entry(position).or_insert(number) != number {
            return Err(format!("{received:?} where another one is, by {id}"));
        }
        if position >= subscriber.next {
            if position > subscriber.next {
                subscriber.gaps.push((subscriber.next, position));
            }
            subscriber.next = position + 1;
            return Ok(());
        }
        // Of several receives at once the later one may be told of first. The witness has one.
        if id == channel.witness || !subscriber.fill(position) {
            return Err(format!("{received:?} again, or after a later one, by {id}"));
        }
        Ok(())
    }

    /// The process in `slot` has ended. `found` looks at a buffer that it had lent to the kernel.
    pub fn ended(&mut self, slot: usize, found: impl Fn(u32) -> Option<Result<Received>>) {
        let process = self.processes.remove(&slot).unwrap_or_default();

        for number in process.sends {
            self.sent(number, Send::Unknown);
        }
        for (buffer, subscriber) in process.lent {
            match found(buffer) {
                None => {}
                Some(Ok(received)) => self.arrived(subscriber, received, true),
                Some(Err(error)) => self.wrong(format!("of a process killed: {error:#}")),
            }
        }
        for subscriber in process.subscribers {
            self.left(subscriber);
        }
    }

    /// Whether nothing can come to or from a channel any more, except by the witness.
    pub fn is_quiet(&self, id: u32) -> bool {
        let is_for = |subscriber| {
            self.subscribers
                .get(subscriber)
                .is_some_and(|entry| entry.channel == id)
        };

        self.channels.get(&id).is_some_and(|channel| {
            channel.sends_under_way == 0
                && channel.subscribers == u32::from(channel.witness != 0)
                && !self.early.iter().any(|arrival| is_for(&arrival.subscriber))
        })
    }

    /// The witness has taken what was left. Checks who was there in a broadcast, and forgets.
    pub fn close(&mut self, id: u32) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut channel.closed, true) {
            return;
        }
        let positions = std::mem::take(&mut channel.positions);
        let end = positions.keys().max().map_or(0, |last| last + 1);
        let mut wrongs = Vec::new();

        for (&subscriber, entry) in &mut self.subscribers {
            if entry.channel != id || positions.is_empty() {
                continue;
            }
            let mut gaps = std::mem::take(&mut entry.gaps);
            let lost = entry.drained.filter(|_| entry.here);

            if lost.is_some() && entry.next < end {
                gaps.push((entry.next, end));
            }
            let is_for = |number: &Number| {
                let target = self
                    .messages
                    .get(&number.sender())
                    .and_then(|life| life.get(number.count() as usize))
                    .map_or(0, |message| message.target);

                target == 0 || target == subscriber
            };
            let missing: Vec<_> = gaps
                .into_iter()
                .flat_map(|(from, to)| from..to)
                .filter_map(|position| Some((position, *positions.get(&position)?)))
                .filter(|(_, number)| is_for(number))
                .collect();

            let Some(before) = entry.lossy else {
                wrongs.extend(missing.iter().map(|(position, number)| {
                    format!("{subscriber} has not got {number:?} at {position} of broadcast {id}")
                }));
                continue;
            };
            if let Some(lost) = lost {
                // Nobody else sees where those are that were for it alone.
                let unseen = Self::unseen(&self.messages, subscriber);
                let seen = before + missing.len() as u64;

                if !(seen..=seen + unseen).contains(&lost) {
                    wrongs.push(format!(
                        "{subscriber} of broadcast {id} says that it has lost {lost}: it is \
                         {seen}, and {unseen} or fewer that were for it alone"
                    ));
                }
            }
        }
        wrongs.into_iter().for_each(|wrong| self.wrong(wrong));
    }

    /// How many messages for `target` alone may have been sent that it has not received.
    fn unseen(messages: &HashMap<(usize, u32), Vec<Message>>, target: u32) -> u64 {
        messages
            .values()
            .flatten()
            .filter(|message| {
                message.target == target && message.copies == 0 && message.send != Send::Failed
            })
            .count() as u64
    }

    /// The end: nobody sends and nobody receives any more.
    pub fn judge(mut self) -> Summary {
        self.settle();
        for arrival in std::mem::take(&mut self.early) {
            self.wrong(format!(
                "{} has got {:?}, which nobody has sent",
                arrival.subscriber, arrival.received
            ));
        }
        let open: Vec<u32> = self.channels.keys().copied().collect();
        open.into_iter().for_each(|id| self.close(id));

        let mut sum = Summary::default();
        let mut wrongs = Vec::new();
        for (&(slot, life), messages) in &self.messages {
            for (count, message) in messages.iter().enumerate() {
                let what = || format!("message {count} of life {life} of {slot}");

                match (message.send, message.copies) {
                    (Send::UnderWay, _) => wrongs.push(format!("{} has no end", what())),
                    (Send::Failed, 0) => sum.failed += 1,
                    (Send::Failed, _) => wrongs.push(format!("{} failed, and came", what())),
                    (Send::Unknown, copies) => {
                        sum.unknown += 1;
                        sum.unknown_received += u64::from(copies);
                    }
                    (Send::Good, 0) => {
                        sum.good += 1;
                        let waits = |id| {
                            let target = self.subscribers.get(&id);

                            target.is_some_and(|it| it.here && it.lossy.is_none())
                        };

                        if message.target != 0 && !waits(message.target) {
                            sum.undeliverable += 1;
                            continue;
                        }
                        wrongs.push(format!(
                            "{} to {} of channel {} is lost",
                            what(),
                            message.target,
                            message.channel
                        ));
                    }
                    (Send::Good, _) => sum.good += 1,
                }
            }
        }
        wrongs.into_iter().for_each(|wrong| self.wrong(wrong));
        sum.received = self.received;
        sum.wrongs = self.wrongs;
        sum.nr_wrongs = self.nr_wrongs;
        sum
    }
}

#[cfg(test)]
mod tests;
