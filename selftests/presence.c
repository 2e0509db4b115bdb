// SPDX-License-Identifier: GPL-2.0
/*
 * What a subscriber with IOIPC_SUB_EVENTS is told of the others. Runs as root.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "channel_fixture.h"

#define WATCH		(IOIPC_SUB_RECV | IOIPC_SUB_EVENTS)
#define JOIN		IOIPC_MSG_F_JOIN
#define LEAVE		IOIPC_MSG_F_LEAVE
#define NOTICES		"ipc-notices"
#define SLOWEST		"ipc-notices-slowest"
#define HDR		((int)sizeof(struct io_uring_ipc_msg_hdr))
#define GROUP		3

struct message {
	struct io_uring_ipc_msg_hdr hdr;
	__u32 value;
	__u32 unused;
};

static int next(struct ring *ring, __u32 id, struct message *message)
{
	memset(message, 0xa5, sizeof(*message));
	return ipc_recv_flags(ring, id, message, sizeof(*message),
			      IOIPC_RECV_HDR);
}

/* What there is of a message, in one number: its value, or -errno. */
static long long next_value(struct ring *ring, __u32 id)
{
	struct message message;
	int ret = next(ring, id, &message);

	if (ret < 0)
		return ret;
	if (ret != HDR + 4 || message.hdr.flags || message.hdr.len != 4 ||
	    !message.hdr.msg_id)
		return -EBADMSG;
	return message.value;
}

/* And of a notice: 0 where it is this one. */
static int is_notice(const struct message *message, __u32 flags, __u32 who)
{
	const struct io_uring_ipc_msg_hdr *hdr = &message->hdr;

	if (hdr->flags != flags)
		return -EPROTO;
	if (hdr->sender_id != who)
		return -ESRCH;
	if (hdr->msg_id || hdr->len || hdr->sender_data || hdr->lost)
		return -EBADMSG;
	/* Nothing behind it. */
	return message->value == 0xa5a5a5a5 ? 0 : -EFAULT;
}

static int next_notice(struct ring *ring, __u32 id, __u32 flags, __u32 who)
{
	struct message message;
	int ret = next(ring, id, &message);

	if (ret < 0)
		return ret;
	return ret == HDR ? is_notice(&message, flags, who) : -EMSGSIZE;
}

