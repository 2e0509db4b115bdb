// SPDX-License-Identifier: GPL-2.0
/*
 * IOIPC_IOC_SET_MODE: who may change a channel's mode, and what comes of it.
 * Runs as root.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/container.h"
#include "ring_fixture.h"

#define OWNER		1000
#define GROUP		1500
#define STRANGER	2000

static int set_mode(int fd, unsigned long mode)
{
	return ioctl(fd, IOIPC_IOC_SET_MODE, mode) ? -errno : 0;
}

/* A ring, a channel and a subscriber of the owner's, made by a child of root. */
struct owner {
	struct ring ring;
	struct sub sub;
	__u32 id;
};

static int open_owner(struct owner *owner, unsigned int setup, __u32 flags,
		      __u32 mode)
{
	int ret;

	ret = become(OWNER, GROUP);
	if (!ret)
		ret = ring_open(&owner->ring, setup);
	if (!ret)
		ret = ipc_create_key(&owner->ring, &owner->id, flags, 4, 4,
				     mode, 0);
	if (!ret)
		ret = ipc_attach(&owner->ring, &owner->sub, owner->id,
				 IOIPC_SUB_BOTH);
	return ret;
}

/* The exit status of a child with these ids that sets the mode: an errno. */
static int set_mode_as(uid_t uid, gid_t gid, int fd, unsigned long mode)
{
	pid_t pid = child_start();

	if (!pid) {
		if (become(uid, gid))
			_exit(200);
		_exit(-set_mode(fd, mode));
	}
	return child_wait(pid);
}

/* The same as root of a user namespace with a few users from @first on. */
static int set_mode_in_container(unsigned int first, int fd, unsigned long mode)
{
	pid_t pid = container_start_many(first, 1000);

	if (!pid)
		_exit(-set_mode(fd, mode));
	return child_wait(pid);
}

/* What a stranger may: to receive, to send, to send without attaching. */
#define MAY_RECV	1
#define MAY_SEND	2
#define MAY_BARE	4
#define MAY_ALL		7

static int stranger_may(__u32 id)
{
	struct ring ring;
	struct sub sub;
	pid_t pid;
	int may;

	pid = child_start();
	if (!pid) {
		if (become(STRANGER, STRANGER) || ring_open(&ring, RING_PLAIN))
			_exit(200);
		may = ipc_attach(&ring, &sub, id, IOIPC_SUB_RECV) ? 0 :
								    MAY_RECV;
		may |= ipc_attach(&ring, &sub, id, IOIPC_SUB_SEND) ? 0 :
								     MAY_SEND;
		may |= ipc_send_u32(&ring, id, 1) == 4 ? MAY_BARE : 0;
		_exit(may);
	}
	return child_wait(pid);
}

TEST_F(ring, decides_who_may_attach)
{
	static const struct {
		unsigned long mode;
		int may;
	} cases[] = {
		{ 0606, MAY_ALL },
		{ 0604, MAY_RECV },
		{ 0602, MAY_SEND | MAY_BARE },
		{ 0600, 0 },
		{ 0006, MAY_ALL },
		{ 0000, 0 },
	};
	struct ring *ring = &self->ring;
	struct sub sub;
	unsigned int i;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_SEND));
	EXPECT_EQ(0, stranger_may(id));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, set_mode(sub.fd, cases[i].mode));
		EXPECT_EQ(cases[i].may, stranger_may(id))
			TH_LOG("mode %04lo", cases[i].mode);
	}
}

/* The check of who owns it is the kernel's, with its capabilities. */
TEST_F(ring, is_for_the_owner)
{
	int socket[2], passed;
	struct gate done;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&done));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct owner owner;

		if (open_owner(&owner, variant->setup, 0, 0666) ||
		    set_mode(owner.sub.fd, 0660))
			_exit(10);
		if (fd_send(socket[1], owner.sub.fd))
			_exit(11);
		gate_wait(&done);
		_exit(0);
	}
	passed = fd_receive(socket[0]);
	ASSERT_LE(0, passed);
	/* To hold a descriptor, or be in the group, or in it all, is no right. */
	EXPECT_EQ(EPERM, set_mode_as(STRANGER, STRANGER, passed, 0666));
	EXPECT_EQ(EPERM, set_mode_as(STRANGER, GROUP, passed, 0666));
	EXPECT_EQ(0, set_mode_as(OWNER, STRANGER, passed, 0606));
	EXPECT_EQ(0, set_mode_as(0, 0, passed, 0600));
	/* CAP_FOWNER where owner and group are the namespace's, and elsewhere. */
	EXPECT_EQ(EPERM, set_mode_in_container(OWNER + 1, passed, 0666));
	EXPECT_EQ(EPERM, set_mode_in_container(STRANGER, passed, 0666));
	EXPECT_EQ(0, set_mode_in_container(OWNER - 1, passed, 0666));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Who is attached stays so, and who is not has to ask. */
