// SPDX-License-Identifier: GPL-2.0
/*
 * All that ends a request that waits: cancellation, time-outs, the end of the
 * ring, the task, the subscriber or the channel. Nothing may be left of it.
 */
#include <linux/io_uring_ipc.h>
#include <linux/time_types.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/kernel_memory.h"
#include "lib/process.h"

#define ENTRIES		4
#define PARKED		3
#define GROUP		3

enum waiter { RECV_WAIT, MULTISHOT, SEND_WAIT };

FIXTURE(wait)
{
	long long refs;		/* of the module, before all this */
	struct ring ring;	/* whose requests wait */
	struct ring peer;	/* which owns the channel */
	struct buffers buffers;
	struct sub sub;		/* whose requests wait */
	struct sub other;	/* on the peer */
	__u32 id;
	__u32 value[PARKED];
	unsigned int setup;
	enum waiter waiter;
};

#define wait_data	_test_data_wait

FIXTURE_VARIANT(wait)
{
	unsigned int setup;
	enum waiter waiter;
};

FIXTURE_VARIANT_ADD(wait, recv_plain)
{
	.setup = RING_PLAIN,
	.waiter = RECV_WAIT,
};

FIXTURE_VARIANT_ADD(wait, recv_defer)
{
	.setup = RING_DEFER,
	.waiter = RECV_WAIT,
};

FIXTURE_VARIANT_ADD(wait, recv_sqpoll)
{
	.setup = RING_SQPOLL,
	.waiter = RECV_WAIT,
};

FIXTURE_VARIANT_ADD(wait, multishot_plain)
{
	.setup = RING_PLAIN,
	.waiter = MULTISHOT,
};

FIXTURE_VARIANT_ADD(wait, multishot_defer)
{
	.setup = RING_DEFER,
	.waiter = MULTISHOT,
};

FIXTURE_VARIANT_ADD(wait, multishot_sqpoll)
{
	.setup = RING_SQPOLL,
	.waiter = MULTISHOT,
};

FIXTURE_VARIANT_ADD(wait, send_plain)
{
	.setup = RING_PLAIN,
	.waiter = SEND_WAIT,
};

FIXTURE_VARIANT_ADD(wait, send_defer)
{
	.setup = RING_DEFER,
	.waiter = SEND_WAIT,
};

FIXTURE_VARIANT_ADD(wait, send_sqpoll)
{
	.setup = RING_SQPOLL,
	.waiter = SEND_WAIT,
};

FIXTURE_SETUP(wait)
{
	__u32 i;

	self->setup = variant->setup;
	self->waiter = variant->waiter;
	self->sub.fd = -1;
	self->other.fd = -1;
	self->refs = module_references();
	ASSERT_LE(0, self->refs);
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
	ASSERT_EQ(0, ring_open(&self->peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->peer, &self->id, 0, ENTRIES, 16));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->sub, self->id,
				IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(&self->peer, &self->other, self->id,
				IOIPC_SUB_BOTH));
	ASSERT_EQ(0, buffers_open(&self->ring, &self->buffers, BUFFER_RING,
				  GROUP, 16, 16));
	ASSERT_EQ(0, buffers_give(&self->ring, &self->buffers, 0, 16));
	for (i = 0; i < ENTRIES && variant->waiter == SEND_WAIT; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, i));
}

FIXTURE_TEARDOWN(wait)
{
	ring_close(&self->ring);
	ring_close(&self->peer);
	buffers_close(&self->buffers);
	close(self->sub.fd);
	close(self->other.fd);
	EXPECT_TRUE(module_references_become(self->refs));
}

/* The program itself, executed anew: it tells so and stays. */
static void __attribute__((constructor)) executed(void)
{
	const char *gate = getenv("IOIPC_EXEC_GATE");

	if (!gate)
		return;
	if (write(atoi(gate), "", 1) != 1)
		_exit(1);
	pause();
}

static const char *waiting_name(enum waiter waiter)
{
	return waiter == SEND_WAIT ? SENDS_WAITING : RECEIVES_WAITING;
}

