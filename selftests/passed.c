// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching by a descriptor: who has one that was inherited or passed may do
 * what its subscriber may, whoever and wherever it is. Runs as root.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include "lib/container.h"
#include "ring_fixture.h"

#define STRANGER	2000
#define KEY		0x706173736564ULL

/* To attach by @fd, whatever key and channel say otherwise. */
static int attach_fd(struct ring *ring, struct sub *sub, int fd, __u32 flags)
{
	return ipc_attach(ring, sub, fd, flags | IOIPC_SUB_FROM_FD);
}

/* Nobody but root and the owner may use these channels by name. */
static int create(struct ring *ring, __u32 *id, __u32 flags)
{
	return ipc_create_key(ring, id, flags, 4, 4, 0600, 0);
}

TEST_F(ring, messages_go_both_ways)
{
	struct ring *ring = &self->ring;
	struct sub first, second;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, IOIPC_F_BROADCAST));
	ASSERT_EQ(0, ipc_attach(ring, &first, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, attach_fd(ring, &second, first.fd, IOIPC_SUB_BOTH));
	EXPECT_NE(first.id, second.id);
	EXPECT_NE(first.fd, second.fd);
	EXPECT_EQ(first.size, second.size);
	EXPECT_EQ(4, ipc_send_u32(ring, second.id, 7));
	EXPECT_EQ(7, ipc_recv_u32(ring, first.id));
	EXPECT_EQ(7, ipc_recv_u32(ring, second.id));
	EXPECT_EQ(id, fdinfo_value(second.fd, "ipc-channel"));
	/* One like any other: it may be attached by, too. */
	ASSERT_EQ(0, ipc_detach(ring, first.id));
	ASSERT_EQ(0, attach_fd(ring, &first, second.fd, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send_u32(ring, second.id, 8));
	EXPECT_EQ(8, ipc_recv_u32(ring, first.id));
}

/* Starting at the oldest message is as open to it as to any subscriber. */
TEST_F(ring, replay)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx, late;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, IOIPC_F_BROADCAST));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send_u32(ring, tx.id, 1));
	ASSERT_EQ(0, attach_fd(ring, &late, rx.fd,
			       IOIPC_SUB_RECV | IOIPC_SUB_REPLAY));
	EXPECT_EQ(1, ipc_recv_u32(ring, late.id));
	EXPECT_EQ(-EINVAL, attach_fd(ring, &late, tx.fd,
				     IOIPC_SUB_SEND | IOIPC_SUB_REPLAY));
}

TEST_F(ring, no_more_rights_than_the_descriptor_has)
{
	static const __u32 rights[] = { IOIPC_SUB_SEND, IOIPC_SUB_RECV,
					IOIPC_SUB_BOTH };
	struct ring *ring = &self->ring;
	struct sub sub, got;
	unsigned int i, j;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, 0));
	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		ASSERT_EQ(0, ipc_attach(ring, &sub, id, rights[i]));
		for (j = 0; j < ARRAY_SIZE(rights); j++) {
			/* Root, and the owner: the descriptor is what counts. */
			EXPECT_EQ(rights[j] & ~rights[i] ? -EACCES : 0,
				  attach_fd(ring, &got, sub.fd, rights[j]))
				TH_LOG("%#x by %#x", rights[j], rights[i]);
			if (got.fd >= 0) {
				EXPECT_EQ(0, ipc_detach(ring, got.id));
				close(got.fd);
			}
		}
		ASSERT_EQ(0, ipc_detach(ring, sub.id));
	}
}