TEST_F(channel, others_come_and_go)
{
	struct ring *ring = &self->ring;
	struct message message;
	struct sub watch, other;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	/* Neither those who were there nor itself. */
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(HDR, next(ring, watch.id, &message));
	EXPECT_EQ(0, is_notice(&message, JOIN, other.id));
	EXPECT_EQ((__u32)getpid(), message.hdr.pid);
	EXPECT_EQ(0U, message.hdr.uid);
	EXPECT_EQ(0U, message.hdr.gid);
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	ASSERT_EQ(HDR, next(ring, watch.id, &message));
	EXPECT_EQ(0, is_notice(&message, LEAVE, other.id));
	EXPECT_EQ((__u32)getpid(), message.hdr.pid);
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	/* Who was there before leaves as others do. */
	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, self->rx.id));
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, self->tx.id));
	/* Sending by the channel's id is no coming. */
	EXPECT_EQ(4, ipc_send_u32(ring, self->id, 7));
	EXPECT_EQ(7, next_value(ring, watch.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

/* However ATTACH fails, nobody has come. */
TEST_F(channel, who_cannot_attach_has_not_come)
{
	enum { LIMIT = 64 };
	struct io_uring_ipc_channel_attach *arg, wrong = {
		.channel_id = self->id,
		.flags = IOIPC_SUB_RECV | IOIPC_SUB_REPLAY | IOIPC_SUB_LOSSY,
	};
	struct ring *ring = &self->ring;
	struct sub watch, other;
	struct rlimit old, few;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	/* The answer cannot be written. */
	arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	arg->channel_id = self->id;
	arg->flags = IOIPC_SUB_SEND;
	ASSERT_EQ(0, mprotect(arg, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, ipc_attach_arg(ring, arg));
	munmap(arg, 4096);
	/* There is no descriptor, of as many as the ring may have and more. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few = old;
	few.rlim_cur = LIMIT;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (dup(watch.fd) >= 0)
		;
	EXPECT_EQ(-EMFILE, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, close_range(LIMIT / 2, LIMIT - 1, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	/* It does not fit the channel. */
	if (!(variant->flags & IOIPC_F_BROADCAST))
		EXPECT_EQ(-EINVAL, ipc_attach_arg(ring, &wrong));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	EXPECT_EQ(0, fdinfo_value(watch.fd, NOTICES));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

TEST_F(channel, in_order_with_messages)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(4, ipc_send_u32(ring, other.id, 2));
	EXPECT_EQ(4, ipc_send_u32(ring, other.id, 3));
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 4));
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(1, next_value(ring, watch.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(2, next_value(ring, watch.id));
	EXPECT_EQ(3, next_value(ring, watch.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, other.id));
	EXPECT_EQ(4, next_value(ring, watch.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, self->tx.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

/* Messages that are for somebody else are neither in front nor behind. */
TEST_F(channel, behind_messages_to_others)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;
	__u32 value = 1;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	EXPECT_EQ(4, ipc_send(ring, self->tx.id, &value, 4, self->rx.id));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send(ring, self->tx.id, &value, 4, other.id));
	value = 2;
	EXPECT_EQ(4, ipc_send(ring, self->tx.id, &value, 4, watch.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(2, next_value(ring, watch.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

TEST_F(channel, full_ring)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;
	unsigned int i;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	EXPECT_EQ(2, fdinfo_value(watch.fd, NOTICES));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, next_value(ring, watch.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, other.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	EXPECT_EQ(0, fdinfo_value(watch.fd, NOTICES));
}

/* Each is told of everybody but itself, and what has come after it. */
TEST_F(channel, two_who_are_told)
{
	struct ring *ring = &self->ring;
	struct sub first, second, other;

	ASSERT_EQ(0, ipc_attach(ring, &first, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &second, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(2, fdinfo_value(first.fd, NOTICES));
	EXPECT_EQ(1, fdinfo_value(second.fd, NOTICES));
	EXPECT_EQ(first.id, fdinfo_value(self->rx.fd, SLOWEST));
	EXPECT_EQ(0, next_notice(ring, first.id, JOIN, second.id));
	EXPECT_EQ(0, next_notice(ring, first.id, JOIN, other.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, first.id));
	EXPECT_EQ(second.id, fdinfo_value(self->rx.fd, SLOWEST));
	ASSERT_EQ(0, ipc_detach(ring, first.id));
	EXPECT_EQ(0, next_notice(ring, second.id, JOIN, other.id));
	EXPECT_EQ(0, next_notice(ring, second.id, LEAVE, first.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, second.id));
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, SLOWEST));
	/* The last one takes all with it; the next one is told what comes. */
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	ASSERT_EQ(0, ipc_detach(ring, second.id));
	ASSERT_EQ(0, ipc_attach(ring, &first, self->id, WATCH));
	EXPECT_EQ(-EAGAIN, next_value(ring, first.id));
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(0, next_notice(ring, first.id, LEAVE, self->tx.id));
}

/* More than the first places that are made for them. */
TEST_F(channel, many)
{
	struct ring *ring = &self->ring;
	struct sub watch, other[40];
	unsigned int i, turn;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	for (turn = 0; turn < 3; turn++) {
		for (i = 0; i < 40; i++)
			ASSERT_EQ(0, ipc_attach(ring, &other[i], self->id,
						IOIPC_SUB_SEND));
		for (i = 0; i < 7; i++)
			EXPECT_EQ(0, next_notice(ring, watch.id, JOIN,
						 other[i].id));
		for (i = 0; i < 40; i++)
			ASSERT_EQ(0, ipc_detach(ring, other[i].id));
		for (i = 7; i < 40; i++)
			EXPECT_EQ(0, next_notice(ring, watch.id, JOIN,
						 other[i].id));
		for (i = 0; i < 40; i++)
			EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE,
						 other[i].id));
		EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
		for (i = 0; i < 40; i++)
			close(other[i].fd);
	}
}

TEST_F(channel, waiting_receives)
{
	struct message message[2];
	struct ring *ring = &self->ring, peer;
	struct io_uring_cqe cqe;
	struct sub watch, other;
	int i;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	memset(message, 0xa5, sizeof(message));
	for (i = 0; i < 2; i++)
		prep_recv(ring, watch.id, &message[i], sizeof(message[i]),
			  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, i);
	EXPECT_TRUE(ring_quiet(ring, 10));
	/* One of them hears of the coming, the other of the going. */
	ASSERT_EQ(0, ipc_attach(&peer, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(HDR, cqe.res);
	EXPECT_EQ(0, is_notice(&message[cqe.user_data], JOIN, other.id));
	EXPECT_TRUE(ring_quiet(ring, 10));
	ring_close(&peer);
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(HDR, cqe.res);
	EXPECT_EQ(0, is_notice(&message[cqe.user_data], LEAVE, other.id));
}

TEST_F(channel, multishot_receive)
{
	struct ring *ring = &self->ring, peer;
	struct io_uring_cqe cqe;
	struct buffers buffers;
	struct sub watch, other;
	struct message *message;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, buffers_open(ring, &buffers, BUFFER_RING, GROUP, 4,
				  sizeof(*message)));
	memset(buffers.data, 0xa5, 4 * sizeof(*message));
	ASSERT_EQ(0, buffers_give(ring, &buffers, 0, 3));
	prep_recv_select(ring, watch.id, GROUP, 0,
			 IOIPC_RECV_MULTISHOT | IOIPC_RECV_HDR, 1);
	EXPECT_TRUE(ring_quiet(ring, 10));
	ASSERT_EQ(0, ipc_attach(&peer, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	message = buffers_at(&buffers, &cqe);
	ASSERT_NE(NULL, message);
	EXPECT_EQ(HDR, cqe.res);
	EXPECT_EQ(0, is_notice(message, JOIN, other.id));
	EXPECT_NE(0U, cqe.flags & IORING_CQE_F_MORE);
	EXPECT_EQ(4, ipc_send_u32(&peer, other.id, 5));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	message = buffers_at(&buffers, &cqe);
	ASSERT_NE(NULL, message);
	EXPECT_EQ(HDR + 4, cqe.res);
	EXPECT_EQ(5, message->value);
	ASSERT_EQ(0, ipc_detach(&peer, other.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	message = buffers_at(&buffers, &cqe);
	ASSERT_NE(NULL, message);
	EXPECT_EQ(0, is_notice(message, LEAVE, other.id));
	EXPECT_NE(0U, cqe.flags & IORING_CQE_F_MORE);
	/* Without a buffer it ends, and the notice is for the next one. */
	ASSERT_EQ(0, ipc_attach(&peer, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(-ENOBUFS, cqe.res);
	EXPECT_EQ(0U, cqe.flags & IORING_CQE_F_MORE);
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	buffers_close(&buffers);
	ring_close(&peer);
}

TEST_F(channel, polls)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct pollfd pollfd = { .events = POLLIN };
	struct ring *ring = &self->ring;
	struct sub watch, other;
	int epoll = epoll_create1(0);

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	pollfd.fd = watch.fd;
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, watch.fd, &event));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLIN, pollfd.revents);
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, other.id));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	close(epoll);
}

TEST_F(channel, without_header)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;
	char buf[4] = "abc";

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(0, ipc_recv(ring, watch.id, buf, sizeof(buf)));
	EXPECT_STREQ("abc", buf);
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, watch.id, buf, sizeof(buf)));
}

TEST_F(channel, bad_buffer_loses_nothing)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;
	void *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	ASSERT_NE(MAP_FAILED, nowhere);
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(-EFAULT, ipc_recv_flags(ring, watch.id, nowhere, 64,
					  IOIPC_RECV_HDR));
	EXPECT_EQ(-EINVAL, ipc_recv_flags(ring, watch.id, nowhere, HDR - 1,
					  IOIPC_RECV_HDR));
	EXPECT_EQ(1, fdinfo_value(watch.fd, NOTICES));
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
}

/* A page that has to be faulted in first. */
TEST_F(channel, absent_page)
{
	struct ring *ring = &self->ring;
	struct sub watch, other;
	struct message *message = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)message);
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(HDR, ipc_recv_flags(ring, watch.id, message,
				      sizeof(*message), IOIPC_RECV_HDR));
	message->value = 0xa5a5a5a5;
	EXPECT_EQ(0, is_notice(message, JOIN, other.id));
	munmap(message, 4096);
}

TEST_F(channel, is_for_receivers)
{
	struct ring *ring = &self->ring;
	struct sub watch;

	EXPECT_EQ(-EINVAL, ipc_attach(ring, &watch, self->id,
				      IOIPC_SUB_EVENTS));
	EXPECT_EQ(-EINVAL, ipc_attach(ring, &watch, self->id,
				      IOIPC_SUB_SEND | IOIPC_SUB_EVENTS));
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id,
				IOIPC_SUB_SEND | WATCH));
	EXPECT_EQ(1, fdinfo_value(watch.fd, "ipc-events"));
	EXPECT_EQ(0, fdinfo_value(self->rx.fd, "ipc-events"));
	/* Through a descriptor as well. */
	ASSERT_EQ(0, ipc_attach(ring, &watch, watch.fd,
				IOIPC_SUB_FROM_FD | WATCH));
	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, self->rx.id));
}

