// SPDX-License-Identifier: GPL-2.0
/* SQE flags, set-ups of the ring and restrictions, with requests that wait. */
#include <linux/filter.h>
#include <sys/syscall.h>

#include "pair_fixture.h"
#include "ring_fixture.h"

#define GROUP		4

/* The ring under test also sends. */
static void attach_sender(struct __test_metadata *_metadata,
			  struct pair_data *self, struct sub *tx)
{
	ASSERT_EQ(0, ipc_attach(&self->ring, tx, self->id, IOIPC_SUB_SEND));
}

static void fill(struct __test_metadata *_metadata, struct pair_data *self)
{
	__u32 i;

	for (i = 0; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, i));
}

/* Issued by io-wq, which hands what has to wait back. */
TEST_F(pair, async_receive)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;
	int i;

	prep_recv(ring, self->rx.id, &value, 4, 0, 1)->flags = IOSQE_ASYNC;
	expect_next(_metadata, ring, 1, -EAGAIN);
	for (i = 1; i <= 3; i++) {
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT,
			  2)->flags = IOSQE_ASYNC;
		ASSERT_TRUE(ring_parks(ring, self->rx.fd, RECEIVES_WAITING));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, i));
		expect_next(_metadata, ring, 2, 4);
		EXPECT_EQ(i, (int)value);
	}
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 9));
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 3)->flags =
		IOSQE_ASYNC;
	expect_next(_metadata, ring, 3, 4);
	EXPECT_EQ(9, (int)value);
}

TEST_F(pair, async_send)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES, i;
	struct io_uring_sqe *sqe;
	struct sub tx;

	attach_sender(_metadata, self, &tx);
	fill(_metadata, self);
	sqe = prep_send(ring, tx.id, &value, 4, 0, 1);
	sqe->flags = IOSQE_ASYNC;
	expect_next(_metadata, ring, 1, -ENOBUFS);
	sqe = prep_send(ring, tx.id, &value, 4, 0, 2);
	sqe->flags = IOSQE_ASYNC;
	sqe->ioprio = IOIPC_SEND_WAIT;
	ASSERT_TRUE(ring_parks(ring, tx.fd, SENDS_WAITING));
	for (i = 0; i < PAIR_ENTRIES; i++)
		prep_recv(ring, self->rx.id, &value, 0, 0, 10 + i);
	for (i = 0; i < PAIR_ENTRIES; i++)
		expect_next(_metadata, ring, 10 + i, 0);
	expect_next(_metadata, ring, 2, 4);
	EXPECT_EQ(PAIR_ENTRIES, ipc_recv_u32(ring, self->rx.id));
}

static const unsigned int links[] = { IOSQE_IO_LINK, IOSQE_IO_HARDLINK };

/* What follows a receive that waits comes after it. */
TEST_F(pair, link_behind_a_waiting_receive)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(links); i++) {
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT,
			  1)->flags = links[i];
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT,
			  2)->flags = links[i];
		prep_nop(ring, 3);
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
		expect_next(_metadata, ring, 1, 4);
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 6));
		expect_next(_metadata, ring, 2, 4);
		expect_next(_metadata, ring, 3, 0);
		EXPECT_EQ(6, (int)value);
	}
}

TEST_F(pair, link_behind_a_waiting_send)
{
	struct ring *ring = &self->ring;
	struct io_uring_sqe *sqe;
	__u32 value = PAIR_ENTRIES, i, n;
	struct sub tx;

	attach_sender(_metadata, self, &tx);
	for (n = 0; n < ARRAY_SIZE(links); n++) {
		fill(_metadata, self);
		sqe = prep_send(ring, tx.id, &value, 4, 0, 1);
		sqe->flags = links[n];
		sqe->ioprio = IOIPC_SEND_WAIT;
		prep_nop(ring, 2);
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		for (i = 0; i < PAIR_ENTRIES; i++)
			prep_recv(ring, self->rx.id, NULL, 0, 0, 10 + i);
		for (i = 0; i < PAIR_ENTRIES; i++)
			expect_next(_metadata, ring, 10 + i, 0);
		expect_next(_metadata, ring, 1, 4);
		expect_next(_metadata, ring, 2, 0);
		EXPECT_EQ(PAIR_ENTRIES, ipc_recv_u32(ring, self->rx.id));
	}
}

