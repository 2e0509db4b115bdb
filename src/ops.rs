// SPDX-License-Identifier: GPL-2.0

//! Where io_uring comes in: every function that the hooks call.
//!
//! Each turns pointers into types, calls a safe function, and turns its result into what the core
//! expects. The hooks are described in `include/linux/io_uring/ipc.h`.

use super::{
    handles::Handles,
    recv::{self, RecvCommand},
    register,
    registry::Registry,
    rfl::{
        anon_file, bindings,
        io_uring::{IssueFlags, NewRequest, Prepared, Request, RingContext, SharedSqe},
    },
    send::{self, SendCommand},
    subscriber::Subscriber,
    uapi,
};
use core::ffi::c_void;
use core::{
    ops::{Deref, DerefMut},
    ptr,
};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_uint},
    fs::File,
    global_lock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        GlobalGuard, //
    },
    uaccess::UserPtr,
};

global_lock! {
    // SAFETY: `Registration::new()` initialises it, before any op can be called.
    unsafe(uninit) static REGISTRY: Mutex<Option<Registry>> = None;
}

/// The registry, locked.
pub(crate) struct RegistryGuard(GlobalGuard<REGISTRY>);

/// Locks the registry. Sleeps.
pub(crate) fn registry() -> RegistryGuard {
    RegistryGuard(REGISTRY.lock())
}

impl Deref for RegistryGuard {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        // There is a registry for as long as the hooks are registered.
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for RegistryGuard {
    fn deref_mut(&mut self) -> &mut Registry {
        self.0.as_mut().unwrap()
    }
}

struct Operations(bindings::io_uring_ipc_ops);

// SAFETY: The table is only read.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = Operations(bindings::io_uring_ipc_ops {
    owner: crate::THIS_MODULE.as_ptr(),
    open: Some(open),
    release: Some(release),
    reg: Some(reg),
    prep: Some(prep),
    issue: Some(issue),
    cleanup: Some(cleanup),
});

/// Whether the module has been made known to io_uring before.
static REGISTERED: Atomic<bool> = Atomic::new(false);

/// The module's being known to io_uring.
pub(crate) struct Registration(());

impl Registration {
    /// Makes the module known to io_uring; `EBUSY` where it or another one is. Once in a module's
    /// life.
    pub(crate) fn new() -> Result<Self> {
        if REGISTERED.xchg(true, Relaxed) {
            return Err(EBUSY);
        }
        // SAFETY: Nobody comes here twice, and before this nobody has used the lock.
        unsafe { REGISTRY.init() };
        *REGISTRY.lock() = Some(Registry::new(crate::max_user_channels()));
        // SAFETY: The table is valid for as long as the module is loaded.
        to_result(unsafe { bindings::io_uring_ipc_set_ops_2(&OPERATIONS.0) })?;
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: `new()` has registered the table, and the module is being unloaded: no ring and
        // no file holds it, so nobody is in its functions.
        unsafe { bindings::io_uring_ipc_set_ops_2(ptr::null()) };
        *REGISTRY.lock() = None;
    }
}

/// A ring's table, which the holder of the ring's `uring_lock` alone may use.
///
/// # Safety
///
/// The caller must hold `uring_lock`.
#[inline(always)]
unsafe fn handles(ring: &RingContext) -> *mut Handles {
    // SAFETY: By the function's contract the lock is held.
    unsafe { ring.ipc() }.cast()
}

/// # Safety
///
/// Called by the hooks only, with `uring_lock` held, for a ring without a table.
unsafe extern "C" fn open(ctx: *mut bindings::io_ring_ctx) -> c_int {
    // SAFETY: The caller's ring lives.
    let ring = unsafe { RingContext::from_raw(ctx) };

    from_result(|| {
        let handles = Handles::new()?;

        // SAFETY: The caller holds `uring_lock`. The ring now owns the table, until `release()`.
        unsafe { ring.set_ipc(KBox::into_raw(handles).cast::<c_void>()) };
        Ok(0)
    })
}

