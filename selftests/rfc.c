// SPDX-License-Identifier: GPL-2.0
/*
 * A program as it was written for the interface first published: its source knows
 * numbers and structures itself where <linux/io_uring.h> does not, nothing is
 * included that came later, and an empty channel is asked again and again. It is
 * compiled against the patched <linux/io_uring.h>.
 */
#include <sched.h>
#include <linux/io_uring.h>

/* What such sources have, and the way they ask whether they need it. */
#ifndef IORING_OP_IPC_SEND
#define IORING_OP_IPC_SEND			65
#define IORING_OP_IPC_RECV			66

#define IORING_REGISTER_IPC_CHANNEL_CREATE	38
#define IORING_REGISTER_IPC_CHANNEL_ATTACH	39
#define IORING_REGISTER_IPC_CHANNEL_DETACH	40
#define IORING_REGISTER_IPC_CHANNEL_DESTROY	41

#define IOIPC_F_BROADCAST			(1U << 0)
#define IOIPC_F_MULTICAST			(1U << 1)

#define IOIPC_SUB_SEND				(1U << 0)
#define IOIPC_SUB_RECV				(1U << 1)
#define IOIPC_SUB_BOTH				(IOIPC_SUB_SEND | IOIPC_SUB_RECV)

struct io_uring_ipc_channel_create {
	__u32	flags;
	__u32	ring_entries;
	__u32	max_msg_size;
	__u32	mode;
	__u64	key;
	__u32	channel_id_out;
	__u32	reserved[3];
};

struct io_uring_ipc_channel_attach {
	__u32	channel_id;
	__u32	flags;
	__u64	key;
	__s32	channel_fd;
	__u32	local_id_out;
	__u64	mmap_offset_out;
	__u32	region_size;
	__u32	reserved[3];
};
#endif

#include "lib/harness.h"
#include "lib/process.h"

/* Only the ring itself; no call of the helper that knows about IPC. */
#include "lib/ipc_uring.h"

static int rfc_create(struct ring *ring, unsigned int flags,
		      unsigned long long key)
{
	struct io_uring_ipc_channel_create arg;

	memset(&arg, 0, sizeof(arg));
	arg.flags = flags;
	arg.ring_entries = 16;
	arg.max_msg_size = 1024;
	arg.mode = 0666;
	arg.key = key;
	if (ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_CREATE, &arg, 1))
		return -1;
	return arg.channel_id_out;
}

static int rfc_attach(struct ring *ring, unsigned int channel,
		      unsigned long long key, unsigned int flags)
{
	struct io_uring_ipc_channel_attach arg;

	memset(&arg, 0, sizeof(arg));
	arg.channel_id = channel;
	arg.key = key;
	arg.flags = flags;
	if (ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_ATTACH, &arg, 1))
		return -1;
	close(arg.channel_fd);
	return arg.local_id_out;
}

static int rfc_op(struct ring *ring, int op, int id, void *buf,
		  unsigned int len, unsigned int target)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = op;
	sqe->fd = id;
	sqe->addr = (unsigned long)buf;
	sqe->len = len;
	sqe->file_index = target;
	sqe->user_data = 0x1234;
	return ring_one(ring);
}

static int rfc_send(struct ring *ring, int id, const char *text)
{
	return rfc_op(ring, IORING_OP_IPC_SEND, id, (void *)text, strlen(text) + 1, 0);
}

/* Ask until there is something, as such a program had to. */
static int rfc_recv_poll(struct ring *ring, int id, char *buf, int len)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	int ret;

	do {
		ret = rfc_op(ring, IORING_OP_IPC_RECV, id, buf, len, 0);
		if (ret != -EAGAIN)
			break;
		sched_yield();
	} while (now_ms() < until);
	return ret;
}

FIXTURE(rfc)
{
	struct ring ring;
};

