// SPDX-License-Identifier: GPL-2.0
/* IOIPC_RECV_WAIT: receives that wait for a message. */
#include <dirent.h>
#include <sched.h>

#include "pair_fixture.h"
#include "ring_fixture.h"

/* How many threads io-wq has made for this process. */
static int io_wq_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], comm[32];
	int n = 0;
	FILE *file;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, "iou-wrk-", 8))
			n++;
		fclose(file);
	}
	closedir(dir);
	return n;
}

TEST_F(pair, empty_is_eagain_without_wait)
{
	__u32 value;

	EXPECT_EQ(-EAGAIN, ipc_recv_flags(&self->ring, self->rx.id, &value, 4,
					  0));
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, RECEIVES_WAITING));
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, WAKEUPS));
	EXPECT_EQ(0, io_wq_workers());
}

TEST_F(pair, completes_on_a_message)
{
	struct ring *ring = &self->ring;
	__u32 value, i;

	for (i = 1; i <= 3; i++) {
		value = 0;
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value, i));
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		EXPECT_EQ(1, fdinfo_value(self->rx.fd, RECEIVES_WAITING));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 100 + i));
		expect_next(_metadata, ring, i, 4);
		EXPECT_EQ(100 + i, value);
		EXPECT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, 0));
		EXPECT_EQ(i, fdinfo_value(self->rx.fd, WAKEUPS));
	}
	/* No thread has waited for us. */
	EXPECT_EQ(0, io_wq_workers());
}

/* Both ends on one ring, submitted together. */
TEST_F(pair, completes_on_the_same_rings_message)
{
	struct ring *ring = &self->ring;
	__u32 in = 4711, out = 0;
	struct sub tx;
	int res[2];

	ASSERT_EQ(0, ipc_attach(ring, &tx, self->id, IOIPC_SUB_SEND));
	prep_recv(ring, self->rx.id, &out, 4, IOIPC_RECV_WAIT, 0);
	prep_send(ring, tx.id, &in, 4, 0, 1);
	ASSERT_EQ(0, ring_enter_timeout(ring, 2, PATIENCE_MS));
	ASSERT_EQ(0, ring_batch(ring, res, 2));
	EXPECT_EQ(4, res[0]);
	EXPECT_EQ(4, res[1]);
	EXPECT_EQ(in, out);
}

TEST_F(pair, message_that_is_there)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;

	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 8));
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 1);
	expect_next(_metadata, ring, 1, 4);
	EXPECT_EQ(8, (int)value);
	/* Nobody slept: nobody was woken. */
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, WAKEUPS));
}

TEST_F(pair, from_another_process)
{
	struct ring *ring = &self->ring, other;
	struct gate go;
	__u32 value, i;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&go));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_open(&other, RING_PLAIN))
			_exit(10);
		for (i = 0; i < 5; i++) {
			if (gate_wait(&go) || asleep_wait(getppid()))
				_exit(12);
			if (ipc_send_u32(&other, self->id, i) != 4)
				_exit(11);
		}
		_exit(0);
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value, i));
		gate_open(&go);
		expect_next(_metadata, ring, i, 4);
		EXPECT_EQ(i, value);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(pair, header_truncation_and_nothing)
{
	struct ring *ring = &self->ring;
	struct {
		struct io_uring_ipc_msg_hdr hdr;
		char payload[8];
	} msg = {};

	prep_recv(ring, self->rx.id, &msg, sizeof(msg),
		  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, 1);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(4, ipc_send(&self->peer, self->tx.id, "wait", 4, 0));
	expect_next(_metadata, ring, 1, sizeof(msg.hdr) + 4);
	EXPECT_EQ(self->tx.id, msg.hdr.sender_id);
	EXPECT_STREQ("wait", msg.payload);

	prep_recv(ring, self->rx.id, &msg, 2,
		  IOIPC_RECV_WAIT | IOIPC_RECV_TRUNC, 2);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(9, ipc_send(&self->peer, self->tx.id, "truncated", 9, 0));
	expect_next(_metadata, ring, 2, 9);
	EXPECT_EQ(0, memcmp(&msg, "tr", 2));

	prep_recv(ring, self->rx.id, NULL, 0, IOIPC_RECV_WAIT, 3);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, ipc_send(&self->peer, self->tx.id, NULL, 0, 0));
	expect_next(_metadata, ring, 3, 0);
}

