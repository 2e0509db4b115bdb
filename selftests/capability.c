// SPDX-License-Identifier: GPL-2.0
/*
 * What each capability is good for by itself, to a user who may do nothing
 * else, and what none is good for. Runs as root. The limit of channels is in
 * limits.c.
 */
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "ring_fixture.h"

#define OWNER		1000
#define STRANGER	2000
#define NONE		-1

/* What can be done to a channel of another's that is for its owner alone. */
enum {
	RECEIVE		= 1 << 0,	/* attach as a receiver */
	SEND		= 1 << 1,	/* attach as a sender */
	BARE_SEND	= 1 << 2,	/* send by its id */
	SET_MODE	= 1 << 3,
	EXPEL		= 1 << 4,	/* detach a subscriber of others' */
	DESTROY		= 1 << 5,
	LOCK		= 1 << 6,	/* have more memory than one's limit */
};

/* A child that tried says this, where something else went wrong. */
#define BROKEN		200

static const struct {
	const char *name;
	int capability;
	int may;
} cases[] = {
	{ "none", NONE, 0 },
	{ "CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE, RECEIVE | SEND | BARE_SEND },
	{ "CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH, RECEIVE },
	{ "CAP_FOWNER", CAP_FOWNER, SET_MODE | EXPEL | DESTROY },
	{ "CAP_IPC_LOCK", CAP_IPC_LOCK, LOCK },
	{ "CAP_IPC_OWNER", CAP_IPC_OWNER, 0 },
	{ "CAP_SYS_RESOURCE", CAP_SYS_RESOURCE, 0 },
	{ "CAP_SYS_ADMIN", CAP_SYS_ADMIN, 0 },
	{ "CAP_CHOWN", CAP_CHOWN, 0 },
	{ "CAP_KILL", CAP_KILL, 0 },
};

/* A channel of the owner's, with a subscriber. */
struct channel {
	__u32 id;
	struct sub sub;
};

/* By a task that is root else, which it is again on return. */
static int channel_open(struct ring *ring, struct channel *channel)
{
	int ret;

	setfsuid(OWNER);
	ret = ipc_create_key(ring, &channel->id, 0, 4, 4, 0600, 0);
	if (!ret)
		ret = ipc_attach(ring, &channel->sub, channel->id,
				 IOIPC_SUB_BOTH);
	setfsuid(0);
	return ret;
}

/* Whether @ret is success, and if not, whether it is the failure wanted. */
static int outcome(int ret, int success, int failure, int what)
{
	if (ret == success)
		return what;
	return ret == failure ? 0 : BROKEN;
}

static int try_attach(struct ring *ring, __u32 id, __u32 flags, int what)
{
	struct sub sub;
	int ret = ipc_attach(ring, &sub, id, flags);

	if (!ret)
		ipc_detach(ring, sub.id);
	return outcome(ret, 0, -EACCES, what);
}

/* The one that ends the channel comes last. */
static int try_all(struct ring *ring, struct channel *channel)
{
	struct rlimit none = {};
	int may, ret;
	__u32 own;

	may = try_attach(ring, channel->id, IOIPC_SUB_RECV, RECEIVE);
	may |= try_attach(ring, channel->id, IOIPC_SUB_SEND, SEND);
	may |= outcome(ipc_send_u32(ring, channel->id, 1), 4, -EACCES,
		       BARE_SEND);
	ret = ioctl(channel->sub.fd, IOIPC_IOC_SET_MODE, 0600) ? -errno : 0;
	may |= outcome(ret, 0, -EPERM, SET_MODE);
	may |= outcome(ipc_detach(ring, channel->sub.id), 0, -EPERM, EXPEL);
	may |= outcome(ipc_destroy(ring, channel->id), 0, -EPERM, DESTROY);
	if (setrlimit(RLIMIT_MEMLOCK, &none))
		return BROKEN;
	return may | outcome(ipc_create(ring, &own, 0, 4, 4), 0, -ENOMEM, LOCK);
}

TEST_F(ring, each_alone)
{
	struct channel channel;
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, channel_open(&self->ring, &channel));
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct ring ring;

			if (become_capable(STRANGER, STRANGER,
					   cases[i].capability) ||
			    ring_open(&ring, variant->setup))
				_exit(BROKEN);
			_exit(try_all(&ring, &channel));
		}
		EXPECT_EQ(cases[i].may, child_wait(pid))
			TH_LOG("%s", cases[i].name);
		close(channel.sub.fd);
	}
}

/* What a file server sets for one thread: the owner is who that is. */
TEST_F(ring, owner_is_the_fsuid)
{
	struct channel channel;
	struct ring ring;
	struct sub sub;

	ASSERT_EQ(0, channel_open(&self->ring, &channel));
	/* This takes the capabilities over files from root. */
	setfsuid(STRANGER);
	ASSERT_EQ(0, ring_open(&ring, variant->setup));
	EXPECT_EQ(-EACCES, ipc_attach(&ring, &sub, channel.id, IOIPC_SUB_RECV));
	EXPECT_EQ(-EACCES, ipc_send_u32(&ring, channel.id, 1));
	EXPECT_EQ(-1, ioctl(channel.sub.fd, IOIPC_IOC_SET_MODE, 0666));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-EPERM, ipc_detach(&ring, channel.sub.id));
	EXPECT_EQ(-EPERM, ipc_destroy(&ring, channel.id));
	ring_close(&ring);
	setfsuid(OWNER);
	ASSERT_EQ(0, ring_open(&ring, variant->setup));
	EXPECT_EQ(4, ipc_send_u32(&ring, channel.id, 1));
	EXPECT_EQ(0, ioctl(channel.sub.fd, IOIPC_IOC_SET_MODE, 0600));
	EXPECT_EQ(0, ipc_detach(&ring, channel.sub.id));
	EXPECT_EQ(0, ipc_destroy(&ring, channel.id));
	ring_close(&ring);
	setfsuid(0);
}

TEST_HARNESS_MAIN