/* A failure breaks a link, but not a hard one. */
TEST_F(pair, link_behind_a_failure)
{
	struct ring *ring = &self->ring;
	struct sub tx;
	__u32 value;
	unsigned int i;

	attach_sender(_metadata, self, &tx);
	for (i = 0; i < ARRAY_SIZE(links); i++) {
		int res = links[i] == IOSQE_IO_LINK ? -ECANCELED : 0;

		prep_recv(ring, self->rx.id, &value, 4, 0, 1)->flags = links[i];
		prep_nop(ring, 2);
		expect_next(_metadata, ring, 1, -EAGAIN);
		expect_next(_metadata, ring, 2, res);
	}
	fill(_metadata, self);
	for (i = 0; i < ARRAY_SIZE(links); i++) {
		int res = links[i] == IOSQE_IO_LINK ? -ECANCELED : 0;

		prep_send(ring, tx.id, &value, 4, 0, 1)->flags = links[i];
		prep_nop(ring, 2);
		expect_next(_metadata, ring, 1, -ENOBUFS);
		expect_next(_metadata, ring, 2, res);
	}
}

/* So does an id that names nothing. */
TEST_F(pair, link_behind_an_unknown_id)
{
	static const __u8 opcodes[] = { IORING_OP_IPC_SEND, IORING_OP_IPC_RECV };
	struct ring *ring = &self->ring;
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(opcodes); n++) {
		for (i = 0; i < ARRAY_SIZE(links); i++) {
			int res = links[i] == IOSQE_IO_LINK ? -ECANCELED : 0;
			struct io_uring_sqe *sqe = ring_sqe(ring);

			sqe->opcode = opcodes[n];
			sqe->user_data = 1;
			sqe->flags = links[i];
			prep_nop(ring, 2);
			expect_next(_metadata, ring, 1, -ENOENT);
			expect_next(_metadata, ring, 2, res);
		}
	}
}

/* A wait that fails breaks its link, too. */
TEST_F(pair, link_behind_a_wait_that_fails)
{
	struct ring *ring = &self->ring;
	__u32 value;

	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 1)->flags =
		IOSQE_IO_LINK;
	prep_nop(ring, 2);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	expect_next(_metadata, ring, 1, -EPIPE);
	expect_next(_metadata, ring, 2, -ECANCELED);
}

static void open_buffers(struct __test_metadata *_metadata,
			 struct pair_data *self, struct buffers *buffers)
{
	ASSERT_EQ(0, buffers_open(&self->ring, buffers, BUFFER_RING, GROUP, 16,
				  64));
	ASSERT_EQ(0, buffers_give(&self->ring, buffers, 0, 16));
}

/* Multishot holds what follows it for as long as it stays. */
TEST_F(pair, link_behind_a_multishot)
{
	struct ring *ring = &self->ring;
	struct buffers buffers;
	int i;

	open_buffers(_metadata, self, &buffers);
	prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_MULTISHOT,
			 1)->flags |= IOSQE_IO_LINK;
	prep_nop(ring, 2);
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, i));
		expect_next(_metadata, ring, 1, 4);
	}
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	expect_next(_metadata, ring, 1, -EPIPE);
	expect_next(_metadata, ring, 2, -ECANCELED);
	ring_close(ring);
	buffers_close(&buffers);
}

TEST_F(pair, drain)
{
	struct ring *ring = &self->ring;
	__u32 value[2];

	prep_recv(ring, self->rx.id, &value[0], 4, IOIPC_RECV_WAIT, 1);
	prep_nop(ring, 2)->flags = IOSQE_IO_DRAIN;
	prep_recv(ring, self->rx.id, &value[1], 4, IOIPC_RECV_WAIT, 3)->flags =
		IOSQE_IO_DRAIN;
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	expect_next(_metadata, ring, 1, 4);
	expect_next(_metadata, ring, 2, 0);
	EXPECT_EQ(5, (int)value[0]);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 6));
	expect_next(_metadata, ring, 3, 4);
	EXPECT_EQ(6, (int)value[1]);
}

/* Success is silent, though it came late; failure is not. */
TEST_F(pair, cqe_skip)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;
	int i;

	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 1)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, 1));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	for (i = 0; i < 1000 && __atomic_load_n(&value, __ATOMIC_ACQUIRE) != 5;
	     i++)
		sleep_ms(10);
	EXPECT_EQ(5, (int)value);
	EXPECT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, 0));
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 2)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	expect_next(_metadata, ring, 2, -EPIPE);
}