TEST_F(ring, descriptors_of_something_else)
{
	struct ring *ring = &self->ring;
	struct io_uring_ipc_channel_attach arg;
	struct sub sub, got;
	int fds, path;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, 0));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	fds = count_fds();
	EXPECT_EQ(-EBADF, attach_fd(ring, &got, -1, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EBADF, attach_fd(ring, &got, 1 << 20, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EINVAL, attach_fd(ring, &got, ring->fd, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EINVAL, attach_fd(ring, &got, STDIN_FILENO,
				     IOIPC_SUB_BOTH));
	path = open("/proc/self/exe", O_PATH);
	ASSERT_LE(0, path);
	EXPECT_EQ(-EBADF, attach_fd(ring, &got, path, IOIPC_SUB_BOTH));
	close(path);
	/* The descriptor is a name by itself: there is no second one. */
	arg = (struct io_uring_ipc_channel_attach) {
		.channel_id = sub.fd,
		.flags = IOIPC_SUB_BOTH | IOIPC_SUB_FROM_FD,
		.key = KEY,
	};
	EXPECT_EQ(-EINVAL, ipc_attach_arg(ring, &arg));
	EXPECT_EQ(fds, count_fds());
}

TEST_F(ring, descriptors_of_what_has_ended)
{
	struct ring *ring = &self->ring;
	struct sub sub, other, got;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, 0));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(ring, &other, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_detach(ring, sub.id));
	EXPECT_EQ(-ENOENT, attach_fd(ring, &got, sub.fd, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_destroy(ring, id));
	EXPECT_EQ(-ENOENT, attach_fd(ring, &got, other.fd, IOIPC_SUB_BOTH));
}

/* What the container does, and says by its exit status. */
static int use_from_container(int socket, unsigned int setup)
{
	struct sub sub, both;
	struct ring ring;
	__u32 channel;
	int fd;

	fd = fd_receive(socket);
	if (fd < 0)
		return 20;
	if (ring_open(&ring, setup))
		return 21;
	/* No name of the channel is any good here. */
	channel = fdinfo_value(fd, "ipc-channel");
	if (ipc_attach_key(&ring, &sub, KEY, IOIPC_SUB_RECV) != -ENOENT)
		return 22;
	if (ipc_attach(&ring, &sub, channel, IOIPC_SUB_RECV) != -ENOENT)
		return 29;
	if (ipc_send_u32(&ring, channel, 10) != -ENOENT)
		return 30;
	if (attach_fd(&ring, &both, fd, IOIPC_SUB_BOTH))
		return 23;
	if (ipc_recv_u32(&ring, both.id) != -EAGAIN)
		return 24;
	if (ipc_send_u32(&ring, both.id, 11) != 4)
		return 25;
	if (ipc_recv_u32(&ring, both.id) != 11)
		return 26;
	/* The subscriber is its ring's: it stays without the descriptors. */
	close(fd);
	close(both.fd);
	if (ipc_send_u32(&ring, both.id, 12) != 4)
		return 27;
	if (ipc_destroy(&ring, channel) != -ENOENT)
		return 28;
	return 0;
}

/*
 * Over SCM_RIGHTS into other IPC, pid and user namespaces, where no permission
 * check would let it in and no name leads to it.
 */
TEST_F(ring, across_namespaces)
{
	struct ring *ring = &self->ring;
	int socket[2];
	struct sub sub;
	pid_t pid;
	__u32 id;

	if (access("/proc/self/ns/ipc", F_OK))
		SKIP(return, "kernel without CONFIG_IPC_NS");
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	ASSERT_EQ(0, ipc_create_key(ring, &id, IOIPC_F_BROADCAST, 4, 4, 0600,
				    KEY));
	pid = container_start(STRANGER, STRANGER,
			      CLONE_NEWIPC | CLONE_NEWPID);
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(use_from_container(socket[1], variant->setup));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, fd_send(socket[0], sub.fd));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(11, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(12, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, sub.id));
}

/* On a private channel a descriptor opens the door, and no more than that. */
TEST_F(ring, private_channels_check_each_message)
{
	struct ring *ring = &self->ring;
	struct sub sub, got;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, IOIPC_F_PRIVATE));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(4, ipc_send_u32(ring, sub.id, 1));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring own;

		if (become(STRANGER, STRANGER) ||
		    ring_open(&own, variant->setup))
			_exit(10);
		if (attach_fd(&own, &got, sub.fd, IOIPC_SUB_BOTH))
			_exit(11);
		if (ipc_send_u32(&own, got.id, 2) != -EACCES)
			_exit(12);
		if (ipc_recv_u32(&own, got.id) != -EACCES)
			_exit(13);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, attach_fd(ring, &got, sub.fd, IOIPC_SUB_BOTH));
	EXPECT_EQ(1, ipc_recv_u32(ring, got.id));
}

/* The id is the attaching ring's alone, and ends with it. */
TEST_F(ring, belongs_to_the_ring_that_attached)
{
	struct ring *ring = &self->ring, other;
	struct sub sub, got;
	__u32 id;

	ASSERT_EQ(0, create(ring, &id, IOIPC_F_BROADCAST));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, attach_fd(&other, &got, sub.fd, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, got.id, 1));
	EXPECT_EQ(-ENOENT, ipc_send_u32(&other, sub.id, 1));
	EXPECT_EQ(4, ipc_send_u32(&other, got.id, 1));
	ring_close(&other);
	EXPECT_EQ(-ENOENT, attach_fd(ring, &got, got.fd, IOIPC_SUB_BOTH));
	EXPECT_EQ(1, ipc_recv_u32(ring, sub.id));
}

TEST_HARNESS_MAIN
