// SPDX-License-Identifier: GPL-2.0
/* Sending and receiving within one process: results, order, room. */
#include "channel_fixture.h"

static const char text[] = "a message";

TEST_F(channel, send_and_receive)
{
	struct ring *ring = &self->ring;
	char buf[CHANNEL_SIZE];

	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ((int)sizeof(text),
		  ipc_send(ring, self->tx.id, text, sizeof(text), 0));
	EXPECT_EQ((int)sizeof(text),
		  ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, text, sizeof(text)));
	EXPECT_EQ('x', buf[sizeof(text)]);
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
}

TEST_F(channel, empty_is_eagain)
{
	struct ring *ring = &self->ring;
	char buf[8];

	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, NULL, 0));
	EXPECT_EQ(-EAGAIN, ipc_recv_flags(ring, self->rx.id, buf, sizeof(buf),
					  IOIPC_RECV_TRUNC));
}

TEST_F(channel, zero_length)
{
	struct ring *ring = &self->ring;
	char buf[8] = "before";

	EXPECT_EQ(0, ipc_send(ring, self->tx.id, NULL, 0, 0));
	EXPECT_EQ(0, ipc_send(ring, self->tx.id, text, 0, 0));
	EXPECT_EQ(4, ipc_send(ring, self->tx.id, text, 4, 0));
	EXPECT_EQ(0, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_STREQ("before", buf);
	EXPECT_EQ(0, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_EQ(4, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
}

TEST_F(channel, longest_message)
{
	struct ring *ring = &self->ring;
	char buf[CHANNEL_SIZE], out[CHANNEL_SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = i * 7;
	for (i = 0; i < 3 * CHANNEL_ENTRIES; i++) {
		buf[0] = i;
		EXPECT_EQ(CHANNEL_SIZE, ipc_send(ring, self->tx.id, buf,
						 CHANNEL_SIZE, 0));
		EXPECT_EQ(CHANNEL_SIZE, ipc_recv(ring, self->rx.id, out,
						 CHANNEL_SIZE));
		EXPECT_EQ(0, memcmp(buf, out, sizeof(buf)));
	}
}

TEST_F(channel, too_large)
{
	struct ring *ring = &self->ring;
	char buf[CHANNEL_SIZE + 1] = {};

	EXPECT_EQ(-EMSGSIZE, ipc_send(ring, self->tx.id, buf, sizeof(buf), 0));
	EXPECT_EQ(-EMSGSIZE, ipc_send(ring, self->tx.id, buf, UINT32_MAX, 0));
	EXPECT_EQ(-EMSGSIZE, ipc_send(ring, self->tx.id, buf, INT32_MAX, 0));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
}

/* A message goes into every slot whatever was refused before. */
TEST_F(channel, full_at_exactly_n)
{
	static const __u32 sizes[] = { 1, 2, 4, 8, 16, 64, 256 };
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	unsigned int i, n;
	__u32 id;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, sizes[i],
					4));
		ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		for (n = 0; n < sizes[i]; n++)
			ASSERT_EQ(4, ipc_send_u32(ring, tx.id, n));
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 0));
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 0));
		for (n = 0; n < sizes[i]; n++)
			ASSERT_EQ(n, ipc_recv_u32(ring, rx.id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
		EXPECT_EQ(0, ipc_destroy(ring, id));
	}
}

TEST_F(channel, one_received_makes_room_for_one)
{
	struct ring *ring = &self->ring;
	__u32 i;

	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	for (; i < 5 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i - CHANNEL_ENTRIES,
			  ipc_recv_u32(ring, self->rx.id));
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	}
	for (i -= CHANNEL_ENTRIES; i < 5 * CHANNEL_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
}

/* Batches that fill the ring, batches that drain it, content checked. */
TEST_F(channel, order_of_10000)
{
	enum { TOTAL = 10000, BATCH = 16 };
	struct ring *ring = &self->ring;
	__u32 sent = 0, received = 0;
	int res[BATCH];
	__u32 in[BATCH];
	unsigned int i;

	while (received < TOTAL) {
		for (i = 0; i < BATCH; i++) {
			in[i] = sent + i;
			prep_send(ring, self->tx.id, &in[i], 4, 0, i);
		}
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		for (i = 0; i < BATCH; i++)
			ASSERT_EQ(i < CHANNEL_ENTRIES ? 4 : -ENOBUFS, res[i]);
		sent += CHANNEL_ENTRIES;

		for (i = 0; i < BATCH; i++)
			prep_recv(ring, self->rx.id, &in[i], 4, 0, i);
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		for (i = 0; i < BATCH; i++) {
			ASSERT_EQ(i < CHANNEL_ENTRIES ? 4 : -EAGAIN, res[i]);
			if (i < CHANNEL_ENTRIES)
				ASSERT_EQ(received + i, in[i]);
		}
		received += CHANNEL_ENTRIES;
	}
	EXPECT_EQ(sent, received);
}