/* What has happened is told before the end is. */
TEST_F(channel, destroyed_channel)
{
	struct ring *ring = &self->ring;
	struct pollfd pollfd = { .events = POLLIN };
	struct sub watch, other;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	EXPECT_EQ(4, ipc_send_u32(ring, other.id, 1));
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	pollfd.fd = watch.fd;
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLHUP, pollfd.revents);
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(1, next_value(ring, watch.id));
	if (variant->flags != IOIPC_F_BROADCAST)
		EXPECT_EQ(-EPIPE, next_value(ring, self->rx.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, other.id));
	EXPECT_EQ(-EPIPE, next_value(ring, watch.id));
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLHUP, pollfd.revents);
	/* Who is still there may still go. */
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, self->tx.id));
	EXPECT_EQ(-EPIPE, next_value(ring, watch.id));
	/* Notices are nothing to those who have not asked. */
	ASSERT_EQ(0, ipc_detach(ring, watch.id));
	if (variant->flags == IOIPC_F_BROADCAST)
		EXPECT_EQ(1, next_value(ring, self->rx.id));
	EXPECT_EQ(-EPIPE, next_value(ring, self->rx.id));
}

TEST_F(channel, who_is_detached_is_told_nothing)
{
	struct ring *ring = &self->ring, peer;
	struct sub watch, other;

	ASSERT_EQ(0, ring_open(&peer, RING_PLAIN));
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	ASSERT_EQ(0, ipc_attach(&peer, &other, self->id, WATCH));
	/* By the owner, which is told once: of this, not of the ring's end. */
	ASSERT_EQ(0, ipc_detach(ring, other.id));
	EXPECT_EQ(-ENOENT, next_value(&peer, other.id));
	EXPECT_EQ(0, fdinfo_value(other.fd, NOTICES));
	ring_close(&peer);
	EXPECT_EQ(0, next_notice(ring, watch.id, JOIN, other.id));
	EXPECT_EQ(0, next_notice(ring, watch.id, LEAVE, other.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

#define CHILDREN	20
#define USER		1000
#define USERS_GROUP	1500

/* Of each process that is killed, exactly one going is told. */
TEST_F(channel, killed_processes)
{
	__u32 *ids = shared_alloc(CHILDREN * sizeof(*ids));
	pid_t pids[CHILDREN];
	struct ring *ring = &self->ring;
	unsigned int i, j, joins = 0, leaves = 0;
	struct message message;
	struct gate ready;
	struct sub watch;
	__u32 id;

	ASSERT_NE(NULL, ids);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, ipc_create_key(ring, &id, variant->flags, CHANNEL_ENTRIES,
				    CHANNEL_SIZE, 0666, 0));
	ASSERT_EQ(0, ipc_attach(ring, &watch, id, WATCH));
	for (i = 0; i < CHILDREN; i++) {
		pids[i] = child_start();
		if (!pids[i]) {
			struct ring own;
			struct sub sub;

			if (become(USER + i, USERS_GROUP) ||
			    ring_open(&own, i % 2 ? RING_DEFER : RING_PLAIN) ||
			    ipc_attach(&own, &sub, id, IOIPC_SUB_BOTH))
				_exit(10);
			ids[i] = sub.id;
			gate_open(&ready);
			for (;;)
				pause();
		}
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < CHILDREN; i++)
		ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < CHILDREN; i++)
		child_kill(pids[i]);
	for (i = 0; i < 2 * CHILDREN; i++) {
		prep_recv(ring, watch.id, &message, sizeof(message),
			  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, 0);
		ASSERT_EQ(HDR, ring_one(ring));
		for (j = 0; j < CHILDREN; j++)
			if (ids[j] == message.hdr.sender_id)
				break;
		ASSERT_GT(CHILDREN, j);
		EXPECT_EQ((__u32)pids[j], message.hdr.pid);
		EXPECT_EQ(USER + j, message.hdr.uid);
		EXPECT_EQ(USERS_GROUP, message.hdr.gid);
		/* A bit for each: once come, once gone, in that order. */
		if (message.hdr.flags == JOIN) {
			EXPECT_EQ(0U, joins & 1U << j);
			joins |= 1U << j;
		} else {
			ASSERT_EQ(LEAVE, message.hdr.flags);
			EXPECT_NE(0U, joins & 1U << j);
			EXPECT_EQ(0U, leaves & 1U << j);
			leaves |= 1U << j;
		}
	}
	EXPECT_EQ((1U << CHILDREN) - 1, joins);
	EXPECT_EQ((1U << CHILDREN) - 1, leaves);
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
}

/* Come again and again, to be thrown out each time. */
static void __noreturn guest(__u32 channel, unsigned int setup, int rounds)
{
	struct ring ring;
	struct sub sub;

	if (ring_open(&ring, setup))
		_exit(10);
	while (rounds--) {
		if (ipc_attach(&ring, &sub, channel, IOIPC_SUB_SEND))
			_exit(11);
		if (fdinfo_wait(sub.fd, "ipc-detached", 1))
			_exit(12);
		if (ipc_detach(&ring, sub.id))
			_exit(13);
		close(sub.fd);
	}
	_exit(0);
}

/* Whoever is told of somebody can detach it at once. */
TEST_F(channel, can_be_detached_when_told)
{
	enum { GUESTS = 60 };
	struct ring *ring = &self->ring;
	struct message message;
	struct sub watch;
	pid_t pid;
	int i;

	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		guest(self->id, variant->setup, GUESTS);
	for (i = 0; i < GUESTS; i++) {
		prep_recv(ring, watch.id, &message, sizeof(message),
			  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, 0);
		ASSERT_EQ(HDR, ring_one(ring));
		ASSERT_EQ(JOIN, message.hdr.flags);
		ASSERT_EQ(0, ipc_detach(ring, message.hdr.sender_id));
		ASSERT_EQ(0, next_notice(ring, watch.id, LEAVE,
					 message.hdr.sender_id));
	}
	EXPECT_EQ(0, child_wait(pid));
}

#define ROUNDS	50
#define VISITORS 3

/* Come, say who you are, and go. */
static void __noreturn visit(__u32 channel, unsigned int setup)
{
	struct ring ring;
	struct sub sub;
	int i;

	if (ring_open(&ring, setup))
		_exit(10);
	for (i = 0; i < ROUNDS; i++) {
		if (ipc_attach(&ring, &sub, channel, IOIPC_SUB_SEND))
			_exit(11);
		prep_send(&ring, sub.id, &sub.id, 4, 0, 0)->ioprio =
			IOIPC_SEND_WAIT;
		if (ring_one(&ring) != 4)
			_exit(12);
		if (ipc_detach(&ring, sub.id))
			_exit(13);
		close(sub.fd);
	}
	_exit(0);
}

/* Whoever sends has come before and goes after, whatever others do. */
TEST_F(channel, visitors)
{
	struct {
		__u32 id;
		unsigned int seen;
	} visits[ROUNDS * VISITORS] = {};
	unsigned int i, j, setup = variant->setup;
	struct ring *ring = &self->ring;
	pid_t pids[VISITORS];
	struct sub watch;

	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(ring, &watch, self->id, WATCH));
	for (i = 0; i < VISITORS; i++) {
		pids[i] = child_start();
		if (!pids[i])
			visit(self->id, setup);
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < 3 * ROUNDS * VISITORS; i++) {
		struct message message;
		unsigned int step = 1;

		prep_recv(ring, watch.id, &message, sizeof(message),
			  IOIPC_RECV_WAIT | IOIPC_RECV_HDR, 0);
		ASSERT_LE(HDR, ring_one(ring));
		for (j = 0; j < ROUNDS * VISITORS; j++)
			if (visits[j].id == message.hdr.sender_id ||
			    !visits[j].id)
				break;
		ASSERT_GT(ROUNDS * VISITORS, j);
		visits[j].id = message.hdr.sender_id;
		if (message.hdr.flags == 0)
			step = 2;
		else if (message.hdr.flags == LEAVE)
			step = 3;
		ASSERT_EQ(step, ++visits[j].seen);
	}
	EXPECT_EQ(-EAGAIN, next_value(ring, watch.id));
	for (i = 0; i < VISITORS; i++)
		EXPECT_EQ(0, child_wait(pids[i]));
}

