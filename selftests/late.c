// SPDX-License-Identifier: GPL-2.0
/*
 * Requests and calls whose memory comes late, by userfaultfd: what has been
 * taken away from them meanwhile they do not have any more. Runs as root.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <linux/userfaultfd.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel_fixture.h"

#define PAGE	4096
#define USER	1000
#define SECRET	's'

/* A thread that does something with a page, and what comes of that. */
struct late {
	int (*act)(struct late *late);
	unsigned int setup;
	__u32 channel;
	__u32 rights;
	int fd;			/* of another subscriber, or -1 */
	uid_t uid;
	struct ring ring;
	struct sub sub;
	char *page;
	int uffd;
	bool write;		/* it is only writing that comes late */
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

	return ret ? ret : ipc_send(&late->ring, late->sub.id, late->page, 4, 0);
}

static int act_recv(struct late *late)
{
	int ret = ipc_attach(&late->ring, &late->sub, late->channel,
			     late->rights);

	return ret ? ret : ipc_recv(&late->ring, late->sub.id, late->page, 64);
}

/* By id, or by the descriptor of another one. */
static int act_attach(struct late *late)
{
	struct io_uring_ipc_channel_attach *arg = (void *)late->page;

	return ipc_attach_arg(&late->ring, arg);
}

static int late_protect(struct late *late, __u64 mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)late->page, PAGE },
		.mode = mode,
	};

	return ioctl(late->uffd, UFFDIO_WRITEPROTECT, &wp);
}

/* Start it, and wait until it runs into the page. */
static void late_start(struct __test_metadata *_metadata, struct late *late)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = late->write ? UFFDIO_REGISTER_MODE_WP :
				      UFFDIO_REGISTER_MODE_MISSING,
	};
	struct pollfd pollfd = { .events = POLLIN };
	struct uffd_msg msg;

	if (!late->page)
		late->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, late->page);
	late->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	ASSERT_LE(0, late->uffd);
	ASSERT_EQ(0, ioctl(late->uffd, UFFDIO_API, &api));
	reg.range.start = (unsigned long)late->page;
	reg.range.len = PAGE;
	ASSERT_EQ(0, ioctl(late->uffd, UFFDIO_REGISTER, &reg));
	if (late->write)
		ASSERT_EQ(0, late_protect(late, UFFDIO_WRITEPROTECT_MODE_WP));
	ASSERT_EQ(0, pthread_create(&late->thread, NULL, late_thread, late));
	pollfd.fd = late->uffd;
	ASSERT_EQ(1, poll(&pollfd, 1, 10000));
	ASSERT_EQ((int)sizeof(msg), read(late->uffd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
}

/* Let it have the page, full of 77s, and return its result. */
static int late_end(struct __test_metadata *_metadata, struct late *late)
{
	static char content[PAGE];
	struct uffdio_copy copy = {
		.dst = (unsigned long)late->page,
		.src = (unsigned long)content,
		.len = PAGE,
	};

	memset(content, 77, PAGE);
	EXPECT_EQ(0, late->write ? late_protect(late, 0) :
				   ioctl(late->uffd, UFFDIO_COPY, &copy));
	EXPECT_EQ(0, pthread_join(late->thread, NULL));
	close(late->uffd);
	ring_close(&late->ring);
	return late->res;
}

static bool has_userfaultfd(void)
{
	return !access("/proc/sys/vm/unprivileged_userfaultfd", F_OK);
}

TEST_F(channel, send_of_who_is_detached)
{
	struct late late = {
		.act = act_send,
		.setup = variant->setup,
		.channel = self->id,
		.rights = IOIPC_SUB_SEND,
	};

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late);
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

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late);
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, self->rx.id));
	EXPECT_EQ(-EPIPE, late_end(_metadata, &late));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, self->rx.id));
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

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late.channel = private_channel(_metadata, &self->ring, variant->flags,
				       &both);
	late_start(_metadata, &late);
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

