// SPDX-License-Identifier: GPL-2.0
/*
 * A request that was woken and does not take what it was woken for: another one
 * that waits has to get it.
 */
#include <sched.h>
#include <signal.h>
#include <linux/io_uring_ipc.h>
#include <sys/wait.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define RECV_DATA	1
#define SEND_DATA	2
#define CANCEL_DATA	3

/* Two receivers, one on each ring of this task, that compete. */
FIXTURE(two)
{
	struct ring ring;
	struct ring peer;
	struct sub sub;		/* on the ring */
	struct sub rival;	/* on the peer */
	__u32 id;
	__u32 value[2];
};

#define two_data	_test_data_two

FIXTURE_VARIANT(two)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(two, multicast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(two, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(two, multicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(two, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(two, unicast_defer)
{
	.setup = RING_DEFER,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(two, unicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = 0,
};

FIXTURE_SETUP(two)
{
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ring_open(&self->peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->peer, &self->id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->sub, self->id,
				IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->rival, self->id,
				IOIPC_SUB_BOTH));
}

FIXTURE_TEARDOWN(two)
{
	ring_close(&self->ring);
	ring_close(&self->peer);
}

static void park_ours(struct __test_metadata *_metadata, struct two_data *self)
{
	ASSERT_EQ(0, ipc_park(&self->ring, &self->sub, &self->value[0],
			      RECV_DATA));
}

static void park_rival(struct __test_metadata *_metadata,
		       struct two_data *self)
{
	ASSERT_EQ(0, ipc_park(&self->peer, &self->rival, &self->value[1],
			      RECV_DATA));
}

/* The rival's receive completes, with this number. */
static void expect_rival(struct __test_metadata *_metadata,
			 struct two_data *self, __u32 value)
{
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, ring_next(&self->peer, &cqe))
		TH_LOG("number %u is lost", value);
	ASSERT_EQ(4, cqe.res);
	ASSERT_EQ(value, self->value[1]);
}

/* Take @n completions of our ring; results by user_data. */
static void collect(struct __test_metadata *_metadata, struct two_data *self,
		    int *res, int n)
{
	struct io_uring_cqe cqe;

	while (n--) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		ASSERT_GE(CANCEL_DATA, (int)cqe.user_data);
		res[cqe.user_data] = cqe.res;
	}
}

/*
 * In one batch a message wakes our receive and a cancellation hits it, before
 * it can run. Where it was the rival's turn, that one has the message anyway.
 */
TEST_F(two, cancelled_after_its_wakeup)
{
	int res[CANCEL_DATA + 1], cancelled = 0;
	__u32 i;

	park_ours(_metadata, self);
	park_rival(_metadata, self);
	for (i = 0; i < 100; i++) {
		prep_send(&self->ring, self->sub.id, &i, 4, 0, SEND_DATA);
		prep_cancel(&self->ring, 0, RECV_DATA, -1, 0, CANCEL_DATA);
		collect(_metadata, self, res, 3);
		ASSERT_EQ(4, res[SEND_DATA]);
		if (res[RECV_DATA] == 4) {
			ASSERT_EQ(i, self->value[0]);
		} else {
			ASSERT_EQ(-ECANCELED, res[RECV_DATA]);
			expect_rival(_metadata, self, i);
			park_rival(_metadata, self);
			cancelled++;
		}
		park_ours(_metadata, self);
	}
	EXPECT_LT(0, cancelled);
}

static void spin(unsigned int n)
{
	for (; n; n--)
		__asm__ __volatile__("");
}

/* The same by two tasks, with nothing but chance to order the two. */
static void __noreturn send_on_demand(struct ring *ring, __u32 channel,
				      __u32 *demand)
{
	unsigned int seed = 1;
	__u32 i;

	for (i = 1;; i++) {
		while (__atomic_load_n(demand, __ATOMIC_RELAXED) != i)
			sched_yield();
		spin(rand_r(&seed) % 2000);
		if (ipc_send_u32(ring, channel, i) != 4)
			_exit(11);
	}
}

TEST_F_TIMEOUT(two, cancel_races_with_messages, 600)
{
	__u32 *demand = shared_alloc(sizeof(*demand));
	int res[CANCEL_DATA + 1];
	unsigned int seed = 2;
	struct ring other;
	pid_t pid;
	__u32 i;

	ASSERT_NE(NULL, demand);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_open(&other, RING_PLAIN))
			_exit(10);
		send_on_demand(&other, self->id, demand);
	}
	park_rival(_metadata, self);
	for (i = 1; i <= 300; i++) {
		park_ours(_metadata, self);
		__atomic_store_n(demand, i, __ATOMIC_RELAXED);
		spin(rand_r(&seed) % 4000);
		prep_cancel(&self->ring, 0, RECV_DATA, -1, 0, CANCEL_DATA);
		collect(_metadata, self, res, 2);
		if (res[RECV_DATA] == 4) {
			ASSERT_EQ(i, self->value[0]);
			continue;
		}
		ASSERT_EQ(-ECANCELED, res[RECV_DATA]);
		expect_rival(_metadata, self, i);
		park_rival(_metadata, self);
	}
	child_kill(pid);
}

