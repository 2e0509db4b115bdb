// SPDX-License-Identifier: GPL-2.0

//! How long a channel's lock may be held.
//!
//! It cannot be seen from here when the lock is taken, so each figure is of the
//! whole system call that takes it, and an upper bound; what one subscriber more
//! adds is added with the lock held. Each operation is set up to be as long as
//! it gets, and fails where it has not done what it is measured for.

use crate::channel::{Channel, Subscriber};
use crate::clock::{now_ns, settle, sleep_us};
use crate::cpu::{self, Placement};
use crate::crowd::{Crowd, SIZE};
use crate::ring::Ring;
use crate::stat::Stat;
use anyhow::{ensure, Context, Result};
use io_uring::opcode;
use io_uring_ipc::sqe::Sqe;
use io_uring_ipc::{abi, Kind, Setup};
use std::sync::{mpsc, Arc};
use std::{io, thread};

/// Subscribers that are many, or requests.
const MANY: usize = 256;
/// Times that an operation is measured.
const ROUNDS: usize = 5;
/// Messages of a ring.
const SHORT: usize = 1024;
/// The most messages that a ring may have.
const LONG: usize = abi::MAX_RING_ENTRIES as usize;
/// Slots that the module looks at in one go.
const STEPS: usize = 4096;
/// Notices that are left unread, and moved when there have to be places for more.
const NOTICES: u64 = 32768;

/// Measures all operations, and prints a line for each.
pub fn measure() -> Result<()> {
    cpu::pin(Placement::apart()?.sender())?;
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "subscribers", 1, "most", MANY, "most", "each"
    );
    rows(ROUNDS, ["ATTACH", "DETACH"], |n| come_and_go(n, 0))?;
    rows(
        ROUNDS,
        ["ATTACH, all asleep and told", "DETACH, all asleep and told"],
        |n| come_and_go(n, abi::SUB_EVENTS),
    )?;
    row("DESTROY, all asleep", destroy)?;
    row("SEND, ring of 1024, all have passed", |n| passed(n, SHORT))?;
    row("SEND, ring of 32768, all have passed", |n| passed(n, LONG))?;
    row("SEND, ring of 32768, for one who has left", |n| {
        left(n, Kind::Broadcast)
    })?;
    row("SEND, the same, unicast", |n| left(n, Kind::Unicast))?;
    row("SEND, ring of 32768, all overrun", overrun)?;
    row("SEND, broadcast, all asleep", |n| {
        wake(n, 1, Kind::Broadcast)
    })?;
    row("SEND, broadcast, all asleep, each a task", wake_tasks)?;
    row("SEND, multicast, all asleep", |n| {
        wake(n, 1, Kind::Multicast)
    })?;
    row("RECV, a send of each waits", |n| make_room(n, 1))?;
    rows(1, ["ATTACH, longest until 32768 notices unread"], notices)?;
    println!("# requests of one subscriber");
    row("SEND, broadcast, all are receives that wait", |n| {
        wake(1, n, Kind::Broadcast)
    })?;
    row("RECV, all are sends that wait", |n| make_room(1, n))
}

/// Measures an operation with one subscriber and with many.
fn row(what: &str, operation: impl Fn(usize) -> Result<u64>) -> Result<()> {
    rows(ROUNDS, [what], |n| Ok([operation(n)?]))
}

/// Measures operations that follow each other.
fn rows<const N: usize>(
    rounds: usize,
    what: [&str; N],
    operations: impl Fn(usize) -> Result<[u64; N]>,
) -> Result<()> {
    let with = |n| {
        (0..rounds)
            .map(|_| operations(n))
            .collect::<Result<Vec<_>>>()
            .with_context(|| format!("{}, {n}", what[0]))
    };
    let all = [with(1)?, with(MANY)?];

    for (index, what) in what.into_iter().enumerate() {
        let [one, many] = all
            .each_ref()
            .map(|rounds| Stat::new(rounds.iter().map(|round| round[index] as f64).collect()));

        println!(
            "{what:<44} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>9.1}",
            one.median,
            one.max,
            many.median,
            many.max,
            (many.median - one.median) / (MANY - 1) as f64
        );
    }
    Ok(())
}

/// What `call` gives, and how long it takes, when nothing else goes on.
fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    settle();
    let start = now_ns();
    let given = call()?;

    Ok((given, now_ns() - start))
}

/// How long a request takes that transfers a message.
fn timed_request(ring: &mut Ring, request: Sqe) -> Result<u64> {
    let mut result = 0;
    let nop = [opcode::Nop::new().build()];
    let request = [request.into_entry()];

    // SAFETY: this has no memory.
    unsafe { ring.run(&nop, |_| Ok(())) }?;
    let ((), time) = timed(|| {
        // SAFETY: requests here use memory that stays.
        unsafe {
            ring.run(&request, |done| {
                result = done.result();
                Ok(())
            })
        }
    })?;
    ensure!(result == SIZE as i32, "the request gave {result}");
    Ok(time)
}