static struct io_uring_sqe *prep_waiter(struct ring *ring, __u32 sub,
					enum waiter waiter, __u32 *value,
					__u64 user_data)
{
	struct io_uring_sqe *sqe;

	switch (waiter) {
	case RECV_WAIT:
		return prep_recv(ring, sub, value, 4, IOIPC_RECV_WAIT,
				 user_data);
	case MULTISHOT:
		return prep_recv_select(ring, sub, GROUP, 0,
					IOIPC_RECV_MULTISHOT, user_data);
	case SEND_WAIT:
		*value = 100 + user_data;
		sqe = prep_send(ring, sub, value, 4, 0, user_data);
		sqe->ioprio = IOIPC_SEND_WAIT;
		return sqe;
	}
	return NULL;
}

/* PARKED requests wait, with user_data @first and on, each @step more. */
static void park(struct __test_metadata *_metadata, struct wait_data *self,
		 __u64 first, __u64 step)
{
	int i;

	for (i = 0; i < PARKED; i++)
		prep_waiter(&self->ring, self->sub.id, self->waiter,
			    &self->value[i], first + i * step);
	ASSERT_EQ(0, ring_submit(&self->ring));
	ASSERT_EQ(0, fdinfo_wait(self->sub.fd, waiting_name(self->waiter),
				 PARKED));
}

/*
 * Take @n completions: of the request @user_data it is @res, of each other,
 * which have waited, @ended.
 */
static void expect_ended(struct __test_metadata *_metadata,
			 struct wait_data *self, int n, __u64 user_data,
			 int res, int ended)
{
	struct io_uring_cqe cqe;

	while (n--) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(cqe.user_data == user_data ? res : ended, cqe.res)
			TH_LOG("of request %llu", cqe.user_data);
		EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
	}
	EXPECT_FALSE(ring_cqe(&self->ring, &cqe));
}

static void expect_waiting(struct __test_metadata *_metadata,
			   struct wait_data *self, int n)
{
	EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
	EXPECT_EQ(0, fdinfo_wait(self->sub.fd, waiting_name(self->waiter), n));
}

/* What is left of the channel is as if those requests had never been. */
static void expect_channel_works(struct __test_metadata *_metadata,
				 struct wait_data *self)
{
	struct ring *peer = &self->peer;
	__u32 i;

	for (i = 0; i < ENTRIES; i++) {
		if (self->waiter != SEND_WAIT)
			ASSERT_EQ(4, ipc_send_u32(peer, self->other.id, i));
		ASSERT_EQ(i, ipc_recv_u32(peer, self->other.id));
	}
	ASSERT_EQ(-EAGAIN, ipc_recv_u32(peer, self->other.id));
	ASSERT_EQ(4, ipc_send_u32(peer, self->other.id, 9));
	ASSERT_EQ(9, ipc_recv_u32(peer, self->other.id));
	ASSERT_EQ(-EAGAIN, ipc_recv_u32(peer, self->other.id));
}