/* What ends a wait before it could take the message. */
enum deed { DETACH, CLOSE };

/*
 * Whether our ring has had number @i before it ended: what its polling thread
 * did last only shows in the buffer. If not, the rival gets it.
 */
static bool was_ours(struct two_data *self, __u32 i)
{
	unsigned long long until = now_ms() + PATIENCE_MS;

	while (now_ms() < until && ring_enter_timeout(&self->peer, 1, 10))
		if (__atomic_load_n(&self->value[0], __ATOMIC_RELAXED) == i)
			return true;
	return false;
}

static void ends_after_its_wakeup(struct __test_metadata *_metadata,
				  struct two_data *self, unsigned int setup,
				  enum deed deed)
{
	struct io_uring_cqe cqe;
	bool ended, ours;
	__u32 i;

	for (i = 0; i < 10; i++) {
		self->value[0] = UINT32_MAX;
		park_ours(_metadata, self);
		park_rival(_metadata, self);
		prep_send(&self->ring, self->sub.id, &i, 4, 0, SEND_DATA);
		ASSERT_EQ(0, ring_submit(&self->ring));
		if (deed == DETACH)
			ASSERT_EQ(0, ipc_detach(&self->ring, self->sub.id));
		/* Deferred work has not run: ours cannot have the message. */
		ended = false;
		ours = false;
		while (ring_cqe(&self->ring, &cqe)) {
			ended |= cqe.user_data == RECV_DATA;
			ours |= cqe.user_data == RECV_DATA && cqe.res == 4;
		}
		if (setup == RING_DEFER)
			ASSERT_FALSE(ended);
		while (deed == DETACH && !ended) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ended = cqe.user_data == RECV_DATA;
			ours = ended && cqe.res == 4;
		}
		ring_close(&self->ring);
		if (setup == RING_SQPOLL && !ended)
			ours = was_ours(self, i);
		if (ours) {
			prep_cancel(&self->peer, 0, RECV_DATA, -1, 0,
				    CANCEL_DATA);
			ASSERT_EQ(0, ring_enter_timeout(&self->peer, 2, PATIENCE_MS));
			while (ring_cqe(&self->peer, &cqe))
				;
		} else {
			expect_rival(_metadata, self, i);
		}
		close(self->sub.fd);
		ASSERT_EQ(0, ring_open(&self->ring, setup));
		ASSERT_EQ(0, ipc_attach(&self->ring, &self->sub, self->id,
					IOIPC_SUB_BOTH));
	}
}

TEST_F(two, detached_after_its_wakeup)
{
	ends_after_its_wakeup(_metadata, self, variant->setup, DETACH);
}

