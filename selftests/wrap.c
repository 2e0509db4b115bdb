// SPDX-License-Identifier: GPL-2.0
/*
 * Positions near the end of what 32 bits count. The module was loaded with
 * first_position= and the same number is in IOIPC_FIRST_POSITION.
 */
#include "channel_fixture.h"

static __u64 first_position(void)
{
	const char *text = getenv("IOIPC_FIRST_POSITION");

	return text ? strtoull(text, NULL, 0) : 0;
}

static struct io_uring_ipc_ring *map(const struct sub *sub)
{
	void *p = mmap(NULL, sub->size, PROT_READ, MAP_SHARED, sub->fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

#define ROUNDS	(6 * CHANNEL_ENTRIES)

TEST_F(channel, starts_where_told)
{
	struct io_uring_ipc_ring *r = map(&self->rx);

	ASSERT_NE(NULL, getenv("IOIPC_FIRST_POSITION"));
	/* Close enough that every test here crosses it. */
	ASSERT_LT(first_position(), 1ULL << 32);
	ASSERT_GT(first_position() + ROUNDS, 1ULL << 32);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(first_position(), r->tail);
	EXPECT_EQ(first_position(), r->head);
}

TEST_F(channel, one_by_one)
{
	struct io_uring_ipc_ring *r = map(&self->rx);
	__u64 first = first_position(), pos;
	struct io_uring_ipc_msg_desc *d;
	struct ring *ring = &self->ring;
	struct {
		struct io_uring_ipc_msg_hdr hdr;
		__u32 value;
	} msg;

	ASSERT_NE(NULL, r);
	for (pos = first; pos < first + ROUNDS; pos++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, pos));
		EXPECT_EQ(pos + 1, r->tail);
		d = (void *)r + r->desc_offset +
		    (pos & r->ring_mask) * r->desc_size;
		EXPECT_EQ(pos + 1, d->seq);
		ASSERT_EQ((int)sizeof(msg.hdr) + 4,
			  ipc_recv_flags(ring, self->rx.id, &msg,
					 sizeof(msg.hdr) + 4,
					 IOIPC_RECV_HDR));
		EXPECT_EQ(pos + 1, msg.hdr.msg_id);
		EXPECT_EQ((__u32)pos, msg.value);
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}
}

/* Full and empty are told apart on both sides and in between. */
TEST_F(channel, full_across_the_wrap)
{
	struct ring *ring = &self->ring;
	__u32 i, round;

	for (round = 0; round < 6; round++) {
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}
}

/* Half full all the way, so that ring and wrap do not fall together. */
TEST_F(channel, half_full_across_the_wrap)
{
	struct ring *ring = &self->ring;
	__u32 i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	for (; i < ROUNDS; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i - 3, ipc_recv_u32(ring, self->rx.id));
	}
	for (i -= 3; i < ROUNDS; i++)
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
}

/* A receiver that is behind the wrap while another is past it. */
TEST_F(channel, receivers_on_both_sides)
{
	struct ring *ring = &self->ring;
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	struct sub slow;
	__u32 i;

	ASSERT_EQ(0, ipc_attach(ring, &slow, self->id, IOIPC_SUB_RECV));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		/* Always as far behind as the ring is large. */
		if (broadcast && i >= CHANNEL_ENTRIES - 1)
			ASSERT_EQ(i - (CHANNEL_ENTRIES - 1),
				  ipc_recv_u32(ring, slow.id));
	}
	if (!broadcast) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		EXPECT_EQ(i, ipc_recv_u32(ring, slow.id));
	}
}

TEST_F(channel, targets_and_joiners)
{
	struct ring *ring = &self->ring;
	struct sub aim, late;
	__u32 i;

	ASSERT_EQ(0, ipc_attach(ring, &aim, self->id, IOIPC_SUB_RECV));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(4, ipc_send(ring, self->tx.id, &i, 4, aim.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
		ASSERT_EQ(0, ipc_attach(ring, &late, self->id,
					IOIPC_SUB_RECV));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, late.id));
		ASSERT_EQ(0, ipc_detach(ring, late.id));
		close(late.fd);
		ASSERT_EQ(i, ipc_recv_u32(ring, aim.id));
	}
}

TEST_HARNESS_MAIN