/* Where its buffer is bad the message stays, for whoever comes next. */
TEST_F(pair, bad_buffer)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;

	prep_recv(ring, self->rx.id, (void *)8, 4, IOIPC_RECV_WAIT, 1);
	ASSERT_EQ(0, ring_submit(ring));
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 6));
	expect_next(_metadata, ring, 1, -EFAULT);
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 2);
	expect_next(_metadata, ring, 2, 4);
	EXPECT_EQ(6, (int)value);
}

TEST_F(pair, several_waits_of_one_subscriber)
{
	enum { WAITS = 6 };
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 value[WAITS], i;
	unsigned int seen = 0;

	for (i = 0; i < WAITS; i++)
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[i], i));
	for (i = 0; i < WAITS; i++) {
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, i));
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		ASSERT_GT(WAITS, (int)cqe.user_data);
		EXPECT_EQ(i, value[cqe.user_data]);
		EXPECT_EQ(0U, seen & 1U << cqe.user_data);
		seen |= 1U << cqe.user_data;
		EXPECT_TRUE(ring_quiet(ring, 2));
		EXPECT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING,
					 WAITS - 1 - i));
	}
	EXPECT_EQ((1U << WAITS) - 1, seen);
}

/* As many messages at once as there are waits. */
TEST_F(pair, several_waits_and_a_burst)
{
	enum { WAITS = PAIR_ENTRIES };
	struct ring *ring = &self->ring;
	__u32 value[WAITS], in[WAITS], i;
	unsigned int seen = 0;
	int res[WAITS];

	for (i = 0; i < WAITS; i++)
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[i], i));
	for (i = 0; i < WAITS; i++) {
		in[i] = i;
		prep_send(&self->peer, self->tx.id, &in[i], 4, 0, i);
	}
	ASSERT_EQ(0, ring_batch(&self->peer, res, WAITS));
	ASSERT_EQ(0, ring_enter_timeout(ring, WAITS, PATIENCE_MS));
	ASSERT_EQ(0, ring_batch(ring, res, WAITS));
	for (i = 0; i < WAITS; i++) {
		EXPECT_EQ(4, res[i]);
		seen |= 1U << value[i];
	}
	EXPECT_EQ((1U << WAITS) - 1, seen);
}

/* A wake-up of a waiting receive each, and of none but those. */
TEST_F(pair, two_subscribers)
{
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	struct ring *ring = &self->ring;
	struct io_uring_cqe first, cqe;
	struct sub more;
	__u32 value[2];

	ASSERT_EQ(0, ipc_attach(ring, &more, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[0], 0));
	ASSERT_EQ(0, ipc_park(ring, &more, &value[1], 1));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	ASSERT_EQ(0, ring_next(ring, &first));
	EXPECT_EQ(4, first.res);
	ASSERT_GT(2, (int)first.user_data);
	EXPECT_EQ(5, (int)value[first.user_data]);
	if (!broadcast) {
		EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	}
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(1 - (int)first.user_data, (int)cqe.user_data);
	EXPECT_EQ(5, (int)value[cqe.user_data]);
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, WAKEUPS));
	EXPECT_EQ(1, fdinfo_value(more.fd, WAKEUPS));
}

TEST_F(pair, targeted)
{
	struct ring *ring = &self->ring;
	__u32 value[2], v = 9, round;
	struct sub more;

	ASSERT_EQ(0, ipc_attach(ring, &more, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[0], 0));
	for (round = 1; round <= 3; round++) {
		ASSERT_EQ(0, ipc_park(ring, &more, &value[1], 1));
		ASSERT_EQ(4, ipc_send(&self->peer, self->tx.id, &v, 4,
				      more.id));
		expect_next(_metadata, ring, 1, 4);
		EXPECT_TRUE(ring_quiet(ring, 2));
		EXPECT_EQ(0, fdinfo_value(self->rx.fd, WAKEUPS));
		EXPECT_EQ(round, fdinfo_value(more.fd, WAKEUPS));
	}
	ASSERT_EQ(4, ipc_send(&self->peer, self->tx.id, &v, 4, self->rx.id));
	expect_next(_metadata, ring, 0, 4);
	EXPECT_EQ(v, value[0]);
}

