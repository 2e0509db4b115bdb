// SPDX-License-Identifier: GPL-2.0
/* Ids and keys: what they name, when they stop naming it. */
#include <sched.h>

#include "lib/container.h"
#include "ring_fixture.h"

#define KEY		0x6b65790000000001ULL
#define OWNER		1000
#define GROUP		1500
#define STRANGER	2000
#define OVERFLOW	65534

TEST_F(ring, attach_by_id_and_by_key)
{
	struct ring *ring = &self->ring;
	struct sub a, b;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, KEY));
	ASSERT_EQ(0, ipc_attach(ring, &a, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach_key(ring, &b, KEY, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send_u32(ring, a.id, 1));
	EXPECT_EQ(1, ipc_recv_u32(ring, b.id));
}

TEST_F(ring, key_beats_id)
{
	struct io_uring_ipc_channel_attach arg = {
		.flags = IOIPC_SUB_BOTH,
		.key = KEY,
	};
	struct ring *ring = &self->ring;
	__u32 keyed, other;

	ASSERT_EQ(0, ipc_create_key(ring, &keyed, 0, 4, 4, 0600, KEY));
	ASSERT_EQ(0, ipc_create(ring, &other, 0, 4, 4));
	arg.channel_id = other;
	ASSERT_EQ(0, ipc_attach_arg(ring, &arg));
	EXPECT_EQ(4, ipc_send_u32(ring, keyed, 7));
	EXPECT_EQ(7, ipc_recv_u32(ring, arg.local_id_out));
	arg.channel_id = 0;
	EXPECT_EQ(0, ipc_attach_arg(ring, &arg));
}

TEST_F(ring, duplicate_key)
{
	struct ring *ring = &self->ring, other;
	__u32 id, second;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, KEY));
	EXPECT_EQ(-EEXIST, ipc_create_key(ring, &second, 0, 4, 4, 0600, KEY));
	EXPECT_EQ(-EEXIST, ipc_create_key(&other, &second, 0, 4, 4, 0666,
					  KEY));
	/* All 64 bits count. */
	EXPECT_EQ(0, ipc_create_key(ring, &second, 0, 4, 4, 0600,
				    KEY ^ (1ULL << 63)));
	EXPECT_EQ(0, ipc_create_key(ring, &second, 0, 4, 4, 0600,
				    (__u32)KEY));
	EXPECT_EQ(0, ipc_create_key(ring, &second, 0, 4, 4, 0600,
				    UINT64_MAX));
	ring_close(&other);
}

TEST_F(ring, zero_is_no_key)
{
	struct ring *ring = &self->ring;
	struct sub sub;
	__u32 a, b;

	ASSERT_EQ(0, ipc_create_key(ring, &a, 0, 4, 4, 0600, 0));
	ASSERT_EQ(0, ipc_create_key(ring, &b, 0, 4, 4, 0600, 0));
	EXPECT_NE(a, b);
	EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &sub, 0, IOIPC_SUB_BOTH));
}

TEST_F(ring, key_is_free_after_destroy)
{
	struct ring *ring = &self->ring;
	struct sub sub, late;
	__u32 id, next;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, KEY));
		ASSERT_EQ(0, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_BOTH));
		ASSERT_EQ(0, ipc_destroy(ring, id));
		EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &late, KEY,
						  IOIPC_SUB_BOTH));
		EXPECT_EQ(-ENOENT, ipc_attach(ring, &late, id,
					      IOIPC_SUB_BOTH));
		/* The old subscriber is still there: it holds no key. */
		ASSERT_EQ(0, ipc_create_key(ring, &next, 0, 4, 4, 0600, KEY));
		ASSERT_EQ(0, ipc_destroy(ring, next));
		ASSERT_EQ(0, ipc_detach(ring, sub.id));
		close(sub.fd);
	}
}

TEST_F(ring, names_are_gone_when_close_returns)
{
	struct ring *ring = &self->ring, owner;
	struct sub mine, sub;
	__u32 id, next;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ring_open(&owner, variant->setup));
		ASSERT_EQ(0, ipc_create_key(&owner, &id, 0, 4, 4, 0600, KEY));
		ASSERT_EQ(0, ipc_attach(&owner, &mine, id, IOIPC_SUB_BOTH));
		ASSERT_EQ(4, ipc_send_u32(&owner, mine.id, 1));
		ring_close(&owner);
		ASSERT_EQ(-ENOENT, ipc_attach_key(ring, &sub, KEY,
						  IOIPC_SUB_BOTH));
		ASSERT_EQ(-ENOENT, ipc_attach(ring, &sub, id,
					      IOIPC_SUB_BOTH));
		ASSERT_EQ(-ENOENT, ipc_send_u32(ring, id, 1));
		ASSERT_EQ(-ENOENT, ipc_destroy(ring, id));
		ASSERT_EQ(0, ipc_create_key(ring, &next, 0, 4, 4, 0600, KEY));
		ASSERT_EQ(0, ipc_destroy(ring, next));
		close(mine.fd);
	}
}

