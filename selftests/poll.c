// SPDX-License-Identifier: GPL-2.0
/* channel_fd under poll(2), epoll(7) and IORING_OP_POLL_ADD. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include "channel_fixture.h"

/*
 * Sleeps until it is woken, for ever if need be: when its time is up poll(2)
 * looks once more, and finds what nobody has woken it for.
 */
static short poll_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, -1) < 0 ? -errno : pfd.revents;
}

TEST_F(channel, pollin)
{
	struct ring *ring = &self->ring;

	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	/* Looking changes nothing. */
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 2));
	ASSERT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
	ASSERT_EQ(2, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
	/* One that only sends never has a message. */
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 3));
	EXPECT_EQ(0, poll_now(self->tx.fd) & POLLIN);
	/* A message of no bytes is one. */
	ASSERT_EQ(3, ipc_recv_u32(ring, self->rx.id));
	ASSERT_EQ(0, ipc_send(ring, self->tx.id, NULL, 0, 0));
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
}

/* Refused sends are no messages. */
TEST_F(channel, no_pollin_for_failed_sends)
{
	struct ring *ring = &self->ring;

	EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id, (void *)8, 4, 0));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
	EXPECT_EQ(-EMSGSIZE, ipc_send(ring, self->tx.id, self,
				      CHANNEL_SIZE + 1, 0));
	EXPECT_EQ(-ENOENT, ipc_send(ring, self->tx.id, "", 1, UINT32_MAX));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
}

TEST_F(channel, pollout)
{
	struct ring *ring = &self->ring;
	int i;

	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		EXPECT_EQ(POLLOUT, poll_now(self->tx.fd));
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	}
	EXPECT_EQ(0, poll_now(self->tx.fd));
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(0, poll_now(self->tx.fd));
	/* One read is room for one. */
	ASSERT_EQ(0, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(POLLOUT, poll_now(self->tx.fd));
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(0, poll_now(self->tx.fd));
}

TEST_F(channel, pollhup_after_destroy)
{
	struct ring *ring = &self->ring;

	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLHUP);
	EXPECT_EQ(0, poll_now(self->tx.fd) & POLLHUP);
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	EXPECT_EQ(POLLHUP, poll_now(self->tx.fd) & POLLHUP);
	EXPECT_EQ(POLLHUP | POLLIN,
		  poll_now(self->rx.fd) & (POLLHUP | POLLIN));
	ASSERT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(POLLHUP, poll_now(self->rx.fd) & POLLHUP);
}

TEST_F(channel, pollhup_after_detach)
{
	struct ring *ring = &self->ring;

	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	EXPECT_EQ(POLLHUP, poll_now(self->rx.fd) & POLLHUP);
	EXPECT_EQ(0, poll_now(self->tx.fd) & POLLHUP);
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(POLLHUP, poll_now(self->tx.fd) & POLLHUP);
}

TEST_F(channel, pollhup_after_ring_close)
{
	struct sub sub;
	struct ring other;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_attach(&other, &sub, self->id, IOIPC_SUB_BOTH));
	EXPECT_EQ(POLLOUT, poll_now(sub.fd));
	ring_close(&other);
	EXPECT_EQ(POLLHUP, poll_now(sub.fd) & POLLHUP);
	ring_close(&self->ring);
	EXPECT_EQ(POLLHUP, poll_now(self->tx.fd) & POLLHUP);
}

