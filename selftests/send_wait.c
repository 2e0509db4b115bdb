// SPDX-License-Identifier: GPL-2.0
/* IOIPC_SEND_WAIT: sends that wait for room: their order, who goes on when. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define PAIR_TEST_SENDER
#include "pair_fixture.h"

static void send_value(struct ring *ring, __u32 id, const __u32 *value,
		       __u16 flags)
{
	prep_send(ring, id, value, 4, 0, *value)->ioprio = flags;
}

/* Numbers 0 to PAIR_ENTRIES - 1: the ring is full. */
static void fill(struct __test_metadata *_metadata, struct pair_data *self)
{
	__u32 i;

	for (i = 0; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, i));
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(&self->peer, self->id, i));
}

/*
 * Receive until all numbers below @total have come, in order. A woken send
 * goes on when its ring is entered, so that is part of it.
 */
static void drain(struct __test_metadata *_metadata, struct pair_data *self,
		  struct ring *sender, __u32 first, __u32 total)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	long long value;

	while (first < total) {
		value = ipc_recv_u32(&self->peer, self->rx.id);
		if (value == -EAGAIN) {
			ASSERT_GT(until, now_ms())
				TH_LOG("number %u never came", first);
			ASSERT_EQ(0, ring_enter_timeout(sender, 0, 1000));
			continue;
		}
		ASSERT_EQ(first, value);
		first++;
	}
	ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->peer, self->rx.id));
}

TEST_F(pair, room_at_once)
{
	struct ring *ring = &self->ring;
	__u32 i;

	for (i = 0; i < PAIR_ENTRIES; i++) {
		send_value(ring, self->tx.id, &i, IOIPC_SEND_WAIT);
		expect_next(_metadata, ring, i, 4);
	}
	drain(_metadata, self, ring, 0, PAIR_ENTRIES);
	EXPECT_EQ(0, fdinfo_value(self->tx.fd, ROOM_WAKEUPS));
}

TEST_F(pair, waits_for_room)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES;
	int round;

	for (round = 0; round < 3; round++) {
		fill(_metadata, self);
		send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
		ASSERT_EQ(0, ring_submit(ring));
		ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 1));
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		drain(_metadata, self, ring, 0, value + 1);
		expect_next(_metadata, ring, value, 4);
		EXPECT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 0));
		EXPECT_EQ(round + 1, fdinfo_value(self->tx.fd, ROOM_WAKEUPS));
	}
}

/* A waiting send is overtaken by none of its subscriber's. */
TEST_F(pair, order_behind_waiting_sends)
{
	struct ring *ring = &self->ring;
	__u32 value[6], i;

	fill(_metadata, self);
	for (i = 0; i < 6; i++)
		value[i] = PAIR_ENTRIES + i;
	for (i = 0; i < 3; i++)
		send_value(ring, self->tx.id, &value[i], IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 3));
	/* Room for one, which belongs to those that wait. */
	ASSERT_EQ(0, ipc_recv_u32(&self->peer, self->rx.id));
	send_value(ring, self->tx.id, &value[5], 0);
	expect_next(_metadata, ring, value[5], -ENOBUFS);
	for (i = 3; i < 6; i++)
		send_value(ring, self->tx.id, &value[i], IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	drain(_metadata, self, ring, 1, PAIR_ENTRIES + 6);
	for (i = 0; i < 6; i++)
		expect_next(_metadata, ring, value[i], 4);
	EXPECT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 0));
	/* And all is as before. */
	send_value(ring, self->tx.id, &value[0], 0);
	expect_next(_metadata, ring, value[0], 4);
}

/* By channel id it is the ring that keeps its order, and the others theirs. */
TEST_F(pair, order_of_bare_sends)
{
	struct ring *ring = &self->ring;
	__u32 value[4], i;

	fill(_metadata, self);
	for (i = 0; i < 4; i++) {
		value[i] = PAIR_ENTRIES + i;
		send_value(ring, self->id, &value[i],
			   i < 3 ? IOIPC_SEND_WAIT : 0);
	}
	expect_next(_metadata, ring, value[3], -ENOBUFS);
	ASSERT_EQ(0, ipc_recv_u32(&self->peer, self->rx.id));
	send_value(ring, self->id, &value[3], 0);
	expect_next(_metadata, ring, value[3], -ENOBUFS);
	send_value(ring, self->id, &value[3], IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	drain(_metadata, self, ring, 1, PAIR_ENTRIES + 4);
	for (i = 0; i < 4; i++)
		expect_next(_metadata, ring, value[i], 4);
}

/* Who has nothing waiting takes the room that is there. */
TEST_F(pair, other_senders_need_not_wait)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES + 1, i;

	fill(_metadata, self);
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, ipc_recv_u32(&self->peer, self->rx.id));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, PAIR_ENTRIES));
	for (i = 1; i <= PAIR_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->rx.id));
	drain(_metadata, self, ring, value, value + 1);
	expect_next(_metadata, ring, value, 4);
}

/* A channel of its own for those who need another size. */
struct large {
	__u32 id;
	struct sub tx;
	struct sub rx;
};

