// SPDX-License-Identifier: GPL-2.0
/* Which receiver gets which message. */
#include <poll.h>
#include <sched.h>

#include "channel_fixture.h"
#include "ring_fixture.h"

TEST_F(ring, broadcast_reaches_everyone)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx[3];
	__u32 id, i, j;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	for (j = 0; j < 3; j++)
		ASSERT_EQ(0, ipc_attach(ring, &rx[j], id, IOIPC_SUB_RECV));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	for (j = 0; j < 3; j++) {
		for (i = 0; i < 8; i++)
			EXPECT_EQ(i, ipc_recv_u32(ring, rx[j].id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[j].id));
	}
}

/* A slot is free when the slowest has passed it, not before. */
TEST_F(ring, broadcast_waits_for_the_slowest)
{
	struct ring *ring = &self->ring;
	struct sub tx, fast, slow;
	__u32 id, i, next = 0;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &fast, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(ring, &slow, id, IOIPC_SUB_RECV));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, fast.id));
	}
	for (; i < 40; i++) {
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(next++, ipc_recv_u32(ring, slow.id));
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, fast.id));
	}
	/* The slow one leaves, and takes its claim on the slots along. */
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
	ASSERT_EQ(0, ipc_detach(ring, slow.id));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(i, ipc_recv_u32(ring, fast.id));
}

/* A receiver that joins a ring that went round three times. */
TEST_F(ring, broadcast_late_joiner)
{
	struct ring *ring = &self->ring;
	struct sub tx, early, late;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &early, id, IOIPC_SUB_RECV));
	for (i = 0; i < 8 * 3 + 3; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, early.id));
	}
	/* Messages that are there, unread, are not for the late one. */
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 100));
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 101));
	ASSERT_EQ(0, ipc_attach(ring, &late, id, IOIPC_SUB_RECV));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, late.id));
	EXPECT_EQ(0, poll_now(late.fd));
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 102));
	EXPECT_EQ(POLLIN, poll_now(late.fd));
	EXPECT_EQ(102, ipc_recv_u32(ring, late.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, late.id));
	for (i = 100; i < 103; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, early.id));
	/* And it holds nobody up. */
	for (i = 0; i < 80; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, early.id));
		ASSERT_EQ(i, ipc_recv_u32(ring, late.id));
	}
}

TEST_F(ring, broadcast_replay)
{
	struct ring *ring = &self->ring;
	struct sub tx, early, replay, plain;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &early, id, IOIPC_SUB_RECV));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	ASSERT_EQ(0, ipc_attach(ring, &replay, id,
				IOIPC_SUB_RECV | IOIPC_SUB_REPLAY));
	ASSERT_EQ(0, ipc_attach(ring, &plain, id, IOIPC_SUB_RECV));
	EXPECT_EQ(POLLIN, poll_now(replay.fd));
	EXPECT_EQ(0, poll_now(plain.fd));
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i++));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, replay.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, replay.id));
	EXPECT_EQ(5, ipc_recv_u32(ring, plain.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, plain.id));
}

/* After some rounds: the oldest message held, then all up to the last. */
TEST_F(ring, broadcast_replay_after_wrap)
{
	struct ring *ring = &self->ring;
	struct sub tx, early, replay;
	struct io_uring_ipc_ring *map;
	struct io_uring_ipc_msg_hdr hdr;
	__u32 id, i;
	__u64 head;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &early, id, IOIPC_SUB_RECV));
	for (i = 0; i < 29; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, early.id));
	}
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i++));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, early.fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)map);
	head = map->head;
	EXPECT_LE(22, (int)head);
	EXPECT_GE(29, (int)head);
	ASSERT_EQ(0, ipc_attach(ring, &replay, id,
				IOIPC_SUB_BOTH | IOIPC_SUB_REPLAY));
	for (i = head; i < 30; i++) {
		ASSERT_EQ((int)sizeof(hdr),
			  ipc_recv_flags(ring, replay.id, &hdr, sizeof(hdr),
					 IOIPC_RECV_HDR));
		EXPECT_EQ(i + 1, (__u32)hdr.msg_id);
		EXPECT_EQ(0, (int)hdr.lost);
	}
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, replay.id));
	EXPECT_EQ(29, ipc_recv_u32(ring, early.id));
	/* It holds senders up like any other. */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, early.id));
	}
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
	EXPECT_EQ(0, ipc_recv_u32(ring, replay.id));
	EXPECT_EQ(4, ipc_send_u32(ring, tx.id, i));
}

