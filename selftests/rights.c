// SPDX-License-Identifier: GPL-2.0
/* Who may attach, send, receive, map and destroy. Runs as root. */
#include <grp.h>
#include <sys/syscall.h>

#include "lib/container.h"
#include "ring_fixture.h"

#define OWNER		1000
#define STRANGER	2000
#define GROUP		3000

#define KEY		0x726967687473ULL

/*
 * Run @body in a child with the ids given, with a ring of its own, `ring`.
 * The child's failed expectations fail the test.
 */
#define AS(uid, gid, body) do {						\
	pid_t __pid = child_start();					\
									\
	ASSERT_LE(0, __pid);						\
	if (!__pid) {							\
		struct ring as_ring, *ring = &as_ring;			\
									\
		ASSERT_EQ(0, become(uid, gid));				\
		ASSERT_EQ(0, ring_open(ring, variant->setup));		\
		body;							\
		ring_close(ring);					\
		_exit(_metadata->exit_code);				\
	}								\
	EXPECT_EQ(0, child_wait(__pid));				\
} while (0)

/* Every combination of directions, tried with @ring's credentials. */
static void check_rights(struct __test_metadata *_metadata, struct ring *ring,
			 __u32 id, bool may_receive, bool may_send)
{
	bool both = may_receive && may_send;
	struct sub sub;
	int ret;

	ret = ipc_attach(ring, &sub, id, IOIPC_SUB_RECV);
	EXPECT_EQ(may_receive ? 0 : -EACCES, ret)
		TH_LOG("receive");
	if (!ret)
		ipc_detach(ring, sub.id);
	ret = ipc_attach(ring, &sub, id, IOIPC_SUB_SEND);
	EXPECT_EQ(may_send ? 0 : -EACCES, ret)
		TH_LOG("send");
	if (!ret)
		ipc_detach(ring, sub.id);
	ret = ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH);
	EXPECT_EQ(both ? 0 : -EACCES, ret)
		TH_LOG("both");
	if (!ret)
		ipc_detach(ring, sub.id);
	ret = ipc_send(ring, id, "", 1, 0);
	EXPECT_EQ(may_send ? 1 : -EACCES, ret)
		TH_LOG("bare send");
}

TEST_F(ring, directions)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	char buf[4];
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	EXPECT_EQ(-EACCES, ipc_send(ring, rx.id, "", 1, 0));
	EXPECT_EQ(-EACCES, ipc_recv(ring, tx.id, buf, 4));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, rx.id, buf, 4));
	EXPECT_EQ(1, ipc_send(ring, tx.id, "", 1, 0));
	EXPECT_EQ(-EACCES, ipc_recv(ring, tx.id, buf, 4));
	EXPECT_EQ(1, ipc_recv(ring, rx.id, buf, 4));
}

enum who { AS_OWNER, AS_GROUP, AS_OTHER, AS_ROOT };

struct mode_case {
	__u32 mode;
	/* receive, send: as owner, in the group, as anybody else */
	bool may[3][2];
};

static const struct mode_case modes[] = {
	{ 0600, { { 1, 1 }, { 0, 0 }, { 0, 0 } } },
	{ 0060, { { 0, 0 }, { 1, 1 }, { 0, 0 } } },
	{ 0006, { { 0, 0 }, { 0, 0 }, { 1, 1 } } },
	{ 0400, { { 1, 0 }, { 0, 0 }, { 0, 0 } } },
	{ 0200, { { 0, 1 }, { 0, 0 }, { 0, 0 } } },
	{ 0420, { { 1, 0 }, { 0, 1 }, { 0, 0 } } },
	{ 0042, { { 0, 0 }, { 1, 0 }, { 0, 1 } } },
	{ 0000, { { 0, 0 }, { 0, 0 }, { 0, 0 } } },
	/* Only the bits of 0666 count. */
	{ 0111, { { 0, 0 }, { 0, 0 }, { 0, 0 } } },
	{ 07775, { { 1, 1 }, { 1, 1 }, { 1, 0 } } },
	{ 0xffffffff, { { 1, 1 }, { 1, 1 }, { 1, 1 } } },
};

static void check_modes(struct __test_metadata *_metadata, struct ring *ring,
			const __u32 *id, enum who who)
{
	const struct mode_case *m;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		m = &modes[i];
		/* Root passes whatever the mode. */
		check_rights(_metadata, ring, id[i],
			     who == AS_ROOT || m->may[who][0],
			     who == AS_ROOT || m->may[who][1]);
	}
}