/* The last of several descriptors counts. */
TEST_F(ring, names_stay_while_a_descriptor_is_open)
{
	struct ring *ring = &self->ring, owner;
	struct sub sub;
	__u32 id;
	int copy;

	ASSERT_EQ(0, ring_open(&owner, variant->setup));
	ASSERT_EQ(0, ipc_create_key(&owner, &id, 0, 4, 4, 0600, KEY));
	copy = dup(owner.fd);
	ASSERT_LE(0, copy);
	ring_close(&owner);
	EXPECT_EQ(0, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(ring, id, 1));
	close(copy);
	EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, id, 1));
}

TEST_F(ring, names_are_gone_when_the_owner_is)
{
	struct ring *ring = &self->ring, owner;
	struct gate ready;
	struct sub sub;
	__u32 next;
	pid_t pid;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	for (i = 0; i < 5; i++) {
		pid = child_start();
		if (!pid) {
			ring_open(&owner, variant->setup);
			ipc_create_key(&owner, &next, 0, 4, 4, 0600, KEY);
			gate_open(&ready);
			pause();
			_exit(0);
		}
		ASSERT_EQ(0, gate_wait(&ready));
		ASSERT_EQ(0, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_BOTH));
		child_kill(pid);
		EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &sub, KEY,
						  IOIPC_SUB_BOTH));
		EXPECT_EQ(0, ipc_create_key(ring, &next, 0, 4, 4, 0600, KEY));
		EXPECT_EQ(0, ipc_destroy(ring, next));
	}
}

static bool seen_before(__u32 *seen, unsigned int *n, __u32 id)
{
	unsigned int i;

	for (i = 0; i < *n; i++)
		if (seen[i] == id)
			return true;
	seen[(*n)++] = id;
	return false;
}

/* Channels and subscribers share one id space. */
TEST_F(ring, ids_never_overlap)
{
	enum { COUNT = 200 };
	struct ring *ring = &self->ring, other;
	__u32 seen[2 * COUNT], id[COUNT];
	unsigned int i, n = 0;
	struct sub sub;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, ipc_create(i & 1 ? ring : &other, &id[i], 0, 1,
					4));
		EXPECT_FALSE(seen_before(seen, &n, id[i]));
	}
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, ipc_attach(i & 2 ? ring : &other, &sub, id[i],
					IOIPC_SUB_BOTH));
		EXPECT_FALSE(seen_before(seen, &n, sub.id));
		close(sub.fd);
	}
	ring_close(&other);
}

/* An id that is gone names nothing else for a good while. */
TEST_F(ring, ids_are_not_reused_soon)
{
	enum { COUNT = 200 };
	struct ring *ring = &self->ring;
	__u32 seen[2 * COUNT], id;
	unsigned int i, n = 0;
	struct sub sub;

	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, ipc_create(ring, &id, 0, 1, 4));
		EXPECT_FALSE(seen_before(seen, &n, id));
		ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
		EXPECT_FALSE(seen_before(seen, &n, sub.id));
		ASSERT_EQ(0, ipc_detach(ring, sub.id));
		ASSERT_EQ(0, ipc_destroy(ring, id));
		close(sub.fd);
	}
}