static void open_large(struct __test_metadata *_metadata,
		       struct pair_data *self, struct large *large,
		       __u32 flags, __u32 entries, __u32 size)
{
	ASSERT_EQ(0, ipc_create(&self->peer, &large->id, flags, entries, size));
	ASSERT_EQ(0, ipc_attach(&self->ring, &large->tx, large->id,
				IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->peer, &large->rx, large->id,
				IOIPC_SUB_RECV));
}

/* At a quarter of room a waiting send goes on. */
TEST_F(pair, a_quarter_of_room_is_enough)
{
	enum { ENTRIES = 64 };
	struct ring *ring = &self->ring;
	struct large large;
	__u32 value, i;

	open_large(_metadata, self, &large, variant->flags, ENTRIES, 4);
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, large.id, i));
	value = ENTRIES;
	send_value(ring, large.tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(large.tx.fd, SENDS_WAITING, 1));
	for (i = 0; i < ENTRIES / 4 - 1; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, large.rx.id));
	/* Not for less: so many messages cost one wake-up. */
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	EXPECT_EQ(0, fdinfo_value(large.tx.fd, ROOM_WAKEUPS));
	ASSERT_EQ(i++, ipc_recv_u32(&self->peer, large.rx.id));
	expect_next(_metadata, ring, value, 4);
	for (; i <= ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, large.rx.id));
	EXPECT_EQ(1, fdinfo_value(large.tx.fd, ROOM_WAKEUPS));
}

/* Nor for more where its receiver has got its last message. */
TEST_F(pair, the_last_message_makes_room_enough)
{
	enum { ENTRIES = 16, MINE = ENTRIES / 4 - 1 };
	struct ring *ring = &self->ring;
	__u32 value = ENTRIES, i;
	struct large large;
	struct sub other;

	open_large(_metadata, self, &large, variant->flags, ENTRIES, 4);
	ASSERT_EQ(0, ipc_attach(&self->peer, &other, large.id,
				IOIPC_SUB_RECV));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(4, ipc_send(&self->peer, large.id, &i, 4,
				      i < MINE ? large.rx.id : other.id));
	send_value(ring, large.tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(large.tx.fd, SENDS_WAITING, 1));
	/* As somebody who polls does, it receives what there is and no more. */
	for (i = 0; i < MINE; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, large.rx.id));
	expect_next(_metadata, ring, value, 4);
	EXPECT_EQ(1, fdinfo_value(large.tx.fd, ROOM_WAKEUPS));
}

/*
 * The same for a multishot receive whose last message is the last one that it
 * takes in one go, which is when it looks for others; the messages are there
 * @before it, or come before its task has it run.
 */
