// SPDX-License-Identifier: GPL-2.0
/* IOIPC_RECV_MULTISHOT: many messages by one request. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "multi_fixture.h"

/* After each burst nothing but a wake-up tells the request of the next. */
TEST_F(multi, burst_after_burst)
{
	__u32 burst, i, n = 0;

	give(_metadata, self, 0, 64);
	arm(_metadata, self, 0);
	for (burst = 0; burst < 4; burst++) {
		EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
		EXPECT_EQ(1, fdinfo_value(self->rx.fd, RECEIVES_WAITING));
		send_numbers(_metadata, self, n, 5);
		for (i = 0; i < 5; i++)
			expect_more(_metadata, self, n++);
	}
	EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
}

/* One message at a time, far more often than the kernel retries a poll. */
TEST_F(multi, one_by_one)
{
	__u32 i;

	arm(_metadata, self, 0);
	for (i = 0; i < 300; i++) {
		give(_metadata, self, i % ENTRIES, 1);
		send_numbers(_metadata, self, i, 1);
		expect_more(_metadata, self, i);
	}
	EXPECT_TRUE(ring_quiet(&self->ring, QUIET_MS));
}

TEST_F(multi, messages_that_are_there)
{
	struct io_uring_cqe cqe;
	__u32 i;

	give(_metadata, self, 0, 16);
	send_numbers(_metadata, self, 0, 5);
	arm(_metadata, self, 0);
	for (i = 0; i < 5; i++) {
		expect_number(_metadata, self, &cqe, i);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		/* Told with each but the last. */
		EXPECT_EQ(i < 4 ? IORING_CQE_F_SOCK_NONEMPTY : 0,
			  cqe.flags & IORING_CQE_F_SOCK_NONEMPTY)
			TH_LOG("number %u", i);
	}
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, WAKEUPS));
	send_numbers(_metadata, self, 5, 1);
	expect_more(_metadata, self, 5);
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, WAKEUPS));
}

/* More than a receive takes in one go before others have their turn. */
TEST_F(multi, two_hundred_in_one_go)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 i, n = 0;
	int round;

	/* Where they lie before the receive, and where they come after it. */
	for (round = 0; round < 2; round++) {
		if (!round) {
			give(_metadata, self, 0, ENTRIES);
			send_numbers(_metadata, self, 0, 200);
			arm(_metadata, self, 0);
		} else {
			send_numbers(_metadata, self, 200, 200);
		}
		for (i = 0; i < 200; i++) {
			ASSERT_EQ(0, ring_next(ring, &cqe));
			/* The completion queue has only 128 entries. */
			if (!(cqe.flags & IORING_CQE_F_MORE))
				arm(_metadata, self, 0);
			ASSERT_EQ(4, cqe.res);
			ASSERT_NE(NULL, buffers_at(&self->buffers, &cqe));
			ASSERT_EQ(n, *(__u32 *)buffers_at(&self->buffers,
							  &cqe));
			n++;
			give(_metadata, self, cqe_buffer(&cqe), 1);
		}
	}
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
}

/* With room for all completions it never ends. */
TEST_F(multi, stays_armed_in_a_large_queue)
{
	struct ring big;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	struct sub sub;
	__u32 i;

	ASSERT_EQ(0, ring_open_sized(&big, variant->setup, 8, 512));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&big, &sub, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, buffers_open(&big, &buffers, variant->kind, 1, 256, 8));
	ASSERT_EQ(0, buffers_give(&big, &buffers, 0, 256));
	send_numbers(_metadata, self, 0, 200);
	prep_recv_select(&big, sub.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	ASSERT_EQ(0, ring_enter_timeout(&big, 200, PATIENCE_MS));
	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(ring_cqe(&big, &cqe));
		ASSERT_EQ(4, cqe.res);
		ASSERT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		ASSERT_EQ(i == 199 ? 0 : IORING_CQE_F_SOCK_NONEMPTY,
			  cqe.flags & IORING_CQE_F_SOCK_NONEMPTY);
		ASSERT_EQ(i, *(__u32 *)buffers_at(&buffers, &cqe));
	}
	EXPECT_TRUE(ring_quiet(&big, QUIET_MS));
	ring_close(&big);
	buffers_close(&buffers);
}