/* Both receivers of a broadcast, either receiver of the others. */
TEST_F(channel, pollin_of_two_receivers)
{
	struct ring *ring = &self->ring;
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	struct sub more;

	ASSERT_EQ(0, ipc_attach(ring, &more, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
	EXPECT_EQ(POLLIN, poll_now(more.fd) & POLLIN);
	ASSERT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
	EXPECT_EQ(broadcast ? POLLIN : 0, poll_now(more.fd) & POLLIN);
	/* What is for one is not readable for the other. */
	if (broadcast)
		ASSERT_EQ(1, ipc_recv_u32(ring, more.id));
	ASSERT_EQ(1, ipc_send(ring, self->tx.id, "", 1, more.id));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
	EXPECT_EQ(POLLIN, poll_now(more.fd) & POLLIN);
	/* Behind it comes one for all. */
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 2));
	EXPECT_EQ(POLLIN, poll_now(self->rx.fd) & POLLIN);
	ASSERT_EQ(2, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(0, poll_now(self->rx.fd) & POLLIN);
}

/*
 * Sleepers. What wakes them happens in a child, which sees them asleep before.
 */
enum deed { SEND, SEND_BARE, DESTROY };

static pid_t later(struct channel_data *self, unsigned int setup,
		   enum deed deed, struct gate *ready)
{
	struct ring ring;
	pid_t pid = child_start();
	struct sub sub = {};
	int ret = 0;

	if (pid)
		return pid;
	if (ring_open(&ring, setup))
		_exit(10);
	if (deed == SEND &&
	    ipc_attach(&ring, &sub, self->id, IOIPC_SUB_SEND))
		_exit(11);
	gate_open(ready);
	if (asleep_wait(getppid()))
		_exit(12);
	switch (deed) {
	case SEND:
		ret = ipc_send_u32(&ring, sub.id, 42) != 4;
		break;
	case SEND_BARE:
		ret = ipc_send_u32(&ring, self->id, 42) != 4;
		break;
	case DESTROY:
		ret = ipc_destroy(&ring, self->id);
		break;
	}
	_exit(ret ? 13 : 0);
}

static void sleep_in_poll(struct __test_metadata *_metadata,
			  struct channel_data *self, unsigned int setup,
			  enum deed deed, int fd, short events, short want)
{
	long long wakeups = fdinfo_value(self->rx.fd, WAKEUPS);
	struct gate ready;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&ready));
	pid = later(self, setup, deed, &ready);
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(want, poll_for(fd, events) & want);
	EXPECT_EQ(0, child_wait(pid));
	if (deed != DESTROY)
		EXPECT_EQ(wakeups + 1, fdinfo_value(self->rx.fd, WAKEUPS));
}

TEST_F(channel, wakes_on_a_message)
{
	sleep_in_poll(_metadata, self, variant->setup, SEND, self->rx.fd,
		      POLLIN, POLLIN);
	EXPECT_EQ(42, ipc_recv_u32(&self->ring, self->rx.id));
	/* Again: once asleep is no exception. */
	sleep_in_poll(_metadata, self, variant->setup, SEND, self->rx.fd,
		      POLLIN, POLLIN);
	EXPECT_EQ(42, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, wakes_on_a_bare_senders_message)
{
	sleep_in_poll(_metadata, self, variant->setup, SEND_BARE,
		      self->rx.fd, POLLIN, POLLIN);
	EXPECT_EQ(42, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, wakes_on_destroy)
{
	sleep_in_poll(_metadata, self, variant->setup, DESTROY, self->rx.fd,
		      POLLIN, POLLHUP);
}

TEST_F(channel, sender_wakes_on_destroy)
{
	__u32 i;

	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	sleep_in_poll(_metadata, self, variant->setup, DESTROY, self->tx.fd,
		      POLLOUT, POLLHUP);
}

/* Room is made by another process, on a ring of four. */
TEST_F(channel, wakes_on_room)
{
	struct ring *ring = &self->ring;
	long long wakeups = 0;
	struct gate ready, go;
	struct sub tx;
	pid_t pid;
	int i;

	/* A channel whose only receiver is the child. */
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	ASSERT_EQ(0, ipc_create(ring, &self->id, variant->flags, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, self->id, IOIPC_SUB_SEND));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring other;
		struct sub rx;

		if (ring_open(&other, variant->setup) ||
		    ipc_attach(&other, &rx, self->id, IOIPC_SUB_RECV))
			_exit(10);
		gate_open(&ready);
		for (i = 0; i < 3; i++) {
			if (gate_wait(&go) || asleep_wait(getppid()))
				_exit(14);
			if (ipc_recv_u32(&other, rx.id) != i)
				_exit(11);
		}
		if (gate_wait(&go) || asleep_wait(getppid()))
			_exit(14);
		/* Leaving makes room as well, in broadcast. */
		if (variant->flags & IOIPC_F_BROADCAST)
			_exit(ipc_detach(&other, rx.id) ? 12 : 0);
		_exit(ipc_recv_u32(&other, rx.id) == 3 ? 0 : 13);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	for (; i < 8; i++) {
		EXPECT_EQ(0, poll_now(tx.fd));
		gate_open(&go);
		EXPECT_EQ(POLLOUT, poll_for(tx.fd, POLLOUT));
		EXPECT_EQ(++wakeups, fdinfo_value(tx.fd, ROOM_WAKEUPS));
		EXPECT_EQ(4, ipc_send_u32(ring, tx.id, i));
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* A message for somebody else is no reason to wake. */
TEST_F(channel, sleeps_through_others_messages)
{
	struct ring *ring = &self->ring;
	struct gate ready;
	struct sub aim;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, ipc_attach(ring, &aim, self->id, IOIPC_SUB_RECV));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		gate_open(&ready);
		_exit(poll_for(self->rx.fd, POLLIN) == POLLIN ? 0 : 10);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, asleep_wait(pid));
	ASSERT_EQ(1, ipc_send(ring, self->tx.id, "", 1, aim.id));
	ASSERT_EQ(1, ipc_send(ring, self->tx.id, "", 1, aim.id));
	EXPECT_EQ(POLLIN, poll_now(aim.fd));
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, WAKEUPS));
	EXPECT_FALSE(child_ended(pid));
	ASSERT_EQ(1, ipc_send(ring, self->tx.id, "", 1, self->rx.id));
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, WAKEUPS));
	EXPECT_EQ(0, child_wait(pid));
}