static void whole_bursts(struct __test_metadata *_metadata,
			 struct pair_data *self, __u32 flags, __u32 bursts,
			 bool before)
{
	const __u32 mine = 32 * bursts, entries = 8 * mine;
	struct ring *ring = &self->ring, receiver;
	struct sub tx, rx, other;
	struct buffers buffers;
	__u32 id, i;

	ASSERT_EQ(0, ring_open_sized(&receiver, RING_DEFER, 8, 2 * mine));
	ASSERT_EQ(0, buffers_open(&receiver, &buffers, BUFFER_RING, 1,
				  2 * mine, 8));
	ASSERT_EQ(0, buffers_give(&receiver, &buffers, 0, 2 * mine));
	ASSERT_EQ(0, ipc_create(ring, &id, flags, entries, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&receiver, &rx, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&self->peer, &other, id, IOIPC_SUB_RECV));
	prep_recv_select(&receiver, rx.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	if (!before) {
		ASSERT_EQ(0, ring_submit(&receiver));
		ASSERT_EQ(0, fdinfo_wait(rx.fd, RECEIVES_WAITING, 1));
	}
	for (i = 0; i < entries; i++)
		ASSERT_EQ(4, ipc_send(&self->peer, id, &i, 4,
				      i < mine ? rx.id : other.id));
	send_value(ring, tx.id, &entries, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, ring_enter_timeout(&receiver, mine, PATIENCE_MS));
	expect_next(_metadata, ring, entries, 4);
	EXPECT_EQ(1, fdinfo_value(tx.fd, ROOM_WAKEUPS));
	buffers_close(&buffers);
	ring_close(&receiver);
}

TEST_F(pair, the_last_message_of_a_burst_makes_room_enough)
{
	whole_bursts(_metadata, self, variant->flags, 1, true);
	whole_bursts(_metadata, self, variant->flags, 1, false);
	whole_bursts(_metadata, self, variant->flags, 2, true);
	whole_bursts(_metadata, self, variant->flags, 2, false);
}

/* Pollers do not wait for a quarter. */
TEST_F(pair, pollers_are_told_at_once)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct large large;
	__u32 i;

	open_large(_metadata, self, &large, variant->flags, 64, 4);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, large.id, i));
	prep_poll(ring, large.tx.fd, POLLOUT, 5);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(0, ipc_recv_u32(&self->peer, large.rx.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(5, (int)cqe.user_data);
	EXPECT_EQ(POLLOUT, cqe.res);
}

/* A receiver that finds nothing lets the waiting go, in the smallest rings. */
TEST_F(pair, smallest_rings)
{
	struct ring *ring = &self->ring;
	struct large large;
	__u32 entries, value[6], i;
	long long got;

	for (entries = 1; entries <= 4; entries *= 2) {
		unsigned long long until = now_ms() + PATIENCE_MS;

		open_large(_metadata, self, &large, variant->flags, entries, 4);
		for (i = 0; i < 6; i++) {
			value[i] = i;
			send_value(ring, large.tx.id, &value[i],
				   IOIPC_SEND_WAIT);
		}
		ASSERT_EQ(0, ring_submit(ring));
		ASSERT_EQ(0, fdinfo_wait(large.tx.fd, SENDS_WAITING,
					 6 - entries));
		for (i = 0; i < 6;) {
			ASSERT_EQ(0, ring_enter_timeout(ring, 0, 1000));
			got = ipc_recv_u32(&self->peer, large.rx.id);
			if (got == -EAGAIN) {
				ASSERT_GT(until, now_ms())
					TH_LOG("%u of %u", i, entries);
				continue;
			}
			ASSERT_EQ(i++, got);
		}
		for (i = 0; i < 6; i++)
			expect_next(_metadata, ring, i, 4);
	}
}

/* Messages of a size, with the number at both ends. */
static void many(struct __test_metadata *_metadata, struct pair_data *self,
		 __u32 flags, __u32 size, bool bare)
{
	enum { PARKED = 60, ENTRIES = 8 };
	unsigned long long until = now_ms() + PATIENCE_MS;
	struct ring *ring = &self->ring;
	__u32 i, words = size / 4;
	__u32 (*in)[256], out[256];
	struct large large;
	int ret;

	in = calloc(PARKED, sizeof(*in));
	ASSERT_NE(NULL, in);
	open_large(_metadata, self, &large, flags, ENTRIES, size);
	for (i = 0; i < PARKED; i++) {
		in[i][0] = i;
		in[i][words - 1] = i;
		prep_send(ring, bare ? large.id : large.tx.id, in[i], size, 0,
			  i)->ioprio = IOIPC_SEND_WAIT;
	}
	ASSERT_EQ(0, ring_submit(ring));
	if (!bare)
		ASSERT_EQ(0, fdinfo_wait(large.tx.fd, SENDS_WAITING,
					 PARKED - ENTRIES));
	for (i = 0; i < PARKED;) {
		ASSERT_EQ(0, ring_enter_timeout(ring, 0, 1000));
		ret = ipc_recv(&self->peer, large.rx.id, out, sizeof(out));
		if (ret == -EAGAIN) {
			ASSERT_GT(until, now_ms())
				TH_LOG("number %u never came", i);
			continue;
		}
		ASSERT_EQ((int)size, ret);
		ASSERT_EQ(i, out[0]);
		ASSERT_EQ(i, out[words - 1]);
		i++;
	}
	for (i = 0; i < PARKED; i++)
		expect_next(_metadata, ring, i, size);
	free(in);
}

TEST_F(pair, many_small)
{
	many(_metadata, self, variant->flags, 8, false);
}

TEST_F(pair, many_large)
{
	many(_metadata, self, variant->flags, 1000, false);
}

TEST_F(pair, many_bare)
{
	many(_metadata, self, variant->flags, 8, true);
	many(_metadata, self, variant->flags, 1000, true);
}

/* One that fails when its turn comes does not hold up those behind it. */
TEST_F(pair, bad_buffer_among_waiting)
{
	struct ring *ring = &self->ring;
	__u32 value[2] = { PAIR_ENTRIES, PAIR_ENTRIES + 1 };
	struct io_uring_cqe cqe;
	int res[3] = {}, i;

	fill(_metadata, self);
	prep_send(ring, self->tx.id, &value[0], 4, 0, 0)->ioprio =
		IOIPC_SEND_WAIT;
	prep_send(ring, self->tx.id, (void *)8, 4, 0, 1)->ioprio =
		IOIPC_SEND_WAIT;
	prep_send(ring, self->tx.id, &value[1], 4, 0, 2)->ioprio =
		IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_submit(ring));
	drain(_metadata, self, ring, 0, PAIR_ENTRIES + 2);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		ASSERT_GT(3, (int)cqe.user_data);
		res[cqe.user_data] = cqe.res;
	}
	EXPECT_EQ(4, res[0]);
	EXPECT_EQ(-EFAULT, res[1]);
	EXPECT_EQ(4, res[2]);
}

TEST_F(pair, destroy_and_detach_end_it)
{
	struct ring *ring = &self->ring;
	__u32 value = 9;
	int i;

	fill(_metadata, self);
	for (i = 0; i < 3; i++)
		send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	send_value(ring, self->id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 3));
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	for (i = 0; i < 3; i++)
		expect_next(_metadata, ring, value, -ENOENT);
	/* The one by channel id knows no subscriber. */
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	expect_next(_metadata, ring, value, -EPIPE);
	for (i = 0; i < PAIR_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(&self->peer, self->rx.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->peer, self->rx.id));
}