TEST_F(channel, short_buffer_cuts)
{
	struct ring *ring = &self->ring;
	char buf[16];

	memset(buf, 'x', sizeof(buf));
	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	EXPECT_EQ(4, ipc_recv(ring, self->rx.id, buf, 4));
	EXPECT_EQ(0, memcmp(buf, "a mex", 4));
	EXPECT_EQ('x', buf[4]);
	/* What was cut off is gone: no second part. */
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));

	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	EXPECT_EQ(0, ipc_recv(ring, self->rx.id, NULL, 0));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
}

TEST_F(channel, trunc_tells_the_full_length)
{
	struct ring *ring = &self->ring;
	char buf[16];

	memset(buf, 'x', sizeof(buf));
	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	EXPECT_EQ(9, ipc_recv_flags(ring, self->rx.id, buf, 4,
				    IOIPC_RECV_TRUNC));
	EXPECT_EQ(0, memcmp(buf, "a me", 4));
	EXPECT_EQ('x', buf[4]);
	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	EXPECT_EQ(9, ipc_recv_flags(ring, self->rx.id, NULL, 0,
				    IOIPC_RECV_TRUNC));
	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	EXPECT_EQ(9, ipc_recv_flags(ring, self->rx.id, buf, sizeof(buf),
				    IOIPC_RECV_TRUNC));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
}

TEST_F(channel, header_fields)
{
	struct ring *ring = &self->ring;
	struct {
		struct io_uring_ipc_msg_hdr hdr;
		char payload[CHANNEL_SIZE];
	} msg;
	__u32 len;
	int i;

	for (i = 1; i <= 3 * CHANNEL_ENTRIES; i++) {
		len = i % 10;
		prep_send(ring, self->tx.id, text, len, 0,
			  0xfedcba9876543210ULL + i);
		ASSERT_EQ((int)len, ring_one(ring));
		memset(&msg, 0xff, sizeof(msg));
		ASSERT_EQ((int)(sizeof(msg.hdr) + len),
			  ipc_recv_flags(ring, self->rx.id, &msg, sizeof(msg),
					 IOIPC_RECV_HDR));
		EXPECT_EQ(i, (int)msg.hdr.msg_id);
		EXPECT_EQ(0xfedcba9876543210ULL + i, msg.hdr.sender_data);
		EXPECT_EQ(len, msg.hdr.len);
		EXPECT_EQ(0, (int)msg.hdr.flags);
		EXPECT_EQ(self->tx.id, msg.hdr.sender_id);
		EXPECT_EQ(getpid(), (int)msg.hdr.pid);
		EXPECT_EQ(getuid(), msg.hdr.uid);
		EXPECT_EQ(getgid(), msg.hdr.gid);
		EXPECT_EQ(0, (int)msg.hdr.lost);
		EXPECT_EQ(0, memcmp(msg.payload, text, len));
		EXPECT_EQ('\xff', msg.payload[len]);
	}
}

TEST_F(channel, header_of_a_bare_sender)
{
	struct ring *ring = &self->ring;
	struct io_uring_ipc_msg_hdr hdr;

	prep_send(ring, self->id, text, 4, 0, 77);
	ASSERT_EQ(4, ring_one(ring));
	ASSERT_EQ((int)sizeof(hdr),
		  ipc_recv_flags(ring, self->rx.id, &hdr, sizeof(hdr),
				 IOIPC_RECV_HDR));
	EXPECT_EQ(0, (int)hdr.sender_id);
	EXPECT_EQ(77, (int)hdr.sender_data);
	EXPECT_EQ(4, (int)hdr.len);
	EXPECT_EQ(getpid(), (int)hdr.pid);
}

