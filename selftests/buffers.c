// SPDX-License-Identifier: GPL-2.0
/* Provided buffers: which is used, for how much, and what if there is none. */
#include "lib/foreign_memory.h"
#include "multi_fixture.h"

#define HDR_SIZE	sizeof(struct io_uring_ipc_msg_hdr)

TEST_F(multi, no_buffer_ends_it)
{
	struct ring *ring = &self->ring;
	__u32 value, i;

	give(_metadata, self, 0, 2);
	send_numbers(_metadata, self, 0, 5);
	arm(_metadata, self, 0);
	expect_more(_metadata, self, 0);
	expect_more(_metadata, self, 1);
	expect_end(_metadata, self, -ENOBUFS);
	/* Nothing is lost with it, whoever takes the next one. */
	EXPECT_EQ(4, ipc_recv(ring, self->rx.id, &value, 4));
	EXPECT_EQ(2, (int)value);
	arm(_metadata, self, 0);
	expect_end(_metadata, self, -ENOBUFS);
	give(_metadata, self, 0, 8);
	arm(_metadata, self, 0);
	for (i = 3; i < 5; i++)
		expect_more(_metadata, self, i);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
}

/* Without a message there is no need of a buffer. */
TEST_F(multi, waits_without_a_buffer)
{
	__u32 i;

	for (i = 0; i < 2; i++) {
		arm(_metadata, self, 0);
		EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
		/* A buffer that comes later does. */
		if (i)
			give(_metadata, self, 0, 1);
		send_numbers(_metadata, self, i, 1);
		if (!i) {
			expect_end(_metadata, self, -ENOBUFS);
			EXPECT_EQ(0, ipc_recv_u32(&self->ring, self->rx.id));
		} else {
			expect_more(_metadata, self, i);
		}
	}
}

TEST_F(multi, unknown_group)
{
	struct ring *ring = &self->ring;

	prep_recv_select(ring, self->rx.id, GROUP + 1, 0, 0, 1);
	expect_end(_metadata, self, -EAGAIN);
	send_numbers(_metadata, self, 3, 1);
	prep_recv_select(ring, self->rx.id, GROUP + 1, 0, 0, 1);
	expect_end(_metadata, self, -ENOBUFS);
	prep_recv_select(ring, self->rx.id, GROUP + 1, 0, IOIPC_RECV_MULTISHOT,
			 1);
	expect_end(_metadata, self, -ENOBUFS);
	EXPECT_EQ(3, ipc_recv_u32(ring, self->rx.id));
}

TEST_F(multi, header)
{
	struct ring *ring = &self->ring;
	struct io_uring_ipc_msg_hdr *hdr;
	struct io_uring_cqe cqe;
	__u32 i, value;

	give(_metadata, self, 0, 16);
	arm(_metadata, self, IOIPC_RECV_HDR);
	for (i = 0; i < 10; i++) {
		value = 50 + i;
		prep_send(&self->peer, self->tx.id, &value, 4, 0, 1000 + i);
		ASSERT_EQ(4, ring_one(&self->peer));
	}
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		ASSERT_EQ((int)HDR_SIZE + 4, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		hdr = buffers_at(&self->buffers, &cqe);
		ASSERT_NE(NULL, hdr);
		EXPECT_EQ(i + 1, hdr->msg_id);
		EXPECT_EQ(1000 + i, hdr->sender_data);
		EXPECT_EQ(4, (int)hdr->len);
		EXPECT_EQ(self->tx.id, hdr->sender_id);
		EXPECT_EQ(50 + i, *(__u32 *)(hdr + 1));
	}
}

/* The next completion: number @i, with its header, the @i-th message of all. */
static void expect_whole(struct __test_metadata *_metadata,
			 const struct buffers *buffers,
			 const struct io_uring_cqe *cqe, __u32 i)
{
	const struct io_uring_ipc_msg_hdr *hdr = buffers_at(buffers, cqe);

	ASSERT_EQ((int)HDR_SIZE + 4, cqe->res)
		TH_LOG("for number %u", i);
	ASSERT_NE(NULL, hdr);
	ASSERT_EQ(i + 1, hdr->msg_id);
	ASSERT_EQ(i, *(__u32 *)(hdr + 1));
}

