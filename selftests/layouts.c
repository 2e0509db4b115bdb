// SPDX-License-Identifier: GPL-2.0
/*
 * Rings whose queues are not laid out as usual: entries of twice the length,
 * of either, no array of indices, and queues that change their size while
 * requests wait.
 */
#include <string.h>
#include <linux/io_uring_ipc.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define GROUP	3
#define ENTRIES	256
#define SIZE	64
#define NOP128	63	/* IORING_OP_NOP128, of 6.19 */
#define NOP_CQE32	(1U << 5)	/* IORING_NOP_CQE32, of 6.18 */
#define OTHER	2	/* user_data of what has nothing to do with channels */

FIXTURE(layout)
{
	struct ring ring;
	struct ring peer;	/* an ordinary one */
	struct buffers buffers;
	__u32 id;
	struct sub tx;
	struct sub rx;
	struct sub peer_tx;
};

#define layout_data	_test_data_layout

FIXTURE_VARIANT(layout)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(layout, large_completions)
{
	.setup = RING_DEFER | IORING_SETUP_CQE32,
};

FIXTURE_VARIANT_ADD(layout, large_requests)
{
	.setup = RING_PLAIN | IORING_SETUP_SQE128,
};

FIXTURE_VARIANT_ADD(layout, large)
{
	.setup = RING_SQPOLL | IORING_SETUP_SQE128 | IORING_SETUP_CQE32,
};

FIXTURE_VARIANT_ADD(layout, mixed)
{
	.setup = RING_DEFER | IORING_SETUP_SQE_MIXED | IORING_SETUP_CQE_MIXED,
};

FIXTURE_VARIANT_ADD(layout, mixed_plain)
{
	.setup = RING_PLAIN | IORING_SETUP_SQE_MIXED | IORING_SETUP_CQE_MIXED,
};

FIXTURE_VARIANT_ADD(layout, no_array)
{
	.setup = RING_DEFER | IORING_SETUP_NO_SQARRAY,
};

FIXTURE_SETUP(layout)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ring_open(&self->peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->peer, &self->id, 0, ENTRIES, SIZE));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->tx, self->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->peer_tx, self->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, buffers_open(&self->ring, &self->buffers, BUFFER_RING,
				  GROUP, ENTRIES, SIZE));
	ASSERT_EQ(0, buffers_give(&self->ring, &self->buffers, 0, ENTRIES));
}

FIXTURE_TEARDOWN(layout)
{
	ring_close(&self->ring);
	ring_close(&self->peer);
	buffers_close(&self->buffers);
}

/*
 * The next completion. The second half of one of ours is empty; that of one that
 * is posted before its request is done is left by the core as it was.
 */
static void take(struct __test_metadata *_metadata, struct ring *ring,
		 struct io_uring_cqe *cqe)
{
	const struct io_uring_cqe *next;

	ASSERT_EQ(0, ring_enter_timeout(ring, 1, PATIENCE_MS));
	next = ring_peek(ring);
	ASSERT_NE(NULL, next);
	if (next->user_data != OTHER) {
		EXPECT_EQ(0U, next->flags & IORING_CQE_F_32);
		if (ring->setup & IORING_SETUP_CQE32 &&
		    !(next->flags & IORING_CQE_F_MORE)) {
			EXPECT_EQ(0ULL, next->big_cqe[0]);
			EXPECT_EQ(0ULL, next->big_cqe[1]);
		}
	}
	ASSERT_TRUE(ring_cqe(ring, cqe));
}