/* The last receiver of a broadcast leaves: then there is all the room. */
TEST_F(pair, room_by_a_receiver_that_leaves)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES;

	fill(_metadata, self);
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, ipc_detach(&self->peer, self->rx.id));
	if (variant->flags & IOIPC_F_BROADCAST) {
		expect_next(_metadata, ring, value, 4);
		return;
	}
	/* In the others the messages stay, for the next one. */
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->rx, self->id,
				IOIPC_SUB_RECV));
	drain(_metadata, self, ring, 0, value + 1);
	expect_next(_metadata, ring, value, 4);
}

/* What a child that sends tells in the end: how often it was woken. */
struct sender_log {
	long long wakeups;
};

static void __noreturn stream(unsigned int setup, __u32 channel, __u32 tag,
			      __u32 total, struct sender_log *log)
{
	enum { BATCH = 8 };
	__u32 value[BATCH], i, n;
	struct ring ring;
	struct sub sub;
	int res[BATCH];

	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &sub, channel, IOIPC_SUB_SEND))
		_exit(10);
	for (n = 0; n < total; n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			value[i] = tag | (n + i);
			prep_send(&ring, sub.id, &value[i], 4, 0, i)->ioprio =
				IOIPC_SEND_WAIT;
		}
		if (ring_batch(&ring, res, BATCH))
			_exit(11);
		for (i = 0; i < BATCH; i++)
			if (res[i] != 4)
				_exit(12);
	}
	log->wakeups = fdinfo_value(sub.fd, ROOM_WAKEUPS);
	_exit(0);
}

/* A sender that outruns its receiver is woken once for many messages. */
TEST_F(pair, few_wakeups)
{
	enum { TOTAL = 4096, ENTRIES = 64 };
	struct sender_log *log = shared_alloc(sizeof(*log));
	struct large large;
	__u32 value, i;
	pid_t pid;

	ASSERT_NE(NULL, log);
	open_large(_metadata, self, &large, variant->flags, ENTRIES, 4);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		stream(variant->setup, large.id, 0, TOTAL, log);
	for (i = 0; i < TOTAL; i++) {
		ASSERT_EQ(4, ipc_recv_flags(&self->peer, large.rx.id, &value,
					    4, IOIPC_RECV_WAIT));
		ASSERT_EQ(i, value);
	}
	ASSERT_EQ(0, child_wait(pid));
	/* Up to eight of a batch wait, and are woken together. */
	EXPECT_LE(0, log->wakeups);
	EXPECT_GE(TOTAL / (ENTRIES / 4) + 8, log->wakeups)
		TH_LOG("%lld wake-ups", log->wakeups);
}

/* The senders of a race, and what came of each. */
enum { SENDERS = 8 };

struct race {
	__u32 next[SENDERS];
	__u32 from[SENDERS];	/* where the counting began */
	int there;		/* of whom something has come */
};

/*
 * Receive what comes, each sender's in order. Counting begins when the last
 * one has begun, and ends when one has sent its share.
 */
static void receive_until_one_is_done(struct __test_metadata *_metadata,
				      struct ring *ring, const struct sub *rx,
				      struct race *race, __u32 share)
{
	enum { BATCH = 32 };
	unsigned long long progress = now_ms();
	__u32 value[BATCH], from, *next = race->next;
	int res[BATCH], i;

	for (;;) {
		for (i = 0; i < BATCH; i++)
			prep_recv(ring, rx->id, &value[i], 4, 0, i);
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		/* Nothing, and then something: it came in between. */
		for (i = 0; i < BATCH; i++) {
			if (res[i] == -EAGAIN)
				continue;
			ASSERT_EQ(4, res[i]);
			from = value[i] >> 24;
			ASSERT_EQ(next[from], value[i] & 0xffffff);
			progress = now_ms();
			race->there += !next[from];
			if (!next[from]++ && race->there == SENDERS)
				memcpy(race->from, next, sizeof(race->from));
			if (race->there == SENDERS &&
			    next[from] - race->from[from] == share)
				return;
		}
		if (res[BATCH - 1] != 4)
			sched_yield();
		ASSERT_GT(progress + PATIENCE_MS, now_ms())
			TH_LOG("no message for %u ms", PATIENCE_MS);
	}
}

FIXTURE(race)
{
	struct ring ring;	/* receives */
	struct sub rx;
	__u32 id;
};

/* One kind of channel is enough. */
FIXTURE_VARIANT(race)
{
	unsigned int setup;	/* of the senders */
	unsigned int share;	/* what the fastest one sends */
};

FIXTURE_VARIANT_ADD(race, plain)
{
	.setup = RING_PLAIN,
	.share = 10000,
};

FIXTURE_VARIANT_ADD(race, defer)
{
	.setup = RING_DEFER,
	.share = 10000,
};

/* Polling threads compete for processors. */
FIXTURE_VARIANT_ADD(race, sqpoll)
{
	.setup = RING_SQPOLL,
	.share = 4000,
};

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->id, 0, 64, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
}