/// How long a send of a crowd's first subscriber takes, to all.
fn timed_send(crowd: &mut Crowd) -> Result<u64> {
    let send = crowd.send(0);

    timed_request(crowd.ring(), send)
}

/// As that, to a full ring, and how many slots were made free.
fn timed_send_for_room(crowd: &mut Crowd) -> Result<(u64, u64)> {
    let before = crowd.subscribers[0].info("ipc-head")?;
    let time = timed_send(crowd)?;

    Ok((time, crowd.subscribers[0].info("ipc-head")? - before))
}

/// One more attaches and detaches again.
fn come_and_go(n: usize, service: u32) -> Result<[u64; 2]> {
    let channel = Channel::new(Kind::Broadcast, SHORT, SIZE)?;
    let mut crowd = Crowd::new(&channel, n, abi::SUB_RECV | service)?;
    let ring = Ring::new(Setup::DeferTaskrun, 1, 0)?;
    let stays = channel.attach(&ring, abi::SUB_RECV)?;
    // There is room in all tables after this.
    channel.attach(&ring, abi::SUB_RECV)?.detach(&ring)?;
    crowd.drain()?;

    let begin = |crowd: &mut Crowd| match service {
        0 => Ok(()),
        _ => crowd.await_messages(1, abi::RECV_HDR),
    };
    let end = |crowd: &mut Crowd, calls| match service {
        0 => crowd.expect("ipc-wakeups", 0),
        _ => {
            crowd.expect("ipc-wakeups", calls)?;
            crowd.finish(n, size_of::<abi::MsgHdr>() as i32)
        }
    };
    begin(&mut crowd)?;
    let (newcomer, come) = timed(|| channel.attach(&ring, abi::SUB_RECV))?;
    end(&mut crowd, 1)?;
    ensure!(
        stays.info("ipc-subscribers")? == n as u64 + 2,
        "not attached"
    );
    begin(&mut crowd)?;
    let ((), go) = timed(|| newcomer.detach(&ring))?;
    end(&mut crowd, 2)?;
    ensure!(
        stays.info("ipc-subscribers")? == n as u64 + 1,
        "not detached"
    );
    Ok([come, go])
}

/// The channel is destroyed when all wait.
fn destroy(n: usize) -> Result<u64> {
    let channel = Channel::new(Kind::Broadcast, SHORT, SIZE)?;
    let mut crowd = Crowd::new(&channel, n, abi::SUB_RECV)?;

    crowd.await_messages(1, 0)?;
    let ((), time) = timed(|| channel.destroy())?;
    crowd.finish(n, -libc::EPIPE)?;
    Ok(time)
}

/// A send finds the ring full of what all have passed.
fn passed(n: usize, entries: usize) -> Result<u64> {
    let channel = Channel::new(Kind::Broadcast, entries, SIZE)?;
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;

    sender.repeat(sender.send(0), entries)?;
    // They start at the next message.
    let _crowd = Crowd::new(&channel, n, abi::SUB_RECV)?;
    let (time, freed) = timed_send_for_room(&mut sender)?;
    let expected = entries.min(STEPS) as u64;

    ensure!(
        freed == expected,
        "{freed} and not {expected} slots were freed"
    );
    Ok(time)
}

/// A send finds the ring full of messages for a receiver that has left, and
/// nobody else has looked.
fn left(n: usize, kind: Kind) -> Result<u64> {
    let channel = Channel::new(kind, LONG, SIZE)?;
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;
    let mut target = Crowd::new(&channel, 1, abi::SUB_RECV)?;
    let _crowd = Crowd::new(&channel, n, abi::SUB_RECV)?;
    let expected = match kind {
        Kind::Broadcast => STEPS / n,
        _ => STEPS,
    } as u64;

    sender.repeat(sender.send(target.subscribers[0].id), LONG)?;
    let gone = target.subscribers.remove(0);
    gone.detach(target.ring())?;
    let (time, freed) = timed_send_for_room(&mut sender)?;
    ensure!(
        freed == expected,
        "{freed} and not {expected} slots were freed"
    );
    Ok(time)
}

/// A send finds the ring full of what nobody has received, and all lose some.
fn overrun(n: usize) -> Result<u64> {
    let channel = Channel::new(Kind::Broadcast, LONG, SIZE)?;
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;
    let crowd = Crowd::new(&channel, n, abi::SUB_RECV | abi::SUB_LOSSY)?;

    sender.repeat(sender.send(0), LONG)?;
    let (time, freed) = timed_send_for_room(&mut sender)?;
    crowd.expect("ipc-lost", freed)?;
    ensure!(
        freed == (LONG / 64).min(STEPS / n) as u64,
        "{freed} were lost"
    );
    Ok(time)
}

