// SPDX-License-Identifier: GPL-2.0

//! io_uring as an opcode's handler sees it.
//!
//! C headers: [`include/linux/io_uring_types.h`](srctree/include/linux/io_uring_types.h),
//! [`include/uapi/linux/io_uring.h`](srctree/include/uapi/linux/io_uring.h)

use super::bindings;
use core::mem::offset_of;

mod issue;
mod provided_buffer;
mod request;
mod ring;
mod sqe;

pub(crate) use issue::{IssueFlags, Outcome};
pub(crate) use request::{NewRequest, Prepared, Request};
pub(crate) use ring::{RingContext, Submitter, UringLocked};
pub(crate) use sqe::{SharedSqe, Sqe};

// The layouts as C has them: bindgen is told not to check.
const _: () = {
    use bindings::{io_kiocb, io_ring_ctx};

    assert!(offset_of!(io_ring_ctx, __bindgen_anon_2.ipc) == bindings::HELPER_RING_IPC as usize);
    assert!(offset_of!(io_kiocb, ctx) == bindings::HELPER_REQ_CTX as usize);
    assert!(offset_of!(io_kiocb, flags) == bindings::HELPER_REQ_FLAGS as usize);
    assert!(offset_of!(io_kiocb, cqe) == bindings::HELPER_REQ_CQE as usize);
    assert!(offset_of!(io_kiocb, __bindgen_anon_1.cmd) == bindings::HELPER_REQ_CMD as usize);
    assert!(offset_of!(io_kiocb, opcode) == bindings::HELPER_REQ_OPCODE as usize);
    assert!(offset_of!(io_kiocb, tctx) == bindings::HELPER_REQ_TCTX as usize);
    assert!(offset_of!(io_kiocb, creds) == bindings::HELPER_REQ_CREDS as usize);
    assert!(
        offset_of!(io_ring_ctx, __bindgen_anon_1.flags) == bindings::HELPER_RING_FLAGS as usize
    );
};