FIXTURE_TEARDOWN(race)
{
	ring_close(&self->ring);
}

/* Eight senders that never stop: each has its part of the room. */
TEST_F_TIMEOUT(race, nobody_starves, 600)
{
	unsigned int share = variant->share;
	struct sender_log *log = shared_alloc(SENDERS * sizeof(*log));
	struct race race = {};
	struct gate go;
	pid_t pid[SENDERS];
	int i;

	ASSERT_NE(NULL, log);
	ASSERT_EQ(0, gate_init(&go));
	for (i = 0; i < SENDERS; i++) {
		pid[i] = child_start();
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		if (gate_wait(&go))
			_exit(13);
		stream(variant->setup, self->id, i << 24, 1 << 24, &log[i]);
	}
	for (i = 0; i < SENDERS; i++)
		gate_open(&go);
	receive_until_one_is_done(_metadata, &self->ring, &self->rx, &race,
				  share);
	for (i = 0; i < SENDERS; i++) {
		child_kill(pid[i]);
		EXPECT_LE(share / 5, race.next[i] - race.from[i])
			TH_LOG("sender %d", i);
		TH_LOG("sender %d: %u of %u", i, race.next[i] - race.from[i],
		       share);
	}
}

/*
 * A pair whose sender's deferred work does not run before this task has it run:
 * other rings' woken sends go on while the task does something else.
 */
FIXTURE(late)
{
	struct pair_data pair;
};

FIXTURE_VARIANT(late)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(late, unicast)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(late, multicast)
{
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(late, broadcast)
{
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_SETUP(late)
{
	pair_open(_metadata, &self->pair, RING_DEFER, variant->flags);
}

FIXTURE_TEARDOWN(late)
{
	pair_close(&self->pair);
}

/*
 * Room for which a waiting send has been woken is not for others who do not
 * wait; but if it does not come until a whole ring has been sent, they go on.
 */
TEST_F(late, room_is_left_to_the_woken)
{
	struct pair_data *pair = &self->pair;
	struct ring *ring = &pair->ring;
	__u32 value = PAIR_ENTRIES, i;

	fill(_metadata, pair);
	send_value(ring, pair->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(pair->tx.fd, SENDS_WAITING, 1));
	/* A quarter, for which it is woken; one slot of that is its own. */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(i, ipc_recv_u32(&pair->peer, pair->rx.id));
	EXPECT_EQ(4, ipc_send_u32(&pair->peer, pair->id, 98));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&pair->peer, pair->id, 99));
	expect_next(_metadata, ring, value, 4);
	for (; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&pair->peer, pair->rx.id));
	EXPECT_EQ(98, ipc_recv_u32(&pair->peer, pair->rx.id));
	EXPECT_EQ(value, ipc_recv_u32(&pair->peer, pair->rx.id));

	/* Also when everything has been received. */
	fill(_metadata, pair);
	send_value(ring, pair->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(pair->tx.fd, SENDS_WAITING, 1));
	drain(_metadata, pair, &pair->peer, 0, PAIR_ENTRIES);
	for (i = 0; i < PAIR_ENTRIES - 1; i++)
		EXPECT_EQ(4, ipc_send_u32(&pair->peer, pair->id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&pair->peer, pair->id, i));
	drain(_metadata, pair, &pair->peer, 0, PAIR_ENTRIES - 1);
	/* With the first of these a whole ring has been sent. */
	for (i = 0; i < PAIR_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(&pair->peer, pair->id, i));
	drain(_metadata, pair, &pair->peer, 0, PAIR_ENTRIES);
	expect_next(_metadata, ring, value, 4);
	EXPECT_EQ(value, ipc_recv_u32(&pair->peer, pair->rx.id));
}

/* On a ring too small for quarters, too. */
TEST_F(late, one_of_two_slots_is_left)
{
	struct pair_data *pair = &self->pair;
	struct ring *ring = &pair->ring;
	__u32 value = 2, id;
	struct sub tx, rx;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 2, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&pair->peer, &rx, id, IOIPC_SUB_RECV));
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 0));
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 1));
	send_value(ring, tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, ipc_recv_u32(&pair->peer, rx.id));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&pair->peer, id, 99));
	expect_next(_metadata, ring, value, 4);
	EXPECT_EQ(1, ipc_recv_u32(&pair->peer, rx.id));
	EXPECT_EQ(value, ipc_recv_u32(&pair->peer, rx.id));
	EXPECT_EQ(4, ipc_send_u32(&pair->peer, id, 3));
	EXPECT_EQ(3, ipc_recv_u32(&pair->peer, rx.id));
}

/* Two waiting sends, woken for a quarter of the ring, that have not run yet. */
static void woken_and_late(struct __test_metadata *_metadata,
			   struct pair_data *self, const __u32 *value)
{
	int i;

	fill(_metadata, self);
	for (i = 0; i < 2; i++)
		send_value(&self->ring, self->tx.id, &value[i],
			   IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(&self->ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 2));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->rx.id));
}