TEST_F(ring, who_is_attached_keeps_its_rights)
{
	pid_t pid = child_start();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct owner owner;
		struct sub again;

		ASSERT_EQ(0, open_owner(&owner, variant->setup, 0, 0600));
		ASSERT_EQ(4, ipc_send_u32(&owner.ring, owner.id, 1));
		ASSERT_EQ(0, set_mode(owner.sub.fd, 0));
		EXPECT_EQ(4, ipc_send_u32(&owner.ring, owner.sub.id, 2));
		EXPECT_EQ(1, ipc_recv_u32(&owner.ring, owner.sub.id));
		EXPECT_EQ(2, ipc_recv_u32(&owner.ring, owner.sub.id));
		EXPECT_EQ(-EACCES, ipc_send_u32(&owner.ring, owner.id, 3));
		EXPECT_EQ(-EACCES, ipc_attach(&owner.ring, &again, owner.id,
					      IOIPC_SUB_RECV));
		/* The owner can have it back. */
		ASSERT_EQ(0, set_mode(owner.sub.fd, 0200));
		EXPECT_EQ(4, ipc_send_u32(&owner.ring, owner.id, 3));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(ring, private_channels_obey_at_once)
{
	pid_t pid = child_start();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct owner owner;
		struct ring *ring = &owner.ring;

		ASSERT_EQ(0, open_owner(&owner, variant->setup,
					IOIPC_F_PRIVATE, 0600));
		EXPECT_EQ(4, ipc_send_u32(ring, owner.sub.id, 1));
		EXPECT_EQ(4, ipc_send_u32(ring, owner.sub.id, 2));
		ASSERT_EQ(0, set_mode(owner.sub.fd, 0400));
		EXPECT_EQ(-EACCES, ipc_send_u32(ring, owner.sub.id, 3));
		EXPECT_EQ(1, ipc_recv_u32(ring, owner.sub.id));
		ASSERT_EQ(0, set_mode(owner.sub.fd, 0200));
		EXPECT_EQ(-EACCES, ipc_recv_u32(ring, owner.sub.id));
		EXPECT_EQ(4, ipc_send_u32(ring, owner.sub.id, 3));
		/* Also what is left of a channel that has ended. */
		ASSERT_EQ(0, ipc_destroy(ring, owner.id));
		EXPECT_EQ(-EACCES, ipc_recv_u32(ring, owner.sub.id));
		ASSERT_EQ(0, set_mode(owner.sub.fd, 0400));
		EXPECT_EQ(2, ipc_recv_u32(ring, owner.sub.id));
		EXPECT_EQ(3, ipc_recv_u32(ring, owner.sub.id));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(ring, what_is_unknown_is_refused)
{
	struct ring *ring = &self->ring;
	struct sub sub;
	int bit;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	for (bit = 0; bit < 64; bit++) {
		EXPECT_EQ(1UL << bit & 0666 ? 0 : -EINVAL,
			  set_mode(sub.fd, 1UL << bit))
			TH_LOG("bit %d", bit);
	}
	/* The last that was good, and no less. */
	EXPECT_EQ(MAY_RECV, (set_mode(sub.fd, 0004), stranger_may(id)));
	EXPECT_EQ(-EINVAL, set_mode(sub.fd, 07777));
	EXPECT_EQ(MAY_RECV, stranger_may(id));
	EXPECT_EQ(-1, ioctl(sub.fd, _IO(0xB9, 1), 0));
	EXPECT_EQ(ENOTTY, errno);
	/* Descriptors have one inode in common, which is not to be changed. */
	EXPECT_EQ(-1, fchmod(sub.fd, 0666));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(MAY_RECV, stranger_may(id));
	/* Any descriptor will do, also of one that has left. */
	ASSERT_EQ(0, ipc_detach(ring, sub.id));
	EXPECT_EQ(0, set_mode(sub.fd, 0));
	EXPECT_EQ(0, stranger_may(id));
}

TEST_HARNESS_MAIN
