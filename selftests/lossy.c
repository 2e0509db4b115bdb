// SPDX-License-Identifier: GPL-2.0
/*
 * Receivers that hold no sender up: what they lose, and what they are told.
 *
 * IOIPC_LOSSY: messages that are sent at full speed to a reader that sleeps.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ring_fixture.h"

#define ENTRIES		8
#define LOST		"ipc-lost"
#define LOSSY		"ipc-lossy"
#define LOSSY_RX	(IOIPC_SUB_RECV | IOIPC_SUB_LOSSY)

struct message {
	struct io_uring_ipc_msg_hdr hdr;
	__u32 value;
	__u32 unused;
};

#define MESSAGE_LEN	((int)offsetof(struct message, unused))

static int recv_hdr(struct ring *ring, __u32 id, struct message *message)
{
	memset(message, 0xa5, sizeof(*message));
	return ipc_recv_flags(ring, id, message, sizeof(*message),
			      IOIPC_RECV_HDR);
}

static void send_range(struct __test_metadata *_metadata, struct ring *ring,
		       __u32 id, __u32 from, __u32 count)
{
	__u32 i;

	for (i = from; i < from + count; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, id, i));
}

/* The next message is this one, after so many that are lost. */
static void expect_message(struct __test_metadata *_metadata, struct ring *ring,
			   __u32 id, __u32 value, __u64 lost)
{
	struct message message;

	ASSERT_EQ(MESSAGE_LEN, recv_hdr(ring, id, &message));
	ASSERT_EQ(value, message.value);
	ASSERT_EQ(value + 1, message.hdr.msg_id);
	ASSERT_EQ(lost, message.hdr.lost);
}

TEST_F(ring, create_flags)
{
	__u32 flags, id;

	for (flags = 0; flags < 8; flags++)
		EXPECT_EQ((flags & 3) == IOIPC_F_BROADCAST ? 0 : -EINVAL,
			  ipc_create(&self->ring, &id, flags | IOIPC_F_LOSSY,
				     ENTRIES, 4))
			TH_LOG("flags %u", flags);
}

TEST_F(ring, attach_flags)
{
	static const __u32 modes[] = { 0, IOIPC_F_MULTICAST, IOIPC_F_BROADCAST,
				       IOIPC_F_BROADCAST | IOIPC_F_LOSSY };
	__u32 flags, id;
	struct sub sub;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, ipc_create(&self->ring, &id, modes[i], ENTRIES,
					4));
		for (flags = 0; flags < 8; flags++) {
			bool good = modes[i] & IOIPC_F_BROADCAST &&
				    flags & IOIPC_SUB_RECV;

			EXPECT_EQ(good ? 0 : -EINVAL,
				  ipc_attach(&self->ring, &sub, id,
					     flags | IOIPC_SUB_LOSSY))
				TH_LOG("mode %u flags %u", modes[i], flags);
		}
	}
}

TEST_F(ring, senders_are_never_held_up)
{
	struct ring *ring = &self->ring;
	struct io_uring_sqe *sqe;
	struct sub tx, rx[2];
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx[0], id, LOSSY_RX));
	ASSERT_EQ(0, ipc_attach(ring, &rx[1], id, LOSSY_RX));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(POLLOUT, poll_now(tx.fd));
		sqe = prep_send(ring, tx.id, &i, 4, 0, 0);
		sqe->ioprio = i & 1 ? IOIPC_SEND_WAIT : 0;
		ASSERT_EQ(4, ring_one(ring));
	}
	/* Neither asking for room nor being told of it has lost anything. */
	for (i = 0; i < 5; i++)
		EXPECT_EQ(POLLOUT, poll_now(tx.fd));
	expect_message(_metadata, ring, rx[0].id, 92, 92);
	for (i = 93; i < 100; i++)
		expect_message(_metadata, ring, rx[0].id, i, 0);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[0].id));
	/* Each has a count of its own. */
	send_range(_metadata, ring, tx.id, 100, 2);
	expect_message(_metadata, ring, rx[0].id, 100, 0);
	expect_message(_metadata, ring, rx[1].id, 94, 94);
	EXPECT_EQ(92, fdinfo_value(rx[0].fd, LOST));
	EXPECT_EQ(94, fdinfo_value(rx[1].fd, LOST));
}