TEST_F(wait, cancel_by_user_data)
{
	struct ring *ring = &self->ring;

	park(_metadata, self, 1, 1);
	prep_cancel(ring, 0, 2, -1, 0, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	expect_waiting(_metadata, self, 2);
	prep_cancel(ring, 0, 2, -1, 0, 50);
	expect_ended(_metadata, self, 1, 50, -ENOENT, 0);
	prep_cancel(ring, 0, 1, -1, 0, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	prep_cancel(ring, 0, 3, -1, 0, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

static void expect_others_sent(struct __test_metadata *_metadata,
			       struct wait_data *self)
{
	static const __u32 want[] = { 0, 1, 2, 3, 101, 103 };
	unsigned long long until = now_ms() + PATIENCE_MS;
	struct io_uring_cqe cqe;
	long long value;
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(want);) {
		ASSERT_EQ(0, ring_enter_timeout(&self->ring, 0, 1000));
		value = ipc_recv_u32(&self->peer, self->other.id);
		if (value == -EAGAIN) {
			ASSERT_GT(until, now_ms());
			continue;
		}
		ASSERT_EQ(want[i++], value);
	}
	for (i = 1; i <= 3; i += 2) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		EXPECT_EQ(i, cqe.user_data);
	}
}

/* The one in the middle goes; the others get what they have waited for. */
TEST_F(wait, cancelled_among_others)
{
	struct io_uring_cqe cqe;
	__u32 i;

	park(_metadata, self, 1, 1);
	prep_cancel(&self->ring, 0, 2, -1, 0, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	if (self->waiter == SEND_WAIT) {
		expect_others_sent(_metadata, self);
		return;
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, i));
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		EXPECT_NE(2, (int)cqe.user_data);
	}
}

TEST_F(wait, cancel_by_fd)
{
	struct ring *ring = &self->ring;

	park(_metadata, self, 1, 1);
	prep_cancel(ring, IORING_ASYNC_CANCEL_FD, 0, self->other.fd, 0, 50);
	expect_ended(_metadata, self, 1, 50, -ENOENT, 0);
	prep_cancel(ring, IORING_ASYNC_CANCEL_FD, 0, self->sub.fd, 0, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	expect_waiting(_metadata, self, 2);
	prep_cancel(ring, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL, 0,
		    self->sub.fd, 0, 50);
	expect_ended(_metadata, self, 3, 50, 2, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

TEST_F(wait, cancel_by_opcode)
{
	struct ring *ring = &self->ring;
	bool send = self->waiter == SEND_WAIT;
	__u32 op = send ? IORING_OP_IPC_SEND : IORING_OP_IPC_RECV;
	__u32 wrong = send ? IORING_OP_IPC_RECV : IORING_OP_IPC_SEND;

	park(_metadata, self, 1, 1);
	prep_cancel(ring, IORING_ASYNC_CANCEL_OP, 0, -1, wrong, 50);
	expect_ended(_metadata, self, 1, 50, -ENOENT, 0);
	prep_cancel(ring, IORING_ASYNC_CANCEL_OP, 0, -1, op, 50);
	expect_ended(_metadata, self, 2, 50, 0, -ECANCELED);
	prep_cancel(ring, IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL, 0,
		    -1, op, 50);
	expect_ended(_metadata, self, 3, 50, 2, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

TEST_F(wait, cancel_any)
{
	park(_metadata, self, 1, 1);
	prep_cancel(&self->ring, IORING_ASYNC_CANCEL_ANY, 0, -1, 0, 50);
	expect_ended(_metadata, self, 4, 50, 3, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

TEST_F(wait, cancel_all_of_one_user_data)
{
	park(_metadata, self, 7, 0);
	prep_cancel(&self->ring, IORING_ASYNC_CANCEL_ALL, 7, -1, 0, 50);
	expect_ended(_metadata, self, 4, 50, 3, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

static int sync_cancel(struct ring *ring, __u32 flags, __u64 target, int fd)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr = target,
		.fd = fd,
		.flags = flags,
		.timeout = { -1, -1 },
	};

	return ipc_register(ring, IORING_REGISTER_SYNC_CANCEL, &reg, 1);
}

TEST_F(wait, sync_cancel)
{
	struct ring *ring = &self->ring;

	park(_metadata, self, 1, 1);
	EXPECT_EQ(-ENOENT, sync_cancel(ring, 0, 9, -1));
	EXPECT_EQ(0, sync_cancel(ring, 0, 2, -1));
	expect_ended(_metadata, self, 1, 2, -ECANCELED, 0);
	EXPECT_EQ(0, sync_cancel(ring, IORING_ASYNC_CANCEL_FD, 0,
				 self->sub.fd));
	expect_ended(_metadata, self, 1, 0, 0, -ECANCELED);
	expect_waiting(_metadata, self, 1);
	EXPECT_EQ(1, sync_cancel(ring, IORING_ASYNC_CANCEL_ANY, 0, -1));
	expect_ended(_metadata, self, 1, 0, 0, -ECANCELED);
	expect_waiting(_metadata, self, 0);
	expect_channel_works(_metadata, self);
}

static void prep_timeout(struct ring *ring, struct __kernel_timespec *ts,
			 __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_LINK_TIMEOUT;
	sqe->addr = (unsigned long)ts;
	sqe->len = 1;
	sqe->user_data = user_data;
}

TEST_F(wait, linked_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	int i;

	for (i = 0; i < 2; i++) {
		/*
		 * The core arms the poll of an asynchronous multishot request
		 * without issuing it, and a time-out begins with the issue.
		 */
		if (i && self->waiter == MULTISHOT)
			break;
		prep_waiter(&self->ring, self->sub.id, self->waiter,
			    self->value, 1)->flags |=
			i ? IOSQE_IO_LINK | IOSQE_ASYNC : IOSQE_IO_LINK;
		prep_timeout(&self->ring, &ts, 51);
		expect_ended(_metadata, self, 2, 51, -ETIME, -ECANCELED);
		expect_waiting(_metadata, self, 0);
	}
	expect_channel_works(_metadata, self);
}

TEST_F(wait, linked_timeout_that_is_not_needed)
{
	struct __kernel_timespec ts = { .tv_sec = 60 };
	struct io_uring_cqe cqe;
	int i;

	prep_waiter(&self->ring, self->sub.id, self->waiter, self->value,
		    1)->flags |= IOSQE_IO_LINK;
	prep_timeout(&self->ring, &ts, 51);
	ASSERT_EQ(0, ring_submit(&self->ring));
	ASSERT_EQ(0, fdinfo_wait(self->sub.fd, waiting_name(self->waiter), 1));
	if (self->waiter != SEND_WAIT)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, 0));
	for (i = 0; i < ENTRIES && self->waiter == SEND_WAIT; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->other.id));
	if (self->waiter == MULTISHOT) {
		/* A message does not end it, and so not the time-out. */
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		expect_waiting(_metadata, self, 1);
		prep_cancel(&self->ring, 0, 1, -1, 0, 50);
		expect_ended(_metadata, self, 3, 50, 0, -ECANCELED);
		return;
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		EXPECT_EQ(cqe.user_data == 51 ? -ECANCELED : 4, cqe.res);
	}
}

TEST_F(wait, ring_closes)
{
	park(_metadata, self, 1, 1);
	ring_close(&self->ring);
	expect_channel_works(_metadata, self);
}

/* The file that the requests wait on is closed before. */
TEST_F(wait, fd_and_ring_close)
{
	park(_metadata, self, 1, 1);
	close(self->sub.fd);
	self->sub.fd = -1;
	EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
	ring_close(&self->ring);
	expect_channel_works(_metadata, self);
}

/* How a task goes. */
enum deed { EXIT, EXEC, KILL };

/* A child with a ring of its own and requests that wait. */
static void __noreturn waiting_child(struct wait_data *self, enum deed deed,
				     struct gate *ready, struct gate *go)
{
	struct buffers buffers;
	struct ring ring;
	__u32 value[PARKED];
	char number[16];
	struct sub sub;
	int i;

	if (ring_open(&ring, self->setup) ||
	    ipc_attach(&ring, &sub, self->id, IOIPC_SUB_BOTH) ||
	    buffers_open(&ring, &buffers, BUFFER_RING, GROUP, 16, 16) ||
	    buffers_give(&ring, &buffers, 0, 16))
		_exit(10);
	for (i = 0; i < PARKED; i++)
		prep_waiter(&ring, sub.id, self->waiter, &value[i], i);
	if (ring_submit(&ring) ||
	    fdinfo_wait(sub.fd, waiting_name(self->waiter), PARKED))
		_exit(11);
	gate_open(ready);
	gate_wait(go);
	if (deed == EXIT)
		_exit(0);
	snprintf(number, sizeof(number), "%d", ready->fd[1]);
	setenv("IOIPC_EXEC_GATE", number, 1);
	execl("/proc/self/exe", "cancel", NULL);
	_exit(12);
}

static void task_ends(struct __test_metadata *_metadata,
		      struct wait_data *self, enum deed deed)
{
	long long refs = module_references();
	struct gate ready, go;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		waiting_child(self, deed, &ready, &go);
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_LT(refs, module_references());
	if (deed == KILL) {
		child_kill(pid);
	} else {
		gate_open(&go);
		/* Executed anew it lives, but without those requests. */
		EXPECT_EQ(0, deed == EXEC ? gate_wait(&ready) :
					    child_wait(pid));
	}
	EXPECT_TRUE(module_references_become(refs));
	expect_channel_works(_metadata, self);
	if (deed == EXEC)
		child_kill(pid);
}

TEST_F(wait, task_exits)
{
	task_ends(_metadata, self, EXIT);
}

TEST_F(wait, task_executes)
{
	task_ends(_metadata, self, EXEC);
}

TEST_F(wait, task_is_killed)
{
	task_ends(_metadata, self, KILL);
}

TEST_F(wait, detach)
{
	park(_metadata, self, 1, 1);
	ASSERT_EQ(0, ipc_detach(&self->ring, self->sub.id));
	expect_ended(_metadata, self, PARKED, 0, 0, -ENOENT);
	EXPECT_EQ(0, fdinfo_wait(self->sub.fd, waiting_name(self->waiter), 0));
	expect_channel_works(_metadata, self);
}

/* By a task that has inherited the rings. */
TEST_F(wait, detach_by_another_task)
{
	pid_t pid;
	int ret;

	park(_metadata, self, 1, 1);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ret = ipc_detach(&self->ring, self->sub.id);
		/* A single issuer's ring is its own. */
		if (self->setup & IORING_SETUP_SINGLE_ISSUER)
			_exit(ret == -EEXIST ? 0 : 10);
		_exit(ret ? 11 : 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	if (self->setup & IORING_SETUP_SINGLE_ISSUER)
		expect_waiting(_metadata, self, PARKED);
	else
		expect_ended(_metadata, self, PARKED, 0, 0, -ENOENT);
	expect_channel_works(_metadata, self);
}

TEST_F(wait, destroy_by_another_task)
{
	pid_t pid;

	park(_metadata, self, 1, 1);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ipc_destroy(&self->peer, self->id) ? 10 : 0);
	EXPECT_EQ(0, child_wait(pid));
	expect_ended(_metadata, self, PARKED, 0, 0, -EPIPE);
	/* Whoever reads on drains the channel. */
	EXPECT_EQ(self->waiter == SEND_WAIT ? 0 : -EPIPE,
		  ipc_recv_u32(&self->ring, self->sub.id));
}

/* How many of @n completions are good; the others say that it is the end. */
static int count_good(struct __test_metadata *_metadata,
		      struct wait_data *self, int n)
{
	struct io_uring_cqe cqe;
	int good = 0;

	for (; n; n--) {
		ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		if (cqe.res == 4)
			good++;
		else
			EXPECT_EQ(-EPIPE, cqe.res);
	}
	EXPECT_FALSE(ring_cqe(&self->ring, &cqe));
	return good;
}

/* Woken for messages or room, and the channel ends before they have that. */
TEST_F(wait, destroy_after_their_wakeup)
{
	bool sends = self->waiter == SEND_WAIT;
	int i, left, sent;

	park(_metadata, self, 1, 1);
	for (i = 0; i < 2 && !sends; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->id, i));
	for (i = 0; i < ENTRIES && sends; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->peer, self->other.id));
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	left = self->waiter == MULTISHOT ? PARKED + 2 : PARKED;
	sent = count_good(_metadata, self, left);
	if (!sends) {
		EXPECT_EQ(2, sent);
		return;
	}
	/* Deferred work has not run before that. */
	if (self->setup & IORING_SETUP_DEFER_TASKRUN)
		EXPECT_EQ(0, sent);
	/* What has been sent, in order, and nothing else is there to be had. */
	for (i = 0; i < sent; i++)
		EXPECT_EQ(101 + i, ipc_recv_u32(&self->peer, self->other.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->peer, self->other.id));
}

TEST_HARNESS_MAIN