TEST_F(two, ring_closed_after_its_wakeup)
{
	ends_after_its_wakeup(_metadata, self, variant->setup, CLOSE);
}

/* A process that stops, and then is killed, while it is its turn. */
static void __noreturn stopped_receiver(__u32 channel)
{
	struct ring ring;
	struct sub sub;
	__u32 value;

	if (ring_open(&ring, RING_PLAIN) ||
	    ipc_attach(&ring, &sub, channel, IOIPC_SUB_RECV))
		_exit(10);
	prep_recv(&ring, sub.id, &value, 4, IOIPC_RECV_WAIT, 0);
	if (ring_submit(&ring) || fdinfo_wait(sub.fd, RECEIVES_WAITING, 1))
		_exit(11);
	raise(SIGSTOP);
	_exit(12);
}

TEST_F(two, killed_after_its_wakeup)
{
	int status, turn;
	pid_t pid;

	/* The rival comes last: without turns it is the first that is woken. */
	ASSERT_EQ(0, ipc_detach(&self->peer, self->rival.id));
	close(self->rival.fd);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		stopped_receiver(self->id);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->rival, self->id,
				IOIPC_SUB_BOTH));
	/* So one of the first two messages is the stopped one's. */
	for (turn = 0; turn < 2; turn++) {
		park_rival(_metadata, self);
		prep_send(&self->ring, self->id, (__u32[]){ turn }, 4, 0,
			  SEND_DATA);
		ASSERT_EQ(4, ring_one(&self->ring));
		if (ring_quiet(&self->peer, 2 * QUIET_MS))
			break;
		expect_rival(_metadata, self, turn);
	}
	ASSERT_NE(2, turn);
	child_kill(pid);
	expect_rival(_metadata, self, turn);
}

/* What holds for messages holds for room. */
TEST_F(two, room_is_handed_on)
{
	enum { ENTRIES = 4 };
	__u32 value[2] = { 10, 11 }, got[ENTRIES + 1], i, round;
	struct io_uring_cqe cqe;
	int res[8];

	for (round = 0; round < 20; round++) {
		for (i = 0; i < ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, i));
		prep_send(&self->ring, self->sub.id, &value[0], 4, 0,
			  5)->ioprio = IOIPC_SEND_WAIT;
		ASSERT_EQ(0, ring_submit(&self->ring));
		ASSERT_EQ(0, fdinfo_wait(self->sub.fd, SENDS_WAITING, 1));
		prep_send(&self->peer, self->rival.id, &value[1], 4, 0,
			  5)->ioprio = IOIPC_SEND_WAIT;
		ASSERT_EQ(0, ring_submit(&self->peer));
		ASSERT_EQ(0, fdinfo_wait(self->rival.fd, SENDS_WAITING, 1));
		/* All the room, and then ours is cancelled. */
		for (i = 0; i < ENTRIES; i++)
			prep_recv(&self->ring, self->sub.id, &got[i], 4, 0, i);
		prep_cancel(&self->ring, 0, 5, -1, 0, 6);
		for (i = 0; i < ENTRIES + 2; i++) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ASSERT_GT(7, (int)cqe.user_data);
			res[cqe.user_data] = cqe.res;
		}
		for (i = 0; i < ENTRIES; i++)
			ASSERT_EQ(4, res[i]);
		if (res[5] != 4)
			ASSERT_EQ(-ECANCELED, res[5]);
		/* The other one goes on. */
		ASSERT_EQ(0, ring_next(&self->peer, &cqe));
		ASSERT_EQ(4, cqe.res);
		for (i = 0; i < (res[5] == 4 ? 2 : 1); i++)
			ASSERT_LE(10, ipc_recv_u32(&self->peer,
						   self->rival.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->peer, self->rival.id));
		ASSERT_EQ(0, fdinfo_value(self->sub.fd, SENDS_WAITING));
	}
}

TEST_HARNESS_MAIN
