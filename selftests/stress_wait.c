// SPDX-License-Identifier: GPL-2.0
/*
 * Many messages between tasks that wait for each other, with and without pauses
 * at random. Each has to come, in order, and nobody may stall: no wake-up is
 * lost. IOIPC_STRESS is the number of messages for each case; without it there
 * are 2000, and 200 where polling threads compete for few processors. Of more than
 * 2000 it is a tenth where receivers compete.
 */
#include <sched.h>
#include <signal.h>
#include <linux/io_uring_ipc.h>
#include <sys/wait.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define STALL_MS	20000	/* so long without progress is for ever */
#define ENTRIES		32
#define GROUP		1
#define BUFFERS		64
#define MOST_TASKS	4
#define LIMIT		20000	/* seconds; who stalls is found long before */

/* What a task tells of itself, in memory it shares with the watchdog. */
struct task {
	const char *name;
	__u32 done;
	__u32 finished;
	__u64 sum;		/* of the numbers it received */
	long long fault;	/* what it got in place of what it wanted */
	__u32 wanted;
	pid_t pid;
};

/* What all tasks of a test share. */
struct board {
	struct task tasks[MOST_TASKS];
	__u32 turn;		/* of the only message there is */
};

FIXTURE(stress)
{
	struct ring ring;	/* owns the channels */
	struct board *board;
	__u32 id;
	__u32 back;
	__u32 total;
	__u32 flags;
	unsigned int setup;
	bool multishot;
};

#define stress_data	_test_data_stress

