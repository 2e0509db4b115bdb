// SPDX-License-Identifier: GPL-2.0

//! Tasks that use a channel, with the io_uring core between: requests that cannot go on wait by
//! the file's `poll`, as `io_uring/poll.c` has it.

use crate::{
    channel::{Channel, Parameters},
    delivery::Mode,
    member::{Member, Rights, Service},
    recv::{self, RecvCommand},
    rfl::{
        anon_file::AnonFile,
        inode::Inode,
        io_uring::{IssueFlags, Outcome, Prepared, Request, Sqe},
        shared_region::Layout,
        user_buffer::{Memory, UserBuffer},
        wait_queue::{events, PollRequest, Waiter},
    },
    send::{self, SendCommand},
    subscriber::Subscriber,
    uapi::{recv_flags, send_flags},
};
use checker::thread;
use kernel::prelude::*;
use std::{rc::Rc, sync::Arc};

/// What a channel of the tests is like.
pub(crate) fn parameters(mode: Mode, ring_entries: u32, exclusive: bool) -> Parameters {
    Parameters {
        mode,
        private: false,
        lossy: false,
        ring_entries,
        max_msg_size: u32::from(u8::MAX),
        layout: Layout::new(ring_entries as usize, exclusive),
        max_subscribers: 16,
        first_position: 0,
    }
}

/// A channel of this mode with as many slots. Its receivers keep what they read from senders.
pub(crate) fn channel(mode: Mode, ring_entries: u32) -> kernel::sync::Arc<Channel> {
    Channel::new(1, parameters(mode, ring_entries, true), Inode).unwrap()
}

/// The same, but receivers may find out afterwards that senders have written over what they read.
pub(crate) fn channel_with_late_readers(
    mode: Mode,
    ring_entries: u32,
) -> kernel::sync::Arc<Channel> {
    Channel::new(1, parameters(mode, ring_entries, false), Inode).unwrap()
}

/// Attaches somebody who sends and receives.
pub(crate) fn attach(channel: &kernel::sync::Arc<Channel>, id: u32) -> Arc<Subscriber> {
    attach_with(channel, id, true, Service::default())
}

/// Attaches somebody who receives, and holds nobody up.
pub(crate) fn attach_lossy(channel: &kernel::sync::Arc<Channel>, id: u32) -> Arc<Subscriber> {
    let service = Service {
        lossy: true,
        ..Service::default()
    };

    attach_with(channel, id, true, service)
}

/// Attaches somebody who receives, and is told who comes and goes.
pub(crate) fn attach_noticed(channel: &kernel::sync::Arc<Channel>, id: u32) -> Arc<Subscriber> {
    let service = Service {
        notices: true,
        ..Service::default()
    };

    attach_with(channel, id, true, service)
}

/// Attaches somebody who only sends.
pub(crate) fn attach_sender(channel: &kernel::sync::Arc<Channel>, id: u32) -> Arc<Subscriber> {
    attach_with(channel, id, false, Service::default())
}

fn attach_with(
    channel: &kernel::sync::Arc<Channel>,
    id: u32,
    recv: bool,
    service: Service,
) -> Arc<Subscriber> {
    let member = Member::new(id, Rights { send: true, recv }, service).unwrap();

    channel.join(&member, false).unwrap();
    Arc::new(Subscriber {
        channel: channel.clone(),
        member,
    })
}

/// Polls, and sleeps until there is one of the `interest`; says what there is.
pub(crate) fn poll(subscriber: &Subscriber, interest: u32) -> u32 {
    let waiter = Waiter::new(interest);
    let armed = PollRequest::new(interest, Some(waiter.clone()));
    let found = subscriber.poll(&armed);

    if found == events::HUP {
        // The end alone is told to who is to wait for others yet: they must run.
        thread::yield_now();
    }
    if found != 0 {
        return found;
    }
    sleep(subscriber, interest, &waiter)
}

/// Sleeps until there is one of the `interest`: `io_poll_check_events()`.
fn sleep(subscriber: &Subscriber, interest: u32, waiter: &Waiter) -> u32 {
    loop {
        let told = waiter.sleep();

        if told != 0 {
            return told;
        }
        let found = subscriber.poll(&PollRequest::new(interest, None));
        if found != 0 {
            return found;
        }
    }
}