/* Others have their turn before a receive has taken all there is. */
TEST_F(multi, others_go_on_between_bursts)
{
	enum { TOTAL = 200, BURST = 32 };
	int i, before = 0, nops = 0;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	struct ring big;
	struct sub sub;

	ASSERT_EQ(0, ring_open_sized(&big, variant->setup, 8, 1024));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&big, &sub, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, buffers_open(&big, &buffers, variant->kind, 1, 256, 8));
	ASSERT_EQ(0, buffers_give(&big, &buffers, 0, 256));
	send_numbers(_metadata, self, 0, TOTAL);
	prep_recv_select(&big, sub.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	prep_nop(&big, 2);
	ASSERT_EQ(0, ring_enter_timeout(&big, TOTAL + 1, PATIENCE_MS));
	for (i = 0; i < TOTAL + 1; i++) {
		ASSERT_TRUE(ring_cqe(&big, &cqe));
		nops += cqe.user_data == 2;
		before += !nops;
	}
	EXPECT_EQ(1, nops);
	EXPECT_GE(BURST, before);
	ring_close(&big);
	buffers_close(&buffers);
}

/* Numbers without end, from another process. */
static void __noreturn flood(__u32 channel)
{
	struct ring ring;
	__u32 i;

	if (ring_open(&ring, RING_PLAIN))
		_exit(10);
	for (i = 0;; i++) {
		for (;;) {
			int ret = ipc_send_u32(&ring, channel, i);

			if (ret == 4)
				break;
			if (ret != -ENOBUFS)
				_exit(11);
			sched_yield();
		}
	}
}

/*
 * While messages pour in, other requests of the ring complete. The flood ends
 * when enough has been seen of both.
 */
TEST_F(multi, others_go_on_in_a_flood)
{
	struct ring *ring = &self->ring;
	unsigned int numbers = 0, nops = 0;
	struct io_uring_cqe cqe;
	pid_t pid;

	give(_metadata, self, 0, ENTRIES);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		flood(self->id);
	arm(_metadata, self, 0);
	prep_nop(ring, 2);
	while (numbers < 1000 || nops < 20) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		if (cqe.user_data == 2) {
			nops++;
			prep_nop(ring, 2);
			continue;
		}
		if (!(cqe.flags & IORING_CQE_F_MORE))
			arm(_metadata, self, 0);
		/* The number of numbers between two others is bounded. */
		ASSERT_GT(1000 * (nops + 1), numbers);
		ASSERT_EQ(4, cqe.res);
		ASSERT_NE(NULL, buffers_at(&self->buffers, &cqe));
		ASSERT_EQ(numbers, *(__u32 *)buffers_at(&self->buffers, &cqe));
		numbers++;
		give(_metadata, self, cqe_buffer(&cqe), 1);
	}
	child_kill(pid);
}

enum { DRAINED = 32768 };

/* Receives all there is by one request, when it is told to go on. */
static void __noreturn drain_when_it_may(__u32 channel)
{
	struct buffers buffers;
	struct ring ring;
	struct sub sub;

	if (ring_open_sized(&ring, RING_PLAIN, 8, 2 * DRAINED) ||
	    ipc_attach(&ring, &sub, channel, IOIPC_SUB_RECV) ||
	    buffers_open(&ring, &buffers, BUFFER_RING, GROUP, DRAINED, 4) ||
	    buffers_give(&ring, &buffers, 0, DRAINED))
		_exit(10);
	prep_recv_select(&ring, sub.id, GROUP, 0, IOIPC_RECV_MULTISHOT, 1);
	if (ring_submit(&ring))
		_exit(11);
	raise(SIGSTOP);
	for (;;)
		pause();
}

/* How many of a channel's messages have been received: looking counts some of them. */
static long long received(const struct sub *sub)
{
	long long last, now = -1;

	do {
		last = now;
		now = fdinfo_value(sub->fd, "ipc-head");
	} while (now != last);
	return now;
}