/* Who polls is told of room that is for others only when it no longer is. */
TEST_F(late, pollers_hear_of_room_that_is_left)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	static const __u32 value[2] = { 100, 101 };
	struct pair_data *pair = &self->pair;
	struct ring *ring = &pair->ring;
	struct io_uring_cqe cqe;
	int epoll = epoll_create1(0), i;
	struct ring other;
	struct sub sub;

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, ring_open(&other, RING_PLAIN));
	ASSERT_EQ(0, ipc_attach(&other, &sub, pair->id, IOIPC_SUB_SEND));
	fill(_metadata, pair);
	drain(_metadata, pair, ring, 0, PAIR_ENTRIES);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, sub.fd, &event));
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	fill(_metadata, pair);
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(&other, sub.id, 1));
	drain(_metadata, pair, ring, 0, PAIR_ENTRIES);
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	woken_and_late(_metadata, pair, value);
	/* Neither by epoll, nor by a request, which is told what is there. */
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	prep_poll(&other, sub.fd, EPOLLOUT, 7);
	EXPECT_TRUE(ring_quiet(&other, 10));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&other, sub.id, 1));
	prep_cancel(ring, IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL, 0,
		    0, IORING_OP_IPC_SEND, 9);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(cqe.user_data == 9 ? 2 : -ECANCELED, cqe.res);
	}
	EXPECT_EQ(0, fdinfo_value(pair->tx.fd, SENDS_WAITING));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 1000));
	ASSERT_EQ(0, ring_next(&other, &cqe));
	EXPECT_EQ(7U, cqe.user_data);
	EXPECT_EQ(4, ipc_send_u32(&other, sub.id, 1));
	close(epoll);
	ring_close(&other);
}

/* A send that fails for one in front of it is no reason to hear nothing more. */
TEST_F(late, pollers_hear_behind_a_waiting_send)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct pair_data *pair = &self->pair;
	struct ring *ring = &pair->ring;
	int epoll = epoll_create1(0);
	struct io_uring_cqe cqe;
	__u32 value = 100, behind = 101, i;

	ASSERT_LE(0, epoll);
	fill(_metadata, pair);
	send_value(ring, pair->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(pair->tx.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, pair->tx.fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0U, ipc_recv_u32(&pair->peer, pair->rx.id));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	/* Not past the one that waits, which gets on by that. */
	send_value(ring, pair->tx.id, &behind, 0);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(cqe.user_data == behind ? -ENOBUFS : 4, cqe.res);
	}
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	for (i = 1; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&pair->peer, pair->rx.id));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 1000));
	close(epoll);
}

/* Has two sends wait, stops, and sees them done when it goes on. */
static void __noreturn stopped_sender(__u32 channel)
{
	__u32 value[2] = { 100, 101 };
	struct ring ring;
	struct sub sub;
	int res[2], i;

	if (ring_open(&ring, RING_PLAIN) ||
	    ipc_attach(&ring, &sub, channel, IOIPC_SUB_SEND))
		_exit(10);
	for (i = 0; i < 2; i++)
		prep_send(&ring, sub.id, &value[i], 4, 0, i)->ioprio =
			IOIPC_SEND_WAIT;
	if (ring_submit(&ring) || fdinfo_wait(sub.fd, SENDS_WAITING, 2))
		_exit(11);
	raise(SIGSTOP);
	if (ring_batch(&ring, res, 2))
		_exit(12);
	_exit(res[0] == 4 && res[1] == 4 ? 0 : 13);
}

/* It is woken first, and does nothing about it. */
TEST_F(pair, stopped_sender_stops_nobody)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES, i;
	int status;
	pid_t pid;

	fill(_metadata, self);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		stopped_sender(self->id);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 1));
	drain(_metadata, self, ring, 0, value + 1);
	expect_next(_metadata, ring, value, 4);
	/* Sends that do not wait find room, and those that do as well. */
	for (i = 0; i < 3 * PAIR_ENTRIES; i++) {
		send_value(ring, self->tx.id, &i, i & 1 ? IOIPC_SEND_WAIT : 0);
		expect_next(_metadata, ring, i, 4);
		drain(_metadata, self, ring, i, i + 1);
	}
	ASSERT_EQ(0, kill(pid, SIGCONT));
	EXPECT_EQ(0, child_wait(pid));
	drain(_metadata, self, ring, 100, 102);
}

/*
 * As @uid, on a full ring of a channel that is for all: waiting sends by the
 * channel's id, as many as may be. The number, or -errno.
 */
static int crowd_the_door(unsigned int setup, uid_t uid, __u32 id)
{
	struct ring ring;
	int ret;

	ret = become(uid, uid) ?: ring_open(&ring, setup);
	return ret ?: ipc_crowd(&ring, id);
}