/// A message to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Send {
    pub(crate) value: u8,
    /// The one receiver it is for, or 0.
    pub(crate) target: u32,
    /// Whether it waits for room.
    pub(crate) waits: bool,
    /// How often the payload's page goes away.
    pub(crate) faults: u32,
    /// Whether it goes away for good then.
    pub(crate) loses_memory: bool,
}

impl Send {
    pub(crate) fn new(value: u8) -> Self {
        Self {
            value,
            target: 0,
            waits: false,
            faults: 0,
            loses_memory: false,
        }
    }

    pub(crate) fn to(self, target: u32) -> Self {
        Self { target, ..self }
    }

    pub(crate) fn waiting(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }

    pub(crate) fn faulting(self, faults: u32) -> Self {
        Self { faults, ..self }
    }

    /// Has the payload unmapped when a slot has been claimed for it.
    pub(crate) fn losing_memory(self) -> Self {
        Self {
            faults: 1,
            loses_memory: true,
            ..self
        }
    }

    /// Has it made ready for a subscriber.
    pub(crate) fn start(self, subscriber: &Subscriber) -> Result<SendUnderWay<'_>> {
        let memory = Rc::new(Memory::default());

        memory.payload.set([self.value; 2]);
        memory.faults.set(self.faults);
        memory.is_unmapped.set(self.loses_memory);

        let sqe = Sqe {
            ioprio: if self.waits { send_flags::WAIT } else { 0 },
            addr: UserBuffer::allocate(memory),
            len: u32::from(self.value),
            file_index: self.target,
        };

        Ok(SendUnderWay {
            req: Request::new(subscriber.member.id, u64::from(self.value), None),
            command: SendCommand::parse(&sqe)?,
            subscriber,
        })
    }

    /// Sends it.
    pub(crate) fn run(self, subscriber: &Subscriber) -> Result {
        self.start(subscriber)?.finish()
    }
}

/// What a send that waits polls for.
const FOR_ROOM: u32 = events::WRITABLE | events::EXCLUSIVE;

/// A send that waits, queued at its file.
pub(crate) struct ArmedSend<'a> {
    request: PollRequest<'a>,
    waiter: Arc<Waiter>,
}

/// A send whose steps the test takes.
pub(crate) struct SendUnderWay<'a> {
    req: Request,
    command: SendCommand,
    subscriber: &'a Subscriber,
}

impl<'a> SendUnderWay<'a> {
    pub(crate) fn issue(&self) -> Outcome {
        send::issue(self.prepared(), self.subscriber, IssueFlags::default())
    }

    /// Begins to wait, as it must.
    pub(crate) fn arm(&self) -> ArmedSend<'a> {
        let waiter = Waiter::new(FOR_ROOM);
        let request = PollRequest::new(FOR_ROOM, Some(waiter.clone()));

        assert_eq!(self.issue(), Outcome::WAIT);
        assert_eq!(self.subscriber.poll(&request), 0);
        ArmedSend { request, waiter }
    }

    /// Is cancelled where it waits.
    pub(crate) fn cancel(self, armed: ArmedSend<'a>) {
        drop(armed);
        send::give_up(self.prepared(), self.subscriber);
    }

    /// Goes on when it is woken.
    pub(crate) fn wake(self, armed: ArmedSend<'a>) -> Result {
        sleep(self.subscriber, FOR_ROOM, &armed.waiter);
        drop(armed);
        self.finish()
    }

    /// Waits as often as it takes.
    pub(crate) fn finish(self) -> Result {
        while self.issue() == Outcome::WAIT {
            poll(self.subscriber, FOR_ROOM);
        }
        self.req
            .result
            .get()
            .expect("nothing else ends a send")
            .map(|_| ())
    }

    fn prepared(&self) -> Prepared<'_, SendCommand> {
        Prepared::new(&self.req, &self.command)
    }
}

/// A receive.
pub(crate) struct Receive {
    req: Request,
    memory: Rc<Memory>,
    command: RecvCommand,
}

