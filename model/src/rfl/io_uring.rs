// SPDX-License-Identifier: GPL-2.0

//! io_uring as an opcode's handler sees it. [`crate::task`] is the core behind it.

use super::user_buffer::UserBuffer;
use kernel::{bindings, prelude::*};
use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ops::Deref,
};

/// A submission queue entry.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sqe {
    pub(crate) ioprio: u16,
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) file_index: u32,
}

impl Sqe {
    pub(crate) fn ioprio(&self) -> u16 {
        self.ioprio
    }

    pub(crate) fn addr(&self) -> u64 {
        self.addr
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn buf_index(&self) -> u16 {
        0
    }

    pub(crate) fn file_index(&self) -> u32 {
        self.file_index
    }

    pub(crate) fn rest_is_zero(&self) -> bool {
        true
    }
}

/// Shows that the ring is locked. Here each task has its own.
#[derive(Clone, Copy)]
pub(crate) struct UringLocked<'a>(PhantomData<&'a ()>);

/// How a handler is called.
#[derive(Clone, Copy, Default)]
pub(crate) struct IssueFlags<'a> {
    pub(crate) is_woken_multishot: bool,
    pub(crate) call: PhantomData<&'a ()>,
}

impl<'a> IssueFlags<'a> {
    pub(crate) fn locked(self) -> Option<UringLocked<'a>> {
        Some(UringLocked(self.call))
    }

    pub(crate) fn is_woken_multishot(self) -> bool {
        self.is_woken_multishot
    }
}

/// What a handler tells the core of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome(&'static str);

impl Outcome {
    pub(crate) const COMPLETE: Self = Self("complete");
    pub(crate) const WAIT: Self = Self("wait");
    pub(crate) const REQUEUE: Self = Self("requeue");
    pub(crate) const SEND_BACK: Self = Self("send back");

    pub(crate) fn later(flags: IssueFlags<'_>) -> Self {
        if flags.is_woken_multishot {
            Self::REQUEUE
        } else {
            Self::WAIT
        }
    }
}

/// Who has submitted a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Submitter(pub(crate) u32);

/// A request.
pub(crate) struct Request {
    pub(crate) submitter: Submitter,
    pub(crate) user_data: u64,
    /// Where a selected buffer is, if the request selects.
    pub(crate) provided: Option<u64>,
    /// What a multishot request has received.
    pub(crate) posted: RefCell<Vec<u32>>,
    /// How many completions fit.
    pub(crate) cq_room: Cell<usize>,
    /// How it has ended.
    pub(crate) result: Cell<Option<Result<u32>>>,
    needs_cleanup: Cell<bool>,
}

impl Request {
    pub(crate) fn new(submitter: u32, user_data: u64, provided: Option<u64>) -> Self {
        Self {
            submitter: Submitter(submitter),
            user_data,
            provided,
            posted: RefCell::default(),
            cq_room: Cell::new(usize::MAX),
            result: Cell::new(None),
            needs_cleanup: Cell::new(false),
        }
    }

    pub(crate) fn submitter(&self) -> Submitter {
        self.submitter
    }

    pub(crate) fn user_data(&self) -> u64 {
        self.user_data
    }

    pub(crate) fn selects_buffer(&self) -> bool {
        self.provided.is_some()
    }

    pub(crate) fn skips_cqe(&self) -> bool {
        false
    }

    pub(crate) fn set_multishot(&self) {}

    pub(crate) fn set_eager(&self) {}

    pub(crate) fn needs_cleanup(&self) -> bool {
        self.needs_cleanup.get()
    }

    pub(crate) fn set_needs_cleanup(&self, needs: bool) {
        self.needs_cleanup.set(needs);
    }

    pub(crate) fn post(&self, _: UringLocked<'_>, result: u32, _cqe_flags: u32) -> bool {
        self.posted.borrow_mut().push(result);
        self.posted.borrow().len() < self.cq_room.get()
    }

    pub(crate) fn select_buffer(
        &self,
        _: UringLocked<'_>,
        _group: u16,
        len: u32,
    ) -> Result<SelectedBuffer> {
        let addr = self
            .provided
            .ok_or(Error::from_errno(-(bindings::ENOBUFS as i32)))?;

        Ok(SelectedBuffer(UserBuffer::new(addr, len as usize)?))
    }

    pub(crate) fn complete(&self, result: Result<u32>, _cqe_flags: u32) -> Outcome {
        self.result.set(Some(result));
        Outcome::COMPLETE
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.result.get(), Some(Err(_)))
    }
}

/// Here a request can be made ready at any time.
pub(crate) type NewRequest = Request;

/// A request that is ready.
pub(crate) struct Prepared<'a, C> {
    request: &'a Request,
    command: &'a C,
}

impl<'a, C> Prepared<'a, C> {
    pub(crate) fn new(request: &'a Request, command: &'a C) -> Self {
        Self { request, command }
    }

    pub(crate) fn command(self) -> &'a C {
        self.command
    }
}

impl<C> Clone for Prepared<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Prepared<'_, C> {}

impl<C> Deref for Prepared<'_, C> {
    type Target = Request;

    fn deref(&self) -> &Request {
        self.request
    }
}

/// A provided buffer that a request has picked.
pub(crate) struct SelectedBuffer(UserBuffer);

impl SelectedBuffer {
    pub(crate) fn buffer(&self) -> UserBuffer {
        self.0
    }

    pub(crate) fn consume(self, _len: usize) -> u32 {
        0
    }
}
