/* SPDX-License-Identifier: GPL-2.0 */
/* FIXTURE(plain): one open ring, where its set-up makes no difference. */
#ifndef PLAIN_FIXTURE_H
#define PLAIN_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

FIXTURE(plain)
{
	struct ring ring;
};

FIXTURE_SETUP(plain)
{
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
}

FIXTURE_TEARDOWN(plain)
{
	ring_close(&self->ring);
}

#endif /* PLAIN_FIXTURE_H */
