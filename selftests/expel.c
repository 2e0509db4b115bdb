// SPDX-License-Identifier: GPL-2.0
/*
 * DETACH of somebody else's subscriber, which is for the channel's owner: who
 * may, and what becomes of the subscriber. Runs as root.
 */
#include <sched.h>

#include "lib/container.h"
#include "ring_fixture.h"

#define OWNER		1000
#define STRANGER	2000
#define MEMBER		3000
#define ENTRIES		4

/* What the processes of a test tell each other. */
struct shared {
	struct gate ready;	/* the owner has made the channel */
	struct gate done;	/* the owner may go */
	__u32 channel;
	__u32 victim;
};

static struct shared *shared_new(void)
{
	struct shared *shared = shared_alloc(sizeof(*shared));

	if (!shared || gate_init(&shared->ready) || gate_init(&shared->done))
		return NULL;
	return shared;
}

/* A child with a channel that everybody may use, and nobody but it may end. */
static pid_t start_owner(struct shared *shared, unsigned int setup)
{
	pid_t pid = child_start();
	struct ring ring;

	if (pid)
		return pid;
	if (become(OWNER, OWNER) || ring_open(&ring, setup))
		_exit(10);
	if (ipc_create_key(&ring, &shared->channel, IOIPC_F_BROADCAST, ENTRIES,
			   4, 0666, 0))
		_exit(11);
	gate_open(&shared->ready);
	gate_wait(&shared->done);
	_exit(0);
}

/* Exit status of a child with these ids: the result of a DETACH, positive. */
static int detach_as(uid_t uid, gid_t gid, __u32 id)
{
	pid_t pid = child_start();
	struct ring ring;

	if (!pid) {
		if (become(uid, gid) || ring_open(&ring, RING_PLAIN))
			_exit(200);
		_exit(-ipc_detach(&ring, id));
	}
	return child_wait(pid);
}

/* The same as root of a user namespace of this user's. */
static int detach_in_container(uid_t uid, int namespaces, __u32 id)
{
	pid_t pid = container_start(uid, uid, namespaces);
	struct ring ring;

	if (!pid) {
		if (ring_open(&ring, RING_PLAIN))
			_exit(200);
		_exit(-ipc_detach(&ring, id));
	}
	return child_wait(pid);
}

/* And as root of one that has a few users. */
static int detach_in_container_of(unsigned int first, __u32 id)
{
	pid_t pid = container_start_many(first, 8);
	struct ring ring;

	if (!pid) {
		if (ring_open(&ring, RING_PLAIN))
			_exit(200);
		_exit(-ipc_detach(&ring, id));
	}
	return child_wait(pid);
}