/* Only those that wait take part, and those in turn. */
TEST_F(ring, multicast_wakes_in_turn)
{
	enum { SUBS = 3, ROUNDS = 4 };
	struct ring *ring = &self->ring, peer;
	unsigned int got[SUBS] = {};
	struct io_uring_cqe cqe;
	struct sub sub[SUBS], tx;
	__u32 value[SUBS], id, i;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_MULTICAST, 4, 4));
	ASSERT_EQ(0, ipc_attach(&peer, &tx, id, IOIPC_SUB_SEND));
	for (i = 0; i < SUBS; i++) {
		ASSERT_EQ(0, ipc_attach(ring, &sub[i], id, IOIPC_SUB_RECV));
		ASSERT_EQ(0, ipc_park(ring, &sub[i], &value[i], i));
	}
	for (i = 0; i < SUBS * ROUNDS; i++) {
		ASSERT_EQ(4, ipc_send_u32(&peer, tx.id, i));
		ASSERT_EQ(0, ring_next(ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		ASSERT_GT(SUBS, (int)cqe.user_data);
		EXPECT_EQ(i, value[cqe.user_data]);
		got[cqe.user_data]++;
		ASSERT_EQ(0, ipc_park(ring, &sub[cqe.user_data],
				      &value[cqe.user_data], cqe.user_data));
	}
	for (i = 0; i < SUBS; i++)
		EXPECT_EQ(ROUNDS, (int)got[i]);
	ring_close(&peer);
}

/* Who does not sleep is not woken, whatever others of the channel do. */
TEST_F(ring, only_who_sleeps_is_woken)
{
	static const struct {
		__u32 flags;
		long long wakeups;	/* for a message */
	} modes[] = {
		{ 0, 1 }, { IOIPC_F_MULTICAST, 1 }, { IOIPC_F_BROADCAST, 2 },
	};
	enum { ASLEEP = 2, MESSAGES = 4 };
	struct ring *ring = &self->ring, peer;
	struct sub asleep[ASLEEP], awake, tx;
	struct io_uring_cqe cqe;
	__u32 value[ASLEEP], id;
	long long wakeups;
	unsigned int m, i, j;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		ASSERT_EQ(0, ipc_create(ring, &id, modes[m].flags, 8, 4));
		ASSERT_EQ(0, ipc_attach(&peer, &tx, id, IOIPC_SUB_SEND));
		ASSERT_EQ(0, ipc_attach(&peer, &awake, id, IOIPC_SUB_RECV));
		for (i = 0; i < ASLEEP; i++) {
			ASSERT_EQ(0, ipc_attach(ring, &asleep[i], id,
						IOIPC_SUB_RECV));
			ASSERT_EQ(0, ipc_park(ring, &asleep[i], &value[i], i));
		}
		for (i = 0; i < MESSAGES; i++) {
			ASSERT_EQ(4, ipc_send_u32(&peer, tx.id, i));
			for (j = 0; j < modes[m].wakeups; j++) {
				ASSERT_EQ(0, ring_next(ring, &cqe));
				ASSERT_EQ(4, cqe.res);
				ASSERT_GT(ASLEEP, (int)cqe.user_data);
				EXPECT_EQ(i, value[cqe.user_data]);
				ASSERT_EQ(0, ipc_park(ring,
						      &asleep[cqe.user_data],
						      &value[cqe.user_data],
						      cqe.user_data));
			}
		}
		EXPECT_EQ(0, fdinfo_value(awake.fd, WAKEUPS));
		for (i = 0, wakeups = 0; i < ASLEEP; i++)
			wakeups += fdinfo_value(asleep[i].fd, WAKEUPS);
		EXPECT_EQ(MESSAGES * modes[m].wakeups, wakeups)
			TH_LOG("mode %u", m);
		for (i = 0; i < ASLEEP; i++) {
			ASSERT_EQ(0, ipc_detach(ring, asleep[i].id));
			ASSERT_EQ(0, ring_next(ring, &cqe));
			EXPECT_EQ(-ENOENT, cqe.res);
		}
		ASSERT_EQ(0, ipc_destroy(ring, id));
	}
	ring_close(&peer);
}

/* Messages sent together wake a sleeper once. */
TEST_F(pair, one_wakeup_for_a_batch)
{
	struct ring *ring = &self->ring;
	__u32 in[5], value = 99, i;
	struct sub tx;
	int res[5];

	ASSERT_EQ(0, ipc_attach(ring, &tx, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_park(ring, &self->rx, &value, 0));
	for (i = 1; i < 5; i++) {
		in[i] = i - 1;
		prep_send(ring, tx.id, &in[i], 4, 0, i);
	}
	ASSERT_EQ(0, ring_enter_timeout(ring, 5, PATIENCE_MS));
	ASSERT_EQ(0, ring_batch(ring, res, 5));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(4, res[i]);
	EXPECT_EQ(0, (int)value);
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, WAKEUPS));
}