/* IPC namespaces: the same key twice, each seen from its own side only. */
TEST_F(ring, keys_belong_to_an_ipc_namespace)
{
	struct ring *ring = &self->ring, inside;
	struct sub sub, in_sub;
	__u32 id, in_id;
	struct gate ready, done;
	pid_t pid;

	if (access("/proc/self/ns/ipc", F_OK))
		SKIP(return, "kernel without CONFIG_IPC_NS");
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, KEY));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, unshare(CLONE_NEWIPC));
		ASSERT_EQ(0, ring_open(&inside, variant->setup));
		EXPECT_EQ(-ENOENT, ipc_attach_key(&inside, &in_sub, KEY,
						  IOIPC_SUB_BOTH));
		EXPECT_EQ(-ENOENT, ipc_attach(&inside, &in_sub, id,
					      IOIPC_SUB_BOTH));
		EXPECT_EQ(-ENOENT, ipc_send_u32(&inside, id, 1));
		EXPECT_EQ(-ENOENT, ipc_destroy(&inside, id));
		EXPECT_EQ(0, ipc_create_key(&inside, &in_id, 0, 4, 4, 0600,
					    KEY));
		EXPECT_EQ(-EEXIST, ipc_create_key(&inside, &in_id, 0, 4, 4,
						  0600, KEY));
		EXPECT_EQ(0, ipc_create_key(&inside, &in_id, 0, 4, 4, 0600,
					    KEY + 1));
		EXPECT_EQ(0, ipc_attach_key(&inside, &in_sub, KEY,
					    IOIPC_SUB_BOTH));
		EXPECT_EQ(4, ipc_send_u32(&inside, in_sub.id, 1));
		gate_open(&ready);
		gate_wait(&done);
		EXPECT_EQ(1, ipc_recv_u32(&inside, in_sub.id));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(&inside, in_sub.id));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &sub, KEY + 1,
					  IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, sub.id));
	EXPECT_EQ(4, ipc_send_u32(ring, sub.id, 2));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(2, ipc_recv_u32(ring, sub.id));
}

/*
 * A ring that was there before: calls are made in the caller's namespace, and so are
 * requests, but for those that the thread of an SQPOLL ring submits. That is in the
 * namespace it was made in.
 */
TEST_F(ring, ring_from_before_the_namespace)
{
	bool polled = variant->setup == RING_SQPOLL;
	struct ring *ring = &self->ring, own;
	struct sub sub;
	__u32 id, in_id;
	pid_t pid;

	if (access("/proc/self/ns/ipc", F_OK))
		SKIP(return, "kernel without CONFIG_IPC_NS");
	ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, KEY));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_RECV));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&own, variant->setup));
		ASSERT_EQ(0, unshare(CLONE_NEWIPC));
		EXPECT_EQ(-ENOENT, ipc_attach_key(&own, &sub, KEY,
						  IOIPC_SUB_BOTH));
		ASSERT_EQ(0, ipc_create_key(&own, &in_id, 0, 4, 4, 0600, KEY));
		EXPECT_EQ(polled ? -ENOENT : 4, ipc_send_u32(&own, in_id, 1));
		EXPECT_EQ(polled ? 4 : -ENOENT, ipc_send_u32(&own, id, 2));
		/* Subscribers are the ring's, wherever their channel is. */
		ASSERT_EQ(0, ipc_attach_key(&own, &sub, KEY, IOIPC_SUB_BOTH));
		EXPECT_EQ(4, ipc_send_u32(&own, sub.id, 3));
		EXPECT_EQ(polled ? 3 : 1, ipc_recv_u32(&own, sub.id));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(polled ? 2 : -EAGAIN, ipc_recv_u32(ring, sub.id));
}

/* Attaches by key and looks whose channel that is, in this user namespace. */
static int find_owner(unsigned int setup, long long uid, long long gid)
{
	struct ring ring;
	struct sub sub;

	if (ring_open(&ring, setup) ||
	    ipc_attach_key(&ring, &sub, KEY, IOIPC_SUB_SEND))
		return 10;
	if (fdinfo_value(sub.fd, "ipc-uid") != uid)
		return 11;
	if (fdinfo_value(sub.fd, "ipc-gid") != gid)
		return 12;
	/* Octal, with a 0 in front. */
	if (fdinfo_value(sub.fd, "ipc-permissions") != 646)
		return 13;
	ring_close(&ring);
	return 0;
}

/* Anybody may have been the first with a key: who sends can look who was. */
TEST_F(ring, whose_channel_it_is)
{
	struct gate *made = shared_alloc(sizeof(*made));
	pid_t owner, pid;
	__u32 id;

	ASSERT_NE(NULL, made);
	ASSERT_EQ(0, gate_init(made));
	owner = child_start();
	ASSERT_LE(0, owner);
	if (!owner) {
		ASSERT_EQ(0, become(OWNER, GROUP));
		ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
		ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0646,
					    KEY));
		gate_open(made);
		pause();
	}
	ASSERT_EQ(0, gate_wait(made));
	EXPECT_EQ(0, find_owner(variant->setup, OWNER, GROUP));
	pid = container_start(OWNER, GROUP, 0);
	if (!pid)
		_exit(find_owner(variant->setup, 0, 0));
	EXPECT_EQ(0, child_wait(pid));
	pid = container_start(STRANGER, STRANGER, 0);
	if (!pid)
		_exit(find_owner(variant->setup, OVERFLOW, OVERFLOW));
	EXPECT_EQ(0, child_wait(pid));
	child_kill(owner);
}

TEST_HARNESS_MAIN