static void arm(struct __test_metadata *_metadata, struct layout_data *self)
{
	prep_recv_select(&self->ring, self->rx.id, GROUP, 0,
			 IOIPC_RECV_MULTISHOT, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
}

/* Of the receive that is armed; it ends where the queue has been full. */
static void take_number(struct __test_metadata *_metadata,
			struct layout_data *self, __u32 number)
{
	struct io_uring_cqe cqe;

	take(_metadata, &self->ring, &cqe);
	ASSERT_EQ(1ULL, cqe.user_data)
		TH_LOG("%d, for number %u", cqe.res, number);
	ASSERT_EQ(4, cqe.res)
		TH_LOG("for number %u", number);
	ASSERT_NE(NULL, buffers_at(&self->buffers, &cqe));
	ASSERT_EQ(number, *(__u32 *)buffers_at(&self->buffers, &cqe));
	buffers_give(&self->ring, &self->buffers, cqe_buffer(&cqe), 1);
	if (!(cqe.flags & IORING_CQE_F_MORE))
		arm(_metadata, self);
}

/* All from @first on and before @end, and of what else completes its @res. */
static void take_numbers(struct __test_metadata *_metadata,
			 struct layout_data *self, __u32 first, __u32 end,
			 __u64 user_data, int res)
{
	struct io_uring_cqe cqe;

	while (first < end) {
		ASSERT_EQ(0, ring_enter_timeout(&self->ring, 1, PATIENCE_MS));
		ASSERT_NE(NULL, ring_peek(&self->ring));
		if (ring_peek(&self->ring)->user_data == 1) {
			take_number(_metadata, self, first++);
			continue;
		}
		take(_metadata, &self->ring, &cqe);
		ASSERT_EQ(user_data, cqe.user_data);
		ASSERT_EQ(res, cqe.res);
	}
}

static void send_numbers(struct __test_metadata *_metadata,
			 struct layout_data *self, __u32 first, __u32 count)
{
	for (; count; count--, first++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->peer_tx.id,
					  first));
}

/* A request twice as long where there may be some, otherwise a usual one. */
static void prep_large(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (ring->setup & IORING_SETUP_SQE_MIXED) {
		/* It has to be in one piece. */
		if ((ring->tail & ring->sq_mask) == ring->sq_mask)
			prep_nop(ring, OTHER);
		sqe = prep_nop(ring, OTHER);
		sqe->opcode = NOP128;
		ring_sqe(ring);
	} else {
		sqe = prep_nop(ring, OTHER);
	}
	if (ring->setup & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)) {
		sqe->nop_flags = NOP_CQE32;
		sqe->off = ~0ULL;
		sqe->addr = ~0ULL;
	}
}