/* A task that is killed does not go on receiving all there is before it ends. */
TEST_F(multi, killed_between_bursts)
{
	struct ring *ring = &self->peer;
	long long got = DRAINED;
	struct sub tx, rx;
	int status, try;
	pid_t pid;
	__u32 id, i;

	/* Unless the signal comes too late. */
	for (try = 0; try < 20 && got > DRAINED - 100; try++) {
		ASSERT_EQ(0, ipc_create(ring, &id, 0, DRAINED, 4));
		ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			drain_when_it_may(id);
		ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
		ASSERT_TRUE(WIFSTOPPED(status));
		for (i = 0; i < DRAINED; i++)
			ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
		ASSERT_EQ(0, kill(pid, SIGCONT));
		while (!fdinfo_value(tx.fd, "ipc-head"))
			;
		ASSERT_EQ(0, kill(pid, SIGKILL));
		child_wait(pid);
		got = received(&tx);
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		ASSERT_EQ(got < DRAINED ? got : -EAGAIN,
			  ipc_recv_u32(ring, rx.id));
		ASSERT_EQ(0, ipc_destroy(ring, id));
	}
	EXPECT_GE(DRAINED - 100, got);
}

/*
 * The message that does not fit the completion queue is the last: all come, in
 * order, each once.
 */
static void small_queue(struct __test_metadata *_metadata,
			struct multi_data *self, unsigned int setup,
			enum buffer_kind kind, __u16 flags)
{
	enum { TOTAL = 100 };
	struct io_uring_ipc_msg_hdr *hdr;
	unsigned int ends = 0, header;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	struct ring small;
	struct sub sub;
	char *data;
	__u32 i;

	flags |= IOIPC_RECV_MULTISHOT;
	header = flags & IOIPC_RECV_HDR ? sizeof(*hdr) : 0;
	ASSERT_EQ(0, ring_open_sized(&small, setup, 4, 8));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&small, &sub, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, buffers_open(&small, &buffers, kind, 1, 128, header + 8));
	ASSERT_EQ(0, buffers_give(&small, &buffers, 0, 128));
	send_numbers(_metadata, self, 0, TOTAL);
	prep_recv_select(&small, sub.id, 1, 0, flags, 1);
	for (i = 0; i < TOTAL; i++) {
		ASSERT_EQ(0, ring_next(&small, &cqe));
		ASSERT_EQ((int)header + 4, cqe.res);
		data = buffers_at(&buffers, &cqe);
		ASSERT_NE(NULL, data);
		ASSERT_EQ(i, *(__u32 *)(data + header));
		hdr = (void *)data;
		if (header)
			ASSERT_EQ(i + 1, hdr->msg_id);
		if (cqe.flags & IORING_CQE_F_MORE)
			continue;
		ends++;
		prep_recv_select(&small, sub.id, 1, 0, flags, 1);
	}
	EXPECT_TRUE(ring_quiet(&small, QUIET_MS));
	/* Eight fit: with nobody to take them out it must have ended. */
	EXPECT_LE(1U, ends);
	ring_close(&small);
	buffers_close(&buffers);
}

TEST_F(multi, small_completion_queue)
{
	small_queue(_metadata, self, variant->setup, variant->kind, 0);
}

TEST_F(multi, small_completion_queue_with_headers)
{
	small_queue(_metadata, self, variant->setup, variant->kind,
		    IOIPC_RECV_HDR);
}

TEST_F(multi, async_multishot)
{
	__u32 i;

	give(_metadata, self, 0, 32);
	send_numbers(_metadata, self, 0, 2);
	prep_recv_select(&self->ring, self->rx.id, GROUP, 0,
			 IOIPC_RECV_MULTISHOT, 1)->flags |= IOSQE_ASYNC;
	ASSERT_EQ(0, ring_submit(&self->ring));
	for (i = 0; i < 6; i++) {
		if (i >= 2)
			send_numbers(_metadata, self, i, 1);
		expect_more(_metadata, self, i);
	}
}

