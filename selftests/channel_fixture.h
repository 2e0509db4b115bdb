/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FIXTURE(channel): a ring, a channel, a sender and a receiver on it: every
 * kind of channel with every set-up of the ring.
 */
#ifndef CHANNEL_FIXTURE_H
#define CHANNEL_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define CHANNEL_ENTRIES	8
#define CHANNEL_SIZE	128

FIXTURE(channel)
{
	struct ring ring;
	__u32 id;
	struct sub tx;
	struct sub rx;
};

/* The fixture's data, for functions that take it. */
#define channel_data _test_data_channel

FIXTURE_VARIANT(channel)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(channel, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(channel, unicast_defer)
{
	.setup = RING_DEFER,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(channel, unicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(channel, multicast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(channel, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(channel, multicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(channel, broadcast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(channel, broadcast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(channel, broadcast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_SETUP(channel)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->id, variant->flags,
				CHANNEL_ENTRIES, CHANNEL_SIZE));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->tx, self->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
}

FIXTURE_TEARDOWN(channel)
{
	ring_close(&self->ring);
}

#endif /* CHANNEL_FIXTURE_H */