FIXTURE_VARIANT(rfc)
{
	unsigned int flags;
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(rfc, unicast)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(rfc, broadcast)
{
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(rfc, multicast)
{
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(rfc, unicast_defer)
{
	.flags = 0,
	.setup = RING_DEFER,
};

FIXTURE_SETUP(rfc)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(rfc)
{
	ring_close(&self->ring);
}

TEST_F(rfc, create_attach_send_receive)
{
	struct ring *ring = &self->ring;
	int channel, sub;
	char buf[1024];

	channel = rfc_create(ring, variant->flags, 0);
	ASSERT_LT(0, channel);
	sub = rfc_attach(ring, channel, 0, IOIPC_SUB_BOTH);
	ASSERT_LT(0, sub);
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, sizeof(buf), 0));
	EXPECT_EQ(6, rfc_send(ring, sub, "hello"));
	EXPECT_EQ(6, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, sizeof(buf), 0));
	EXPECT_STREQ("hello", buf);
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, sizeof(buf), 0));
	EXPECT_EQ(0, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DETACH, NULL, sub));
	EXPECT_EQ(0, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DESTROY, NULL, channel));
}

TEST_F(rfc, several_messages_until_eagain)
{
	struct ring *ring = &self->ring;
	int channel, sub, i;
	char buf[1024], text[32];

	channel = rfc_create(ring, variant->flags, 0);
	ASSERT_LT(0, channel);
	sub = rfc_attach(ring, channel, 0, IOIPC_SUB_BOTH);
	ASSERT_LT(0, sub);
	for (i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "message %d", i);
		ASSERT_EQ((int)strlen(text) + 1, rfc_send(ring, sub, text));
	}
	EXPECT_EQ(-ENOBUFS, rfc_send(ring, sub, "one more"));
	for (i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "message %d", i);
		ASSERT_EQ((int)strlen(text) + 1,
			  rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, sizeof(buf), 0));
		EXPECT_STREQ(text, buf);
	}
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, sizeof(buf), 0));
}

/* The receiver here, the sender a process that knows the channel's id only. */
TEST_F(rfc, cross_process_bare_sender)
{
	struct ring *ring = &self->ring;
	int channel, sub, i;
	char buf[1024];
	pid_t pid;

	channel = rfc_create(ring, variant->flags, 0);
	ASSERT_LT(0, channel);
	sub = rfc_attach(ring, channel, 0, IOIPC_SUB_RECV);
	ASSERT_LT(0, sub);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring own;

		if (ring_open(&own, variant->setup))
			_exit(10);
		for (i = 0; i < 8; i++)
			if (rfc_send(&own, channel, "from afar") != 10)
				_exit(11);
		_exit(0);
	}
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(10, rfc_recv_poll(ring, sub, buf, sizeof(buf)));
		EXPECT_STREQ("from afar", buf);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* By key, each side a process, a question and an answer. */
TEST_F(rfc, cross_process_by_key)
{
	enum { TO = 0x1001, FRO = 0x1002 };
	struct ring *ring = &self->ring;
	int to, fro, tx, rx, i;
	char buf[1024];
	pid_t pid;

	to = rfc_create(ring, variant->flags, TO);
	fro = rfc_create(ring, variant->flags, FRO);
	ASSERT_LT(0, to);
	ASSERT_LT(0, fro);
	tx = rfc_attach(ring, 0, TO, IOIPC_SUB_SEND);
	rx = rfc_attach(ring, 0, FRO, IOIPC_SUB_RECV);
	ASSERT_LT(0, tx);
	ASSERT_LT(0, rx);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring own;
		int in, out;

		if (ring_open(&own, variant->setup))
			_exit(10);
		in = rfc_attach(&own, 0, TO, IOIPC_SUB_RECV);
		out = rfc_attach(&own, 0, FRO, IOIPC_SUB_SEND);
		if (in < 0 || out < 0)
			_exit(11);
		/* There from now on: a broadcast would miss what came before. */
		if (rfc_send(&own, out, "ready") != 6)
			_exit(12);
		for (i = 0; i < 20; i++) {
			if (rfc_recv_poll(&own, in, buf, sizeof(buf)) != 5 ||
			    strcmp(buf, "ping"))
				_exit(13);
			if (rfc_send(&own, out, "pong") != 5)
				_exit(14);
		}
		_exit(0);
	}
	ASSERT_EQ(6, rfc_recv_poll(ring, rx, buf, sizeof(buf)));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(5, rfc_send(ring, tx, "ping"));
		ASSERT_EQ(5, rfc_recv_poll(ring, rx, buf, sizeof(buf)));
		EXPECT_STREQ("pong", buf);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(rfc, modes)
{
	struct ring *ring = &self->ring;
	int channel, tx, rx[3], i, got = 0;
	char buf[1024];

	channel = rfc_create(ring, variant->flags, 0);
	ASSERT_LT(0, channel);
	tx = rfc_attach(ring, channel, 0, IOIPC_SUB_SEND);
	ASSERT_LT(0, tx);
	for (i = 0; i < 3; i++) {
		rx[i] = rfc_attach(ring, channel, 0, IOIPC_SUB_RECV);
		ASSERT_LT(0, rx[i]);
	}
	ASSERT_EQ(4, rfc_send(ring, tx, "all"));
	for (i = 0; i < 3; i++)
		got += rfc_op(ring, IORING_OP_IPC_RECV, rx[i], buf, 1024, 0) == 4;
	EXPECT_EQ(variant->flags & IOIPC_F_BROADCAST ? 3 : 1, got);
	/* One of them by its id. */
	ASSERT_EQ(4, rfc_op(ring, IORING_OP_IPC_SEND, tx, "one", 4, rx[1]));
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, rx[0], buf, 1024, 0));
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, rx[2], buf, 1024, 0));
	EXPECT_EQ(4, rfc_op(ring, IORING_OP_IPC_RECV, rx[1], buf, 1024, 0));
	EXPECT_STREQ("one", buf);
}