TEST_F(pair, cqe_skip_of_a_send)
{
	struct ring *ring = &self->ring;
	struct io_uring_sqe *sqe;
	__u32 value = PAIR_ENTRIES, i;
	struct sub tx, rx;

	/* A reader on the other ring, for we have no completions to wait for. */
	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&self->peer, &rx, self->id, IOIPC_SUB_RECV));
	attach_sender(_metadata, self, &tx);
	fill(_metadata, self);
	sqe = prep_send(ring, tx.id, &value, 4, 0, 1);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->ioprio = IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
	for (i = 0; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, rx.id));
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(4, ipc_recv_flags(&self->peer, rx.id, &i, 4,
				    IOIPC_RECV_WAIT));
	EXPECT_EQ(value, i);
}

TEST_F(pair, refused)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;
	struct sub tx;
	int bit;

	attach_sender(_metadata, self, &tx);
	for (bit = 1; bit < 16; bit++) {
		prep_send(ring, tx.id, &value, 4, 0, bit)->ioprio = 1U << bit;
		expect_next(_metadata, ring, bit, -EINVAL);
		if (bit < 4)
			continue;
		prep_recv(ring, self->rx.id, &value, 4, 1U << bit, bit);
		expect_next(_metadata, ring, bit, -EINVAL);
	}
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_MULTISHOT, 20);
	expect_next(_metadata, ring, 20, -EINVAL);
	prep_recv(ring, self->rx.id, &value, 4,
		  IOIPC_RECV_MULTISHOT | IOIPC_RECV_WAIT, 21);
	expect_next(_metadata, ring, 21, -EINVAL);
	prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_MULTISHOT,
			 22)->flags |= IOSQE_CQE_SKIP_SUCCESS;
	expect_next(_metadata, ring, 22, -EINVAL);

	prep_send(ring, tx.id, &value, 4, 0, 23)->flags = IOSQE_BUFFER_SELECT;
	expect_next(_metadata, ring, 23, -EOPNOTSUPP);
	prep_send(ring, tx.id, &value, 4, 0, 24)->flags = IOSQE_FIXED_FILE;
	expect_next(_metadata, ring, 24, -EBADF);
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 25)->flags =
		IOSQE_FIXED_FILE;
	expect_next(_metadata, ring, 25, -EBADF);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
}

/* Credentials are those of the task: no others can be asked for. */
TEST_F(pair, personality)
{
	struct ring *ring = &self->ring;
	int known = ipc_register(ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	int id[] = { known, known + 1 }, i;
	__u32 value = 0;
	struct sub tx;

	ASSERT_LT(0, known);
	attach_sender(_metadata, self, &tx);
	for (i = 0; i < 2; i++) {
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT,
			  1)->personality = id[i];
		expect_next(_metadata, ring, 1, -EINVAL);
		prep_send(ring, tx.id, &value, 4, 0, 2)->personality = id[i];
		expect_next(_metadata, ring, 2, -EINVAL);
	}
}

/* A ring that polls for block devices takes nothing but their requests. */
TEST_F(pair, iopoll)
{
	struct ring other;
	struct sub sub;
	__u32 value = 0;

	ASSERT_EQ(0, ring_open(&other, variant->setup | IORING_SETUP_IOPOLL));
	ASSERT_EQ(0, ipc_attach(&other, &sub, self->id, IOIPC_SUB_BOTH));
	prep_send(&other, sub.id, &value, 4, 0, 1);
	expect_next(_metadata, &other, 1, -EINVAL);
	prep_recv(&other, sub.id, &value, 4, IOIPC_RECV_WAIT, 2);
	expect_next(_metadata, &other, 2, -EINVAL);
	ring_close(&other);
	close(sub.fd);
}

/* Rings whose submitter sees how many requests io_uring_enter(2) has taken. */
FIXTURE(submission)
{
	struct ring ring;
};