TEST_F(ring, mode_bits)
{
	struct gate ready, done;
	unsigned int i;
	__u32 *id;
	pid_t pid;

	id = shared_alloc(sizeof(modes));
	ASSERT_NE(NULL, id);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring owner;

		ASSERT_EQ(0, become(OWNER, GROUP));
		ASSERT_EQ(0, ring_open(&owner, variant->setup));
		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			ASSERT_EQ(0, ipc_create_key(&owner, &id[i],
						    IOIPC_F_BROADCAST, 4, 4,
						    modes[i].mode, 0));
		}
		check_modes(_metadata, &owner, id, AS_OWNER);
		gate_open(&ready);
		gate_wait(&done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	AS(STRANGER, GROUP, check_modes(_metadata, ring, id, AS_GROUP));
	AS(STRANGER, STRANGER, check_modes(_metadata, ring, id, AS_OTHER));
	check_modes(_metadata, &self->ring, id, AS_ROOT);
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Membership counts, not only the primary group. */
TEST_F(ring, supplementary_group)
{
	struct gate ready, done;
	gid_t groups[] = { 1, GROUP, 5 };
	__u32 *id = shared_alloc(4096);
	pid_t pid, member;

	ASSERT_NE(NULL, id);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring owner;

		ASSERT_EQ(0, become(OWNER, GROUP));
		ASSERT_EQ(0, ring_open(&owner, variant->setup));
		ASSERT_EQ(0, ipc_create_key(&owner, id, 0, 4, 4, 0060, 0));
		gate_open(&ready);
		gate_wait(&done);
		_exit(0);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	AS(STRANGER, STRANGER,
	   check_rights(_metadata, ring, *id, false, false));
	member = child_start();
	ASSERT_LE(0, member);
	if (!member) {
		struct ring ring;

		ASSERT_EQ(0, syscall(SYS_setgroups, 3, groups));
		ASSERT_EQ(0, syscall(SYS_setresgid, STRANGER, STRANGER,
				     STRANGER));
		ASSERT_EQ(0, syscall(SYS_setresuid, STRANGER, STRANGER,
				     STRANGER));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		check_rights(_metadata, &ring, *id, true, true);
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(member));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
}

/* A process with two channels, the first of which has the key. */
struct owner {
	__u32 *id;
	struct gate ready, done;
	pid_t pid;
};

static void owner_start(struct __test_metadata *_metadata, struct owner *owner,
			gid_t gid, unsigned int setup, __u32 mode)
{
	struct ring ring;

	owner->id = shared_alloc(2 * sizeof(*owner->id));
	ASSERT_NE(NULL, owner->id);
	ASSERT_EQ(0, gate_init(&owner->ready));
	ASSERT_EQ(0, gate_init(&owner->done));
	owner->pid = child_start();
	ASSERT_LE(0, owner->pid);
	if (!owner->pid) {
		ASSERT_EQ(0, become(OWNER, gid));
		ASSERT_EQ(0, ring_open(&ring, setup));
		ASSERT_EQ(0, ipc_create_key(&ring, &owner->id[0], 0, 4, 4,
					    mode, KEY));
		ASSERT_EQ(0, ipc_create_key(&ring, &owner->id[1], 0, 4, 4,
					    mode, 0));
		gate_open(&owner->ready);
		gate_wait(&owner->done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&owner->ready));
}

static void owner_end(struct __test_metadata *_metadata, struct owner *owner)
{
	gate_open(&owner->done);
	EXPECT_EQ(0, child_wait(owner->pid));
}

TEST_F(ring, destroy_is_for_the_owner)
{
	struct ring *root = &self->ring;
	struct owner owner;
	struct sub sub;
	__u32 *id;

	owner_start(_metadata, &owner, GROUP, variant->setup, 0666);
	id = owner.id;
	/* Full rights to use it are no right to end it. */
	AS(STRANGER, STRANGER,
	   EXPECT_EQ(-EPERM, ipc_destroy(ring, id[0]));
	   EXPECT_EQ(-EPERM, ipc_destroy(ring, id[1])));
	AS(STRANGER, GROUP, EXPECT_EQ(-EPERM, ipc_destroy(ring, id[0])));
	EXPECT_EQ(0, ipc_attach_key(root, &sub, KEY, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(root, sub.id, 3));
	EXPECT_EQ(3, ipc_recv_u32(root, sub.id));
	/* The owner is a user, not a process. */
	AS(OWNER, STRANGER,
	   EXPECT_EQ(0, ipc_destroy(ring, id[0]));
	   EXPECT_EQ(-ENOENT, ipc_destroy(ring, id[0])));
	EXPECT_EQ(-EPIPE, ipc_send_u32(root, sub.id, 3));
	EXPECT_EQ(0, ipc_destroy(root, id[1]));
	AS(OWNER, STRANGER, EXPECT_EQ(-ENOENT, ipc_destroy(ring, id[1])));
	owner_end(_metadata, &owner);
}

/* A stranger cannot destroy what root made either. */
TEST_F(ring, destroy_of_roots_channel)
{
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0666, 0));
	AS(STRANGER, STRANGER, EXPECT_EQ(-EPERM, ipc_destroy(ring, id)));
	EXPECT_EQ(4, ipc_send_u32(&self->ring, id, 0));
	EXPECT_EQ(0, ipc_destroy(&self->ring, id));
}