/// Takes a ring's table away from it.
///
/// # Safety
///
/// The caller must hold `uring_lock`, the ring must have a table, and no reference to it may be
/// used after this.
unsafe fn take_handles(ring: &RingContext) -> KBox<Handles> {
    // SAFETY: `open()` has put the table there, and nobody finds it after this.
    unsafe {
        let handles = KBox::from_raw(handles(ring));

        ring.set_ipc(core::ptr::null_mut());
        handles
    }
}

/// # Safety
///
/// Called by the hooks only, with `uring_lock` held, for a ring with a table.
unsafe extern "C" fn release(ctx: *mut bindings::io_ring_ctx) {
    // SAFETY: The caller's ring lives.
    let ring = unsafe { RingContext::from_raw(ctx) };

    // SAFETY: The caller holds `uring_lock`, and the ring has a table.
    unsafe { take_handles(ring) }.close();
}

/// # Safety
///
/// Called by the hooks only, with `uring_lock` held, for a ring with a table.
unsafe extern "C" fn reg(
    ctx: *mut bindings::io_ring_ctx,
    opcode: c_uint,
    arg: *mut c_void,
    nr_args: c_uint,
) -> c_int {
    // SAFETY: The caller's ring lives.
    let ring = unsafe { RingContext::from_raw(ctx) };
    // SAFETY: The ring has a table, and the caller holds `uring_lock`: it is ours alone.
    let handles = unsafe { &mut *handles(ring) };
    let result = register::register(handles, opcode, UserPtr::from_ptr(arg), nr_args);

    let may_have_ended = result.is_err() || matches!(opcode, uapi::DETACH | uapi::DESTROY);
    if may_have_ended && handles.is_empty() {
        // SAFETY: As above, and `handles` is not used again.
        drop(unsafe { take_handles(ring) });
    }
    from_result(|| result.map(|()| 0))
}

/// # Safety
///
/// Called by the hooks only, with `uring_lock` held, for a new request of a ring with a table.
unsafe extern "C" fn prep(
    req: *mut bindings::io_kiocb,
    sqe: *const bindings::io_uring_sqe,
) -> c_int {
    // SAFETY: The request is new and the caller's.
    let req = unsafe { NewRequest::from_raw(req) };
    // SAFETY: The entry is the one that the request is made from.
    let sqe = unsafe { SharedSqe::from_raw(sqe) };
    // Two functions, so that the registers of one are not kept for the other.
    let result = if req.is_fixed_file() {
        Err(EBADF)
    } else if req.has_personality() {
        Err(EINVAL)
    } else {
        req.keep_credentials();
        if req.opcode() == uapi::OP_SEND {
            prepare_send(req, sqe)
        } else {
            prepare_recv(req, sqe)
        }
    };

    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Checks an SQE and finds whom it is for. Where that is nobody the request stays without a file,
/// and the hooks complete it with `ENOENT`: failing here would stop the submissions after it.
#[inline(never)]
fn prepare_send(req: &NewRequest, sqe: &SharedSqe) -> Result {
    let sqe = sqe.copy();
    let id = sqe.fd() as u32;

    req.set_command(SendCommand::parse(&sqe)?);
    if let Some(file) = attached(req, id) {
        req.set_file(file.clone());
    } else if let Some(door) = door(id) {
        req.set_file(door);
    }
    Ok(())
}

/// As [`prepare_send`].
#[inline(never)]
fn prepare_recv(req: &NewRequest, sqe: &SharedSqe) -> Result {
    let sqe = sqe.copy();
    let command = RecvCommand::parse(&sqe, req)?;

    if let Some(file) = attached(req, sqe.fd() as u32) {
        req.set_file(file.clone());
        command.announce(req);
    }
    req.set_command(command);
    Ok(())
}

/// What the request's ring has attached under an id.
#[inline(always)]
fn attached(req: &NewRequest, id: u32) -> Option<&ARef<File>> {
    // SAFETY: A new request is in `prep()`, which is called with `uring_lock` held, for a ring with
    // a table, and nobody changes it meanwhile.
    unsafe { &*handles(req.ring()) }.subscriber(id)
}

/// What a channel has for those who send by its id.
#[cold]
fn door(id: u32) -> Option<ARef<File>> {
    registry().by_id(id).ok().map(|entry| entry.door.clone())
}

/// The subscriber whose file a request has.
///
/// # Safety
///
/// `prep()` has made the request ready.
#[inline(always)]
unsafe fn subscriber<'a, C>(req: Prepared<'a, C>) -> &'a Subscriber {
    // SAFETY: `prep()` takes files from the ring's table and doors from the registry only; all of
    // those are a subscriber's.
    unsafe { anon_file::data_unchecked(req.file()) }
}