TEST_F(ring, lost_is_exact)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id, i, base;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	EXPECT_EQ(1, fdinfo_value(rx.fd, LOSSY));
	EXPECT_EQ(0, fdinfo_value(tx.fd, LOSSY));
	for (base = 0; base < 60; base += 20) {
		send_range(_metadata, ring, tx.id, base, 20);
		EXPECT_EQ(base / 20 * 12 + 12, fdinfo_value(rx.fd, LOST));
		EXPECT_EQ(POLLIN, poll_now(rx.fd));
		/* The oldest that is held, with what came before it. */
		expect_message(_metadata, ring, rx.id, base + 12, 12);
		for (i = 13; i < 20; i++)
			expect_message(_metadata, ring, rx.id, base + i, 0);
		EXPECT_EQ(0, poll_now(rx.fd));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
	}
	/* Overrun in the middle: once by three, once by two. */
	send_range(_metadata, ring, tx.id, 60, 11);
	expect_message(_metadata, ring, rx.id, 63, 3);
	send_range(_metadata, ring, tx.id, 71, 3);
	expect_message(_metadata, ring, rx.id, 66, 2);
	EXPECT_EQ(41, fdinfo_value(rx.fd, LOST));
}

/* A full ring makes room for a 64th of its messages. */
TEST_F(ring, lost_in_a_large_ring)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 256, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, 256);
	EXPECT_EQ(0, fdinfo_value(rx.fd, LOST));
	send_range(_metadata, ring, tx.id, 256, 44);
	EXPECT_EQ(44, fdinfo_value(rx.fd, LOST));
	send_range(_metadata, ring, tx.id, 300, 1);
	EXPECT_EQ(48, fdinfo_value(rx.fd, LOST));
	expect_message(_metadata, ring, rx.id, 48, 48);
	expect_message(_metadata, ring, rx.id, 49, 0);
}

/* The lossless one alone decides whether there is room. */
TEST_F(ring, beside_a_lossless_receiver)
{
	struct ring *ring = &self->ring;
	struct sub tx, all, rx;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &all, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, ENTRIES);
	/* Nobody loses anything for a message that cannot be sent. */
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 99));
		EXPECT_EQ(0, poll_now(tx.fd));
	}
	expect_message(_metadata, ring, rx.id, 0, 0);
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 99));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(i, ipc_recv_u32(ring, all.id));
		ASSERT_EQ(POLLOUT, poll_now(tx.fd));
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, ENTRIES + i));
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 99));
	}
	/* All that is held is still to be had by both. */
	expect_message(_metadata, ring, rx.id, 40, 39);
	for (i = 41; i < 48; i++)
		expect_message(_metadata, ring, rx.id, i, 0);
	for (i = 40; i < 48; i++)
		ASSERT_EQ(i, ipc_recv_u32(ring, all.id));
}

/* A send that waits for the lossless one does not wait for the other, too. */
TEST_F(ring, waiting_send_is_woken)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	struct sub tx, all, rx;
	__u32 id, value = ENTRIES;
	struct ring peer;

	ASSERT_EQ(0, ring_open(&peer, variant->setup));
	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&peer, &all, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&peer, &rx, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, ENTRIES);
	sqe = prep_send(ring, tx.id, &value, 4, 0, 1);
	sqe->ioprio = IOIPC_SEND_WAIT;
	EXPECT_TRUE(ring_quiet(ring, 10));
	EXPECT_EQ(0, ipc_recv_u32(&peer, all.id));
	EXPECT_EQ(1, ipc_recv_u32(&peer, all.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(4, cqe.res);
	/* And the one that holds it up may leave. */
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, ENTRIES + 1));
	value = ENTRIES + 2;
	sqe = prep_send(ring, tx.id, &value, 4, 0, 2);
	sqe->ioprio = IOIPC_SEND_WAIT;
	EXPECT_TRUE(ring_quiet(ring, 10));
	ASSERT_EQ(0, ipc_detach(&peer, all.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(4, cqe.res);
	expect_message(_metadata, &peer, rx.id, 3, 3);
	ring_close(&peer);
}

/* Nor does the one behind it, which room for one is too little to wake. */
TEST_F(ring, two_sends_wait)
{
	struct ring *ring = &self->ring;
	__u32 id, value[2] = { 64, 65 }, i;
	struct io_uring_cqe cqe;
	struct sub tx, all, rx;
	struct ring peer;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&peer, &id, IOIPC_F_BROADCAST, 64, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&peer, &all, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&peer, &rx, id, LOSSY_RX));
	send_range(_metadata, &peer, id, 0, 64);
	prep_send(ring, tx.id, &value[0], 4, 0, 0)->ioprio = IOIPC_SEND_WAIT;
	EXPECT_TRUE(ring_quiet(ring, 10));
	EXPECT_EQ(0, ipc_recv_u32(&peer, all.id));
	prep_send(ring, tx.id, &value[1], 4, 0, 1)->ioprio = IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(0, (int)cqe.user_data);
	EXPECT_EQ(4, cqe.res);
	EXPECT_TRUE(ring_quiet(ring, 10));
	for (i = 1; i < 64; i++)
		EXPECT_EQ(i, ipc_recv_u32(&peer, all.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(4, cqe.res);
	ring_close(&peer);
}

/* What is for others is not lost. */
TEST_F(ring, targeted_messages)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx, other;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	ASSERT_EQ(0, ipc_attach(ring, &other, id, LOSSY_RX));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(4, ipc_send(ring, tx.id, &i, 4,
				      i % 4 ? other.id : rx.id));
	/* 0, 4 and 8 are gone, and nine of the others. */
	expect_message(_metadata, ring, rx.id, 12, 3);
	expect_message(_metadata, ring, other.id, 13, 9);
	expect_message(_metadata, ring, rx.id, 16, 0);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
	/* A ring full of what is for nobody any more. */
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	for (; i < 20 + 3 * ENTRIES; i++)
		ASSERT_EQ(4, ipc_send(ring, tx.id, &i, 4, rx.id));
	expect_message(_metadata, ring, rx.id, 20 + 2 * ENTRIES, 2 * ENTRIES);
}