/* Once is enough for these. */
FIXTURE(one)
{
	struct ring ring;
	__u32 id;
	struct sub watch;
};

FIXTURE_SETUP(one)
{
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->id, IOIPC_F_BROADCAST,
				CHANNEL_ENTRIES, CHANNEL_SIZE));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->watch, self->id,
				WATCH | IOIPC_SUB_LOSSY));
}

FIXTURE_TEARDOWN(one)
{
	ring_close(&self->ring);
}

/* Messages are lost, notices are not. */
TEST_F(one, lossy_receiver)
{
	struct ring *ring = &self->ring;
	struct message message;
	unsigned int i;
	struct sub tx;

	ASSERT_EQ(0, ipc_attach(ring, &tx, self->id, IOIPC_SUB_SEND));
	for (i = 0; i < CHANNEL_ENTRIES + 3; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, i));
	ASSERT_EQ(0, ipc_detach(ring, tx.id));
	EXPECT_EQ(0, next_notice(ring, self->watch.id, JOIN, tx.id));
	for (i = 3; i < CHANNEL_ENTRIES + 3; i++) {
		ASSERT_EQ(HDR + 4, next(ring, self->watch.id, &message));
		EXPECT_EQ(i, message.value);
		EXPECT_EQ(i == 3 ? 3 : 0, message.hdr.lost);
	}
	EXPECT_EQ(0, next_notice(ring, self->watch.id, LEAVE, tx.id));
	EXPECT_EQ(-EAGAIN, next_value(ring, self->watch.id));
}