/* Two at once on one subscriber share the messages. */
TEST_F(multi, two_of_one_subscriber)
{
	enum { TOTAL = 60 };
	struct ring *ring = &self->ring;
	int last[3] = { -1, -1, -1 };
	struct io_uring_cqe cqe;
	bool seen[TOTAL] = {};
	__u32 i, value;

	give(_metadata, self, 0, 64);
	for (i = 1; i <= 2; i++)
		prep_recv_select(ring, self->rx.id, GROUP, 0,
				 IOIPC_RECV_MULTISHOT, i);
	ASSERT_EQ(0, ring_submit(ring));
	EXPECT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, 2));
	for (i = 0; i < TOTAL; i++) {
		if (i % 20 == 0)
			send_numbers(_metadata, self, i, 20);
		ASSERT_EQ(0, ring_next(ring, &cqe));
		ASSERT_EQ(4, cqe.res);
		ASSERT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		ASSERT_NE(NULL, buffers_at(&self->buffers, &cqe));
		value = *(__u32 *)buffers_at(&self->buffers, &cqe);
		ASSERT_GT(TOTAL, (int)value);
		EXPECT_FALSE(seen[value]);
		seen[value] = true;
		EXPECT_LT(last[cqe.user_data], (int)value);
		last[cqe.user_data] = value;
	}
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
}

/* A message for all wakes one of them, also after each has had its own. */
TEST_F(multi, one_is_woken_after_their_own)
{
	enum { SUBS = 3 };
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct sub sub[SUBS];
	__u32 id, value = 7, i;
	long wakeups = 0;

	give(_metadata, self, 0, 16);
	ASSERT_EQ(0, ipc_create(&self->peer, &id, IOIPC_F_MULTICAST, 8, 4));
	for (i = 0; i < SUBS; i++) {
		ASSERT_EQ(0, ipc_attach(ring, &sub[i], id, IOIPC_SUB_RECV));
		prep_recv_select(ring, sub[i].id, GROUP, 0,
				 IOIPC_RECV_MULTISHOT, i);
	}
	ASSERT_EQ(0, ring_submit(ring));
	for (i = 0; i <= SUBS; i++) {
		ASSERT_EQ(0, fdinfo_wait(sub[0].fd, "ipc-receivers-asleep",
					 SUBS));
		ASSERT_EQ(4, ipc_send(&self->peer, id, &value, 4,
				      i < SUBS ? sub[i].id : 0));
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(4, cqe.res);
	}
	ASSERT_EQ(0, fdinfo_wait(sub[0].fd, "ipc-receivers-asleep", SUBS));
	for (i = 0; i < SUBS; i++)
		wakeups += fdinfo_value(sub[i].fd, WAKEUPS);
	EXPECT_EQ(SUBS + 1, wakeups);
}

TEST_F(multi, refused)
{
	struct ring *ring = &self->ring;
	__u32 value;

	give(_metadata, self, 0, 4);
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_MULTISHOT, 1);
	expect_end(_metadata, self, -EINVAL);
	prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_MULTISHOT,
			 1)->flags |= IOSQE_CQE_SKIP_SUCCESS;
	expect_end(_metadata, self, -EINVAL);
	prep_recv_select(ring, self->rx.id, GROUP, 0, IOIPC_RECV_MULTISHOT,
			 1)->addr = (unsigned long)&value;
	expect_end(_metadata, self, -EINVAL);
	prep_recv_select(ring, self->rx.id, GROUP, 0, 0, 1)->addr = 8;
	expect_end(_metadata, self, -EINVAL);
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, RECEIVES_WAITING));
}

TEST_F(multi, destroy_ends_it)
{
	__u32 i;

	give(_metadata, self, 0, 16);
	send_numbers(_metadata, self, 0, 3);
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	/* What is there comes first. */
	arm(_metadata, self, 0);
	for (i = 0; i < 3; i++)
		expect_more(_metadata, self, i);
	expect_end(_metadata, self, -EPIPE);
	arm(_metadata, self, 0);
	expect_end(_metadata, self, -EPIPE);
}

TEST_F(multi, destroy_and_detach_while_it_waits)
{
	give(_metadata, self, 0, 16);
	arm(_metadata, self, 0);
	send_numbers(_metadata, self, 0, 2);
	expect_more(_metadata, self, 0);
	expect_more(_metadata, self, 1);
	EXPECT_TRUE(ring_quiet(&self->ring, 2));
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	expect_end(_metadata, self, -EPIPE);

	ASSERT_EQ(0, ipc_create(&self->peer, &self->id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->rx, self->id,
				IOIPC_SUB_RECV));
	arm(_metadata, self, 0);
	EXPECT_TRUE(ring_quiet(&self->ring, 2));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	expect_end(_metadata, self, -ENOENT);
}

TEST_HARNESS_MAIN