/* With headers, too, nothing is lost where there are no buffers. */
TEST_F(multi, no_buffer_for_header)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 i;

	give(_metadata, self, 0, 2);
	send_numbers(_metadata, self, 0, 5);
	arm(_metadata, self, IOIPC_RECV_HDR);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		expect_whole(_metadata, &self->buffers, &cqe, i);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		if (i != 1)
			continue;
		expect_end(_metadata, self, -ENOBUFS);
		give(_metadata, self, 2, 8);
		arm(_metadata, self, IOIPC_RECV_HDR);
	}
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
}

/* A buffer too small for the header is refused, not the message. */
TEST_F(multi, header_needs_room)
{
	struct ring *ring = &self->ring;
	char *data = self->buffers.data;

	send_numbers(_metadata, self, 4, 1);
	prep_recv_select(ring, self->rx.id, GROUP, HDR_SIZE - 1,
			 IOIPC_RECV_HDR | IOIPC_RECV_MULTISHOT, 1);
	expect_end(_metadata, self, -EINVAL);
	ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, 0, data,
				     HDR_SIZE - 1));
	arm(_metadata, self, IOIPC_RECV_HDR);
	expect_end(_metadata, self, -EINVAL);
	EXPECT_EQ(4, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
}

TEST_F(multi, header_just_fits)
{
	struct ring *ring = &self->ring;
	struct io_uring_ipc_msg_hdr *hdr;
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, 0,
				     self->buffers.data, HDR_SIZE));
	ASSERT_EQ(9, ipc_send(&self->peer, self->tx.id, "123456789", 9, 0));
	prep_recv_select(ring, self->rx.id, GROUP, HDR_SIZE,
			 IOIPC_RECV_HDR | IOIPC_RECV_TRUNC, 1);
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ((int)HDR_SIZE + 9, cqe.res);
	hdr = buffers_at(&self->buffers, &cqe);
	ASSERT_NE(NULL, hdr);
	EXPECT_EQ(9, (int)hdr->len);
	EXPECT_EQ(0, self->buffers.data[HDR_SIZE]);
}

static void cut(struct __test_metadata *_metadata, struct multi_data *self,
		__u32 len, __u16 flags, int want)
{
	struct io_uring_cqe cqe;
	char *data;
	int i;

	memset(self->buffers.data, 'x', 4 * self->buffers.size);
	prep_recv_select(&self->ring, self->rx.id, GROUP, len,
			 IOIPC_RECV_MULTISHOT | flags, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
	/* The second one is a message of its own, not the first one's rest. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(9, ipc_send(&self->peer, self->tx.id, "truncated", 9,
				      0));
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(want, cqe.res);
		data = buffers_at(&self->buffers, &cqe);
		ASSERT_NE(NULL, data);
		EXPECT_EQ(0, memcmp(data, "truncxxx", 8));
	}
	prep_cancel(&self->ring, 0, 1, -1, 0, 2);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(cqe.user_data == 1 ? -ECANCELED : 0, cqe.res);
	}
}

TEST_F(multi, truncation)
{
	struct ring *ring = &self->ring;
	char *data = self->buffers.data;
	int i;

	/* By what the SQE allows of a buffer, then by the buffer. */
	give(_metadata, self, 0, 2);
	cut(_metadata, self, 5, 0, 5);
	give(_metadata, self, 0, 2);
	cut(_metadata, self, 5, IOIPC_RECV_TRUNC, 9);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, i,
					     data + i * SIZE, 5));
	cut(_metadata, self, 0, 0, 5);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, i,
					     data + i * SIZE, 5));
	cut(_metadata, self, 64, IOIPC_RECV_TRUNC, 9);
}