TEST_F(layout, one_by_one)
{
	struct {
		struct io_uring_ipc_msg_hdr header;
		__u32 number;
	} message;
	struct io_uring_cqe cqe;
	__u32 i;

	/* From here on what takes two places comes to the last one, too. */
	prep_nop(&self->ring, OTHER);
	take(_metadata, &self->ring, &cqe);
	/* More than the queues hold, past others' requests. */
	for (i = 0; i < 3 * RING_ENTRIES; i++) {
		prep_send(&self->ring, self->tx.id, &i, 4, 0, 0);
		take(_metadata, &self->ring, &cqe);
		ASSERT_EQ(4, cqe.res);
		prep_recv(&self->ring, self->rx.id, &message, sizeof(message),
			  IOIPC_RECV_HDR, 3);
		take(_metadata, &self->ring, &cqe);
		ASSERT_EQ((int)sizeof(message.header) + 4, cqe.res);
		ASSERT_EQ(3ULL, cqe.user_data);
		ASSERT_EQ(i, message.number);
		ASSERT_EQ(self->tx.id, message.header.sender_id);
		if (i % 3)
			continue;
		prep_large(&self->ring);
		do {
			take(_metadata, &self->ring, &cqe);
			ASSERT_EQ(0, cqe.res);
		} while (ring_peek(&self->ring));
	}
	ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(layout, waits)
{
	struct io_uring_cqe cqe;
	__u32 value;

	ASSERT_EQ(0, ipc_park(&self->ring, &self->rx, &value, 5));
	send_numbers(_metadata, self, 0, 1);
	take(_metadata, &self->ring, &cqe);
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(5ULL, cqe.user_data);
	EXPECT_EQ(0U, value);

	send_numbers(_metadata, self, 1, ENTRIES);
	value = ENTRIES + 1;
	prep_send(&self->ring, self->tx.id, &value, 4, 0, 6)->ioprio =
		IOIPC_SEND_WAIT;
	ASSERT_TRUE(ring_parks(&self->ring, self->tx.fd, SENDS_WAITING));
	arm(_metadata, self);
	take_numbers(_metadata, self, 1, ENTRIES + 2, 6, 4);
}

/* Completions of either length, while a receive stays armed. */
TEST_F(layout, multishot_among_others)
{
	unsigned int round, count;
	__u32 sent = 0;

	arm(_metadata, self);
	for (round = 0; round < 100; round++, sent += count) {
		count = 1 + round % 4;
		send_numbers(_metadata, self, sent, count);
		prep_large(&self->ring);
		ASSERT_EQ(0, ring_submit(&self->ring));
		take_numbers(_metadata, self, sent, sent + count, OTHER, 0);
	}
}

/* What does not fit is kept by the kernel; none is lost, or changes places. */
TEST_F(layout, small_queue)
{
	enum { TOTAL = 100 };
	struct buffers buffers;
	struct io_uring_cqe cqe;
	unsigned int ends = 0;
	struct ring small;
	struct sub sub;
	__u32 i;

	ASSERT_EQ(0, ring_open_sized(&small, variant->setup, 4, 8));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&small, &sub, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, buffers_open(&small, &buffers, BUFFER_RING, 1, 128, 8));
	ASSERT_EQ(0, buffers_give(&small, &buffers, 0, 128));
	send_numbers(_metadata, self, 0, TOTAL);
	prep_recv_select(&small, sub.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	for (i = 0; i < TOTAL; i++) {
		take(_metadata, &small, &cqe);
		ASSERT_EQ(4, cqe.res);
		ASSERT_NE(NULL, buffers_at(&buffers, &cqe));
		ASSERT_EQ(i, *(__u32 *)buffers_at(&buffers, &cqe));
		if (cqe.flags & IORING_CQE_F_MORE)
			continue;
		ends++;
		prep_recv_select(&small, sub.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	}
	EXPECT_TRUE(ring_quiet(&small, QUIET_MS));
	EXPECT_LE(1U, ends);
	ring_close(&small);
	buffers_close(&buffers);
}

/*
 * Only rings with DEFER_TASKRUN can change their size: then what has not been
 * taken moves, and what waits goes on. Others go on as they were.
 */
TEST_F(layout, resize)
{
	static const unsigned int sizes[][2] = {
		{ 2 * RING_ENTRIES, 8 * RING_ENTRIES }, { 8, 16 },
		{ RING_ENTRIES, 2 * RING_ENTRIES },
	};
	bool may = variant->setup & IORING_SETUP_DEFER_TASKRUN;
	struct io_uring_cqe cqe;
	__u32 sent = 0;
	unsigned int i;

	arm(_metadata, self);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		send_numbers(_metadata, self, sent, 10);
		/* Some have been posted, others wait for the task to do it. */
		take_numbers(_metadata, self, sent, sent + 5, OTHER, 0);
		send_numbers(_metadata, self, sent + 10, 3);
		prep_nop(&self->ring, OTHER);
		EXPECT_EQ(may ? 0 : -EINVAL,
			  ring_resize(&self->ring, sizes[i][0], sizes[i][1]));
		take_numbers(_metadata, self, sent + 5, sent + 13, OTHER, 0);
		sent += 13;
	}
	prep_cancel(&self->ring, 0, 1, 0, 0, 7);
	do {
		take(_metadata, &self->ring, &cqe);
	} while (cqe.user_data != 1);
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
}

TEST_F(layout, resize_with_waits)
{
	bool may = variant->setup & IORING_SETUP_DEFER_TASKRUN;
	int want = may ? 0 : -EINVAL;
	struct io_uring_cqe cqe;
	__u32 value;

	ASSERT_EQ(0, ipc_park(&self->ring, &self->rx, &value, 5));
	EXPECT_EQ(want, ring_resize(&self->ring, 8, 16));
	send_numbers(_metadata, self, 77, 1);
	EXPECT_EQ(want, ring_resize(&self->ring, 16, 32));
	take(_metadata, &self->ring, &cqe);
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(5ULL, cqe.user_data);
	EXPECT_EQ(77U, value);

	send_numbers(_metadata, self, 0, ENTRIES);
	value = ENTRIES;
	prep_send(&self->ring, self->tx.id, &value, 4, 0, 6)->ioprio =
		IOIPC_SEND_WAIT;
	ASSERT_TRUE(ring_parks(&self->ring, self->tx.fd, SENDS_WAITING));
	EXPECT_EQ(want, ring_resize(&self->ring, 8, 16));
	arm(_metadata, self);
	take_numbers(_metadata, self, 0, ENTRIES + 1, 6, 4);
}

TEST_HARNESS_MAIN