FIXTURE_VARIANT(submission)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(submission, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(submission, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(submission, all)
{
	.setup = RING_PLAIN | IORING_SETUP_SUBMIT_ALL,
};

FIXTURE_SETUP(submission)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(submission)
{
	ring_close(&self->ring);
}

/* One call: how many it has taken. */
static int submit_once(struct ring *ring)
{
	int ret;

	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	ret = syscall(__NR_io_uring_enter, ring->fd, ring->queued, 0, 0, NULL,
		      0);
	if (ret > 0)
		ring->queued -= ret;
	return ret;
}

/* Submits what is queued and a NOP behind it. */
static void submit_before_nop(struct __test_metadata *_metadata,
			      struct ring *ring, int taken, int res)
{
	prep_nop(ring, 2);
	EXPECT_EQ(taken, submit_once(ring));
	expect_next(_metadata, ring, 1, res);
	expect_next(_metadata, ring, 2, 0);
}

/*
 * An SQE that is wrong ends the submission, as with other opcodes; one whose id
 * names nothing, or nothing any more, does not.
 */
TEST_F(submission, ended_by_what_is_wrong_only)
{
	struct ring *ring = &self->ring;
	int taken = variant->setup & IORING_SETUP_SUBMIT_ALL ? 2 : 1;
	struct sub sub;
	__u32 value, id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));

	prep_send(ring, 0, &value, 4, 0, 1);
	submit_before_nop(_metadata, ring, 2, -ENOENT);
	prep_recv(ring, 0, &value, 4, IOIPC_RECV_WAIT, 1);
	submit_before_nop(_metadata, ring, 2, -ENOENT);
	prep_recv(ring, sub.id, &value, 4, 0, 1);
	submit_before_nop(_metadata, ring, 2, -EAGAIN);

	prep_send(ring, sub.id, &value, 4, 0, 1)->rw_flags = 1;
	submit_before_nop(_metadata, ring, taken, -EINVAL);
	prep_recv(ring, sub.id, &value, 4, 0, 1)->rw_flags = 1;
	submit_before_nop(_metadata, ring, taken, -EINVAL);
	prep_send(ring, sub.id, &value, 4, 0, 1)->flags = IOSQE_FIXED_FILE;
	submit_before_nop(_metadata, ring, taken, -EBADF);

	ASSERT_EQ(0, ipc_detach(ring, sub.id));
	prep_send(ring, sub.id, &value, 4, 0, 1);
	submit_before_nop(_metadata, ring, 2, -ENOENT);
}

/* The calls work in a disabled ring, as the core's do; requests do not. */
TEST_F(ring, disabled)
{
	struct ring other;
	struct sub sub;
	__u32 value = 7, got = 0, id;

	ASSERT_EQ(0, ring_open(&other,
			       variant->setup | IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, ipc_create(&other, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&other, &sub, id, IOIPC_SUB_BOTH));
	prep_send(&other, sub.id, &value, 4, 0, 1);
	prep_recv(&other, sub.id, &got, 4, IOIPC_RECV_WAIT, 2);
	EXPECT_EQ(-EBADFD, ring_enter(&other, 1));
	ASSERT_EQ(0, ipc_register(&other, IORING_REGISTER_ENABLE_RINGS, NULL,
				  0));
	expect_next(_metadata, &other, 1, 4);
	expect_next(_metadata, &other, 2, 4);
	EXPECT_EQ(7, (int)got);
	EXPECT_EQ(0, ipc_detach(&other, sub.id));
	EXPECT_EQ(0, ipc_destroy(&other, id));
	ring_close(&other);
	close(sub.fd);
}

static int restrict_ring(struct ring *ring)
{
	struct io_uring_restriction allow[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_IPC_SEND },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
		  .sqe_flags = IOSQE_ASYNC },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_ENABLE_RINGS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_IPC_CHANNEL_ATTACH },
	};

	return ipc_register(ring, IORING_REGISTER_RESTRICTIONS, allow,
			    ARRAY_SIZE(allow));
}