/* How often somebody can come and go; a negative errno says why no more. */
static unsigned int come_and_go(struct ring *ring, __u32 channel,
				unsigned int most, int *why)
{
	struct sub other;
	unsigned int i;

	for (i = 0; i < most; i++) {
		*why = ipc_attach(ring, &other, channel, IOIPC_SUB_SEND);
		if (!*why)
			*why = ipc_detach(ring, other.id);
		if (*why)
			break;
		close(other.fd);
	}
	return i;
}

/*
 * There is a limit, which others feel only on this channel; and who is there
 * already is told of to the last.
 */
TEST_F_TIMEOUT(one, who_does_not_read, 600)
{
	struct ring *ring = &self->ring;
	struct sub before, other, reader;
	unsigned int i;
	__u32 id;
	int ret;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, CHANNEL_ENTRIES, CHANNEL_SIZE));
	ASSERT_EQ(0, ipc_attach(ring, &before, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &reader, self->id, WATCH));
	i = come_and_go(ring, self->id, 65536, &ret);
	ASSERT_EQ(-ENOSPC, ret);
	/* Besides: that the reader has come, and room for who is there. */
	EXPECT_EQ((65536U - 2 - 6) / 2 + 1, i);
	EXPECT_EQ(2 * i + 2, fdinfo_value(self->watch.fd, NOTICES));
	EXPECT_EQ(self->watch.id, fdinfo_value(before.fd, SLOWEST));
	ASSERT_EQ(0, ipc_attach(ring, &other, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_detach(ring, before.id));
	EXPECT_EQ(2 * i + 3, fdinfo_value(self->watch.fd, NOTICES));
	/* The other reader has to read as well, or go. */
	ASSERT_EQ(0, ipc_detach(ring, self->watch.id));
	EXPECT_EQ(1U, come_and_go(ring, self->id, 10, &ret));
	EXPECT_EQ(-ENOSPC, ret);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(HDR, next(ring, reader.id, &(struct message){}));
	EXPECT_EQ(0, ipc_attach(ring, &other, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_detach(ring, reader.id));
	EXPECT_EQ(0, ipc_attach(ring, &other, self->id, WATCH));
	EXPECT_EQ(0, fdinfo_value(other.fd, NOTICES));
}

TEST_HARNESS_MAIN