/* Several sleepers on one subscriber, in several processes. */
TEST_F(channel, wakes_every_poller_of_a_subscriber)
{
	struct gate ready;
	pid_t pid[3];
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	for (i = 0; i < 3; i++) {
		pid[i] = child_start();
		if (!pid[i]) {
			gate_open(&ready);
			_exit(poll_for(self->rx.fd, POLLIN) == POLLIN ?
			      0 : 10);
		}
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, asleep_wait(pid[i]));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, child_wait(pid[i]));
}

static int epoll_one(int ep, unsigned int *events, int timeout)
{
	struct epoll_event event = {};
	int ret = epoll_wait(ep, &event, 1, timeout);

	*events = event.events;
	return ret;
}

TEST_F(channel, epoll_level_and_edge)
{
	struct ring *ring = &self->ring;
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int events;
	int level, edge;
	__u32 i;

	level = epoll_create1(0);
	edge = epoll_create1(0);
	ASSERT_LE(0, level);
	ASSERT_LE(0, edge);
	ASSERT_EQ(0, epoll_ctl(level, EPOLL_CTL_ADD, self->rx.fd, &ev));
	ev.events = EPOLLIN | EPOLLET;
	ASSERT_EQ(0, epoll_ctl(edge, EPOLL_CTL_ADD, self->rx.fd, &ev));
	EXPECT_EQ(0, epoll_one(level, &events, 0));
	EXPECT_EQ(0, epoll_one(edge, &events, 0));
	for (i = 0; i < 3 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(1, epoll_one(level, &events, PATIENCE_MS));
		EXPECT_EQ(EPOLLIN, (int)events);
		EXPECT_EQ(1, epoll_one(level, &events, 0));
		/* Once for each burst that was drained before. */
		EXPECT_EQ(1, epoll_one(edge, &events, PATIENCE_MS));
		EXPECT_EQ(EPOLLIN, (int)events);
		EXPECT_EQ(0, epoll_one(edge, &events, 0));
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		EXPECT_EQ(0, epoll_one(level, &events, 0));
		EXPECT_EQ(0, epoll_one(edge, &events, 0));
	}
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	EXPECT_EQ(1, epoll_one(level, &events, PATIENCE_MS));
	EXPECT_EQ(EPOLLHUP, (int)(events & EPOLLHUP));
	EXPECT_EQ(1, epoll_one(edge, &events, PATIENCE_MS));
	EXPECT_EQ(EPOLLHUP, (int)(events & EPOLLHUP));
	close(level);
	close(edge);
}