/*
 * A link that nothing follows goes to io-wq, whose threads do not wait for
 * messages: the request has to come back from there.
 */
TEST_F(pair, unfinished_link)
{
	struct ring *ring = &self->ring;
	__u32 value = 0;
	int i;

	prep_recv(ring, self->rx.id, &value, 4, 0, 1)->flags = IOSQE_IO_LINK;
	expect_next(_metadata, ring, 1, -EAGAIN);
	for (i = 0; i < 2; i++) {
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT,
			  2)->flags = i ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
		ASSERT_EQ(0, ring_submit(ring));
		EXPECT_TRUE(ring_quiet(ring, 5 * QUIET_MS));
		ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 3 + i));
		expect_next(_metadata, ring, 2, 4);
		EXPECT_EQ(3 + i, (int)value);
	}
	/* And where the message is there already. */
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 3)->flags =
		IOSQE_IO_LINK;
	expect_next(_metadata, ring, 3, 4);
	EXPECT_EQ(5, (int)value);
}

/*
 * One that is always too late: the kernel gives up polling after 128 times. The
 * second receive runs between the first one's wake-up and its retry. Where the
 * first one is in io-wq just then it may be quicker: that ends its run.
 */
TEST_F(pair, loses_more_than_128_times)
{
	enum { RUN = 300, MOST = 20 * RUN };
	struct ring *ring = &self->ring;
	__u32 in, value[2] = { 0, 0 };
	int res[3], i, losses = 0;
	struct io_uring_cqe cqe;
	struct sub tx;

	ASSERT_EQ(0, ipc_attach(ring, &tx, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[0], 0));
	for (i = 0; i < MOST && losses < RUN; i++) {
		in = i;
		prep_send(ring, tx.id, &in, 4, 0, 1);
		prep_recv(ring, self->rx.id, &value[1], 4, 0, 2);
		ASSERT_EQ(0, ring_enter_timeout(ring, 2, PATIENCE_MS));
		res[0] = -EAGAIN;
		while (ring_cqe(ring, &cqe)) {
			ASSERT_GT(3, (int)cqe.user_data);
			res[cqe.user_data] = cqe.res;
		}
		ASSERT_EQ(4, res[1]);
		if (res[2] == 4) {
			ASSERT_EQ(-EAGAIN, res[0])
				TH_LOG("after %d losses", losses);
			ASSERT_EQ(in, value[1]);
			losses++;
			continue;
		}
		ASSERT_EQ(-EAGAIN, res[2]);
		if (res[0] == -EAGAIN)
			expect_next(_metadata, ring, 0, 4);
		else
			ASSERT_EQ(4, res[0]);
		ASSERT_EQ(in, value[0]);
		losses = 0;
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[0], 0));
	}
	ASSERT_EQ(RUN, losses);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 77));
	expect_next(_metadata, ring, 0, 4);
	EXPECT_EQ(77, (int)value[0]);
}

/* A child that sends 0 to 3, when it may, each when its parent sleeps. */
static pid_t send_four_slowly(__u32 channel, struct gate *go)
{
	pid_t pid = child_start();
	struct ring ring;
	__u32 i;

	if (pid)
		return pid;
	if (ring_open(&ring, RING_PLAIN) || gate_wait(go))
		_exit(10);
	for (i = 0; i < 4; i++) {
		if (asleep_wait(getppid()))
			_exit(12);
		if (ipc_send_u32(&ring, channel, i) != 4)
			_exit(11);
	}
	_exit(0);
}

/* A waiter that wants several completions at once still gets each in time. */
TEST_F(pair, four_completions_of_single_waits)
{
	struct ring *ring = &self->ring;
	unsigned long long start;
	__u32 value[4], i;
	struct gate go;
	int res[4];
	pid_t pid;

	ASSERT_EQ(0, gate_init(&go));
	pid = send_four_slowly(self->id, &go);
	ASSERT_LT(0, pid);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ipc_park(ring, &self->rx, &value[i], i));
	start = now_ms();
	gate_open(&go);
	ASSERT_EQ(0, ring_enter_timeout(ring, 4, PATIENCE_MS));
	EXPECT_GT(PATIENCE_MS / 2, now_ms() - start);
	ASSERT_EQ(0, ring_batch(ring, res, 4));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(4, res[i]);
	EXPECT_EQ(0, child_wait(pid));
}