impl Receive {
    fn new(flags: u16, selects: bool) -> Self {
        let memory = Rc::new(Memory::default());
        let addr = UserBuffer::allocate(memory.clone());
        let req = Request::new(0, 0, selects.then_some(addr));
        let sqe = Sqe {
            ioprio: flags,
            addr: if selects { 0 } else { addr },
            len: 1024,
            file_index: 0,
        };
        let command = RecvCommand::parse(&sqe, &req).unwrap();

        Self {
            req,
            memory,
            command,
        }
    }

    /// One that fails where there is no message.
    pub(crate) fn now() -> Self {
        Self::new(0, false)
    }

    /// One that waits for a message.
    pub(crate) fn waiting() -> Self {
        Self::new(recv_flags::WAIT, false)
    }

    /// Receives with a header: the message, and how many are said to be lost.
    pub(crate) fn run_with_header(subscriber: &Subscriber) -> Result<(u8, u64)> {
        let receive = Self::new(recv_flags::HDR, false);

        receive.memory.touch();
        assert_eq!(
            receive.issue(subscriber, IssueFlags::default()),
            Outcome::COMPLETE
        );
        let len = receive.req.result.get().expect("it has ended")?;
        let [first, last] = receive.memory.payload.get();
        let header = receive.memory.header.borrow();
        let number = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().unwrap());

        assert_eq!(first, last, "torn payload");
        assert_eq!(u32::from(first) + 48, len);
        assert_eq!(u64::from(first), number(8), "header and payload of two");
        Ok((first, number(40)))
    }

    /// Has its memory unmapped after `faults` times at which it only goes away.
    pub(crate) fn losing_memory(self, faults: u32) -> Self {
        self.memory.faults.set(faults);
        self.memory.is_unmapped.set(true);
        self
    }

    pub(crate) fn issue(&self, subscriber: &Subscriber, flags: IssueFlags<'_>) -> Outcome {
        recv::issue(Prepared::new(&self.req, &self.command), subscriber, flags)
    }

    /// What has been received, all of one message.
    fn result(&self) -> Result<u8> {
        let len = self.req.result.get().expect("it has ended")?;
        let [first, last] = self.memory.payload.get();

        assert_eq!(first, last, "torn payload");
        assert_eq!(u32::from(first), len, "record and payload of two messages");
        Ok(first)
    }

    /// Receives.
    pub(crate) fn run(self, subscriber: &Subscriber) -> Result<u8> {
        while self.issue(subscriber, IssueFlags::default()) == Outcome::WAIT {
            poll(subscriber, events::READABLE);
        }
        self.result()
    }

    /// Receives, but is cancelled instead of woken where it waits.
    pub(crate) fn run_cancelled(self, subscriber: &Subscriber) -> Option<u8> {
        while self.issue(subscriber, IssueFlags::default()) == Outcome::WAIT {
            let waiter = Waiter::new(events::READABLE);
            let armed = PollRequest::new(events::READABLE, Some(waiter));

            if subscriber.poll(&armed) == 0 {
                drop(armed);
                recv::give_up(Prepared::new(&self.req, &self.command), subscriber);
                return None;
            }
        }
        self.result().ok()
    }

    /// Receives `count` messages by a multishot request.
    pub(crate) fn run_multishot(subscriber: &Subscriber, count: usize) -> Vec<u8> {
        let receive = Self::new(recv_flags::MULTISHOT, true);
        receive.req.cq_room.set(count);

        let waiter = Waiter::new(events::READABLE);
        let armed = PollRequest::new(events::READABLE, Some(waiter.clone()));
        let mut flags = IssueFlags::default();

        loop {
            match receive.issue(subscriber, flags) {
                Outcome::COMPLETE => break,
                Outcome::REQUEUE => continue,
                _ => {}
            }
            // Armed once, and stays so.
            if !flags.is_woken_multishot {
                flags.is_woken_multishot = true;
                if subscriber.poll(&armed) != 0 {
                    continue;
                }
            }
            sleep(subscriber, events::READABLE, &waiter);
        }
        let lens = receive.req.posted.take();

        lens.into_iter().map(|len| len as u8).collect()
    }
}