/* Who polled and went, or may not receive, takes no wake-up from others. */
TEST_F(channel, stale_pollers_steal_nothing)
{
	struct ring *ring = &self->ring;
	struct pollfd in = { .events = POLLIN };
	struct gate ready;
	struct sub first;
	pid_t pid;

	ASSERT_EQ(0, ipc_attach(ring, &first, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, gate_init(&ready));
	in.fd = self->tx.fd;
	EXPECT_EQ(0, poll(&in, 1, 0));
	in.fd = self->rx.fd;
	EXPECT_EQ(0, poll(&in, 1, 0));
	pid = later(self, variant->setup, SEND, &ready);
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(POLLIN, poll_for(first.fd, POLLIN));
	EXPECT_EQ(0, child_wait(pid));
}

/* A sender hears of no messages, and a receiver of no room. */
TEST_F(channel, poll_for_what_one_may_not)
{
	struct ring *ring = &self->ring;
	struct pollfd fds[] = {
		{ .fd = self->tx.fd, .events = POLLIN },
		{ .fd = self->rx.fd, .events = POLLOUT },
	};
	struct ring other;
	__u32 i;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	for (i = 0; i < 2; i++)
		prep_poll(&other, fds[i].fd, fds[i].events, 0);
	ASSERT_EQ(0, ring_submit(&other));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(0, poll(fds, 2, 10));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(0, poll(fds, 2, 10));
	EXPECT_TRUE(ring_quiet(&other, 10));
	ring_close(&other);
}

/*
 * Who polls for edges calls poll() no more: an operation that found nothing is
 * all the kernel learns before the program sleeps.
 */
TEST_F(channel, epoll_edge_alone)
{
	struct ring *ring = &self->ring;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	unsigned int events, i;
	int in, out;

	in = epoll_create1(0);
	out = epoll_create1(0);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, epoll_ctl(in, EPOLL_CTL_ADD, self->rx.fd, &ev));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(1, epoll_one(in, &events, PATIENCE_MS));
		EXPECT_EQ(EPOLLIN, (int)events);
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}

	ev.events = EPOLLOUT | EPOLLET;
	ASSERT_EQ(0, epoll_ctl(out, EPOLL_CTL_ADD, self->tx.fd, &ev));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, epoll_one(out, &events, PATIENCE_MS));
		EXPECT_EQ(EPOLLOUT, (int)events);
		while (ipc_send_u32(ring, self->tx.id, 0) == 4)
			;
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, 0));
		ASSERT_EQ(0, ipc_recv_u32(ring, self->rx.id));
	}
	close(in);
	close(out);
}

TEST_F(channel, epoll_wakes_on_a_message)
{
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int events;
	struct gate ready;
	pid_t pid;
	int ep, i;

	ep = epoll_create1(0);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->rx.fd, &ev));
	ASSERT_EQ(0, gate_init(&ready));
	for (i = 0; i < 2; i++) {
		pid = later(self, variant->setup, SEND, &ready);
		ASSERT_EQ(0, gate_wait(&ready));
		EXPECT_EQ(1, epoll_one(ep, &events, PATIENCE_MS));
		EXPECT_EQ(EPOLLIN, (int)events);
		EXPECT_EQ(42, ipc_recv_u32(&self->ring, self->rx.id));
		EXPECT_EQ(0, child_wait(pid));
	}
	pid = later(self, variant->setup, DESTROY, &ready);
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(1, epoll_one(ep, &events, PATIENCE_MS));
	EXPECT_EQ(EPOLLHUP, (int)(events & EPOLLHUP));
	EXPECT_EQ(0, child_wait(pid));
}