static void two_share(struct __test_metadata *_metadata, struct ring *ring,
		      __u32 flags)
{
	struct sub tx, rx[2];
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, flags, 8, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx[0], id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(ring, &rx[1], id, IOIPC_SUB_RECV));
	/* In turns: each the next one, nobody the same. */
	for (i = 0; i < 8; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, rx[i & 1].id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[0].id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[1].id));
	/* One may have it all, and the idle one holds nothing up. */
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, rx[0].id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[0].id));
	}
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[1].id));
	/* The idle one, a long way behind, gets the next. */
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 77));
	EXPECT_EQ(77, ipc_recv_u32(ring, rx[1].id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx[0].id));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, i));
}

TEST_F(ring, unicast_two_receivers)
{
	two_share(_metadata, &self->ring, 0);
}

TEST_F(ring, multicast_two_receivers)
{
	two_share(_metadata, &self->ring, IOIPC_F_MULTICAST);
}

/*
 * Exactly once
 *
 * One sender, two receivers, each a process with a ring of its own.
 */
#define BATCH	16

struct tally {
	unsigned int total;		/* messages received by all */
	unsigned int taken[2];
	unsigned int disorder;
	unsigned char count[];
};

static int send_batches(unsigned int setup, __u32 id, __u32 total)
{
	__u32 value[BATCH], next = 0;
	unsigned int i, n, kept = 0;
	struct ring ring;
	struct sub tx;
	int res[BATCH];

	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &tx, id, IOIPC_SUB_SEND))
		return 10;
	while (next < total || kept) {
		while (kept < BATCH && next < total)
			value[kept++] = next++;
		n = kept;
		/* Linked: after one that finds no room, none overtakes it. */
		for (i = 0; i < n; i++)
			prep_send(&ring, tx.id, &value[i], 4, 0, i)->flags =
				i + 1 < n ? IOSQE_IO_LINK : 0;
		if (ring_batch(&ring, res, n))
			return 11;
		kept = 0;
		for (i = 0; i < n; i++) {
			if (res[i] == -ENOBUFS || res[i] == -ECANCELED)
				value[kept++] = value[i];
			else if (res[i] != 4)
				return 12;
			else if (kept)
				return 13;
		}
		if (kept)
			sched_yield();
	}
	return 0;
}

static int take_batches(unsigned int setup, __u32 id, __u32 total,
			struct tally *tally, struct gate *ready, int who)
{
	long long last = -1;
	__u32 value[BATCH];
	struct ring ring;
	struct sub rx;
	int res[BATCH];
	unsigned int i, n;

	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &rx, id, IOIPC_SUB_RECV))
		return 20;
	gate_open(ready);
	while (__atomic_load_n(&tally->total, __ATOMIC_RELAXED) < total) {
		for (i = 0; i < BATCH; i++)
			prep_recv(&ring, rx.id, &value[i], 4, 0, i);
		if (ring_batch(&ring, res, BATCH))
			return 21;
		for (i = n = 0; i < BATCH; i++) {
			if (res[i] == -EAGAIN)
				continue;
			if (res[i] != 4 || value[i] >= total)
				return 22;
			__atomic_add_fetch(&tally->count[value[i]], 1,
					   __ATOMIC_RELAXED);
			if (value[i] <= last)
				tally->disorder++;
			last = value[i];
			n++;
		}
		tally->taken[who] += n;
		__atomic_add_fetch(&tally->total, n, __ATOMIC_RELAXED);
		if (!n)
			sched_yield();
	}
	/* Not one too many. */
	return ipc_recv(&ring, rx.id, value, 4) == -EAGAIN ? 0 : 23;
}

static void exactly_once(struct __test_metadata *_metadata, struct ring *ring,
			 unsigned int setup, __u32 flags, __u32 total)
{
	struct tally *tally = shared_alloc(sizeof(*tally) + total);
	unsigned int i, wrong = 0;
	struct gate ready;
	pid_t pid;
	__u32 id;

	ASSERT_NE(NULL, tally);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, ipc_create(ring, &id, flags, 64, 4));
	for (i = 0; i < 2; i++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(take_batches(setup, id, total, tally, &ready, i));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, gate_wait(&ready));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(send_batches(setup, id, total));
	ASSERT_EQ(0, children_wait(3));
	for (i = 0; i < total; i++)
		wrong += tally->count[i] != 1;
	EXPECT_EQ(0, (int)wrong);
	EXPECT_EQ(total, tally->total);
	EXPECT_EQ(total, tally->taken[0] + tally->taken[1]);
	/* Each receiver sees what it gets in the order it was sent. */
	EXPECT_EQ(0, (int)tally->disorder);
}

