/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads; bindings.rs includes the result. */

#include <linux/io_uring/ipc.h>
#include <uapi/linux/io_uring.h>

#include "../include/uapi/linux/io_uring_ipc.h"
#include "helpers.h"

/* For Rust to compare with. */
enum {
	HELPER_RING_IPC = offsetof(struct io_ring_ctx, ipc),
	HELPER_REQ_CTX = offsetof(struct io_kiocb, ctx),
	HELPER_REQ_FLAGS = offsetof(struct io_kiocb, flags),
	HELPER_REQ_CQE = offsetof(struct io_kiocb, cqe),
	HELPER_REQ_CMD = offsetof(struct io_kiocb, cmd),
	HELPER_REQ_OPCODE = offsetof(struct io_kiocb, opcode),
	HELPER_REQ_TCTX = offsetof(struct io_kiocb, tctx),
	HELPER_REQ_CREDS = offsetof(struct io_kiocb, creds),
	HELPER_RING_FLAGS = offsetof(struct io_ring_ctx, flags),
	HELPER_IOC_SET_MODE = IOIPC_IOC_SET_MODE,
};
