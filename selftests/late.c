// SPDX-License-Identifier: GPL-2.0
/*
 * Requests and calls whose memory comes late, by userfaultfd: what has been
 * taken away from them meanwhile they do not have any more. Runs as root.
 */
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>

#include "channel_fixture.h"
#include "lib/late_page.h"
#include "ring_fixture.h"

#define USER	1000
#define SECRET	's'

/* A thread that does something with a page, and what comes of that. */
struct late {
	int (*act)(struct late *late);
	unsigned int setup;
	__u32 channel;
	__u32 rights;
	uid_t uid;
	struct ring ring;
	struct sub sub;
	struct late_page page;
	struct gate attached;
	struct gate go;
	pthread_t thread;
	int res;
};

static void *late_thread(void *arg)
{
	struct late *late = arg;

	/* This thread's only. */
	setfsgid(late->uid);
	setfsuid(late->uid);
	late->res = ring_open(&late->ring, late->setup);
	if (!late->res)
		late->res = late->act(late);
	return NULL;
}

static int act_send(struct late *late)
{
	int ret = ipc_attach(&late->ring, &late->sub, late->channel,
			     late->rights);

	return ret ? ret : ipc_send(&late->ring, late->sub.id, late->page.at, 4,
			      0);
}

static int act_recv(struct late *late)
{
	int ret = ipc_attach(&late->ring, &late->sub, late->channel,
			     late->rights);

	return ret ? ret : ipc_recv(&late->ring, late->sub.id, late->page.at, 64);
}

/* A buffer that is there, and the page: how many messages it gets. */
static int act_multishot(struct late *late)
{
	enum { GROUP = 1 };
	struct io_uring_cqe cqe;
	struct buffers buffers;
	int n = 0, ret;

	ret = ipc_attach(&late->ring, &late->sub, late->channel, late->rights);
	if (!ret)
		ret = buffers_open(&late->ring, &buffers, BUFFER_RING, GROUP, 4,
				   CHANNEL_SIZE);
	if (!ret)
		ret = buffers_give(&late->ring, &buffers, 0, 1);
	if (!ret)
		ret = buffers_give_at(&late->ring, &buffers, 1, late->page.at,
				      CHANNEL_SIZE);
	gate_open(&late->attached);
	if (!ret)
		ret = gate_wait(&late->go);
	if (ret)
		return ret;
	prep_recv_select(&late->ring, late->sub.id, GROUP, 0,
			 IOIPC_RECV_MULTISHOT, 1);
	do {
		ret = ring_next(&late->ring, &cqe);
		if (ret)
			return ret;
		n += cqe.res == 4;
	} while (cqe.flags & IORING_CQE_F_MORE);
	buffers_close(&buffers);
	return cqe.res == -ENOBUFS ? n : cqe.res;
}

/* By id, or by the descriptor of another one. */
static int act_attach(struct late *late)
{
	return ipc_attach_arg(&late->ring, (void *)late->page.at);
}

/*
 * Start it, and wait until it runs into the page: into one that is not there, or
 * with @content into one that has that and cannot be written.
 */
static void late_start(struct __test_metadata *_metadata, struct late *late,
		       const void *content, size_t len)
{
	ASSERT_EQ(0, late_page_open(&late->page, content, len));
	ASSERT_EQ(0, pthread_create(&late->thread, NULL, late_thread, late));
	ASSERT_EQ(0, late_page_wait(&late->page));
}

/* Let it have the page, full of 77s if it was not there; its result. */
static int late_end(struct __test_metadata *_metadata, struct late *late)
{
	static char content[LATE_PAGE_SIZE];

	memset(content, 77, sizeof(content));
	EXPECT_EQ(0, late_page_serve(&late->page, content));
	EXPECT_EQ(0, pthread_join(late->thread, NULL));
	late_page_close(&late->page);
	ring_close(&late->ring);
	return late->res;
}

TEST_F(channel, send_of_who_is_detached)
{
	struct late late = {
		.act = act_send,
		.setup = variant->setup,
		.channel = self->id,
		.rights = IOIPC_SUB_SEND,
	};

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late, NULL, 0);
	ASSERT_EQ(0, ipc_detach(&self->ring, late.sub.id));
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, send_to_what_is_destroyed)
{
	struct late late = {
		.act = act_send,
		.setup = variant->setup,
		.channel = self->id,
		.rights = IOIPC_SUB_SEND,
	};

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late, NULL, 0);
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, self->rx.id));
	EXPECT_EQ(-EPIPE, late_end(_metadata, &late));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, self->rx.id));
}

/*
 * What a multishot receive has taken before it came to a buffer that is not there
 * is room for others, and they are told.
 */
TEST_F(channel, multishot_that_stalls_keeps_no_room)
{
	struct late late = {
		.act = act_multishot,
		.setup = variant->setup,
		.channel = self->id,
		.rights = IOIPC_SUB_RECV,
	};
	struct io_uring_cqe cqe;
	__u32 i;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	ASSERT_EQ(0, gate_init(&late.attached));
	ASSERT_EQ(0, gate_init(&late.go));
	ASSERT_EQ(0, late_page_open(&late.page, NULL, 0));
	ASSERT_EQ(0, pthread_create(&late.thread, NULL, late_thread, &late));
	ASSERT_EQ(0, gate_wait(&late.attached));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	prep_send(&self->ring, self->tx.id, &i, 4, 0, 1)->ioprio =
		IOIPC_SEND_WAIT;
	ASSERT_TRUE(ring_parks(&self->ring, self->tx.fd, SENDS_WAITING));
	gate_open(&late.go);
	ASSERT_EQ(0, late_page_wait(&late.page));
	EXPECT_EQ(0, ring_next(&self->ring, &cqe));
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(2, late_end(_metadata, &late));
}

