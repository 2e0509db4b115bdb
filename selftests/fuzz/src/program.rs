// SPDX-License-Identifier: GPL-2.0

//! The grammar: what a program of the fuzzer is made of.
//!
//! Numbers are small and mean what an executor makes of them: an index in a table of interesting
//! values, or of what the program has made so far. So nearly every mutation is another program
//! that does something.

#![expect(clippy::too_many_arguments, reason = "what Mutate derives")]

use mutatis::Mutate;
use serde::{Deserialize, Serialize};

pub const MOST_ACTORS: usize = 3;
pub const MOST_CALLS: usize = 32;
pub const MOST_REQUESTS: usize = 8;

/// A program: what several threads or processes do at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub struct Program {
    pub actors: Vec<Actor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub struct Actor {
    /// A process of its own, or a thread of the first one.
    pub process: bool,
    /// Which flags of io_uring_setup(2).
    pub setup: u8,
    /// How often it makes all of its calls again.
    pub again: u8,
    pub calls: Vec<Call>,
}

/// A system call, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub enum Call {
    Create(Create),
    Attach(Attach),
    /// The subscriber to detach, and whether with an argument, which is wrong.
    Detach(u8, bool),
    /// The channel to destroy, likewise.
    Destroy(u8, bool),
    /// Requests to be submitted together, and how many completions to wait for.
    Submit(Vec<Request>, u8),
    /// Waits for completions: milliseconds.
    Reap(u8),
    /// Provides buffers for a group, as a ring of some kind.
    GiveBuffers(u8, u8),
    TakeBuffers(u8),
    /// Does something to a page that requests may be using.
    Page(u8, PageGame),
    /// Maps the region of a subscriber's file, with some offset, and looks at it.
    Map(u8, u8),
    Unmap,
    /// poll(2) of a subscriber's file: events and milliseconds.
    Poll(u8, u8, u8),
    Fdinfo(u8),
    /// Changes a channel's mode by a subscriber's file.
    SetMode(u8, u8),
    /// Closes a subscriber's file.
    Close(u8),
    /// Closes the ring and opens another one.
    Reopen(u8),
    /// A child that has everything open for some milliseconds.
    Fork(u8),
    /// Becomes a user without rights.
    Become,
    /// Goes to another IPC namespace.
    Unshare,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub enum PageGame {
    Unmap,
    Restore,
    None,
    ReadOnly,
    DontNeed,
    /// Whoever touches it waits, for some time.
    Userfault,
}

/// What is wrong with a call's argument, if anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub enum Odd {
    No,
    NoArgument,
    BadAddress,
    ReadOnly,
    Count(u8),
    Reserved(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub struct Create {
    pub flags: u8,
    pub entries: u8,
    pub size: u8,
    pub mode: u8,
    pub key: u8,
    pub odd: Odd,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub struct Attach {
    pub channel: u8,
    pub flags: u8,
    pub key: u8,
    pub odd: Odd,
}

/// An SQE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub enum Request {
    Send(Transfer),
    Receive(Transfer),
    /// Which request, or the flags that say which.
    Cancel(u8, u8),
    PollAdd(u8, u8),
    /// Cancels the one it is linked to after milliseconds.
    LinkTimeout(u8),
    Nop(u8),
    /// Provides buffers, the old way: group and how many.
    Provide(u8, u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Mutate)]
pub struct Transfer {
    /// A subscriber or a channel.
    pub by: u8,
    pub page: u8,
    pub len: u8,
    /// `IOSQE_*`.
    pub sqe_flags: u8,
    /// `sqe->ioprio`.
    pub flags: u8,
    /// The target, or the group of buffers.
    pub other: u8,
    /// A field that is to be zero, and is not.
    pub odd: u8,
}

impl Program {
    /// Cuts what has grown too large.
    pub fn limit(&mut self) {
        self.actors.truncate(MOST_ACTORS);
        for actor in &mut self.actors {
            actor.calls.truncate(MOST_CALLS);
            for call in &mut actor.calls {
                if let Call::Submit(requests, _) = call {
                    requests.truncate(MOST_REQUESTS);
                }
            }
        }
    }

    /// Every program that lacks one of its parts.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut program = self.clone();
            change(&mut program);
            all.push(program);
        };

        for (a, actor) in self.actors.iter().enumerate() {
            add(&|it| {
                it.actors.remove(a);
            });
            let half = actor.calls.len() / 2;
            if half > 1 {
                add(&|it| it.actors[a].calls.truncate(half));
                add(&|it| {
                    it.actors[a].calls.drain(..half);
                });
            }
            for (c, call) in actor.calls.iter().enumerate() {
                add(&|it| {
                    it.actors[a].calls.remove(c);
                });
                let Call::Submit(requests, _) = call else {
                    continue;
                };
                for r in 0..requests.len() {
                    add(&|it| {
                        if let Call::Submit(requests, _) = &mut it.actors[a].calls[c] {
                            requests.remove(r);
                        }
                    });
                }
            }
        }
        all
    }

    /// One line of text.
    pub fn to_line(&self) -> anyhow::Result<String> {
        Ok(ron::to_string(self)?)
    }

    pub fn from_line(line: &str) -> anyhow::Result<Self> {
        Ok(ron::from_str(line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mutatis::Session;

    fn some_programs() -> Vec<Program> {
        let mut session = Session::new().seed(1);

        (0..200)
            .map(|_| {
                let mut program: Program = session.generate().unwrap();
                for _ in 0..20 {
                    // Some values have no mutation left.
                    let _ = session.mutate(&mut program);
                }
                program.limit();
                program
            })
            .collect()
    }

    #[test]
    fn text_and_back() {
        for program in some_programs() {
            let line = program.to_line().unwrap();

            assert!(!line.contains('\n'));
            assert_eq!(Program::from_line(&line).unwrap(), program);
        }
    }

    #[test]
    fn smaller_ones_are_smaller() {
        for program in some_programs() {
            let len = program.to_line().unwrap().len();

            assert!(program
                .smaller()
                .iter()
                .all(|other| other.to_line().unwrap().len() < len));
        }
    }

    #[test]
    fn all_calls_are_made() {
        let mut kinds: Vec<_> = some_programs()
            .into_iter()
            .flat_map(|program| program.actors)
            .flat_map(|actor| actor.calls)
            .map(|call| format!("{:?}", std::mem::discriminant(&call)))
            .collect();

        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 19);
    }
}