/* io_uring's own poll, on the same ring the messages go through. */
TEST_F(channel, poll_add)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 v = 5;
	int i;

	for (i = 0; i < 3; i++) {
		prep_poll(ring, self->rx.fd, POLLIN, 1);
		ASSERT_EQ(0, ring_submit(ring));
		EXPECT_FALSE(ring_cqe(ring, &cqe));
		prep_send(ring, self->tx.id, &v, 4, 0, 2);
		ASSERT_EQ(0, ring_enter(ring, 2));
		ASSERT_TRUE(ring_cqe(ring, &cqe));
		if (cqe.user_data == 2) {
			EXPECT_EQ(4, cqe.res);
			ASSERT_TRUE(ring_cqe(ring, &cqe));
		} else {
			struct io_uring_cqe sent;

			ASSERT_TRUE(ring_cqe(ring, &sent));
			EXPECT_EQ(4, sent.res);
		}
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(5, ipc_recv_u32(ring, self->rx.id));
	}
}

static void expect_poll(struct __test_metadata *_metadata, struct ring *ring,
			int fd, __u32 events, int want)
{
	struct io_uring_cqe cqe;

	prep_poll(ring, fd, events, 3);
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(want, cqe.res);
	EXPECT_EQ(3, (int)cqe.user_data);
}