/* What is not for a stranger: it can use no name of it, nor take one over. */
TEST_F(ring, stranger_and_a_channel_for_the_owner)
{
	struct sub sub;
	__u32 id, own;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0600, KEY));
	AS(STRANGER, STRANGER,
	   check_rights(_metadata, ring, id, false, false);
	   EXPECT_EQ(-EACCES, ipc_attach_key(ring, &sub, KEY, IOIPC_SUB_RECV));
	   EXPECT_EQ(-EPERM, ipc_destroy(ring, id));
	   EXPECT_EQ(-EEXIST, ipc_create_key(ring, &own, 0, 4, 4, 0600, KEY)));
	ASSERT_EQ(0, ipc_attach_key(&self->ring, &sub, KEY, IOIPC_SUB_RECV));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, sub.id));
}

/*
 * The exit status of a root of a user namespace with a few users from @first on:
 * the results of an ATTACH and a DESTROY, 0, 1 and 2 for refused, and more for
 * what should not be.
 */
#define NO_ATTACH	1
#define NO_DESTROY	2

static int use_in_container(unsigned int first, __u32 id)
{
	pid_t pid = container_start_many(first, 8);
	struct ring ring;
	struct sub sub;
	int ret, refused = 0;

	if (pid)
		return child_wait(pid);
	if (ring_open(&ring, RING_PLAIN))
		_exit(200);
	ret = ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH);
	if (ret)
		refused |= ret == -EACCES ? NO_ATTACH : 100;
	ret = ipc_destroy(&ring, id);
	if (ret)
		refused |= ret == -EPERM ? NO_DESTROY : 100;
	_exit(refused);
}

/* Root of a container is root over its own users' channels, and no others. */
TEST_F(ring, root_of_a_container)
{
	struct owner owner;
	__u32 id;

	owner_start(_metadata, &owner, OWNER, variant->setup, 0600);
	id = owner.id[0];
	EXPECT_EQ(NO_ATTACH | NO_DESTROY, use_in_container(OWNER + 1, id));
	EXPECT_EQ(0, use_in_container(OWNER - 1, id));
	EXPECT_EQ(-ENOENT, ipc_destroy(&self->ring, id));
	owner_end(_metadata, &owner);
}

static int change_ids(uid_t uid)
{
	return syscall(SYS_setresuid, uid, uid, uid) ? -errno : 0;
}

/*
 * An SQPOLL thread acts with the credentials the ring was opened with, so a
 * change of the submitter's shows with the other set-ups only.
 */
#define IDS_FOLLOW	(!(variant->setup & IORING_SETUP_SQPOLL))

/* Attaching is what was permitted: rights stay as they were then. */
TEST_F(ring, rights_are_kept_after_a_credential_change)
{
	struct ring *ring = &self->ring;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, change_ids(STRANGER));
	EXPECT_EQ(4, ipc_send_u32(ring, sub.id, 8));
	EXPECT_EQ(8, ipc_recv_u32(ring, sub.id));
	/* No attach, no right kept. */
	EXPECT_EQ(IDS_FOLLOW ? -EACCES : 4, ipc_send_u32(ring, id, 8));
	EXPECT_EQ(-EACCES, ipc_attach(ring, &sub, id, IOIPC_SUB_RECV));
	EXPECT_EQ(-EPERM, ipc_destroy(ring, id));
}

TEST_F(ring, bare_send_is_checked_each_time)
{
	struct ring *ring = &self->ring;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(ring, &id, 0, 4, 4, 0600, 0));
	EXPECT_EQ(4, ipc_send_u32(ring, id, 8));
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, STRANGER, 0));
	EXPECT_EQ(IDS_FOLLOW ? -EACCES : 4, ipc_send_u32(ring, id, 8));
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, 0));
	EXPECT_EQ(4, ipc_send_u32(ring, id, 8));
}

