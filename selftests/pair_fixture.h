/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FIXTURE(pair): the ring under test, in each set-up and with each kind of
 * channel, and a plain one of the same task. With PAIR_TEST_SENDER defined the
 * ring under test sends to the other, else it receives from it.
 *
 * Requests of the ring under test can wait while the other one does what ends
 * the wait, and completions do not mix.
 */
#ifndef PAIR_FIXTURE_H
#define PAIR_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define PAIR_ENTRIES	8
#define PAIR_SIZE	128

FIXTURE(pair)
{
	struct ring ring;	/* under test */
	struct ring peer;
	__u32 id;
	struct sub tx;
	struct sub rx;
};

/* The fixture's data, for functions that take it. */
#define pair_data _test_data_pair

FIXTURE_VARIANT(pair)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(pair, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(pair, unicast_defer)
{
	.setup = RING_DEFER,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(pair, unicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(pair, multicast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(pair, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(pair, multicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(pair, broadcast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(pair, broadcast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(pair, broadcast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_BROADCAST,
};

static inline void pair_open(struct __test_metadata *_metadata,
			     struct pair_data *pair, unsigned int setup,
			     __u32 flags)
{
	struct ring *sender = &pair->peer, *receiver = &pair->ring;

#ifdef PAIR_TEST_SENDER
	sender = &pair->ring;
	receiver = &pair->peer;
#endif
	ASSERT_EQ(0, ring_open(&pair->ring, setup));
	ASSERT_EQ(0, ring_open(&pair->peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&pair->peer, &pair->id, flags, PAIR_ENTRIES,
				PAIR_SIZE));
	ASSERT_EQ(0, ipc_attach(sender, &pair->tx, pair->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(receiver, &pair->rx, pair->id,
				IOIPC_SUB_RECV));
}

static inline void pair_close(struct pair_data *pair)
{
	ring_close(&pair->ring);
	ring_close(&pair->peer);
}

FIXTURE_SETUP(pair)
{
	pair_open(_metadata, self, variant->setup, variant->flags);
}

FIXTURE_TEARDOWN(pair)
{
	pair_close(self);
}

/* The next completion is this one. */
static inline void expect_next(struct __test_metadata *_metadata,
			       struct ring *ring, __u64 user_data, int res)
{
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(user_data, cqe.user_data)
		TH_LOG("result %d", cqe.res);
	EXPECT_EQ(res, cqe.res);
}

#endif /* PAIR_FIXTURE_H */