/* A ring that may send, attach, and nothing else. */
TEST_F(ring, restricted)
{
	struct ring other;
	__u32 value = 7, id, none;
	struct sub rx, tx;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &rx, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ring_open(&other,
			       variant->setup | IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, restrict_ring(&other));
	ASSERT_EQ(0, ipc_register(&other, IORING_REGISTER_ENABLE_RINGS, NULL,
				  0));
	EXPECT_EQ(-EACCES, ipc_create(&other, &none, 0, 4, 4));
	EXPECT_EQ(-EACCES, ipc_destroy(&other, id));
	ASSERT_EQ(0, ipc_attach(&other, &tx, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EACCES, ipc_detach(&other, tx.id));

	prep_send(&other, tx.id, &value, 4, 0, 1);
	expect_next(_metadata, &other, 1, 4);
	prep_send(&other, tx.id, &value, 4, 0, 2)->flags = IOSQE_ASYNC;
	expect_next(_metadata, &other, 2, 4);
	prep_send(&other, tx.id, &value, 4, 0, 3)->flags =
		IOSQE_CQE_SKIP_SUCCESS;
	expect_next(_metadata, &other, 3, -EACCES);
	prep_recv(&other, tx.id, &value, 4, 0, 4);
	expect_next(_metadata, &other, 4, -EACCES);
	prep_recv(&other, tx.id, &value, 4, IOIPC_RECV_WAIT, 5);
	expect_next(_metadata, &other, 5, -EACCES);
	EXPECT_EQ(7, ipc_recv_u32(&self->ring, rx.id));
	EXPECT_EQ(7, ipc_recv_u32(&self->ring, rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, rx.id));
	ring_close(&other);
}

/* The other way round: either of the opcodes alone can be kept from a ring. */
TEST_F(ring, restricted_to_receiving)
{
	struct io_uring_restriction allow[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_IPC_RECV },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_ENABLE_RINGS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_IPC_CHANNEL_ATTACH },
	};
	__u32 value = 7, id;
	struct ring other;
	struct sub both;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ring_open(&other,
			       variant->setup | IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, ipc_register(&other, IORING_REGISTER_RESTRICTIONS, allow,
				  ARRAY_SIZE(allow)));
	ASSERT_EQ(0, ipc_register(&other, IORING_REGISTER_ENABLE_RINGS, NULL,
				  0));
	ASSERT_EQ(0, ipc_attach(&other, &both, id, IOIPC_SUB_BOTH));
	prep_send(&other, both.id, &value, 4, 0, 1);
	expect_next(_metadata, &other, 1, -EACCES);
	prep_send(&other, id, &value, 4, 0, 2);
	expect_next(_metadata, &other, 2, -EACCES);
	EXPECT_EQ(4, ipc_send_u32(&self->ring, id, 9));
	prep_recv(&other, both.id, &value, 4, 0, 3);
	expect_next(_metadata, &other, 3, 4);
	EXPECT_EQ(9U, value);
	ring_close(&other);
}

/* As in the kernel's <linux/io_uring/bpf_filter.h>, which is young. */
#define REGISTER_BPF_FILTER	37
#define BPF_CMD_FILTER		1

struct bpf_filter_arg {
	__u16	cmd_type;
	__u16	cmd_flags;
	__u32	resv;
	__u32	opcode;
	__u32	flags;
	__u32	filter_len;
	__u8	pdu_size;
	__u8	resv1[3];
	__u64	filter_ptr;
	__u64	resv2[5];
};

/* Offset of user_data's lower half in what a filter sees. */
#define FILTER_USER_DATA	0
#define ALLOWED			7

/* Lets requests of this opcode pass whose user_data is ALLOWED. */
static int filter_opcode(struct ring *ring, __u32 opcode)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_USER_DATA),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ALLOWED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct bpf_filter_arg arg = {
		.cmd_type = BPF_CMD_FILTER,
		.opcode = opcode,
		.filter_len = ARRAY_SIZE(filter),
		.filter_ptr = (uintptr_t)filter,
	};

	return ipc_register(ring, REGISTER_BPF_FILTER, &arg, 1);
}

TEST_F(ring, bpf_filters)
{
	static const __u32 opcodes[] = { IORING_OP_IPC_SEND,
					 IORING_OP_IPC_RECV };
	__u32 value = 5, id;
	struct ring other;
	unsigned int i;
	struct sub sub;
	bool sends;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0666, 0));
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		sends = opcodes[i] == IORING_OP_IPC_SEND;
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		ASSERT_EQ(0, ipc_attach(&other, &sub, id, IOIPC_SUB_BOTH));
		ASSERT_EQ(0, filter_opcode(&other, opcodes[i]));
		prep_send(&other, sub.id, &value, 4, 0, 1);
		expect_next(_metadata, &other, 1, sends ? -EACCES : 4);
		prep_send(&other, id, &value, 4, 0, 2)->ioprio =
			IOIPC_SEND_WAIT;
		expect_next(_metadata, &other, 2, sends ? -EACCES : 4);
		prep_send(&other, sub.id, &value, 4, 0, ALLOWED);
		expect_next(_metadata, &other, ALLOWED, 4);
		prep_recv(&other, sub.id, &value, 4, 0, 3);
		expect_next(_metadata, &other, 3, sends ? 4 : -EACCES);
		prep_recv(&other, sub.id, &value, 4, IOIPC_RECV_WAIT, 4)->flags =
			IOSQE_ASYNC;
		if (sends)
			ASSERT_EQ(4, ipc_send_u32(&self->ring, id, 1));
		expect_next(_metadata, &other, 4, sends ? 4 : -EACCES);
		prep_recv(&other, sub.id, &value, 4, 0, ALLOWED);
		expect_next(_metadata, &other, ALLOWED, sends ? -EAGAIN : 4);
		ring_close(&other);
	}
}

TEST_HARNESS_MAIN