/* Where several slots are made free at once, too. */
TEST_F(ring, targeted_messages_in_a_large_ring)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx, other;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 256, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	ASSERT_EQ(0, ipc_attach(ring, &other, id, LOSSY_RX));
	for (i = 0; i < 256 + 44; i++)
		ASSERT_EQ(4, ipc_send(ring, tx.id, &i, 4,
				      i % 4 ? other.id : rx.id));
	expect_message(_metadata, ring, rx.id, 44, 11);
	expect_message(_metadata, ring, other.id, 45, 33);
}

/* A receive without a header keeps the count for the next one with it. */
TEST_F(ring, reported_once)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, 11);
	EXPECT_EQ(3, ipc_recv_u32(ring, rx.id));
	EXPECT_EQ(4, ipc_recv_u32(ring, rx.id));
	send_range(_metadata, ring, tx.id, 11, 4);
	EXPECT_EQ(7, ipc_recv_u32(ring, rx.id));
	/* One that fails has told nobody. */
	EXPECT_EQ(-EFAULT, ipc_recv_flags(ring, rx.id, (void *)4096, 64,
					  IOIPC_RECV_HDR));
	expect_message(_metadata, ring, rx.id, 8, 5);
	expect_message(_metadata, ring, rx.id, 9, 0);
	EXPECT_EQ(5, fdinfo_value(rx.fd, LOST));
}

TEST_F(ring, replay)
{
	struct ring *ring = &self->ring;
	struct sub tx, first, rx;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &first, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, 20);
	/* What was lost before it came is not its loss. */
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX | IOIPC_SUB_REPLAY));
	expect_message(_metadata, ring, rx.id, 12, 0);
	send_range(_metadata, ring, tx.id, 20, 4);
	expect_message(_metadata, ring, rx.id, 16, 3);
	for (i = 17; i < 24; i++)
		expect_message(_metadata, ring, rx.id, i, 0);
	expect_message(_metadata, ring, first.id, 16, 16);
}

TEST_F(ring, lossy_channel)
{
	struct ring *ring = &self->ring;
	struct sub both, rx, replay;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST | IOIPC_F_LOSSY,
				ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &both, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	EXPECT_EQ(1, fdinfo_value(rx.fd, LOSSY));
	EXPECT_EQ(1, fdinfo_value(both.fd, LOSSY));
	send_range(_metadata, ring, id, 0, 20);
	ASSERT_EQ(0, ipc_attach(ring, &replay, id,
				IOIPC_SUB_RECV | IOIPC_SUB_REPLAY));
	send_range(_metadata, ring, id, 20, 20);
	expect_message(_metadata, ring, both.id, 32, 32);
	expect_message(_metadata, ring, rx.id, 32, 32);
	expect_message(_metadata, ring, replay.id, 32, 20);
}

