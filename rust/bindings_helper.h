/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads; bindings.rs includes the result. */

#include <linux/io_uring/ipc.h>
#include <uapi/linux/io_uring.h>

#include "../include/uapi/linux/io_uring_ipc.h"
#include "helpers.h"
