// SPDX-License-Identifier: GPL-2.0
/*
 * What a security module says: SELinux, with the policy of host/selinux.sh. The
 * test and its channels are base_t; what is deaf_t may do all but read those,
 * what is mute_t all but write them, what is firm_t all but change their mode, and
 * what is poor_t all but make its own. Runs as root.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "plain_fixture.h"

#define ATTR	"/proc/thread-self/attr/current"

/* Become another domain for good. */
static int enter(const char *domain)
{
	char context[64];
	int fd, len, ret;

	len = snprintf(context, sizeof(context), "user_u:base_r:%s", domain);
	fd = open(ATTR, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, context, len) == len ? 0 : -errno;
	close(fd);
	return ret;
}

struct domain {
	const char *name;
	int may_read;	/* 0 or what a call that is refused gives */
	int may_write;
	int may_change;
};

static const struct domain domains[] = {
	{ "base_t", 0, 0, 0 },
	{ "deaf_t", -EACCES, 0, 0 },
	{ "mute_t", 0, -EACCES, 0 },
	{ "firm_t", 0, 0, -EACCES },
};

/* Runs body in a child of each domain, with a ring of its own, `ring`. */
#define IN_EACH_DOMAIN(body) do {					\
	unsigned int __i;						\
									\
	for (__i = 0; __i < ARRAY_SIZE(domains); __i++) {		\
		const struct domain *in = &domains[__i];		\
		pid_t __pid = child_start();				\
									\
		ASSERT_LE(0, __pid);					\
		if (!__pid) {						\
			struct ring __ring, *ring = &__ring;		\
									\
			ASSERT_EQ(0, enter(in->name));			\
			ASSERT_EQ(0, ring_open(ring, RING_PLAIN));	\
			body;						\
			_exit(_metadata->exit_code);			\
		}							\
		EXPECT_EQ(0, child_wait(__pid))				\
			TH_LOG("as %s", in->name);			\
	}								\
} while (0)

/* The ring is there already, for it is a file of that kind, too. */
TEST_F(plain, create)
{
	struct sub sub;
	__u32 id;
	pid_t pid;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring ring;

		ASSERT_EQ(0, ring_open(&ring, RING_PLAIN));
		ASSERT_EQ(0, ipc_create_key(&ring, &id, 0, 16, 4, 0666, 7));
		ASSERT_EQ(0, ipc_destroy(&ring, id));
		ASSERT_EQ(0, enter("poor_t"));
		EXPECT_EQ(-EACCES,
			  ipc_create_key(&ring, &id, 0, 16, 4, 0666, 7));
		EXPECT_EQ(-ENOENT, ipc_attach_key(&ring, &sub, 7,
						  IOIPC_SUB_RECV));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* The key is nobody's. */
	EXPECT_EQ(0, ipc_create_key(&self->ring, &id, 0, 16, 4, 0666, 7));
}

TEST_F(plain, attach)
{
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 16, 4, 0666, 0));
	IN_EACH_DOMAIN(
		EXPECT_EQ(in->may_read, ipc_attach(ring, &sub, id,
						   IOIPC_SUB_RECV));
		EXPECT_EQ(in->may_write, ipc_attach(ring, &sub, id,
						    IOIPC_SUB_SEND));
		EXPECT_EQ(in->may_read ?: in->may_write,
			  ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH)));
}

TEST_F(plain, send_by_channel)
{
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 16, 4, 0666, 0));
	IN_EACH_DOMAIN(EXPECT_EQ(in->may_write ?: 4, ipc_send_u32(ring, id, 1)));
}

TEST_F(plain, set_mode)
{
	struct sub sub;
	__u32 id;
	int ret;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 16, 4, 0666, 0));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_SEND));
	IN_EACH_DOMAIN(
		ret = ioctl(sub.fd, IOIPC_IOC_SET_MODE, 0600) ? -errno : 0;
		EXPECT_EQ(in->may_change, ret));
}

/* It is attached before it is what it is, as on a ring that it has inherited. */
TEST_F(plain, every_message_of_a_private_channel)
{
	struct ring *own = &self->ring;
	unsigned int i;
	pid_t pid;
	__u32 id;

	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		const struct domain *in = &domains[i];
		struct ring ring;
		struct sub sub;

		ASSERT_EQ(0, ipc_create_key(own, &id, IOIPC_F_PRIVATE, 16, 4,
					    0666, 0));
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			ASSERT_EQ(0, ring_open(&ring, RING_PLAIN));
			ASSERT_EQ(0, ipc_attach(&ring, &sub, id,
						IOIPC_SUB_BOTH));
			ASSERT_EQ(4, ipc_send_u32(&ring, sub.id, 1));
			ASSERT_EQ(0, enter(in->name));
			EXPECT_EQ(in->may_read ?: 1,
				  ipc_recv_u32(&ring, sub.id));
			EXPECT_EQ(in->may_write ?: 4,
				  ipc_send_u32(&ring, sub.id, 2));
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, child_wait(pid))
			TH_LOG("as %s", in->name);
	}
}

TEST_HARNESS_MAIN