/* Under emulation three SQPOLL threads and three processes take their time. */
static __u32 many(unsigned int setup)
{
	return setup & IORING_SETUP_SQPOLL ? 10000 : 100000;
}

TEST_F_TIMEOUT(ring, unicast_exactly_once, 600)
{
	exactly_once(_metadata, &self->ring, variant->setup, 0,
		     many(variant->setup));
}

TEST_F_TIMEOUT(ring, multicast_exactly_once, 600)
{
	exactly_once(_metadata, &self->ring, variant->setup,
		     IOIPC_F_MULTICAST, many(variant->setup) / 4);
}

/* Two senders, two receivers, all on one broadcast ring of 16. */
static int hear_everything(unsigned int setup, __u32 id, __u32 total,
			   struct gate *ready)
{
	__u32 value[BATCH], next[2] = {}, got = 0;
	struct ring ring;
	struct sub rx;
	int res[BATCH];
	unsigned int i;

	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &rx, id, IOIPC_SUB_RECV))
		return 30;
	gate_open(ready);
	while (got < 2 * total) {
		for (i = 0; i < BATCH; i++)
			prep_recv(&ring, rx.id, &value[i], 4, 0, i);
		if (ring_batch(&ring, res, BATCH))
			return 31;
		for (i = 0; i < BATCH; i++) {
			if (res[i] == -EAGAIN)
				continue;
			if (res[i] != 4)
				return 32;
			/* Sender in bit 31; its numbers without a gap. */
			if ((value[i] & INT32_MAX) != next[value[i] >> 31]++)
				return 33;
			got++;
		}
		if (res[0] == -EAGAIN)
			sched_yield();
	}
	return ipc_recv(&ring, rx.id, value, 4) == -EAGAIN ? 0 : 34;
}

static int tell_everything(unsigned int setup, __u32 id, __u32 total,
			   __u32 who)
{
	__u32 value[BATCH], i, n, next = 0;
	struct ring ring;
	int res[BATCH];

	if (ring_open(&ring, setup))
		return 40;
	while (next < total) {
		n = total - next < BATCH ? total - next : BATCH;
		for (i = 0; i < n; i++) {
			value[i] = (next + i) | who << 31;
			/* By the channel's id: no need to attach. */
			prep_send(&ring, id, &value[i], 4, 0, i)->flags =
				i + 1 < n ? IOSQE_IO_LINK : 0;
		}
		if (ring_batch(&ring, res, n))
			return 41;
		for (i = 0; i < n && res[i] == 4; i++)
			next++;
		if (i < n && res[i] != -ENOBUFS)
			return 42;
		if (i < n)
			sched_yield();
	}
	return 0;
}

TEST_F_TIMEOUT(ring, broadcast_two_senders_two_receivers, 600)
{
	__u32 id, total = many(variant->setup) / 20;
	struct gate ready;
	pid_t pid;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, ipc_create(&self->ring, &id, IOIPC_F_BROADCAST, 16, 4));
	for (i = 0; i < 2; i++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(hear_everything(variant->setup, id, total,
					      &ready));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < 2; i++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(tell_everything(variant->setup, id, total, i));
	}
	ASSERT_EQ(0, children_wait(4));
}

/*
 * Targets, on every kind of channel. The fixture's rx is one receiver, the
 * test adds the one it aims at.
 */