TEST_F(channel, header_and_short_buffer)
{
	struct ring *ring = &self->ring;
	struct {
		struct io_uring_ipc_msg_hdr hdr;
		char payload[16];
	} msg;

	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	/* No room for the header: refused, and the message stays. */
	EXPECT_EQ(-EINVAL, ipc_recv_flags(ring, self->rx.id, &msg,
					  sizeof(msg.hdr) - 1, IOIPC_RECV_HDR));
	EXPECT_EQ(-EINVAL, ipc_recv_flags(ring, self->rx.id, &msg, 0,
					  IOIPC_RECV_HDR));
	memset(&msg, 'x', sizeof(msg));
	EXPECT_EQ((int)sizeof(msg.hdr) + 4,
		  ipc_recv_flags(ring, self->rx.id, &msg, sizeof(msg.hdr) + 4,
				 IOIPC_RECV_HDR));
	EXPECT_EQ(9, (int)msg.hdr.len);
	EXPECT_EQ(0, memcmp(msg.payload, "a mex", 5));

	ASSERT_EQ(9, ipc_send(ring, self->tx.id, text, 9, 0));
	memset(&msg, 'x', sizeof(msg));
	EXPECT_EQ((int)sizeof(msg.hdr) + 9,
		  ipc_recv_flags(ring, self->rx.id, &msg, sizeof(msg.hdr) + 4,
				 IOIPC_RECV_HDR | IOIPC_RECV_TRUNC));
	EXPECT_EQ(9, (int)msg.hdr.len);
	EXPECT_EQ(0, memcmp(msg.payload, "a mex", 5));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, &msg, sizeof(msg)));
}

/* An unaligned buffer is a buffer like any other. */
TEST_F(channel, unaligned_buffers)
{
	struct ring *ring = &self->ring;
	struct io_uring_ipc_msg_hdr hdr;
	char in[64], out[128];
	int i;

	for (i = 0; i < 8; i++) {
		memset(in, i + 1, sizeof(in));
		ASSERT_EQ(20 + i, ipc_send(ring, self->tx.id, in + i, 20 + i,
					   0));
		ASSERT_EQ((int)sizeof(hdr) + 20 + i,
			  ipc_recv_flags(ring, self->rx.id, out + i,
					 sizeof(out) - i, IOIPC_RECV_HDR));
		memcpy(&hdr, out + i, sizeof(hdr));
		EXPECT_EQ(20 + i, (int)hdr.len);
		EXPECT_EQ(0, memcmp(out + i + sizeof(hdr), in + i, 20 + i));
	}
}

TEST_F(channel, both_rights_receive_their_own)
{
	struct ring *ring = &self->ring;
	struct sub both;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &both, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(ring, both.id, 5));
	EXPECT_EQ(5, ipc_recv_u32(ring, both.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, both.id));
}

/*
 * Without a receiver a message waits for the first one; a broadcast message
 * has nobody to wait for.
 */
TEST_F(channel, without_receivers)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	if (variant->flags & IOIPC_F_BROADCAST) {
		for (; i < 40; i++)
			ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
	} else {
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		for (i = 0; i < 4; i++)
			EXPECT_EQ(i, ipc_recv_u32(ring, rx.id));
	}
	EXPECT_EQ(4, ipc_send_u32(ring, tx.id, 99));
	EXPECT_EQ(99, ipc_recv_u32(ring, rx.id));
}

/* The last receiver leaves: what it left behind must not jam the channel. */
TEST_F(channel, receiver_leaves_unread_messages)
{
	struct ring *ring = &self->ring;
	struct sub next;
	__u32 i;

	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	if (variant->flags & IOIPC_F_BROADCAST) {
		for (i = 0; i < 3 * CHANNEL_ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(0, ipc_attach(ring, &next, self->id,
					IOIPC_SUB_RECV));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, next.id));
	} else {
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(0, ipc_attach(ring, &next, self->id,
					IOIPC_SUB_RECV));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			EXPECT_EQ(i, ipc_recv_u32(ring, next.id));
	}
	EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 99));
	EXPECT_EQ(99, ipc_recv_u32(ring, next.id));
}