TEST_F(ring, is_for_the_owner)
{
	struct shared *shared = shared_new();
	struct ring *ring = &self->ring;
	struct sub sub, by_root;
	pid_t owner;

	ASSERT_NE(NULL, shared);
	owner = start_owner(shared, variant->setup);
	ASSERT_LE(0, owner);
	ASSERT_EQ(0, gate_wait(&shared->ready));
	ASSERT_EQ(0, ipc_attach(ring, &sub, shared->channel, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(ring, &by_root, shared->channel,
				IOIPC_SUB_BOTH));
	/* To be in a group, or root of something else, is not enough. */
	EXPECT_EQ(EPERM, detach_as(STRANGER, STRANGER, sub.id));
	EXPECT_EQ(EPERM, detach_as(STRANGER, OWNER, sub.id));
	EXPECT_EQ(EPERM, detach_in_container(STRANGER, 0, sub.id));
	/* Elsewhere there is no such id. */
	EXPECT_EQ(ENOENT, detach_in_container(OWNER, CLONE_NEWIPC, sub.id));
	EXPECT_EQ(ENOENT, detach_as(OWNER, OWNER, shared->channel));
	EXPECT_EQ(ENOENT, detach_as(OWNER, OWNER, sub.id + 1000));
	EXPECT_EQ(4, ipc_send_u32(ring, sub.id, 1));
	EXPECT_EQ(1, ipc_recv_u32(ring, sub.id));
	/* The owner is a user, not a process, and root is any user. */
	EXPECT_EQ(0, detach_as(OWNER, STRANGER, sub.id));
	EXPECT_EQ(ENOENT, detach_as(OWNER, STRANGER, sub.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(0, detach_as(0, 0, by_root.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, by_root.id));
	gate_open(&shared->done);
	EXPECT_EQ(0, child_wait(owner));
}

/* Root of a container is capable over what its users own, and nothing else. */
TEST_F(ring, root_of_the_owners_container)
{
	struct shared *shared = shared_new();
	struct ring *ring = &self->ring;
	struct sub sub;
	pid_t owner;

	ASSERT_NE(NULL, shared);
	owner = start_owner(shared, variant->setup);
	ASSERT_LE(0, owner);
	ASSERT_EQ(0, gate_wait(&shared->ready));
	ASSERT_EQ(0, ipc_attach(ring, &sub, shared->channel, IOIPC_SUB_BOTH));
	EXPECT_EQ(EPERM, detach_in_container_of(OWNER + 1, sub.id));
	EXPECT_EQ(4, ipc_send_u32(ring, sub.id, 1));
	EXPECT_EQ(0, detach_in_container_of(OWNER - 1, sub.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, sub.id));
	gate_open(&shared->done);
	EXPECT_EQ(0, child_wait(owner));
}

TEST_F(ring, what_becomes_of_the_subscriber)
{
	struct ring *ring = &self->ring, owner;
	struct io_uring_cqe cqe;
	struct sub sub, again;
	__u32 id, value = 1;

	ASSERT_EQ(0, ring_open(&owner, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&owner, &id, 0, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	prep_recv(ring, sub.id, &value, 4, IOIPC_RECV_WAIT, 5);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(sub.fd, RECEIVES_WAITING, 1));
	ASSERT_EQ(0, ipc_detach(&owner, sub.id));
	/* What waited ends, and whatever else it tries. */
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(5, (int)cqe.user_data);
	EXPECT_EQ(-ENOENT, cqe.res);
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, sub.id, 1));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(1, fdinfo_value(sub.fd, "ipc-detached"));
	EXPECT_EQ(0, fdinfo_value(sub.fd, "ipc-subscribers"));
	/* Done is done; the id is freed by its ring, once. */
	EXPECT_EQ(-ENOENT, ipc_detach(&owner, sub.id));
	EXPECT_EQ(0, ipc_detach(ring, sub.id));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, sub.id));
	EXPECT_EQ(-ENOENT, ipc_detach(&owner, sub.id));
	/* It may come again, as long as the mode lets it. */
	ASSERT_EQ(0, ipc_attach(ring, &again, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(ring, again.id, 2));
	EXPECT_EQ(2, ipc_recv_u32(ring, again.id));
	ring_close(&owner);
}

/* What it has mapped stays, and it maps nothing more. */
TEST_F(ring, cannot_be_mapped_anew)
{
	struct ring *ring = &self->ring, owner;
	struct io_uring_ipc_ring *map;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&owner, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&owner, &id, 0, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_RECV));
	map = mmap(NULL, sub.size, PROT_READ, MAP_SHARED, sub.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ipc_detach(&owner, sub.id));
	EXPECT_EQ(MAP_FAILED,
		  mmap(NULL, sub.size, PROT_READ, MAP_SHARED, sub.fd, 0));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(ENTRIES, map->ring_entries);
	EXPECT_EQ(0, munmap(map, sub.size));
	ring_close(&owner);
}