TEST_F(multi, bad_address_in_the_pool)
{
	struct ring *ring = &self->ring;

	ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, 0, (void *)8, 64));
	send_numbers(_metadata, self, 5, 2);
	arm(_metadata, self, 0);
	expect_end(_metadata, self, -EFAULT);
	EXPECT_EQ(5, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(6, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
}

/*
 * No user memory. It is the core that looks, and takes it for no buffer where the
 * address can be none of user space's.
 */
TEST_F(multi, foreign_memory_in_the_pool)
{
	struct ring *ring = &self->ring;
	unsigned int i, multishot;

	for (i = 0; i < ARRAY_SIZE(foreign); i++) {
		bool is_kernels = foreign[i].addr >> 63;
		struct io_uring_cqe cqe;
		struct buffers bad;

		ASSERT_EQ(0, buffers_open(ring, &bad, variant->kind,
					  GROUP + 1 + i, 1, SIZE));
		ASSERT_EQ(0, buffers_give_at(ring, &bad, 0,
					     (void *)foreign[i].addr,
					     foreign[i].len));
		if (variant->kind == BUFFER_LEGACY) {
			bool refused = ring_cqe(ring, &cqe);

			EXPECT_TRUE(refused || !is_kernels);
			EXPECT_TRUE(!refused || cqe.res == -EFAULT ||
				    cqe.res == -EOVERFLOW);
		}
		send_numbers(_metadata, self, i, 1);
		for (multishot = 0; multishot < 2; multishot++) {
			prep_recv_select(ring, self->rx.id, GROUP + 1 + i, 0,
					 multishot ? IOIPC_RECV_MULTISHOT : 0,
					 1);
			ASSERT_EQ(0, ring_next(ring, &cqe));
			EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
			EXPECT_TRUE(cqe.res == -ENOBUFS ||
				    (!is_kernels && cqe.res == -EFAULT))
				TH_LOG("%#llx: %d",
				       (unsigned long long)foreign[i].addr,
				       cqe.res);
		}
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		buffers_close(&bad);
	}
}

/* The bad one comes when others were filled already. */
TEST_F(multi, bad_address_after_good_ones)
{
	struct ring *ring = &self->ring;

	give(_metadata, self, 0, 2);
	ASSERT_EQ(0, buffers_give_at(ring, &self->buffers, 2, (void *)8, 64));
	arm(_metadata, self, 0);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	send_numbers(_metadata, self, 0, 4);
	expect_more(_metadata, self, 0);
	expect_more(_metadata, self, 1);
	expect_end(_metadata, self, -EFAULT);
	EXPECT_EQ(2, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(3, ipc_recv_u32(ring, self->rx.id));
}

/* One message a request, into a provided buffer. */
TEST_F(multi, oneshot)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	int i, async;

	for (async = 0; async < 2; async++) {
		give(_metadata, self, async, 1);
		/* An empty channel costs no buffer. */
		for (i = 0; i < 3; i++) {
			prep_recv_select(ring, self->rx.id, GROUP, 0, 0,
					 1)->flags |= async ? IOSQE_ASYNC : 0;
			expect_end(_metadata, self, -EAGAIN);
		}
		send_numbers(_metadata, self, 7, 2);
		prep_recv_select(ring, self->rx.id, GROUP, 0, 0, 1)->flags |=
			async ? IOSQE_ASYNC : 0;
		expect_number(_metadata, self, &cqe, 7);
		EXPECT_EQ(async, (int)cqe_buffer(&cqe));
		EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
		prep_recv_select(ring, self->rx.id, GROUP, 0, 0, 1)->flags |=
			async ? IOSQE_ASYNC : 0;
		expect_end(_metadata, self, -ENOBUFS);
		EXPECT_EQ(8, ipc_recv_u32(ring, self->rx.id));
	}
}

TEST_F(multi, oneshot_wait)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	int i;

	for (i = 0; i < 4; i++) {
		give(_metadata, self, i, 1);
		prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_WAIT,
				 1)->flags |= i & 1 ? IOSQE_ASYNC : 0;
		ASSERT_TRUE(ring_parks(ring, self->rx.fd, RECEIVES_WAITING));
		/* The one buffer is still there for others. */
		prep_recv_select(ring, self->rx.id, GROUP, 0, 0, 2);
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		EXPECT_EQ(-EAGAIN, cqe.res);
		send_numbers(_metadata, self, 20 + i, 1);
		expect_number(_metadata, self, &cqe, 20 + i);
		EXPECT_EQ(i, (int)cqe_buffer(&cqe));
		EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
	}
	/* With the message there and no buffer. */
	prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_WAIT, 1);
	ASSERT_EQ(0, ring_submit(ring));
	send_numbers(_metadata, self, 30, 1);
	expect_end(_metadata, self, -ENOBUFS);
	EXPECT_EQ(30, ipc_recv_u32(ring, self->rx.id));
}

/*
 * Incremental buffers: messages of several lengths, packed. The group is one of
 * its own, of two buffers.
 */
#define INC_GROUP	9
#define INC_SIZE	256

static void open_incremental(struct __test_metadata *_metadata,
			     struct multi_data *self, struct buffers *inc)
{
	ASSERT_EQ(0, buffers_open(&self->ring, inc, BUFFER_RING_INC, INC_GROUP,
				  2, INC_SIZE));
	ASSERT_EQ(0, buffers_give(&self->ring, inc, 0, 2));
}