FIXTURE_VARIANT(stress)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(stress, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(stress, unicast_defer)
{
	.setup = RING_DEFER,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(stress, unicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(stress, multicast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(stress, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(stress, multicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(stress, broadcast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(stress, broadcast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_BROADCAST,
};

FIXTURE_VARIANT_ADD(stress, broadcast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_BROADCAST,
};

static void stress_open(struct __test_metadata *_metadata,
			struct stress_data *self, unsigned int setup,
			__u32 flags)
{
	const char *number = getenv("IOIPC_STRESS");

	self->total = setup & IORING_SETUP_SQPOLL ? 200 : 2000;
	if (number)
		self->total = strtoul(number, NULL, 10);
	self->flags = flags;
	self->setup = setup;
	ASSERT_LT(0U, self->total);
	self->board = shared_alloc(sizeof(*self->board));
	ASSERT_NE(NULL, self->board);
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->id, flags, ENTRIES, 8));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->back, flags, ENTRIES, 8));
}

FIXTURE_SETUP(stress)
{
	stress_open(_metadata, self, variant->setup, variant->flags);
}

FIXTURE_TEARDOWN(stress)
{
	ring_close(&self->ring);
}

/* The modes in which receivers compete for a message. */
FIXTURE(competing)
{
	struct stress_data stress;
};

FIXTURE_VARIANT(competing)
{
	unsigned int setup;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(competing, unicast_plain)
{
	.setup = RING_PLAIN,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(competing, unicast_defer)
{
	.setup = RING_DEFER,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(competing, unicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(competing, multicast_plain)
{
	.setup = RING_PLAIN,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(competing, multicast_defer)
{
	.setup = RING_DEFER,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_VARIANT_ADD(competing, multicast_sqpoll)
{
	.setup = RING_SQPOLL,
	.flags = IOIPC_F_MULTICAST,
};

FIXTURE_SETUP(competing)
{
	stress_open(_metadata, &self->stress, variant->setup, variant->flags);
	/* Beside four polling threads a turn takes a time slice. */
	if (self->stress.total > 2000)
		self->stress.total /= 10;
}

FIXTURE_TEARDOWN(competing)
{
	ring_close(&self->stress.ring);
}

/* Not @want: say so, and end. */
static void __noreturn fault(struct task *task, long long got, __u32 want)
{
	task->fault = got;
	task->wanted = want;
	_exit(20);
}

static void __noreturn finish(struct task *task)
{
	__atomic_store_n(&task->finished, 1, __ATOMIC_RELEASE);
	_exit(0);
}

static void progress(struct task *task)
{
	__atomic_store_n(&task->done, task->done + 1, __ATOMIC_RELAXED);
}

/* Mostly not at all, seldom for long, so that either side is the slower one. */
static void pause_at_random(unsigned int *seed)
{
	unsigned int kind = rand_r(seed) % 256, spin;

	if (kind < 16)
		for (spin = rand_r(seed) % 5000; spin; spin--)
			__asm__ __volatile__("");
	else if (kind < 24)
		sched_yield();
	else if (kind == 24)
		usleep(rand_r(seed) % 300);
}

static int send_wait(struct ring *ring, __u32 id, __u32 value)
{
	prep_send(ring, id, &value, 4, 0, 0)->ioprio = IOIPC_SEND_WAIT;
	return ring_one(ring);
}

/* A receiver's end, with whichever kind of receive. */
struct inbox {
	struct ring ring;
	struct sub sub;
	struct buffers buffers;
	bool multishot;
	bool armed;
};

static int inbox_open(struct inbox *in, unsigned int setup, __u32 channel,
		      bool multishot)
{
	int ret;

	in->multishot = multishot;
	in->armed = false;
	ret = ring_open(&in->ring, setup);
	if (!ret)
		ret = ipc_attach(&in->ring, &in->sub, channel, IOIPC_SUB_RECV);
	if (ret || !multishot)
		return ret;
	ret = buffers_open(&in->ring, &in->buffers, BUFFER_RING, GROUP,
			   BUFFERS, 8);
	if (!ret)
		ret = buffers_give(&in->ring, &in->buffers, 0, BUFFERS);
	return ret;
}

/* The next number, or -errno. */
static long long inbox_next(struct inbox *in)
{
	struct io_uring_cqe cqe;
	__u32 value;
	int ret;

	if (!in->multishot) {
		ret = ipc_recv_flags(&in->ring, in->sub.id, &value, 4,
				     IOIPC_RECV_WAIT);
		return ret == 4 ? (long long)value : ret;
	}
	do {
		if (!in->armed)
			prep_recv_select(&in->ring, in->sub.id, GROUP, 0,
					 IOIPC_RECV_MULTISHOT, 1);
		in->armed = true;
		if (in->ring.queued || !ring_cqe(&in->ring, &cqe)) {
			ret = ring_enter(&in->ring, 1);
			if (ret)
				return ret;
			if (!ring_cqe(&in->ring, &cqe))
				return -EPROTO;
		}
		if (!(cqe.flags & IORING_CQE_F_MORE))
			in->armed = false;
		/* During a pause it may have filled all our buffers. */
	} while (cqe.res == -ENOBUFS);
	if (cqe.res < 0)
		return cqe.res;
	if (cqe.res != 4 || !buffers_at(&in->buffers, &cqe))
		return -EBADMSG;
	memcpy(&value, buffers_at(&in->buffers, &cqe), 4);
	buffers_give(&in->ring, &in->buffers, cqe_buffer(&cqe), 1);
	return value;
}

/* One side of the ping-pong: the first one serves. */
static void __noreturn play(struct stress_data *self, struct task *task,
			    bool first, struct gate *ready, struct gate *go)
{
	struct inbox in;
	struct sub out;
	long long got;
	__u32 i;

	if (inbox_open(&in, self->setup, first ? self->back : self->id,
		       self->multishot) ||
	    ipc_attach(&in.ring, &out, first ? self->id : self->back,
		       IOIPC_SUB_SEND))
		_exit(10);
	gate_open(ready);
	if (gate_wait(go))
		_exit(11);
	for (i = 0; i < self->total; i++) {
		int ret = 4;

		if (first)
			ret = send_wait(&in.ring, out.id, i);
		if (ret != 4)
			fault(task, ret, 4);
		got = inbox_next(&in);
		if (got != i)
			fault(task, got, i);
		if (!first)
			ret = send_wait(&in.ring, out.id, i);
		if (ret != 4)
			fault(task, ret, 4);
		progress(task);
	}
	finish(task);
}

static __u32 turn_now(struct board *board)
{
	return __atomic_load_n(&board->turn, __ATOMIC_ACQUIRE);
}

/*
 * One of two that receive from a channel. The only message there is says whose
 * turn it is: whoever gets it sends the next one to the other channel, and the
 * last one is the end of both.
 *
 * With both asleep a wake-up that is lost is the end. But where one is asleep
 * and the other about to look, that one finds what nobody is woken for; so now
 * and then it leaves the channel's next message to the other. A multishot
 * receive cannot.
 */
static void __noreturn play_with_partner(struct stress_data *self,
					 struct task *task, bool first,
					 unsigned int seed, struct gate *ready,
					 struct gate *go)
{
	__u32 turns = 2 * self->total, turn;
	struct board *board = self->board;
	struct inbox in;
	struct sub out;
	long long got;
	int ret;

	if (inbox_open(&in, self->setup, first ? self->back : self->id,
		       self->multishot) ||
	    ipc_attach(&in.ring, &out, first ? self->id : self->back,
		       IOIPC_SUB_SEND))
		_exit(10);
	gate_open(ready);
	if (gate_wait(go))
		_exit(11);
	for (;;) {
		got = inbox_next(&in);
		turn = turn_now(board);
		if (got == -EPIPE && turn == turns)
			break;
		if (got != turn)
			fault(task, got, turn);
		pause_at_random(&seed);
		progress(task);
		__atomic_store_n(&board->turn, ++turn, __ATOMIC_RELEASE);
		if (turn == turns) {
			if (ipc_destroy(&in.ring, self->id) ||
			    ipc_destroy(&in.ring, self->back))
				_exit(12);
			break;
		}
		ret = send_wait(&in.ring, out.id, turn);
		if (ret != 4)
			fault(task, ret, 4);
		if (self->multishot || rand_r(&seed) % 4)
			continue;
		/* This channel's next turn is the one after the other's. */
		while (turn + 1 < turns && turn_now(board) <= turn + 1)
			usleep(50);
	}
	finish(task);
}

static void __noreturn send_all(struct stress_data *self, struct task *task,
				struct gate *ready, struct gate *go)
{
	unsigned int seed = 1;
	struct ring ring;
	struct sub sub;
	__u32 i;
	int ret;

	if (ring_open(&ring, self->setup) ||
	    ipc_attach(&ring, &sub, self->id, IOIPC_SUB_SEND))
		_exit(10);
	gate_open(ready);
	if (gate_wait(go))
		_exit(11);
	for (i = 0; i < self->total; i++) {
		pause_at_random(&seed);
		ret = send_wait(&ring, sub.id, i);
		if (ret != 4)
			fault(task, ret, 4);
		progress(task);
	}
	finish(task);
}

/*
 * All of a broadcast, each one; of the others, a part that goes up. The end of
 * the channel is the end.
 */
static void __noreturn receive_all(struct stress_data *self, struct task *task,
				   unsigned int seed, struct gate *ready,
				   struct gate *go)
{
	bool broadcast = self->flags & IOIPC_F_BROADCAST;
	__u32 want = 0;
	struct inbox in;
	long long got;

	if (inbox_open(&in, self->setup, self->id, self->multishot))
		_exit(10);
	gate_open(ready);
	if (gate_wait(go))
		_exit(11);
	for (;;) {
		got = inbox_next(&in);
		if (got == -EPIPE)
			break;
		if (got < want || got >= self->total ||
		    (broadcast && got != want))
			fault(task, got, want);
		want = got + 1;
		task->sum += got;
		progress(task);
		pause_at_random(&seed);
	}
	if (broadcast && want != self->total)
		fault(task, -EPIPE, want);
	finish(task);
}

static void report(struct __test_metadata *_metadata, struct task *task)
{
	TH_LOG("%s: %u messages, %s, got %lld for %u", task->name, task->done,
	       task->finished ? "finished" : "not finished", task->fault,
	       task->wanted);
}

/* Whether a task that has not finished is still there. */
static bool alive(struct task *task)
{
	return !waitpid(task->pid, NULL, WNOHANG) ||
	       __atomic_load_n(&task->finished, __ATOMIC_ACQUIRE);
}

/*
 * Wait for the first @needed of these tasks. Where one is gone before its time,
 * or none gets on, say which it is.
 */
static bool watch(struct __test_metadata *_metadata, struct task *tasks, int n,
		  int needed)
{
	unsigned long long moved[MOST_TASKS], last, now = now_ms();
	__u32 seen[MOST_TASKS] = {}, done;
	int i, left;

	for (i = 0; i < n; i++)
		moved[i] = now;
	do {
		sleep_ms(20);
		now = now_ms();
		for (i = 0, left = 0, last = 0; i < n; i++) {
			done = __atomic_load_n(&tasks[i].done,
					       __ATOMIC_RELAXED);
			if (done != seen[i])
				moved[i] = now;
			seen[i] = done;
			if (moved[i] > last)
				last = moved[i];
			if (__atomic_load_n(&tasks[i].finished,
					    __ATOMIC_ACQUIRE))
				continue;
			left += i < needed;
			if (!alive(&tasks[i])) {
				TH_LOG("%s has gone", tasks[i].name);
				return false;
			}
		}
	} while (left && now - last <= STALL_MS);
	for (i = 0; i < n && left; i++)
		TH_LOG("%s: idle for %llu ms", tasks[i].name, now - moved[i]);
	return !left;
}

static void see_through(struct __test_metadata *_metadata, struct task *tasks,
			int n, int needed)
{
	int i;

	if (watch(_metadata, tasks, n, needed))
		return;
	for (i = 0; i < n; i++) {
		report(_metadata, &tasks[i]);
		kill(tasks[i].pid, SIGKILL);
	}
	ASSERT_TRUE(false);
}

/* The tasks are there: let them start together. */
static void start(struct __test_metadata *_metadata, int n, struct gate *ready,
		  struct gate *go)
{
	int i;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, gate_wait(ready));
	for (i = 0; i < n; i++)
		gate_open(go);
}

static void ping_pong(struct __test_metadata *_metadata,
		      struct stress_data *self)
{
	static const char * const names[] = { "ping", "pong" };
	struct task *tasks = self->board->tasks;
	struct gate ready, go;
	pid_t pid;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	for (i = 0; i < 2; i++) {
		tasks[i].name = names[i];
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			play(self, &tasks[i], !i, &ready, &go);
		tasks[i].pid = pid;
	}
	start(_metadata, 2, &ready, &go);
	see_through(_metadata, tasks, 2, 2);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(self->total, tasks[i].done);
}

static void ping_pong_competing(struct __test_metadata *_metadata,
				struct stress_data *self)
{
	static const char * const names[] = {
		"first ping", "first pong", "second ping", "second pong",
	};
	struct task *tasks = self->board->tasks;
	struct gate ready, go;
	__u32 done = 0;
	pid_t pid;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	for (i = 0; i < 4; i++) {
		tasks[i].name = names[i];
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			play_with_partner(self, &tasks[i], !(i & 1), i, &ready,
					  &go);
		tasks[i].pid = pid;
	}
	start(_metadata, 4, &ready, &go);
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->id, 0));
	see_through(_metadata, tasks, 4, 4);
	for (i = 0; i < 4; i++)
		done += tasks[i].done;
	EXPECT_EQ(2 * self->total, done);
}

static void stream(struct __test_metadata *_metadata, struct stress_data *self)
{
	static const char * const names[] = {
		"sender", "first receiver", "second receiver",
	};
	__u32 times = self->flags & IOIPC_F_BROADCAST ? 2 : 1;
	struct task *tasks = self->board->tasks;
	struct gate ready, go;
	pid_t pid;
	__u64 sum;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	for (i = 0; i < 3; i++) {
		tasks[i].name = names[i];
		pid = child_start();
		ASSERT_LE(0, pid);
		if (pid) {
			tasks[i].pid = pid;
			continue;
		}
		if (!i)
			send_all(self, &tasks[i], &ready, &go);
		receive_all(self, &tasks[i], i, &ready, &go);
	}
	/* The sender decides when it is over; the others drain the channel. */
	start(_metadata, 3, &ready, &go);
	see_through(_metadata, tasks, 3, 1);
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	see_through(_metadata, tasks, 3, 3);
	EXPECT_EQ(self->total, tasks[0].done);
	EXPECT_EQ(times * self->total, tasks[1].done + tasks[2].done);
	/* None twice in place of another: the sum tells. */
	sum = (__u64)self->total * (self->total - 1) / 2;
	EXPECT_EQ(times * sum, tasks[1].sum + tasks[2].sum);
}

TEST_F_TIMEOUT(stress, ping_pong, LIMIT)
{
	ping_pong(_metadata, self);
}

TEST_F_TIMEOUT(stress, ping_pong_multishot, LIMIT)
{
	self->multishot = true;
	ping_pong(_metadata, self);
}

TEST_F_TIMEOUT(competing, ping_pong, LIMIT)
{
	ping_pong_competing(_metadata, &self->stress);
}

TEST_F_TIMEOUT(competing, ping_pong_multishot, LIMIT)
{
	self->stress.multishot = true;
	ping_pong_competing(_metadata, &self->stress);
}

TEST_F_TIMEOUT(stress, stream, LIMIT)
{
	stream(_metadata, self);
}

TEST_F_TIMEOUT(stress, stream_multishot, LIMIT)
{
	self->multishot = true;
	stream(_metadata, self);
}

TEST_HARNESS_MAIN
