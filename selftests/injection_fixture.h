/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FIXTURE(injection): a ring, a channel, a sender and a receiver on it, in a
 * task whose allocations and copies can be made to fail. At the end nothing
 * that the module has allocated may be left, nor a reference to it.
 */
#ifndef INJECTION_FIXTURE_H
#define INJECTION_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/injection.h"
#include "lib/ipc_uring.h"
#include "lib/kernel_memory.h"
#include "lib/process.h"

#define ENTRIES		8
#define SIZE		32768
#define MOST_FAILURES	1000	/* of one operation: more is no end */
#define LIMIT		600	/* seconds: everything is done many times */

FIXTURE(injection)
{
	long long bytes;	/* of the module, before the test */
	struct ring ring;
	__u32 id;
	struct sub tx;
	struct sub rx;
};

#define injection_data	_test_data_injection

FIXTURE_VARIANT(injection)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(injection, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(injection, broadcast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(injection, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(injection, private_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_BROADCAST | IOIPC_F_PRIVATE,
};

FIXTURE_SETUP(injection)
{
	int ret = injection_open();

	if (ret == -ENOENT)
		SKIP(return, "kernel without CONFIG_FAULT_INJECTION");
	ASSERT_EQ(0, ret);
	ASSERT_TRUE(module_references_become(0));
	self->bytes = module_bytes();
	ASSERT_LE(0, self->bytes);
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ipc_create_key(&self->ring, &self->id, variant->flags,
				    ENTRIES, SIZE, 0666, 0));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->tx, self->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
}

FIXTURE_TEARDOWN(injection)
{
	close(self->tx.fd);
	close(self->rx.fd);
	ring_close(&self->ring);
	EXPECT_TRUE(module_references_become(0));
	EXPECT_EQ(self->bytes, module_bytes());
}

/* What the module may say where memory or a page is not to be had. */
static inline bool is_lack(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}

/* The channel takes and gives as many messages as it has slots, in order. */
static inline void check_channel(struct __test_metadata *_metadata,
				 struct ring *ring, __u32 tx, __u32 rx)
{
	__u32 i;

	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx));
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(ring, tx, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx, i));
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, rx));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx));
}

/*
 * Runs what follows without failure (what is done only once is done then), with
 * its first allocation or copy failing, its second, and so on, until it gets
 * through without: then @hit is false after injected().
 */
#define for_each_failure(n, hit)					\
	for (n = 0, hit = true; hit && n < MOST_FAILURES; n++)

/* It did come to an end, not at once, and said no at least so often. */
#define expect_failures(n, hit, failed, least) do {			\
	EXPECT_FALSE(hit);						\
	EXPECT_LE(3U, n);						\
	EXPECT_LE(least, failed);					\
	TH_LOG("%u failures injected, %u reached the caller", n - 2, failed); \
} while (0)

#endif /* INJECTION_FIXTURE_H */