/* What is held can still be had, and what was lost is still told. */
TEST_F(ring, destroyed_channel)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	send_range(_metadata, ring, tx.id, 0, 20);
	ASSERT_EQ(0, ipc_destroy(ring, id));
	expect_message(_metadata, ring, rx.id, 12, 12);
	for (i = 13; i < 20; i++)
		expect_message(_metadata, ring, rx.id, i, 0);
	EXPECT_EQ(-EPIPE, ipc_recv_u32(ring, rx.id));
}

TEST_F(ring, waiting_receives)
{
	struct ring *ring = &self->ring;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	struct message *message, one;
	struct sub tx, rx;
	struct ring peer;
	__u32 id, got = 0, next = 1;
	__u64 lost = 0;

	ASSERT_EQ(0, ring_open(&peer, variant->setup));
	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(&peer, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	prep_recv(ring, rx.id, &one, sizeof(one),
		  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, 1);
	EXPECT_TRUE(ring_quiet(ring, 10));
	send_range(_metadata, &peer, tx.id, 0, 1);
	ASSERT_EQ(0, ring_next(ring, &cqe));
	ASSERT_EQ(MESSAGE_LEN, cqe.res);
	EXPECT_EQ(0, (int)one.value);

	ASSERT_EQ(0, buffers_open(ring, &buffers, BUFFER_RING, 1, 128, 64));
	ASSERT_EQ(0, buffers_give(ring, &buffers, 0, 128));
	prep_recv_select(ring, rx.id, 1, 0,
			 IOIPC_RECV_MULTISHOT | IOIPC_RECV_HDR, 2);
	EXPECT_TRUE(ring_quiet(ring, 10));
	/* Where the receiver does not run meanwhile it loses most of it. */
	send_range(_metadata, &peer, tx.id, 1, 100);
	while (got + lost < 100) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		ASSERT_EQ(MESSAGE_LEN, cqe.res);
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_MORE);
		message = buffers_at(&buffers, &cqe);
		ASSERT_NE(NULL, message);
		next += message->hdr.lost;
		ASSERT_EQ(next, message->value);
		next++;
		lost += message->hdr.lost;
		got++;
	}
	EXPECT_EQ(100, got + lost);
	EXPECT_LE(ENTRIES, got);
	EXPECT_TRUE(ring_quiet(ring, 10));
	ring_close(&peer);
	buffers_close(&buffers);
}

/*
 * Full speed
 */
#define WORDS	16

struct content {
	struct io_uring_ipc_msg_hdr hdr;
	__u32 word[WORDS];
};

static void fill(__u32 *word, __u32 number)
{
	unsigned int i;

	word[0] = number;
	for (i = 1; i < WORDS; i++)
		word[i] = word[i - 1] * 1664525 + 1013904223;
}

static bool is_whole(const __u32 *word)
{
	__u32 want[WORDS];

	fill(want, word[0]);
	return !memcmp(want, word, sizeof(want));
}

#define BATCH	16

static int flood(unsigned int setup, __u32 channel, __u32 total)
{
	__u32 word[BATCH][WORDS], next = 0, i, n;
	struct ring ring;
	int res[BATCH];

	if (ring_open(&ring, setup))
		return 10;
	while (next < total) {
		n = total - next < BATCH ? total - next : BATCH;
		for (i = 0; i < n; i++) {
			fill(word[i], next++);
			prep_send(&ring, channel, word[i], sizeof(word[i]), 0,
				  i);
		}
		if (ring_batch(&ring, res, n))
			return 11;
		for (i = 0; i < n; i++)
			if (res[i] != sizeof(word[i]))
				return 12;
	}
	return 0;
}

static __u32 messages(unsigned int setup)
{
	const char *wanted = getenv("IOIPC_LOSSY");

	if (wanted)
		return strtoul(wanted, NULL, 0);
	return setup & IORING_SETUP_SQPOLL ? 5000 : 30000;
}

#define HUGE_LEN	(1 << 20)
#define HUGE_STEP	1024	/* from one byte that is looked at to the next */

static int flood_with_huge(struct ring *ring, __u32 id)
{
	static char message[HUGE_LEN];
	char n = 0;
	int i;

	do {
		n++;
		for (i = 0; i < HUGE_LEN; i += HUGE_STEP)
			message[i] = n;
	} while (ipc_send(ring, id, message, HUGE_LEN, 0) == HUGE_LEN);
	return 10;
}