/* As above: one multishot request that is to yield four completions. */
TEST_F(pair, four_completions_of_a_multishot)
{
	struct ring *ring = &self->ring;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	unsigned long long start;
	struct gate go;
	pid_t pid;
	__u32 i;

	ASSERT_EQ(0, gate_init(&go));
	pid = send_four_slowly(self->id, &go);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, buffers_open(ring, &buffers, BUFFER_RING, 1, 8, 64));
	ASSERT_EQ(0, buffers_give(ring, &buffers, 0, 8));
	prep_recv_select(ring, self->rx.id, 1, 0, IOIPC_RECV_MULTISHOT, 1);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, 1));
	start = now_ms();
	gate_open(&go);
	ASSERT_EQ(0, ring_enter_timeout(ring, 4, PATIENCE_MS));
	EXPECT_GT(PATIENCE_MS / 2, now_ms() - start);
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(ring_cqe(ring, &cqe));
		EXPECT_EQ(4, cqe.res);
		ASSERT_NE(NULL, buffers_at(&buffers, &cqe));
		EXPECT_EQ(i, *(__u32 *)buffers_at(&buffers, &cqe));
	}
	EXPECT_EQ(0, child_wait(pid));
	buffers_close(&buffers);
}

/* Each message once, or once for each of them, over two processes. */
TEST_F(pair, two_processes)
{
	enum { TOTAL = 200 };
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	__u32 (*seen)[TOTAL], value = 0, i;
	struct gate ready;
	struct ring ring;
	struct sub sub;
	pid_t pid[2];
	int n, ret;

	seen = shared_alloc(2 * sizeof(*seen));
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	for (n = 0; n < 2; n++) {
		pid[n] = child_start();
		ASSERT_LE(0, pid[n]);
		if (pid[n])
			continue;
		if (ring_open(&ring, variant->setup) ||
		    ipc_attach(&ring, &sub, self->id, IOIPC_SUB_RECV))
			_exit(10);
		gate_open(&ready);
		while ((ret = ipc_recv_flags(&ring, sub.id, &value, 4,
					     IOIPC_RECV_WAIT)) == 4)
			seen[n][value % TOTAL]++;
		_exit(ret == -EPIPE ? 0 : 11);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < TOTAL; i++) {
		while ((ret = ipc_send_u32(&self->peer, self->tx.id, i)) ==
		       -ENOBUFS)
			sched_yield();
		ASSERT_EQ(4, ret);
		/* Now and then let them fall asleep. */
		if (i % 16 == 0)
			sleep_ms(1);
	}
	/* Whoever waits drains the ring before it ends. */
	ASSERT_EQ(0, ipc_destroy(&self->peer, self->id));
	EXPECT_EQ(0, child_wait(pid[0]));
	EXPECT_EQ(0, child_wait(pid[1]));
	for (i = 0; i < TOTAL; i++) {
		ASSERT_EQ(broadcast ? 2U : 1U, seen[0][i] + seen[1][i]);
		if (broadcast)
			ASSERT_EQ(1U, seen[0][i]);
	}
}

/* So many wait and no more: each message costs its sender a look at all. */
TEST_F(pair, too_many)
{
	enum { MOST = 1024 };
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	unsigned int i;
	__u32 value;

	for (i = 0; i < MOST; i++) {
		prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 0);
		if (i % 32 == 31)
			ASSERT_EQ(0, ring_submit(ring));
	}
	EXPECT_EQ(0, fdinfo_wait(self->rx.fd, RECEIVES_WAITING, MOST));
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 1);
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(1U, cqe.user_data);
	EXPECT_EQ(-EAGAIN, cqe.res);
	/* There is room for one when one has gone. */
	ASSERT_EQ(4, ipc_send_u32(&self->peer, self->tx.id, 5));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(0U, cqe.user_data);
	EXPECT_EQ(4, cqe.res);
	prep_recv(ring, self->rx.id, &value, 4, IOIPC_RECV_WAIT, 1);
	EXPECT_TRUE(ring_quiet(ring, QUIET_MS));
	EXPECT_EQ(MOST, fdinfo_value(self->rx.fd, RECEIVES_WAITING));
}

TEST_HARNESS_MAIN