/* It ends at once, again and again, until it is so no more. */
TEST_F(channel, poll_add_of_what_is_there)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct ring other;
	unsigned int i;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		expect_poll(_metadata, &other, self->tx.fd, POLLOUT, POLLOUT);
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	}
	prep_poll(&other, self->tx.fd, POLLOUT, 4);
	EXPECT_TRUE(ring_quiet(&other, QUIET_MS));
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		expect_poll(_metadata, &other, self->rx.fd, POLLIN, POLLIN);
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
		if (i)
			continue;
		/* The one that has waited. */
		ASSERT_EQ(0, ring_next(&other, &cqe));
		EXPECT_EQ(POLLOUT, cqe.res);
		EXPECT_EQ(4, (int)cqe.user_data);
	}
	prep_poll(&other, self->rx.fd, POLLIN, 4);
	EXPECT_TRUE(ring_quiet(&other, QUIET_MS));
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(0, ring_next(&other, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(4, (int)cqe.user_data);
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	for (i = 0; i < 2; i++)
		expect_poll(_metadata, &other, self->rx.fd, POLLIN,
			    POLLIN | POLLHUP);
	ASSERT_EQ(CHANNEL_ENTRIES, ipc_recv_u32(ring, self->rx.id));
	for (i = 0; i < 2; i++)
		expect_poll(_metadata, &other, self->rx.fd, POLLIN,
			    poll_now(self->rx.fd));
	EXPECT_EQ(POLLHUP, poll_now(self->rx.fd) & POLLHUP);
	ring_close(&other);
}

/* It stays, and tells of each burst that comes after a drain. */
TEST_F(channel, poll_add_multishot)
{
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	struct ring other;
	int i, j;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	prep_poll(&other, self->rx.fd, POLLIN, 0)->len = IORING_POLL_ADD_MULTI;
	for (i = 0; i < 5; i++) {
		EXPECT_TRUE(ring_quiet(&other, 5));
		for (j = 0; j < 3; j++)
			ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, j));
		ASSERT_EQ(0, ring_next(&other, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		for (j = 0; j < 3; j++)
			ASSERT_EQ(j, ipc_recv_u32(ring, self->rx.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	ASSERT_EQ(0, ring_next(&other, &cqe));
	EXPECT_EQ(POLLHUP, cqe.res & POLLHUP);
	ring_close(&other);
}

/* A poll that waits when its ring closes, and one that waits for HUP. */
TEST_F(channel, poll_add_ends)
{
	struct ring other;
	struct io_uring_cqe cqe;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		prep_poll(&other, self->rx.fd, POLLIN, 0);
		ASSERT_EQ(0, ring_submit(&other));
		if (i) {
			ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
			ASSERT_EQ(0, ring_enter(&other, 1));
			ASSERT_TRUE(ring_cqe(&other, &cqe));
			EXPECT_EQ(POLLHUP, cqe.res & POLLHUP)
				TH_LOG("result %d", cqe.res);
		}
		ring_close(&other);
	}
}

/* Lines of numbers, and what they are to be. */
struct line {
	const char *name;
	long long value;
};

static void expect_lines(struct __test_metadata *_metadata, int fd,
			 const struct line *lines, unsigned int count)
{
	for (; count; count--, lines++)
		EXPECT_EQ(lines->value, fdinfo_value(fd, lines->name))
			TH_LOG("%s", lines->name);
}

TEST_F(channel, fdinfo)
{
	const struct line channel[] = {
		{ "ipc-channel", self->id },
		{ "ipc-uid", getuid() },
		{ "ipc-gid", getgid() },
		{ "ipc-permissions", 600 },
		{ "ipc-private", 0 },
		{ "ipc-destroyed", 0 },
		{ "ipc-entries", CHANNEL_ENTRIES },
		{ "ipc-max-msg-size", CHANNEL_SIZE },
		{ "ipc-tail", 3 },
		{ "ipc-subscribers", 2 },
		{ "ipc-receivers-asleep", 0 },
		{ "ipc-senders-asleep", 0 },
		{ "ipc-notices-slowest", 0 },
		{ "ipc-lossy", 0 },
		{ "ipc-lost", 0 },
		{ "ipc-events", 0 },
		{ "ipc-notices", 0 },
		{ "ipc-detached", 0 },
		{ RECEIVES_WAITING, 0 },
		{ SENDS_WAITING, 0 },
		{ WAKEUPS, 0 },
		{ ROOM_WAKEUPS, 0 },
	};
	const struct line sender[] = {
		{ "ipc-subscriber", self->tx.id },
		{ "ipc-send", 1 },
		{ "ipc-recv", 0 },
	};
	const struct line receiver[] = {
		{ "ipc-subscriber", self->rx.id },
		{ "ipc-send", 0 },
		{ "ipc-recv", 1 },
		{ "ipc-cursor", 1 },
	};
	const struct line ended[] = {
		{ "ipc-subscriber", self->rx.id },
		{ "ipc-destroyed", 1 },
		{ "ipc-detached", 1 },
		{ "ipc-subscribers", 1 },
		{ "ipc-tail", CHANNEL_ENTRIES + 1 },
	};
	const char *mode = variant->flags & IOIPC_F_BROADCAST ? "broadcast" :
			   variant->flags & IOIPC_F_MULTICAST ? "multicast" :
								"unicast";
	char path[64], text[2048], line[64];
	__u32 i;
	int fd, len;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	ASSERT_EQ(0, ipc_recv_u32(&self->ring, self->rx.id));
	expect_lines(_metadata, self->tx.fd, channel, ARRAY_SIZE(channel));
	expect_lines(_metadata, self->tx.fd, sender, ARRAY_SIZE(sender));
	expect_lines(_metadata, self->rx.fd, channel, ARRAY_SIZE(channel));
	expect_lines(_metadata, self->rx.fd, receiver, ARRAY_SIZE(receiver));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->rx.fd);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	ASSERT_LT(0, len);
	text[len] = 0;
	snprintf(line, sizeof(line), "\nipc-mode:\t%s\n", mode);
	EXPECT_NE(NULL, strstr(text, line))
		TH_LOG("%s", text);

	/* As debugging.md says, of a channel that is full. */
	for (i = 3; i <= CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&self->ring, self->tx.id, i));
	EXPECT_EQ(CHANNEL_ENTRIES, fdinfo_value(self->tx.fd, "ipc-tail") -
				   fdinfo_value(self->tx.fd, "ipc-head"));
	EXPECT_EQ(variant->flags & IOIPC_F_BROADCAST ? self->rx.id : 0,
		  fdinfo_value(self->tx.fd, "ipc-slowest"));

	/* It can be read when all is over, too. */
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	expect_lines(_metadata, self->rx.fd, ended, ARRAY_SIZE(ended));
}

TEST_HARNESS_MAIN