TEST_F(ring, private_is_checked_each_time)
{
	struct ring *ring = &self->ring;
	struct sub tx, rx;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_PRIVATE, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send_u32(ring, tx.id, 1));
	EXPECT_EQ(4, ipc_send_u32(ring, tx.id, 2));
	EXPECT_EQ(1, ipc_recv_u32(ring, rx.id));
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, STRANGER, 0));
	if (IDS_FOLLOW) {
		EXPECT_EQ(-EACCES, ipc_send_u32(ring, tx.id, 3));
		EXPECT_EQ(-EACCES, ipc_recv_u32(ring, rx.id));
	}
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, 0));
	/* Refused means untouched. */
	EXPECT_EQ(2, ipc_recv_u32(ring, rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
}

/* The mode is the judge, not who attached: the group may still send. */
TEST_F(ring, private_with_group_rights)
{
	struct ring *ring = &self->ring;
	struct sub both;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(ring, &id, IOIPC_F_PRIVATE, 4, 4, 0620,
				    0));
	ASSERT_EQ(0, ipc_attach(ring, &both, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, change_ids(STRANGER));
	EXPECT_EQ(4, ipc_send_u32(ring, both.id, 3));
	EXPECT_EQ(IDS_FOLLOW ? -EACCES : 3, ipc_recv_u32(ring, both.id));
}

TEST_F(ring, private_cannot_be_mapped)
{
	static const __u32 kinds[] = { 0, IOIPC_F_BROADCAST,
				       IOIPC_F_MULTICAST };
	struct ring *ring = &self->ring;
	struct sub sub;
	unsigned int i;
	__u32 id;
	void *p;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, ipc_create(ring, &id, kinds[i] | IOIPC_F_PRIVATE,
					4, 4));
		ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
		p = mmap(NULL, sub.size ?: 4096, PROT_READ, MAP_SHARED,
			 sub.fd, sub.offset);
		EXPECT_EQ(MAP_FAILED, p);
		EXPECT_EQ(EACCES, errno);
		p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, sub.fd,
			 sub.offset);
		EXPECT_EQ(MAP_FAILED, p);
		EXPECT_EQ(EACCES, errno);
	}
}

/* A ring shared with another user, as fork() does. */
TEST(private_on_a_shared_ring)
{
	struct sub tx, rx;
	struct ring ring;
	__u32 id;
	pid_t pid;

	ASSERT_EQ(0, ring_open(&ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&ring, &id, IOIPC_F_PRIVATE, 4, 4));
	ASSERT_EQ(0, ipc_attach(&ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&ring, &rx, id, IOIPC_SUB_RECV));
	EXPECT_EQ(4, ipc_send_u32(&ring, tx.id, 1));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (become(STRANGER, STRANGER))
			_exit(10);
		if (ipc_send_u32(&ring, tx.id, 2) != -EACCES)
			_exit(11);
		if (ipc_recv_u32(&ring, rx.id) != -EACCES)
			_exit(12);
		if (ipc_send_u32(&ring, id, 2) != -EACCES)
			_exit(13);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* The child moved the ring's own counters along: take its place. */
	ring.tail = *ring.sq_tail;
	EXPECT_EQ(1, ipc_recv_u32(&ring, rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&ring, rx.id));
	ring_close(&ring);
}

/* The sender of a message is who sent it, not who made the ring. */
TEST(header_names_the_sender)
{
	struct io_uring_ipc_msg_hdr hdr;
	struct ring ring;
	struct sub rx;
	__u32 id;
	pid_t pid;

	ASSERT_EQ(0, ring_open(&ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create_key(&ring, &id, 0, 4, 4, 0666, 0));
	ASSERT_EQ(0, ipc_attach(&ring, &rx, id, IOIPC_SUB_RECV));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring own;

		if (become(STRANGER, GROUP) || ring_open(&own, RING_PLAIN))
			_exit(10);
		_exit(ipc_send_u32(&own, id, 2) == 4 ? 0 : 11);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ((int)sizeof(hdr),
		  ipc_recv_flags(&ring, rx.id, &hdr, sizeof(hdr),
				 IOIPC_RECV_HDR));
	EXPECT_EQ(STRANGER, (int)hdr.uid);
	EXPECT_EQ(GROUP, (int)hdr.gid);
	/* It is gone by now: its pid, or nobody's. */
	EXPECT_TRUE((int)hdr.pid == pid || !hdr.pid);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