/* Who may send keeps nobody else from waiting, where all share a place. */
TEST_F(pair, one_user_does_not_crowd_the_door)
{
	enum { USER = 1000, OTHER = 2000, SHARE = 256 };
	struct ring *ring = &self->peer;
	struct gate *crowded = shared_alloc(sizeof(*crowded));
	__u32 id, i, value = 1;
	pid_t pid, other;

	ASSERT_NE(NULL, crowded);
	ASSERT_EQ(0, gate_init(crowded));
	ASSERT_EQ(0, ipc_create_key(ring, &id, variant->flags, 2, 4, 0666, 0));
	ASSERT_EQ(0, ipc_attach(ring, &(struct sub){}, id, IOIPC_SUB_RECV));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, id, i));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ(SHARE, crowd_the_door(variant->setup, USER, id));
		gate_open(crowded);
		pause();
	}
	ASSERT_EQ(0, gate_wait(crowded));
	other = child_start();
	ASSERT_LE(0, other);
	if (!other) {
		struct ring own;

		ASSERT_EQ(0, become(OTHER, OTHER));
		ASSERT_EQ(0, ring_open(&own, variant->setup));
		send_value(&own, id, &value, IOIPC_SEND_WAIT);
		EXPECT_TRUE(ring_quiet(&own, QUIET_MS));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(other));
	child_kill(pid);
}

/* Who polls exclusively for room hears of it, although no send waits. */
TEST_F(pair, exclusive_poller)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLEXCLUSIVE };
	int ep = epoll_create1(0);

	ASSERT_LE(0, ep);
	fill(_metadata, self);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx.fd, &ev));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	EXPECT_EQ(0, ipc_recv_u32(&self->peer, self->rx.id));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, PATIENCE_MS));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, PAIR_ENTRIES));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	if (variant->flags & IOIPC_F_BROADCAST) {
		ASSERT_EQ(0, ipc_detach(&self->peer, self->rx.id));
		EXPECT_EQ(1, epoll_wait(ep, &ev, 1, PATIENCE_MS));
	}
	close(ep);
}

/* Room for half of the ring, and a send that waits and whose task does not run. */
static void stop_a_send(struct __test_metadata *_metadata,
			struct pair_data *self, struct ring *stopped,
			struct sub *sub, const __u32 *value)
{
	__u32 i;

	/* Task work of such a ring is left until it is entered. */
	ASSERT_EQ(0, ring_open(stopped, RING_DEFER));
	ASSERT_EQ(0, ipc_attach(stopped, sub, self->id, IOIPC_SUB_SEND));
	fill(_metadata, self);
	send_value(stopped, sub->id, value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(stopped));
	ASSERT_EQ(0, fdinfo_wait(sub->fd, SENDS_WAITING, 1));
	for (i = 0; i < PAIR_ENTRIES / 2; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->rx.id));
}

/* Those behind it are woken for room in the same go. */
TEST_F(pair, behind_one_that_is_cancelled)
{
	enum { BEHIND = 3 };
	__u32 value[1 + BEHIND], out[PAIR_ENTRIES], i;
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct sub rx;

	ASSERT_EQ(0, ipc_attach(ring, &rx, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_detach(&self->peer, self->rx.id));
	fill(_metadata, self);
	for (i = 0; i <= BEHIND; i++) {
		value[i] = 100 + i;
		send_value(ring, self->tx.id, &value[i], IOIPC_SEND_WAIT);
		ASSERT_EQ(0, ring_submit(ring));
		ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, i + 1));
	}
	prep_cancel(ring, 0, value[0], -1, 0, 50);
	for (i = 0; i < PAIR_ENTRIES; i++)
		prep_recv(ring, rx.id, &out[i], 4, 0, i);
	ASSERT_EQ(0, ring_submit(ring));
	for (i = 0; i < 1 + PAIR_ENTRIES + 1 + BEHIND; i++) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(cqe.user_data == value[0] ? -ECANCELED :
			  cqe.user_data == 50 ? 0 : 4, cqe.res)
			TH_LOG("of %llu", cqe.user_data);
	}
	for (i = 1; i <= BEHIND; i++)
		EXPECT_EQ(value[i], ipc_recv_u32(ring, rx.id));
}

TEST_F(pair, send_of_who_is_detached)
{
	__u32 value = PAIR_ENTRIES, other = 100;
	struct ring *ring = &self->ring, stopped;
	struct sub sub;

	stop_a_send(_metadata, self, &stopped, &sub, &other);
	ASSERT_EQ(0, ipc_detach(&self->peer, sub.id));
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	expect_next(_metadata, ring, value, 4);
	expect_next(_metadata, &stopped, other, -ENOENT);
	drain(_metadata, self, ring, PAIR_ENTRIES / 2, PAIR_ENTRIES + 1);
	ring_close(&stopped);
}

/* Whose turn it is counts where somebody receives. */
TEST_F(pair, nobody_to_receive)
{
	__u32 value = PAIR_ENTRIES, other = 100;
	struct ring *ring = &self->ring, stopped;
	struct sub sub;

	stop_a_send(_metadata, self, &stopped, &sub, &other);
	ASSERT_EQ(0, ipc_detach(&self->peer, self->rx.id));
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	expect_next(_metadata, ring, value, 4);
	expect_next(_metadata, &stopped, other, 4);
	ring_close(&stopped);
}

/*
 * Room is what lies free behind the message received as well, also @beside a
 * lossy receiver that has read nothing.
 */