/* Whether it is one of them, and not parts of two. */
static bool is_one_huge(const char *message)
{
	int i;

	for (i = 0; i < HUGE_LEN; i += HUGE_STEP)
		if (message[i] != message[0])
			return false;
	return true;
}

/*
 * Copying takes longer than until the slot is sent over again. Who waits gets
 * back to user space nevertheless, with a message or without.
 */
static void slow_reader(struct __test_metadata *_metadata, struct ring *ring,
			bool multishot)
{
	unsigned long long until = now_ms() + 1000;
	static char message[HUGE_LEN];
	struct buffers buffers;
	struct io_uring_cqe cqe;
	struct sub rx;
	bool armed = false;
	unsigned int i;
	pid_t pid[2];
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 2, HUGE_LEN));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	ASSERT_EQ(0, buffers_open(ring, &buffers, BUFFER_RING, 1, 2, HUGE_LEN));
	ASSERT_EQ(0, buffers_give(ring, &buffers, 0, 2));
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = child_start();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			struct ring own;

			if (ring_open(&own, RING_PLAIN))
				_exit(11);
			_exit(flood_with_huge(&own, id));
		}
	}
	while (now_ms() < until) {
		if (!armed && multishot)
			prep_recv_select(ring, rx.id, 1, 0,
					 IOIPC_RECV_MULTISHOT, 1);
		else if (!armed)
			prep_recv(ring, rx.id, message, HUGE_LEN,
				  IOIPC_RECV_WAIT, 1);
		ASSERT_EQ(0, ring_next(ring, &cqe));
		armed = cqe.flags & IORING_CQE_F_MORE;
		if (cqe.res == HUGE_LEN) {
			EXPECT_TRUE(is_one_huge(multishot ?
						buffers_at(&buffers, &cqe) :
						message));
		}
		if (cqe.flags & IORING_CQE_F_BUFFER)
			ASSERT_EQ(0, buffers_give(ring, &buffers,
						  cqe_buffer(&cqe), 1));
		EXPECT_TRUE(cqe.res == HUGE_LEN || cqe.res == -EAGAIN ||
			    (multishot && cqe.res == -ENOBUFS))
			TH_LOG("result %d", cqe.res);
	}
	EXPECT_LT(0, fdinfo_value(rx.fd, LOST));
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		child_kill(pid[i]);
	buffers_close(&buffers);
}

TEST_F(ring, slow_waiting_reader)
{
	slow_reader(_metadata, &self->ring, false);
}

TEST_F(ring, slow_multishot_reader)
{
	slow_reader(_metadata, &self->ring, true);
}

/* Small and large rings: one slot at a time is lost, and several. */
static void sleeping_reader(struct __test_metadata *_metadata,
			    struct ring *ring, unsigned int setup,
			    __u32 entries, bool headers)
{
	__u32 id, total = messages(setup), i, calls = 0;
	__u64 got = 0, lost = 0, next = 0;
	struct content content[BATCH];
	int res[BATCH];
	struct sub rx;
	pid_t pid;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, entries,
				sizeof(content[0].word)));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(flood(setup, id, total));
	/* Whatever the machine is like, it is too slow once: ten seconds. */
	for (i = 0; i < 10000 && !fdinfo_value(rx.fd, LOST); i++)
		sleep_ms(1);
	ASSERT_LT(0, fdinfo_value(rx.fd, LOST));
	for (;;) {
		bool last = child_ended(pid);

		/* Every other one without a header, if that is wanted. */
		for (i = 0; i < BATCH; i++) {
			bool hdr = headers || i & 1;

			prep_recv(ring, rx.id,
				  hdr ? (void *)&content[i] : content[i].word,
				  hdr ? sizeof(content[i]) :
					sizeof(content[i].word),
				  hdr ? IOIPC_RECV_HDR : 0, i);
		}
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		for (i = 0; i < BATCH; i++) {
			struct content *c = &content[i];
			bool hdr = headers || i & 1;

			if (res[i] == -EAGAIN)
				continue;
			ASSERT_EQ(hdr ? (int)sizeof(*c) : (int)sizeof(c->word),
				  res[i]);
			ASSERT_TRUE(is_whole(c->word));
			if (hdr) {
				ASSERT_EQ(c->word[0] + 1, c->hdr.msg_id);
				lost += c->hdr.lost;
				/* There is one sender, and it skips none. */
				ASSERT_EQ(got + lost, c->word[0]);
			}
			ASSERT_LE(next, c->word[0]);
			next = c->word[0] + 1;
			got++;
		}
		if (last && res[BATCH - 1] == -EAGAIN)
			break;
		if (++calls % 16 == 0)
			sleep_ms(1);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* The last one is held, so all that is lost has been told by now. */
	EXPECT_EQ(total, next);
	EXPECT_EQ(lost, fdinfo_value(rx.fd, LOST));
	EXPECT_EQ(total, got + fdinfo_value(rx.fd, LOST));
	EXPECT_NE(0, got);
	EXPECT_NE(0, lost);
	TH_LOG("%u sent, %llu received, %llu lost", total, got, lost);
}