/// A send when `each` receives of all wait, in this task.
fn wake(n: usize, each: usize, kind: Kind) -> Result<u64> {
    let channel = Channel::new(kind, SHORT, SIZE)?;
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;
    let mut crowd = Crowd::new(&channel, n, abi::SUB_RECV)?;

    crowd.await_messages(each, 0)?;
    let time = timed_send(&mut sender)?;
    if kind == Kind::Broadcast {
        crowd.expect("ipc-wakeups", 1)?;
        crowd.finish(n, SIZE as i32)?;
    } else {
        let wakeups: u64 = crowd
            .subscribers
            .iter()
            .map(Subscriber::wakeups)
            .sum::<Result<_>>()?;

        ensure!(wakeups == 1, "{wakeups} were woken");
        crowd.finish(1, SIZE as i32)?;
    }
    Ok(time)
}

/// A send when all sleep, each a task of its own, on this CPU.
fn wake_tasks(n: usize) -> Result<u64> {
    let channel = Arc::new(Channel::new(Kind::Broadcast, SHORT, SIZE)?);
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;
    let (tell, told) = mpsc::channel();
    let sleepers: Vec<_> = (0..n)
        .map(|_| {
            let (channel, tell) = (channel.clone(), tell.clone());

            thread::spawn(move || -> Result<u64> {
                let mut crowd = Crowd::new(&channel, 1, abi::SUB_RECV)?;

                tell.send(())?;
                let receive = [crowd.receive().with(abi::RECV_WAIT).into_entry()];
                // SAFETY: the memory stays.
                unsafe {
                    crowd.ring().run(&receive, |done| {
                        ensure!(done.result() == SIZE as i32, "a receive failed");
                        Ok(())
                    })
                }?;
                crowd.subscribers[0].wakeups()
            })
        })
        .collect();

    drop(tell);
    ensure!(told.iter().take(n).count() == n, "not all have attached");
    // They begin to wait, and then sleep.
    sleep_us(1_000_000);
    ensure!(
        sender.subscribers[0].info("ipc-receivers-asleep")? == n as u64,
        "not all are asleep"
    );
    // None of them runs before the send is over.
    schedule(libc::SCHED_FIFO, 1)?;
    let time = timed_send(&mut sender);
    schedule(libc::SCHED_OTHER, 0)?;
    let time = time?;
    for sleeper in sleepers {
        let wakeups = sleeper.join().ok().context("a receiver has died")??;

        ensure!(wakeups == 1, "{wakeups} wake-ups of one receiver");
    }
    Ok(time)
}

/// Sets the scheduling policy of this thread.
fn schedule(policy: i32, priority: i32) -> Result<()> {
    let param = libc::sched_param {
        sched_priority: priority,
    };

    // SAFETY: `param` is there to be read.
    if unsafe { libc::sched_setscheduler(0, policy, &param) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot set the scheduling policy");
    }
    Ok(())
}

/// A receive makes so much room that all sends are woken that wait, `each` of
/// each.
fn make_room(n: usize, each: usize) -> Result<u64> {
    let channel = Channel::new(Kind::Unicast, SHORT, SIZE)?;
    let mut sender = Crowd::new(&channel, 1, abi::SUB_SEND)?;
    let mut receiver = Crowd::new(&channel, 1, abi::SUB_RECV)?;
    let mut crowd = Crowd::new(&channel, n, abi::SUB_SEND)?;
    let receive = receiver.receive();

    sender.repeat(sender.send(0), SHORT)?;
    crowd.await_room(each)?;
    receiver.repeat(receive, SHORT / 4 - 1)?;
    crowd.expect("ipc-room-wakeups", 0)?;
    // A quarter of the ring with this one.
    let time = timed_request(receiver.ring(), receive)?;
    crowd.expect("ipc-room-wakeups", 1)?;
    crowd.finish(n * each, SIZE as i32)?;
    Ok(time)
}

/// The longest of the calls that attach others when nobody receives notices:
/// the one for which all have to be moved to more places.
fn notices(n: usize) -> Result<[u64; 1]> {
    let channel = Channel::new(Kind::Broadcast, SHORT, SIZE)?;
    let crowd = Crowd::new(&channel, n, abi::SUB_RECV | abi::SUB_EVENTS)?;
    let ring = Ring::new(Setup::DeferTaskrun, 1, 0)?;
    let _stays = channel.attach(&ring, abi::SUB_RECV)?;
    let mut longest = 0;

    while crowd.subscribers[0].info("ipc-notices")? < NOTICES {
        for _ in 0..SHORT {
            let start = now_ns();
            let newcomer = channel.attach(&ring, abi::SUB_RECV)?;

            longest = longest.max(now_ns() - start);
            newcomer.detach(&ring)?;
        }
    }
    Ok([longest])
}