/* A channel that asks for permission for each message. */
static __u32 private_channel(struct __test_metadata *_metadata,
			     struct ring *ring, __u32 flags, struct sub *both)
{
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(ring, &id, flags | IOIPC_F_PRIVATE,
				    CHANNEL_ENTRIES, CHANNEL_SIZE, 0666, 0));
	ASSERT_EQ(0, ipc_attach(ring, both, id, IOIPC_SUB_BOTH));
	return id;
}

TEST_F(channel, send_when_the_mode_has_changed)
{
	struct sub both;
	struct late late = {
		.act = act_send,
		.setup = variant->setup,
		.rights = IOIPC_SUB_SEND,
		.uid = USER,
	};

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late.channel = private_channel(_metadata, &self->ring, variant->flags,
				       &both);
	late_start(_metadata, &late, NULL, 0);
	ASSERT_EQ(0, ioctl(both.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(-EACCES, late_end(_metadata, &late));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, both.id));
}

/* Fill the channel with what is for somebody else, as often as it takes. */
static void send_secrets(struct __test_metadata *_metadata, struct ring *ring,
			 struct sub *both)
{
	char secret[64], buf[64];
	int i;

	memset(secret, SECRET, sizeof(secret));
	for (i = 0; i < 3 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(64, ipc_send(ring, both->id, secret, 64, both->id));
		while (ipc_recv(ring, both->id, buf, 64) >= 0)
			;
	}
}

/* A private channel with a message 50, which somebody is about to receive. */
static void late_receive(struct __test_metadata *_metadata, struct ring *ring,
			 struct late *late, __u32 flags, struct sub *both)
{
	late->act = act_recv;
	late->channel = private_channel(_metadata, ring, flags, both);
	late->rights |= IOIPC_SUB_RECV;
	if (flags & IOIPC_F_BROADCAST)
		late->rights |= IOIPC_SUB_REPLAY;
	ASSERT_EQ(4, ipc_send_u32(ring, both->id, 50));
	late_start(_metadata, late, NULL, 0);
}

/* Of the slot that it has found something in it sees nothing any more. */
TEST_F(channel, receive_of_who_is_detached)
{
	struct late late = { .setup = variant->setup };
	struct sub both;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_receive(_metadata, &self->ring, &late, variant->flags, &both);
	ASSERT_EQ(50, ipc_recv_u32(&self->ring, both.id));
	ASSERT_EQ(0, ipc_detach(&self->ring, late.sub.id));
	send_secrets(_metadata, &self->ring, &both);
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(NULL, memchr(late.page.at, SECRET, LATE_PAGE_SIZE));
}

/* The same for one that is overrun: it stays, but not for this. */
TEST_F(ring, receive_of_who_is_overrun)
{
	struct late late = {
		.setup = variant->setup,
		.rights = IOIPC_SUB_LOSSY,
	};
	struct sub both;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_receive(_metadata, &self->ring, &late, IOIPC_F_BROADCAST, &both);
	ASSERT_EQ(50, ipc_recv_u32(&self->ring, both.id));
	send_secrets(_metadata, &self->ring, &both);
	EXPECT_EQ(-EAGAIN, late_end(_metadata, &late));
	EXPECT_EQ(NULL, memchr(late.page.at, SECRET, LATE_PAGE_SIZE));
}

TEST_F(channel, receive_when_the_mode_has_changed)
{
	struct late late = { .setup = variant->setup, .uid = USER };
	struct sub both;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_receive(_metadata, &self->ring, &late, variant->flags, &both);
	ASSERT_EQ(0, ioctl(both.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(-EACCES, late_end(_metadata, &late));
	EXPECT_NE(50, late.page.at[0]);
	EXPECT_EQ(50, ipc_recv_u32(&self->ring, both.id));
}

TEST_F(channel, attach_when_the_mode_has_changed)
{
	struct io_uring_ipc_channel_attach arg = { .flags = IOIPC_SUB_BOTH };
	struct late late = {
		.act = act_attach,
		.setup = variant->setup,
		.uid = USER,
	};
	struct sub both;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	arg.channel_id = private_channel(_metadata, &self->ring,
					 variant->flags, &both);
	late_start(_metadata, &late, &arg, sizeof(arg));
	ASSERT_EQ(0, ioctl(both.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(-EACCES, late_end(_metadata, &late));
	EXPECT_EQ(1, fdinfo_value(both.fd, "ipc-subscribers"));
}

/* Also not to what is left there for others. */
TEST_F(channel, attach_to_what_is_destroyed)
{
	struct io_uring_ipc_channel_attach arg = {
		.flags = IOIPC_SUB_RECV,
		.channel_id = self->id,
	};
	struct late late = { .act = act_attach, .setup = variant->setup };

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late, &arg, sizeof(arg));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 50));
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(2, fdinfo_value(self->rx.fd, "ipc-subscribers"));
	EXPECT_EQ(50, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, attach_through_who_is_detached)
{
	struct io_uring_ipc_channel_attach arg = {
		.flags = IOIPC_SUB_SEND | IOIPC_SUB_FROM_FD,
		.channel_id = self->tx.fd,
	};
	struct late late = { .act = act_attach, .setup = variant->setup };

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late, &arg, sizeof(arg));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->tx.id));
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, "ipc-subscribers"));
}

TEST_HARNESS_MAIN