/* A send that waits for room ends, too. */
TEST_F(ring, waiting_send)
{
	struct ring *ring = &self->ring, owner;
	struct io_uring_cqe cqe;
	__u32 id, i, value = 1;
	struct sub sub;

	ASSERT_EQ(0, ring_open(&owner, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&owner, &id, 0, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, sub.id, i));
	prep_send(ring, sub.id, &value, 4, 0, 6)->ioprio = IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, fdinfo_wait(sub.fd, SENDS_WAITING, 1));
	ASSERT_EQ(0, ipc_detach(&owner, sub.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	EXPECT_EQ(6, (int)cqe.user_data);
	EXPECT_EQ(-ENOENT, cqe.res);
	ring_close(&owner);
}

/* Those who are left when a channel has ended may drain it, or not. */
TEST_F(ring, after_destroy)
{
	struct ring *ring = &self->ring, owner;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&owner, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&owner, &id, 0, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(4, ipc_send_u32(ring, sub.id, 1));
	ASSERT_EQ(4, ipc_send_u32(ring, sub.id, 2));
	ASSERT_EQ(0, ipc_destroy(&owner, id));
	EXPECT_EQ(1, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(EPERM, detach_as(STRANGER, STRANGER, sub.id));
	EXPECT_EQ(0, ipc_detach(&owner, sub.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, sub.id));
	ring_close(&owner);
}

/* The subscriber came by a descriptor, and its ring is in another namespace. */
TEST_F(ring, subscriber_in_another_namespace)
{
	struct shared *shared = shared_new();
	struct ring *ring = &self->ring;
	struct sub sub, got;
	struct ring inside;
	pid_t pid;
	__u32 id;

	ASSERT_NE(NULL, shared);
	ASSERT_EQ(0, ipc_create(ring, &id, 0, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	pid = container_start(STRANGER, STRANGER, CLONE_NEWIPC | CLONE_NEWPID);
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_open(&inside, variant->setup) ||
		    ipc_attach(&inside, &got, sub.fd,
			       IOIPC_SUB_BOTH | IOIPC_SUB_FROM_FD))
			_exit(10);
		/* Not its channel, and not its namespace. */
		if (ipc_detach(&inside, sub.id) != -ENOENT)
			_exit(11);
		shared->victim = got.id;
		gate_open(&shared->ready);
		gate_wait(&shared->done);
		_exit(ipc_recv_u32(&inside, got.id) == -ENOENT ? 0 : 12);
	}
	ASSERT_EQ(0, gate_wait(&shared->ready));
	EXPECT_EQ(0, ipc_detach(ring, shared->victim));
	gate_open(&shared->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Attaches, says so, and reads nothing. Ids of its own where it may have them. */
static void stopped_reader(struct shared *shared, unsigned int setup)
{
	struct ring ring;
	struct sub sub;

	if (!getuid() && become(MEMBER, MEMBER))
		_exit(9);
	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &sub, shared->channel, IOIPC_SUB_RECV))
		_exit(10);
	shared->victim = sub.id;
	gate_open(&shared->ready);
	raise(SIGSTOP);
	_exit(ipc_recv_u32(&ring, sub.id) == -ENOENT ? 0 : 11);
}

/*
 * A stopped reader holds a full ring: all messages, or the one that is for it
 * alone. Its channel's sender goes on elsewhere, and here when the owner has
 * found and detached it: as @uid.
 */
static void check_stopped(struct __test_metadata *_metadata,
			  unsigned int setup, uid_t uid, __u32 flags)
{
	bool shared_by_all = flags & IOIPC_F_BROADCAST;
	struct shared *shared = shared_new();
	__u32 i, other, value = 100;
	struct sub tx, rx, there;
	struct io_uring_cqe cqe;
	struct ring ring;
	pid_t reader;
	int status;

	ASSERT_NE(NULL, shared);
	if (uid)
		ASSERT_EQ(0, become(uid, uid));
	ASSERT_EQ(0, ring_open(&ring, setup));
	ASSERT_EQ(0, ipc_create_key(&ring, &shared->channel, flags, ENTRIES, 4,
				    0644, 0));
	ASSERT_EQ(0, ipc_create(&ring, &other, IOIPC_F_BROADCAST, ENTRIES, 4));
	ASSERT_EQ(0, ipc_attach(&ring, &tx, shared->channel, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&ring, &rx, shared->channel, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&ring, &there, other, IOIPC_SUB_BOTH));
	reader = fork();
	ASSERT_LE(0, reader);
	if (!reader) {
		ring_close(&ring);
		stopped_reader(shared, setup);
	}
	ASSERT_EQ(0, gate_wait(&shared->ready));
	ASSERT_EQ(reader, waitpid(reader, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));

	EXPECT_EQ(0, fdinfo_value(tx.fd, "ipc-slowest"));
	for (i = 0; i < ENTRIES; i++) {
		bool alone = !shared_by_all && i == 0;

		ASSERT_EQ(4, ipc_send(&ring, tx.id, &i, 4,
				      alone ? shared->victim : 0));
		ASSERT_EQ(alone ? -EAGAIN : (int)i,
			  ipc_recv_u32(&ring, rx.id));
	}
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&ring, tx.id, i));
	prep_send(&ring, tx.id, &value, 4, 0, 7)->ioprio = IOIPC_SEND_WAIT;
	ASSERT_EQ(0, ring_submit(&ring));
	ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
	/* Nobody else's channel suffers. */
	for (i = 0; i < 4 * ENTRIES; i++) {
		prep_send(&ring, there.id, &i, 4, 0, 8);
		ASSERT_EQ(0, ring_next(&ring, &cqe));
		ASSERT_EQ(8, (int)cqe.user_data);
		ASSERT_EQ(4, cqe.res);
		ASSERT_EQ(i, ipc_recv_u32(&ring, there.id));
	}
	EXPECT_EQ(shared->victim, fdinfo_value(tx.fd, "ipc-slowest"));
	ASSERT_EQ(0, ipc_detach(&ring, fdinfo_value(tx.fd, "ipc-slowest")));
	ASSERT_EQ(0, ring_next(&ring, &cqe));
	EXPECT_EQ(7, (int)cqe.user_data);
	EXPECT_EQ(4, cqe.res);
	EXPECT_EQ(100, ipc_recv_u32(&ring, rx.id));
	for (i = 0; i < 4 * ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(&ring, tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(&ring, rx.id));
	}
	EXPECT_EQ(0, fdinfo_value(tx.fd, "ipc-slowest"));
	kill(reader, SIGCONT);
	EXPECT_EQ(0, child_wait(reader));
	ring_close(&ring);
}

TEST_F(ring, stopped_reader_of_an_unprivileged_owner)
{
	pid_t pid = child_start();

	ASSERT_LE(0, pid);
	if (!pid) {
		check_stopped(_metadata, variant->setup, OWNER,
			      IOIPC_F_BROADCAST);
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(ring, stopped_reader_of_root)
{
	check_stopped(_metadata, variant->setup, 0, IOIPC_F_BROADCAST);
}

TEST_F(ring, stopped_target)
{
	check_stopped(_metadata, variant->setup, 0, 0);
}

TEST_F(ring, stopped_target_of_multicast)
{
	check_stopped(_metadata, variant->setup, 0, IOIPC_F_MULTICAST);
}

TEST_F(ring, stopped_target_on_a_private_channel)
{
	check_stopped(_metadata, variant->setup, 0, IOIPC_F_PRIVATE);
}

TEST_HARNESS_MAIN