TEST_F(channel, target_only)
{
	struct ring *ring = &self->ring;
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	struct sub aim;
	__u32 i;

	ASSERT_EQ(0, ipc_attach(ring, &aim, self->id, IOIPC_SUB_RECV));
	for (i = 0; i < 5 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send(ring, self->tx.id, &i, 4, aim.id));
		EXPECT_EQ(0, poll_now(self->rx.fd));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
		EXPECT_EQ(POLLIN, poll_now(aim.fd));
		EXPECT_EQ(i, ipc_recv_u32(ring, aim.id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, aim.id));
	}
	/* Among others: each finds its own, in order. */
	ASSERT_EQ(4, ipc_send(ring, self->tx.id, &(__u32){ 1 }, 4, aim.id));
	ASSERT_EQ(4, ipc_send(ring, self->tx.id, &(__u32){ 2 }, 4,
			      self->rx.id));
	ASSERT_EQ(4, ipc_send(ring, self->tx.id, &(__u32){ 3 }, 4, aim.id));
	ASSERT_EQ(4, ipc_send(ring, self->tx.id, &(__u32){ 4 }, 4, 0));
	EXPECT_EQ(2, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(4, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(1, ipc_recv_u32(ring, aim.id));
	EXPECT_EQ(3, ipc_recv_u32(ring, aim.id));
	EXPECT_EQ(broadcast ? 4 : -EAGAIN, ipc_recv_u32(ring, aim.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, aim.id));
}

/* Also where the sender is nobody, and where it is the target itself. */
TEST_F(channel, target_from_bare_and_to_self)
{
	struct ring *ring = &self->ring;
	struct sub self_rx;
	__u32 v = 5;

	ASSERT_EQ(0, ipc_attach(ring, &self_rx, self->id, IOIPC_SUB_BOTH));
	ASSERT_EQ(4, ipc_send(ring, self->id, &v, 4, self_rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(5, ipc_recv_u32(ring, self_rx.id));
	ASSERT_EQ(4, ipc_send(ring, self_rx.id, &v, 4, self_rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(5, ipc_recv_u32(ring, self_rx.id));
}

static void check_bad_target(struct __test_metadata *_metadata,
			     struct channel_data *self, __u32 target)
{
	int i, res = -ENOENT;
	__u32 v = 1;

	/* More often than there are slots: none is used up either. */
	for (i = 0; i < 2 * CHANNEL_ENTRIES && res == -ENOENT; i++)
		res = ipc_send(&self->ring, self->tx.id, &v, 4, target);
	EXPECT_EQ(-ENOENT, res)
		TH_LOG("target %#x", target);
	EXPECT_EQ(0, poll_now(self->rx.fd));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, bad_target_publishes_nothing)
{
	struct ring *ring = &self->ring;
	struct sub gone, foreign, more;
	__u32 other, i;

	ASSERT_EQ(0, ipc_create(ring, &other, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &foreign, other, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(ring, &gone, self->id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_detach(ring, gone.id));

	check_bad_target(_metadata, self, foreign.id + 1000);
	check_bad_target(_metadata, self, UINT32_MAX);
	check_bad_target(_metadata, self, 1U << 31);
	check_bad_target(_metadata, self, foreign.id);
	check_bad_target(_metadata, self, self->id);
	check_bad_target(_metadata, self, other);
	check_bad_target(_metadata, self, gone.id);
	/* A subscriber that cannot receive is no target. */
	check_bad_target(_metadata, self, self->tx.id);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, foreign.id));

	ASSERT_EQ(0, ipc_attach(ring, &more, self->id, IOIPC_SUB_RECV));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
}

/* The target goes away with messages waiting for it: their slots are free. */
TEST_F(channel, target_detaches)
{
	struct ring *ring = &self->ring;
	struct sub aim;
	__u32 i, round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, ipc_attach(ring, &aim, self->id,
					IOIPC_SUB_RECV));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ASSERT_EQ(4, ipc_send(ring, self->tx.id, &i, 4,
					      aim.id));
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, 0));
		ASSERT_EQ(0, ipc_detach(ring, aim.id));
		/* With and without somebody having looked in between. */
		if (round & 1)
			EXPECT_EQ(0, poll_now(self->rx.fd));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}
}

/* The same where the target's ring is closed. */
TEST_F(channel, target_closes_its_ring)
{
	struct ring *ring = &self->ring, other;
	struct sub aim;
	__u32 i;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_attach(&other, &aim, self->id, IOIPC_SUB_RECV));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send(ring, self->tx.id, &i, 4, aim.id));
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, 0));
	ring_close(&other);
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-ENOENT, ipc_send(ring, self->tx.id, &i, 4, aim.id));
}

/*
 * A targeted message that nobody has fetched yet keeps its slot, the ones
 * around it do not keep theirs longer than they must.
 */
TEST_F(channel, target_pending_among_others)
{
	struct ring *ring = &self->ring;
	struct sub aim;
	__u32 i;

	ASSERT_EQ(0, ipc_attach(ring, &aim, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(4, ipc_send(ring, self->tx.id, &(__u32){ 1000 }, 4, aim.id));
	for (i = 1; i < CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
	/* Its slot is the oldest: the ring has no room until it is read. */
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(1000, ipc_recv_u32(ring, aim.id));
	EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 7));
	EXPECT_EQ(7, ipc_recv_u32(ring, self->rx.id));
}

TEST_HARNESS_MAIN
