// SPDX-License-Identifier: GPL-2.0

//! Pipes and sockets, and system calls on files.

use crate::work::Work;
use anyhow::{ensure, Result};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Two ends of something.
pub struct Ends {
    /// To read from.
    pub rx: OwnedFd,
    /// To write to.
    pub tx: OwnedFd,
}

/// The result of a system call.
pub fn call(ret: isize) -> io::Result<usize> {
    usize::try_from(ret).map_err(|_| io::Error::last_os_error())
}

/// A pipe that holds about what other transports hold for this work, or 1 MiB, which is what
/// everybody may have.
pub fn pipe(work: &Work) -> Result<Ends> {
    let mut fds = [0; 2];

    // SAFETY: there is room for two numbers.
    call(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } as isize)?;
    // SAFETY: the kernel has just made both for us.
    let (rx, tx) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    let size = (work.entries() * work.size).max(64 << 10);
    for size in [size, size.min(1 << 20)] {
        // SAFETY: a plain system call. It is no harm where it fails.
        let now = unsafe { libc::fcntl(tx.as_raw_fd(), libc::F_SETPIPE_SZ, size as libc::c_int) };
        if now >= 0 {
            break;
        }
    }
    Ok(Ends { rx, tx })
}

/// What the kernel counts for a message in a socket, at most.
pub fn truesize(work: &Work) -> usize {
    2 * work.size + 1280
}

/// A pair of sockets, which hold about what other transports hold.
pub fn seqpacket(work: &Work) -> Result<Ends> {
    let mut fds = [0; 2];

    // SAFETY: there is room for two numbers.
    call(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            fds.as_mut_ptr(),
        )
    } as isize)?;
    // SAFETY: the kernel has just made both for us.
    let (rx, tx) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    // The kernel doubles what it is told. Only root may have more than a
    // system-wide limit; others get that.
    let size = (work.entries() * truesize(work) / 2).min(4 << 20) as libc::c_int;
    for option in [libc::SO_SNDBUF, libc::SO_SNDBUFFORCE] {
        // SAFETY: the value is as long as said. It is no harm where it fails.
        unsafe {
            libc::setsockopt(
                tx.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const size).cast(),
                size_of_val(&size) as libc::socklen_t,
            )
        };
    }
    Ok(Ends { rx, tx })
}

/// The size of a socket's send buffer, as the kernel counts.
pub fn send_buffer(socket: &OwnedFd) -> Result<usize> {
    let mut size: libc::c_int = 0;
    let mut len = size_of_val(&size) as libc::socklen_t;

    // SAFETY: there is room for the answer.
    call(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw mut size).cast(),
            &mut len,
        )
    } as isize)?;
    Ok(size as usize)
}

/// Writes all of a message.
pub fn write_all(file: &OwnedFd, mut message: &[u8]) -> Result<()> {
    while !message.is_empty() {
        // SAFETY: the message is as long as said.
        let ret = unsafe { libc::write(file.as_raw_fd(), message.as_ptr().cast(), message.len()) };
        message = &message[call(ret)?..];
    }
    Ok(())
}

/// Reads until the buffer is full.
pub fn read_all(file: &OwnedFd, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;

    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: the buffer is as long as said.
        let ret = unsafe { libc::read(file.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()) };
        let len = call(ret)?;
        ensure!(len > 0, "end of file");
        filled += len;
    }
    Ok(())
}