/* Of the slot that it has found something in it sees nothing any more. */
TEST_F(channel, receive_of_who_is_detached)
{
	struct sub both;
	struct late late = {
		.act = act_recv,
		.setup = variant->setup,
		.rights = IOIPC_SUB_RECV,
	};

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	if (variant->flags & IOIPC_F_BROADCAST)
		late.rights |= IOIPC_SUB_REPLAY;
	late.channel = private_channel(_metadata, &self->ring, variant->flags,
				       &both);
	ASSERT_EQ(4, ipc_send_u32(&self->ring, both.id, 50));
	late_start(_metadata, &late);
	ASSERT_EQ(50, ipc_recv_u32(&self->ring, both.id));
	ASSERT_EQ(0, ipc_detach(&self->ring, late.sub.id));
	send_secrets(_metadata, &self->ring, &both);
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(NULL, memchr(late.page, SECRET, PAGE));
}

/* The same for one that is overrun: it stays, but not for this. */
TEST_F(channel, receive_of_who_is_overrun)
{
	struct sub both;
	struct late late = {
		.act = act_recv,
		.setup = variant->setup,
		.rights = IOIPC_SUB_RECV | IOIPC_SUB_REPLAY | IOIPC_SUB_LOSSY,
	};

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	if (!(variant->flags & IOIPC_F_BROADCAST))
		return;
	late.channel = private_channel(_metadata, &self->ring, variant->flags,
				       &both);
	ASSERT_EQ(4, ipc_send_u32(&self->ring, both.id, 50));
	late_start(_metadata, &late);
	ASSERT_EQ(50, ipc_recv_u32(&self->ring, both.id));
	send_secrets(_metadata, &self->ring, &both);
	EXPECT_EQ(-EAGAIN, late_end(_metadata, &late));
	EXPECT_EQ(NULL, memchr(late.page, SECRET, PAGE));
}

TEST_F(channel, receive_when_the_mode_has_changed)
{
	struct sub both;
	struct late late = {
		.act = act_recv,
		.setup = variant->setup,
		.rights = IOIPC_SUB_RECV,
		.uid = USER,
	};

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	if (variant->flags & IOIPC_F_BROADCAST)
		late.rights |= IOIPC_SUB_REPLAY;
	late.channel = private_channel(_metadata, &self->ring, variant->flags,
				       &both);
	ASSERT_EQ(4, ipc_send_u32(&self->ring, both.id, 50));
	late_start(_metadata, &late);
	ASSERT_EQ(0, ioctl(both.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(-EACCES, late_end(_metadata, &late));
	EXPECT_NE(50, late.page[0]);
	EXPECT_EQ(50, ipc_recv_u32(&self->ring, both.id));
}

static struct late late_attach(const struct io_uring_ipc_channel_attach *arg,
			       unsigned int setup, uid_t uid)
{
	struct late late = {
		.act = act_attach,
		.setup = setup,
		.write = true,
		.uid = uid,
	};

	late.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (late.page != MAP_FAILED)
		memcpy(late.page, arg, sizeof(*arg));
	return late;
}

TEST_F(channel, attach_when_the_mode_has_changed)
{
	struct io_uring_ipc_channel_attach arg = { .flags = IOIPC_SUB_BOTH };
	struct late late;
	struct sub both;

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	arg.channel_id = private_channel(_metadata, &self->ring,
					 variant->flags, &both);
	late = late_attach(&arg, variant->setup, USER);
	late_start(_metadata, &late);
	ASSERT_EQ(0, ioctl(both.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(-EACCES, late_end(_metadata, &late));
	EXPECT_EQ(1, fdinfo_value(both.fd, "ipc-subscribers"));
}

TEST_F(channel, attach_through_who_is_detached)
{
	struct io_uring_ipc_channel_attach arg = {
		.flags = IOIPC_SUB_SEND | IOIPC_SUB_FROM_FD,
		.channel_id = self->tx.fd,
	};
	struct late late = late_attach(&arg, variant->setup, 0);

	if (!has_userfaultfd())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	late_start(_metadata, &late);
	ASSERT_EQ(0, ipc_detach(&self->ring, self->tx.id));
	EXPECT_EQ(-ENOENT, late_end(_metadata, &late));
	EXPECT_EQ(1, fdinfo_value(self->rx.fd, "ipc-subscribers"));
}

TEST_HARNESS_MAIN