/* io-wq issues what IOSQE_ASYNC marks: the same results from there. */
TEST_F(channel, forced_async)
{
	struct ring *ring = &self->ring;
	__u32 value = 4711, got = 0;
	int i;

	prep_recv(ring, self->rx.id, &got, 4, 0, 0)->flags = IOSQE_ASYNC;
	EXPECT_EQ(-EAGAIN, ring_one(ring));
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		prep_send(ring, self->tx.id, &value, 4, 0, 0)->flags =
			IOSQE_ASYNC;
		EXPECT_EQ(4, ring_one(ring));
	}
	prep_send(ring, self->tx.id, &value, 4, 0, 0)->flags = IOSQE_ASYNC;
	EXPECT_EQ(-ENOBUFS, ring_one(ring));
	prep_recv(ring, self->rx.id, &got, 4, 0, 0)->flags = IOSQE_ASYNC;
	EXPECT_EQ(4, ring_one(ring));
	EXPECT_EQ(value, got);
	prep_send(ring, self->id, &value, 4, 0, 0)->flags = IOSQE_ASYNC;
	EXPECT_EQ(4, ring_one(ring));
}

/* A failed request breaks its link, a good one does not. */
TEST_F(channel, links_and_drain)
{
	struct ring *ring = &self->ring;
	__u32 value = 1, got = 0;
	int res[3];

	prep_send(ring, self->tx.id, &value, 4, 0, 0)->flags = IOSQE_IO_LINK;
	prep_recv(ring, self->rx.id, &got, 4, 0, 1)->flags = IOSQE_IO_LINK;
	prep_recv(ring, self->rx.id, &got, 4, 0, 2);
	ASSERT_EQ(0, ring_batch(ring, res, 3));
	EXPECT_EQ(4, res[0]);
	EXPECT_EQ(4, res[1]);
	EXPECT_EQ(-EAGAIN, res[2]);
	EXPECT_EQ(1, (int)got);

	prep_recv(ring, self->rx.id, &got, 4, 0, 0)->flags = IOSQE_IO_LINK;
	prep_send(ring, self->tx.id, &value, 4, 0, 1);
	ASSERT_EQ(0, ring_batch(ring, res, 2));
	EXPECT_EQ(-EAGAIN, res[0]);
	EXPECT_EQ(-ECANCELED, res[1]);

	prep_send(ring, self->tx.id, &value, 4, 0, 0);
	prep_recv(ring, self->rx.id, &got, 4, 0, 1)->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(0, ring_batch(ring, res, 2));
	EXPECT_EQ(4, res[0]);
	EXPECT_EQ(4, res[1]);
}

/* An SQE that succeeds quietly posts nothing; one that fails does. */
TEST_F(channel, cqe_skip)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 value = 9, got = 0;

	prep_send(ring, self->tx.id, &value, 4, 0, 1)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	prep_recv(ring, self->rx.id, &got, 4, 0, 2);
	ASSERT_EQ(0, ring_enter(ring, 1));
	ASSERT_TRUE(ring_cqe(ring, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(9, (int)got);
	EXPECT_FALSE(ring_cqe(ring, &cqe));

	prep_recv(ring, self->rx.id, &got, 4, 0, 3)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EAGAIN, ring_one(ring));
}

/* Two channels of one ring know nothing of each other. */
TEST_F(channel, channels_are_apart)
{
	struct ring *ring = &self->ring;
	struct sub other;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &other, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, other.id));
	ASSERT_EQ(4, ipc_send_u32(ring, other.id, 2));
	EXPECT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(2, ipc_recv_u32(ring, other.id));
}

/* The largest message there can be. */
TEST_F(channel, one_mebibyte)
{
	struct ring *ring = &self->ring;
	unsigned char *in, *out;
	struct sub both;
	unsigned int i;
	__u32 id;

	in = malloc(IOIPC_MAX_MSG_SIZE);
	out = calloc(1, IOIPC_MAX_MSG_SIZE);
	ASSERT_NE(NULL, in);
	ASSERT_NE(NULL, out);
	for (i = 0; i < IOIPC_MAX_MSG_SIZE; i++)
		in[i] = i ^ (i >> 8) ^ (i >> 16);
	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 2,
				IOIPC_MAX_MSG_SIZE));
	ASSERT_EQ(0, ipc_attach(ring, &both, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(IOIPC_MAX_MSG_SIZE, ipc_send(ring, both.id, in,
					       IOIPC_MAX_MSG_SIZE, 0));
	EXPECT_EQ(IOIPC_MAX_MSG_SIZE, ipc_recv(ring, both.id, out,
					       IOIPC_MAX_MSG_SIZE));
	EXPECT_EQ(0, memcmp(in, out, IOIPC_MAX_MSG_SIZE));
	free(in);
	free(out);
}

TEST_HARNESS_MAIN