TEST_F(rfc, errors)
{
	struct ring *ring = &self->ring;
	int channel, tx, rx;
	char buf[2048] = {};

	channel = rfc_create(ring, variant->flags, 0);
	ASSERT_LT(0, channel);
	tx = rfc_attach(ring, channel, 0, IOIPC_SUB_SEND);
	rx = rfc_attach(ring, channel, 0, IOIPC_SUB_RECV);
	EXPECT_EQ(-EMSGSIZE, rfc_op(ring, IORING_OP_IPC_SEND, tx, buf, 1025, 0));
	EXPECT_EQ(-EACCES, rfc_op(ring, IORING_OP_IPC_SEND, rx, buf, 1, 0));
	EXPECT_EQ(-EACCES, rfc_op(ring, IORING_OP_IPC_RECV, tx, buf, 1, 0));
	EXPECT_EQ(-ENOENT, rfc_op(ring, IORING_OP_IPC_SEND, 999999, buf, 1, 0));
	EXPECT_EQ(-ENOENT, rfc_op(ring, IORING_OP_IPC_RECV, 999999, buf, 1, 0));
	EXPECT_EQ(-EFAULT, rfc_op(ring, IORING_OP_IPC_SEND, tx, (void *)8, 1, 0));
	EXPECT_EQ(-1, rfc_attach(ring, 999999, 0, IOIPC_SUB_BOTH));
	EXPECT_EQ(-1, rfc_create(ring, IOIPC_F_BROADCAST | IOIPC_F_MULTICAST, 0));
	EXPECT_EQ(0, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DESTROY, NULL, channel));
	EXPECT_EQ(-ENOENT, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DESTROY, NULL, channel));
	EXPECT_EQ(0, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DETACH, NULL, tx));
	EXPECT_EQ(0, ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DETACH, NULL, rx));
}

/* A message longer than the buffer is cut, and its rest is gone. */
TEST_F(rfc, cut)
{
	struct ring *ring = &self->ring;
	int channel, sub;
	char buf[1024];

	channel = rfc_create(ring, variant->flags, 0);
	sub = rfc_attach(ring, channel, 0, IOIPC_SUB_BOTH);
	ASSERT_LT(0, sub);
	ASSERT_EQ(6, rfc_send(ring, sub, "hello"));
	EXPECT_EQ(2, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, 2, 0));
	EXPECT_EQ(0, memcmp(buf, "he", 2));
	EXPECT_EQ(-EAGAIN, rfc_op(ring, IORING_OP_IPC_RECV, sub, buf, 1024, 0));
}

TEST_HARNESS_MAIN