static void room_behind(struct __test_metadata *_metadata,
			struct pair_data *self, bool beside)
{
	struct ring *ring = &self->ring;
	__u32 value = PAIR_ENTRIES, i;
	struct sub slow, lossy;

	ASSERT_EQ(0, ipc_attach(&self->peer, &slow, self->id, IOIPC_SUB_RECV));
	if (beside)
		ASSERT_EQ(0, ipc_attach(&self->peer, &lossy, self->id,
					IOIPC_SUB_RECV | IOIPC_SUB_LOSSY));
	for (i = 0; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send(&self->peer, self->id, &i, 4,
				      i ? self->rx.id : 0));
	for (i = 0; i < PAIR_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->rx.id));
	send_value(ring, self->tx.id, &value, IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->tx.fd, SENDS_WAITING, 1));
	/* And it does not come again to see that there is nothing more. */
	ASSERT_EQ(0, ipc_recv_u32(&self->peer, slow.id));
	expect_next(_metadata, ring, value, 4);
}

TEST_F(pair, room_behind_what_is_for_others)
{
	if (variant->flags & IOIPC_F_BROADCAST)
		room_behind(_metadata, self, false);
}

TEST_F(pair, room_behind_beside_a_lossy_receiver)
{
	if (variant->flags & IOIPC_F_BROADCAST)
		room_behind(_metadata, self, true);
}

/* Where all is free nobody waits for those who have been here before. */
TEST_F(pair, stopped_before_others)
{
	struct ring *ring = &self->ring, stopped;
	__u32 id, i, value[2] = { 1, 2 };
	struct sub sub, tx, rx;

	ASSERT_EQ(0, ring_open(&stopped, RING_DEFER));
	ASSERT_EQ(0, ipc_create(&self->peer, &id, variant->flags, 1, 4));
	ASSERT_EQ(0, ipc_attach(&stopped, &sub, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->peer, &rx, id, IOIPC_SUB_RECV));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, id, 0));
	send_value(&stopped, sub.id, &value[0], IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(&stopped));
	ASSERT_EQ(0, fdinfo_wait(sub.fd, SENDS_WAITING, 1));
	send_value(ring, tx.id, &value[1], IOIPC_SEND_WAIT);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(i ? 2 : 0, ipc_recv_u32(&self->peer, rx.id));
		expect_next(_metadata, i ? &stopped : ring, 2 - i, 4);
	}
	ring_close(&stopped);
}

/*
 * A send that leaves its turn to one that has been woken gets on when that has
 * gone, although nothing is received any more: what the other one has sent is for
 * somebody who has stopped.
 */
TEST_F(pair, behind_one_whose_message_stays)
{
	enum { ENTRIES = 16, MINE = ENTRIES / 4 - 1 };
	static const __u32 value[3] = { 100, 101, 102 };
	struct ring *ring = &self->ring, woken;
	struct sub sub, stopped, last;
	struct large large;
	__u32 i;

	open_large(_metadata, self, &large, variant->flags, ENTRIES, 4);
	ASSERT_EQ(0, ipc_attach(ring, &last, large.id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ring_open(&woken, RING_DEFER));
	ASSERT_EQ(0, ipc_attach(&woken, &sub, large.id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&self->peer, &stopped, large.id,
				IOIPC_SUB_RECV));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(4, ipc_send(&self->peer, large.id, &i, 4,
				      i < MINE ? large.rx.id : stopped.id));
	prep_send(&woken, sub.id, &value[0], 4, stopped.id, 0)->ioprio =
		IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_submit(&woken));
	ASSERT_EQ(0, fdinfo_wait(sub.fd, SENDS_WAITING, 1));
	for (i = 0; i < MINE; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, large.rx.id));
	/* That one is woken, and does not run before its ring is entered. */
	for (i = 1; i < 3; i++) {
		const struct sub *by = i == 1 ? &large.tx : &last;

		prep_send(ring, by->id, &value[i], 4, stopped.id, i)->ioprio =
			IOIPC_SEND_WAIT;
		ASSERT_EQ(0, ring_submit(ring));
		ASSERT_EQ(0, fdinfo_wait(by->fd, SENDS_WAITING, 1));
	}
	expect_next(_metadata, &woken, 0, 4);
	for (i = 1; i < 3; i++)
		expect_next(_metadata, ring, i, 4);
	ring_close(&woken);
}

/* Who polls exclusively, and does not wait, takes no turns. */
TEST_F(pair, exclusive_poller_beside_a_waiting_send)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLEXCLUSIVE };
	__u32 value = PAIR_ENTRIES, other = 100;
	int ep = epoll_create1(0);
	struct ring stopped;
	struct sub sub;

	ASSERT_LE(0, ep);
	stop_a_send(_metadata, self, &stopped, &sub, &other);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx.fd, &ev));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 0));
	send_value(&self->ring, self->tx.id, &value, 0);
	expect_next(_metadata, &self->ring, value, 4);
	expect_next(_metadata, &stopped, other, 4);
	close(ep);
	ring_close(&stopped);
}

TEST_HARNESS_MAIN