TEST_F_TIMEOUT(ring, sleeping_reader_of_two, 3600)
{
	sleeping_reader(_metadata, &self->ring, variant->setup, 2, true);
}

TEST_F_TIMEOUT(ring, sleeping_reader_of_many, 3600)
{
	sleeping_reader(_metadata, &self->ring, variant->setup, 256, true);
}

TEST_F_TIMEOUT(ring, sleeping_reader_without_headers, 3600)
{
	sleeping_reader(_metadata, &self->ring, variant->setup, 16, false);
}

/*
 * Receives of one subscriber on several CPUs at once: by io-wq, which needs no
 * lock for them.
 */
TEST_F_TIMEOUT(ring, receives_at_once, 3600)
{
	__u32 id, total = messages(variant->setup), i, known = 0;
	struct ring *ring = &self->ring;
	struct content content[BATCH];
	unsigned char *seen;
	__u64 got = 0, lost = 0;
	int res[BATCH];
	struct sub rx;
	pid_t pid;

	seen = calloc(total, 1);
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 16,
				sizeof(content[0].word)));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, LOSSY_RX));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(flood(variant->setup, id, total));
	for (;;) {
		bool last = child_ended(pid);

		for (i = 0; i < BATCH; i++)
			prep_recv(ring, rx.id, &content[i], sizeof(content[i]),
				  IOIPC_RECV_HDR, i)->flags =
				last ? 0 : IOSQE_ASYNC;
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		for (i = 0; i < BATCH; i++) {
			if (res[i] == -EAGAIN)
				continue;
			ASSERT_EQ((int)sizeof(content[i]), res[i]);
			ASSERT_TRUE(is_whole(content[i].word));
			ASSERT_GT(total, content[i].word[0]);
			ASSERT_EQ(0, seen[content[i].word[0]]++);
			if (content[i].word[0] > known)
				known = content[i].word[0];
			lost += content[i].hdr.lost;
			got++;
		}
		if (last && res[BATCH - 1] == -EAGAIN)
			break;
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(total - 1, known);
	EXPECT_EQ(total, got + lost);
	EXPECT_EQ(lost, fdinfo_value(rx.fd, LOST));
	TH_LOG("%u sent, %llu received, %llu lost", total, got, lost);
	free(seen);
}

/*
 * A receiver that is stopped holds up its own channel, and a lossy one not even
 * that.
 */
static void stopped(struct __test_metadata *_metadata, unsigned int setup,
		    __u32 channel, __u32 flags, pid_t *pid)
{
	struct ring ring;
	struct sub rx;
	int status;

	*pid = child_start();
	ASSERT_LE(0, *pid);
	if (!*pid) {
		if (ring_open(&ring, setup) ||
		    ipc_attach(&ring, &rx, channel, flags))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(*pid, waitpid(*pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
}

TEST_F(ring, stopped_receiver)
{
	struct ring *ring = &self->ring;
	__u32 held, lossy, free;
	struct sub rx;
	pid_t pid[2];
	__u32 i;

	ASSERT_EQ(0, ipc_create(ring, &held, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_create(ring, &lossy, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_create(ring, &free, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &rx, free, IOIPC_SUB_RECV));
	stopped(_metadata, variant->setup, held, IOIPC_SUB_RECV, &pid[0]);
	stopped(_metadata, variant->setup, lossy, LOSSY_RX, &pid[1]);
	send_range(_metadata, ring, held, 0, ENTRIES);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, held, i));
		ASSERT_EQ(4, ipc_send_u32(ring, lossy, i));
		ASSERT_EQ(4, ipc_send_u32(ring, free, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, rx.id));
	}
	child_kill(pid[0]);
	child_kill(pid[1]);
	EXPECT_EQ(4, ipc_send_u32(ring, held, i));
}

TEST_HARNESS_MAIN