TEST_F(multi, incremental)
{
	static const __u32 len[] = { 10, 1, 100, 0, 45, 100 };
	char in[SIZE], *at;
	struct io_uring_cqe cqe;
	struct buffers inc;
	__u32 i, used = 0;

	open_incremental(_metadata, self, &inc);
	prep_recv_select(&self->ring, self->rx.id, INC_GROUP, 0,
			 IOIPC_RECV_MULTISHOT, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		memset(in, 'a' + i, sizeof(in));
		ASSERT_EQ((int)len[i], ipc_send(&self->peer, self->tx.id, in,
						len[i], 0));
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ((int)len[i], cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		at = buffers_at(&inc, &cqe);
		ASSERT_EQ(inc.data, at);
		EXPECT_EQ(0, memcmp(at + used, in, len[i]));
		used += len[i];
		/* The last one fills the buffer to the byte. */
		EXPECT_EQ(used < INC_SIZE ? IORING_CQE_F_BUF_MORE : 0,
			  cqe.flags & IORING_CQE_F_BUF_MORE);
	}
	ASSERT_EQ(INC_SIZE, used);
	/* On with the second one. */
	ASSERT_EQ(4, ipc_send(&self->peer, self->tx.id, "next", 4, 0));
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(1, (int)cqe_buffer(&cqe));
	EXPECT_EQ(0, memcmp(inc.data + INC_SIZE, "next", 4));
	ring_close(&self->ring);
	buffers_close(&inc);
}

/* A header has to fit what is left of a buffer; a message that it does not, stays. */
TEST_F(multi, incremental_and_header)
{
	enum { HEAD = sizeof(struct io_uring_ipc_msg_hdr), LEFT = HEAD - 1 };
	const __u32 len[] = { 60, INC_SIZE - 60 - 2 * HEAD - LEFT };
	struct io_uring_ipc_msg_hdr hdr;
	struct io_uring_cqe cqe;
	char in[INC_SIZE] = "";
	struct buffers inc;
	__u32 i, used = 0;

	open_incremental(_metadata, self, &inc);
	prep_recv_select(&self->ring, self->rx.id, INC_GROUP, 0,
			 IOIPC_RECV_MULTISHOT | IOIPC_RECV_HDR, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		ASSERT_EQ((int)len[i], ipc_send(&self->peer, self->tx.id, in,
						len[i], 0));
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_EQ(HEAD + len[i], cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE | IORING_CQE_F_BUF_MORE,
			  cqe.flags & (IORING_CQE_F_MORE |
				       IORING_CQE_F_BUF_MORE));
		ASSERT_EQ(inc.data, buffers_at(&inc, &cqe));
		memcpy(&hdr, inc.data + used, HEAD);
		EXPECT_EQ(len[i], hdr.len);
		EXPECT_EQ(i + 1, hdr.msg_id);
		used += cqe.res;
	}
	ASSERT_EQ(INC_SIZE - LEFT, used);
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 7));
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(-EINVAL, cqe.res);
	EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
	EXPECT_EQ(7, ipc_recv_u32(&self->ring, self->rx.id));
	ring_close(&self->ring);
	buffers_close(&inc);
}

/* What was cut off takes no room in a buffer, whatever the result says. */
TEST_F(multi, incremental_and_truncation)
{
	char in[SIZE];
	struct io_uring_cqe cqe;
	struct buffers inc;

	open_incremental(_metadata, self, &inc);
	prep_recv_select(&self->ring, self->rx.id, INC_GROUP, 20,
			 IOIPC_RECV_MULTISHOT | IOIPC_RECV_TRUNC, 1);
	ASSERT_EQ(0, ring_submit(&self->ring));
	memset(in, 'a', sizeof(in));
	ASSERT_EQ(SIZE, ipc_send(&self->peer, self->tx.id, in, SIZE, 0));
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(SIZE, cqe.res);
	EXPECT_EQ(IORING_CQE_F_BUF_MORE, cqe.flags & IORING_CQE_F_BUF_MORE);
	ASSERT_EQ(4, ipc_send(&self->peer, self->tx.id, "next", 4, 0));
	ASSERT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(0, (int)cqe_buffer(&cqe));
	EXPECT_EQ(0, memcmp(inc.data, in, 20));
	EXPECT_EQ(0, memcmp(inc.data + 20, "next", 4));
	EXPECT_EQ(0, inc.data[24]);
	ring_close(&self->ring);
	buffers_close(&inc);
}

TEST_HARNESS_MAIN
