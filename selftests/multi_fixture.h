/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FIXTURE(multi): a ring that receives numbers with IOIPC_RECV_MULTISHOT and
 * provided buffers of either kind, and a plain one of the same task that sends.
 */
#ifndef MULTI_FIXTURE_H
#define MULTI_FIXTURE_H

#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define GROUP		7
#define ENTRIES		256
#define SIZE		128

FIXTURE(multi)
{
	struct ring ring;	/* receives */
	struct ring peer;	/* sends */
	struct buffers buffers;
	__u32 id;
	struct sub tx;
	struct sub rx;
};

#define multi_data	_test_data_multi

FIXTURE_VARIANT(multi)
{
	unsigned int setup;
	__u32 flags;
	enum buffer_kind kind;
};

FIXTURE_VARIANT_ADD(multi, plain_ring)
{
	.setup = RING_PLAIN,
	.flags = 0,
	.kind = BUFFER_RING,
};

FIXTURE_VARIANT_ADD(multi, plain_legacy)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_BROADCAST,
	.kind = BUFFER_LEGACY,
};

FIXTURE_VARIANT_ADD(multi, defer_ring)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_BROADCAST,
	.kind = BUFFER_RING,
};

FIXTURE_VARIANT_ADD(multi, defer_legacy)
{
	.setup = RING_DEFER,
	.flags = 0,
	.kind = BUFFER_LEGACY,
};

FIXTURE_VARIANT_ADD(multi, sqpoll_ring)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
	.kind = BUFFER_RING,
};

FIXTURE_VARIANT_ADD(multi, sqpoll_legacy)
{
	.setup = RING_SQPOLL,
	.flags = 0,
	.kind = BUFFER_LEGACY,
};

FIXTURE_SETUP(multi)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ring_open(&self->peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->peer, &self->id, variant->flags,
				ENTRIES, SIZE));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->tx, self->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
	ASSERT_EQ(0, buffers_open(&self->ring, &self->buffers, variant->kind,
				  GROUP, ENTRIES, SIZE));
}

FIXTURE_TEARDOWN(multi)
{
	ring_close(&self->ring);
	ring_close(&self->peer);
	buffers_close(&self->buffers);
}

/* Queue the receive and have it issued. */
static inline void arm(struct __test_metadata *_metadata,
		       struct multi_data *self, __u16 flags)
{
	prep_recv_select(&self->ring, self->rx.id, GROUP, 0,
			 IOIPC_RECV_MULTISHOT | flags, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
}

static inline void give(struct __test_metadata *_metadata,
			struct multi_data *self, unsigned int first,
			unsigned int count)
{
	ASSERT_EQ(0, buffers_give(&self->ring, &self->buffers, first, count));
}

/* Send the numbers from @first on, as many at once as there are SQEs. */
static inline void send_numbers(struct __test_metadata *_metadata,
				struct multi_data *self, __u32 first,
				unsigned int count)
{
	__u32 value[RING_ENTRIES];
	int res[RING_ENTRIES];
	unsigned int i, n;

	for (; count; count -= n, first += n) {
		n = count < RING_ENTRIES ? count : RING_ENTRIES;
		for (i = 0; i < n; i++) {
			value[i] = first + i;
			prep_send(&self->peer, self->tx.id, &value[i], 4, 0, i);
		}
		ASSERT_EQ(0, ring_batch(&self->peer, res, n));
		for (i = 0; i < n; i++)
			ASSERT_EQ(4, res[i]);
	}
}

/* The next completion: a message, this number. */
static inline void expect_number(struct __test_metadata *_metadata,
				 struct multi_data *self,
				 struct io_uring_cqe *cqe, __u32 value)
{
	ASSERT_EQ(0, ring_next(&self->ring, cqe));
	ASSERT_EQ(4, cqe->res)
		TH_LOG("for number %u", value);
	EXPECT_EQ(1, (int)cqe->user_data);
	ASSERT_NE(NULL, buffers_at(&self->buffers, cqe));
	ASSERT_EQ(value, *(__u32 *)buffers_at(&self->buffers, cqe));
}

static inline void expect_more(struct __test_metadata *_metadata,
			       struct multi_data *self, __u32 value)
{
	struct io_uring_cqe cqe;

	expect_number(_metadata, self, &cqe, value);
	EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE)
		TH_LOG("for number %u", value);
}

/* The next completion: the end, by an error. */
static inline void expect_end(struct __test_metadata *_metadata,
			      struct multi_data *self, int res)
{
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(res, cqe.res);
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
}

#endif /* MULTI_FIXTURE_H */
