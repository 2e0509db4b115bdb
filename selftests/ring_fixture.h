/* SPDX-License-Identifier: GPL-2.0 */
/* FIXTURE(ring): one open ring, in each set-up that changes how it works. */
#ifndef RING_FIXTURE_H
#define RING_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

FIXTURE(ring)
{
	struct ring ring;
};

FIXTURE_VARIANT(ring)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(ring, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(ring, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(ring, sqpoll)
{
	.setup = RING_SQPOLL,
};

FIXTURE_SETUP(ring)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(ring)
{
	ring_close(&self->ring);
}

#endif /* RING_FIXTURE_H */