/// # Safety
///
/// Called by the hooks only, for a request that `prep()` has given a file.
unsafe extern "C" fn issue(req: *mut bindings::io_kiocb, flags: c_uint) -> c_int {
    // SAFETY: So the core calls us, with this request, which it has handed us for this call.
    let (flags, req) = unsafe { (IssueFlags::new(flags), Request::from_raw(req)) };

    // Two functions, so that the registers of one are not kept for the other.
    if req.opcode() == uapi::OP_SEND {
        // SAFETY: By the function's contract; the opcode is this one.
        unsafe { issue_send(req, flags) }
    } else {
        // SAFETY: By the function's contract; the opcode is the other one.
        unsafe { issue_recv(req, flags) }
    }
}

/// # Safety
///
/// `prep()` has made the request, an `IORING_OP_IPC_SEND`, ready.
#[inline(never)]
unsafe fn issue_send(req: &Request, flags: IssueFlags<'_>) -> c_int {
    // SAFETY: By the function's contract; for this opcode it has kept a `SendCommand`.
    let req = unsafe { Prepared::new(req) };
    // SAFETY: By the function's contract.
    let subscriber = unsafe { subscriber(req) };

    let outcome = send::issue(req, subscriber, flags);

    // SAFETY: This is the end of it.
    unsafe { outcome.to_core(&req, flags) }
}

/// # Safety
///
/// `prep()` has made the request, an `IORING_OP_IPC_RECV`, ready.
#[inline(never)]
unsafe fn issue_recv(req: &Request, flags: IssueFlags<'_>) -> c_int {
    // SAFETY: By the function's contract; for this opcode it has kept a `RecvCommand`.
    let req = unsafe { Prepared::new(req) };
    // SAFETY: By the function's contract.
    let subscriber = unsafe { subscriber(req) };

    let outcome = recv::issue(req, subscriber, flags);

    // SAFETY: This is the end of it.
    unsafe { outcome.to_core(&req, flags) }
}

/// # Safety
///
/// Called by the hooks only, for a request that `prep()` has given a file and that has waited: when
/// it has failed, or is about to be freed.
unsafe extern "C" fn cleanup(req: *mut bindings::io_kiocb) {
    // SAFETY: The core issues the request no more, and whoever else has a reference does not use it.
    let req = unsafe { Request::from_raw(req) };

    if req.opcode() == uapi::OP_SEND {
        // SAFETY: By the function's contract; for this opcode `prep()` has kept a `SendCommand`.
        let req = unsafe { Prepared::<SendCommand>::new(req) };

        // SAFETY: By the function's contract.
        send::give_up(req, unsafe { subscriber(req) });
    } else {
        // SAFETY: By the function's contract; for this opcode `prep()` has kept a `RecvCommand`.
        let req = unsafe { Prepared::<RecvCommand>::new(req) };

        // SAFETY: By the function's contract.
        recv::give_up(req, unsafe { subscriber(req) });
    }
}
