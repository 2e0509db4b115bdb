// SPDX-License-Identifier: GPL-2.0
/*
 * Whom a message's header names as its sender: however it was submitted, and
 * as the receiver's namespaces show it. Runs as root.
 */
#include <pthread.h>
#include <sched.h>
#include <linux/io_uring_ipc.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define USER		1000
#define GROUP		1500
#define STRANGER	2000
#define OVERFLOW	65534U
#define ENTRIES		4

/* A channel for all with a receiver on the fixture's ring. */
FIXTURE(receiver)
{
	struct ring ring;
	struct sub rx;
	__u32 id;
	struct gate ready;
	struct gate done;
};

/* How the sender's ring is set up. */
FIXTURE_VARIANT(receiver)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(receiver, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(receiver, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(receiver, sqpoll)
{
	.setup = RING_SQPOLL,
};

static int open_channel(struct ring *ring, __u32 *id, struct sub *rx, int mode)
{
	int ret = ring_open(ring, RING_PLAIN);

	if (!ret)
		ret = ipc_create_key(ring, id, 0, ENTRIES, 4, mode, 0);
	return ret ?: ipc_attach(ring, rx, *id, IOIPC_SUB_BOTH);
}

FIXTURE_SETUP(receiver)
{
	ASSERT_EQ(0, gate_init(&self->ready));
	ASSERT_EQ(0, gate_init(&self->done));
	ASSERT_EQ(0, open_channel(&self->ring, &self->id, &self->rx, 0666));
}

FIXTURE_TEARDOWN(receiver)
{
	ring_close(&self->ring);
}

/* A child has sent: tells the parent, which looks at it while it lives. */
static void end_sender(struct __test_metadata *_metadata, struct gate *ready,
		       struct gate *done)
{
	gate_open(ready);
	gate_wait(done);
	_exit(_metadata->exit_code);
}

/* So many requests have sent or received a number each. */
static void expect_done(struct __test_metadata *_metadata, struct ring *ring,
			int n)
{
	struct io_uring_cqe cqe;

	while (n--) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		ASSERT_EQ(4, cqe.res);
	}
}

/* The next message's header, or -errno. */
static int next_header(struct ring *ring, __u32 id,
		       struct io_uring_ipc_msg_hdr *hdr)
{
	char buf[sizeof(*hdr) + 4];
	int ret = ipc_recv_flags(ring, id, buf, sizeof(buf), IOIPC_RECV_HDR);

	if (ret < 0)
		return ret;
	memcpy(hdr, buf, sizeof(*hdr));
	return ret == (int)sizeof(buf) ? 0 : -EBADMSG;
}

#define EXPECT_SENDER(want_pid, want_uid, want_gid) do {		\
	struct io_uring_ipc_msg_hdr __hdr;				\
									\
	ASSERT_EQ(0, next_header(&self->ring, self->rx.id, &__hdr));	\
	EXPECT_EQ((__u32)(want_pid), __hdr.pid);			\
	EXPECT_EQ((__u32)(want_uid), __hdr.uid);			\
	EXPECT_EQ((__u32)(want_gid), __hdr.gid);			\
} while (0)

/* A send in each way that a request can take. */
enum way { AT_ONCE, BY_WORKER, WAITING, WAYS };

static void queue_send(struct ring *ring, __u32 id, enum way way)
{
	static __u32 value;
	struct io_uring_sqe *sqe = prep_send(ring, id, &value, 4, 0, way);

	if (way == BY_WORKER)
		sqe->flags = IOSQE_ASYNC;
	if (way == WAITING)
		sqe->ioprio = IOIPC_SEND_WAIT;
}

/* The parent finds each way's message, the last of them behind a full ring. */
TEST_F(receiver, names_who_submits)
{
	pid_t pid = child_start();
	struct ring ring;
	struct sub tx;
	int i;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, become(USER, GROUP));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &tx, self->id, IOIPC_SUB_SEND));
		queue_send(&ring, tx.id, AT_ONCE);
		ASSERT_EQ(4, ring_one(&ring));
		queue_send(&ring, tx.id, BY_WORKER);
		ASSERT_EQ(4, ring_one(&ring));
		/* By the channel's id, too. */
		queue_send(&ring, self->id, AT_ONCE);
		ASSERT_EQ(4, ring_one(&ring));
		queue_send(&ring, self->id, BY_WORKER);
		ASSERT_EQ(4, ring_one(&ring));
		queue_send(&ring, tx.id, WAITING);
		ASSERT_EQ(0, ring_submit(&ring));
		ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING, 1));
		gate_open(&self->ready);
		expect_done(_metadata, &ring, 1);
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	for (i = 0; i < ENTRIES; i++)
		EXPECT_SENDER(pid, USER, GROUP);
	ASSERT_EQ(0, gate_wait(&self->ready));
	EXPECT_SENDER(pid, USER, GROUP);
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Each message names who its sender was then; for SQPOLL its ring's maker. */
TEST_F(receiver, follows_changes)
{
	bool follows = !(variant->setup & IORING_SETUP_SQPOLL);
	pid_t pid = child_start();
	struct ring ring;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(4, ipc_send_u32(&ring, self->id, 1));
		ASSERT_EQ(0, syscall(SYS_setresgid, GROUP, -1, -1));
		ASSERT_EQ(0, syscall(SYS_setresuid, USER, -1, -1));
		ASSERT_EQ(4, ipc_send_u32(&ring, self->id, 2));
		queue_send(&ring, self->id, BY_WORKER);
		ASSERT_EQ(4, ring_one(&ring));
		/* The real ids: what it acts as for now is not who it is. */
		ASSERT_EQ(0, syscall(SYS_setresuid, 0, STRANGER, 0));
		ASSERT_EQ(4, ipc_send_u32(&ring, self->id, 2));
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	EXPECT_SENDER(pid, 0, 0);
	EXPECT_SENDER(pid, follows ? USER : 0, follows ? GROUP : 0);
	EXPECT_SENDER(pid, follows ? USER : 0, follows ? GROUP : 0);
	EXPECT_SENDER(pid, 0, follows ? GROUP : 0);
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Whose credentials change while a send waits; what a worker was for keeps them. */
TEST_F(receiver, follows_changes_while_it_waits)
{
	bool follows = !(variant->setup & IORING_SETUP_SQPOLL);
	struct io_uring_sqe *sqe;
	pid_t pid = child_start();
	struct ring ring;
	__u32 value = 0;
	struct sub tx;
	int i;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &tx, self->id, IOIPC_SUB_SEND));
		for (i = 0; i < ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(&ring, tx.id, i));
		for (i = 0; i < 2; i++) {
			sqe = prep_send(&ring, tx.id, &value, 4, 0, i);
			sqe->ioprio = IOIPC_SEND_WAIT;
			sqe->flags = i ? IOSQE_ASYNC : 0;
			ASSERT_EQ(0, ring_submit(&ring));
			/* The other one may need this task to enter its ring. */
			if (!i)
				ASSERT_EQ(0, fdinfo_wait(tx.fd, SENDS_WAITING,
							 1));
		}
		ASSERT_EQ(0, become(USER, GROUP));
		gate_open(&self->ready);
		expect_done(_metadata, &ring, 2);
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	for (i = 0; i < ENTRIES; i++)
		EXPECT_SENDER(pid, 0, 0);
	ASSERT_EQ(0, gate_wait(&self->ready));
	EXPECT_SENDER(pid, follows ? USER : 0, follows ? GROUP : 0);
	EXPECT_SENDER(pid, 0, 0);
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* Sends, once the receive before it has ended, which is after it became USER. */
static void send_kept_back(struct __test_metadata *_metadata,
			   unsigned int setup, __u32 to, bool chained)
{
	struct ring ring, other;
	struct sub tx, in, out;
	struct io_uring_sqe *sqe;
	__u32 value = 0, id;

	ASSERT_EQ(0, ring_open(&ring, setup));
	ASSERT_EQ(0, ring_open(&other, RING_PLAIN));
	ASSERT_EQ(0, ipc_attach(&ring, &tx, to, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_create(&ring, &id, 0, 2, 4));
	ASSERT_EQ(0, ipc_attach(&ring, &in, id, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&other, &out, id, IOIPC_SUB_SEND));
	sqe = prep_recv(&ring, in.id, &value, 4, IOIPC_RECV_WAIT, 1);
	sqe->flags = chained ? IOSQE_ASYNC | IOSQE_IO_LINK : 0;
	sqe = prep_send(&ring, tx.id, &value, 4, 0, 2);
	sqe->flags = chained ? 0 : IOSQE_IO_DRAIN;
	ASSERT_EQ(0, ring_submit(&ring));
	ASSERT_EQ(0, become(USER, GROUP));
	ASSERT_EQ(4, ipc_send_u32(&other, out.id, 1));
	expect_done(_metadata, &ring, 2);
}

/* What has to wait for another request keeps the credentials, too. */
TEST_F(receiver, kept_back_with_its_credentials)
{
	pid_t pid;
	int chained;

	for (chained = 0; chained < 2; chained++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			send_kept_back(_metadata, variant->setup, self->id,
				       chained);
			end_sender(_metadata, &self->ready, &self->done);
		}
		ASSERT_EQ(0, gate_wait(&self->ready));
		EXPECT_SENDER(pid, 0, 0);
		gate_open(&self->done);
		EXPECT_EQ(0, child_wait(pid));
	}
}

/*
 * A ring that another process has made: who submits is the sender, unless a
 * thread of the maker's does it for him.
 */
TEST_F(receiver, inherited_ring)
{
	bool single = variant->setup & IORING_SETUP_SINGLE_ISSUER;
	bool polled = variant->setup & IORING_SETUP_SQPOLL;
	struct ring ring;
	__u32 value = 1;
	pid_t pid;

	ASSERT_EQ(0, ring_open(&ring, variant->setup));
	ASSERT_EQ(0, ipc_attach(&ring, &(struct sub){}, self->id,
				IOIPC_SUB_SEND));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, become(USER, GROUP));
		prep_send(&ring, self->id, &value, 4, 0, 1);
		EXPECT_EQ(single ? -EEXIST : 4,
			  single ? ring_enter(&ring, 1) : ring_one(&ring));
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	if (!single)
		EXPECT_SENDER(polled ? getpid() : pid, polled ? 0 : USER,
			      polled ? 0 : GROUP);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
	ring_close(&ring);
}

/*
 * A thread that polls for the rings of two users is the first one's. What the
 * second submits is the second's nevertheless, when it is issued from a link or
 * once more, too.
 */
FIXTURE(shared_thread)
{
	struct ring ring;	/* of a channel that is for all */
	struct sub rx;
	__u32 id;
	struct ring other;	/* of one that is not */
	struct sub others_rx;
	__u32 others_id;
	struct gate ready;
	struct gate done;
};

FIXTURE_SETUP(shared_thread)
{
	ASSERT_EQ(0, gate_init(&self->ready));
	ASSERT_EQ(0, gate_init(&self->done));
	ASSERT_EQ(0, open_channel(&self->ring, &self->id, &self->rx, 0666));
	ASSERT_EQ(0, open_channel(&self->other, &self->others_id,
				  &self->others_rx, 0600));
}

FIXTURE_TEARDOWN(shared_thread)
{
	ring_close(&self->ring);
	ring_close(&self->other);
}

/* Root's ring, and from there on a user's, which uses the first one's thread. */
static int share_thread(struct ring *roots, struct ring *ring)
{
	return ring_open(roots, RING_SQPOLL) ?: become(USER, GROUP) ?:
	       ring_open_sharing(ring, roots);
}

static void queue_linked_send(struct ring *ring, __u32 id, enum way way)
{
	prep_nop(ring, WAYS)->flags = IOSQE_IO_LINK;
	queue_send(ring, id, way);
}

TEST_F(shared_thread, is_not_who_submits)
{
	pid_t pid = child_start();
	struct io_uring_cqe cqe;
	struct ring roots, ring;
	int way;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, share_thread(&roots, &ring));
		queue_send(&ring, self->id, AT_ONCE);
		ASSERT_EQ(4, ring_one(&ring));
		for (way = 0; way < WAYS; way++) {
			queue_linked_send(&ring, self->id, way);
			ASSERT_EQ(0, ring_next(&ring, &cqe));
			ASSERT_EQ(WAYS, cqe.user_data);
			expect_done(_metadata, &ring, 1);
		}
		/* The ring is full. */
		queue_send(&ring, self->id, WAITING);
		ASSERT_TRUE(ring_quiet(&ring, 50));
		gate_open(&self->ready);
		expect_done(_metadata, &ring, 1);
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	EXPECT_SENDER(pid, USER, GROUP);
	for (way = 0; way < WAYS; way++)
		EXPECT_SENDER(pid, USER, GROUP);
	ASSERT_EQ(0, gate_wait(&self->ready));
	EXPECT_SENDER(pid, USER, GROUP);
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(shared_thread, gives_no_rights)
{
	pid_t pid = child_start();
	struct io_uring_cqe cqe;
	struct ring roots, ring;
	int way;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, share_thread(&roots, &ring));
		queue_send(&ring, self->others_id, AT_ONCE);
		EXPECT_EQ(-EACCES, ring_one(&ring));
		for (way = 0; way < WAYS; way++) {
			queue_linked_send(&ring, self->others_id, way);
			ASSERT_EQ(0, ring_next(&ring, &cqe));
			ASSERT_EQ(0, ring_next(&ring, &cqe));
			EXPECT_EQ(-EACCES, cqe.res);
		}
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->other, self->others_rx.id));
}

/* Nothing in an SQE says who sends. */
static void try_to_forge(struct __test_metadata *_metadata, struct ring *ring,
			 __u32 id, int personality)
{
	struct io_uring_sqe *sqe;
	__u32 value = 1;

	sqe = prep_send(ring, id, &value, 4, 0, 1);
	sqe->personality = personality;
	EXPECT_EQ(-EINVAL, ring_one(ring));
	/* What is not used is refused: nothing slips through. */
	sqe = prep_send(ring, id, &value, 4, 0, 1);
	sqe->addr3 = 1;
	EXPECT_EQ(-EINVAL, ring_one(ring));
	sqe = prep_send(ring, id, &value, 4, 0, 1);
	sqe->__pad2[0] = 1;
	EXPECT_EQ(-EINVAL, ring_one(ring));
	EXPECT_EQ(4, ipc_send_u32(ring, id, 1));
}

TEST_F(receiver, cannot_be_forged)
{
	bool polled = variant->setup & IORING_SETUP_SQPOLL;
	pid_t pid = child_start();
	struct ring roots, own;
	int personality;

	ASSERT_LE(0, pid);
	if (!pid) {
		/* A ring with root's credentials, registered by root. */
		ASSERT_EQ(0, ring_open(&roots, variant->setup));
		personality = ipc_register(&roots, IORING_REGISTER_PERSONALITY,
					   NULL, 0);
		ASSERT_LT(0, personality);
		ASSERT_EQ(0, become(USER, GROUP));
		try_to_forge(_metadata, &roots, self->id, personality);
		ASSERT_EQ(0, ring_open(&own, variant->setup));
		personality = ipc_register(&own, IORING_REGISTER_PERSONALITY,
					   NULL, 0);
		ASSERT_LT(0, personality);
		try_to_forge(_metadata, &own, self->id, personality);
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	/* A thread of root's is root, whoever has it send. */
	EXPECT_SENDER(pid, polled ? 0 : USER, polled ? 0 : GROUP);
	EXPECT_SENDER(pid, USER, GROUP);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* An SQE whose personality another thread changes all the time; NULL to end. */
struct flipper {
	struct io_uring_sqe *_Atomic sqe;
	__u16 personality;
};

static void *flip(void *arg)
{
	struct flipper *flipper = arg;
	struct io_uring_sqe *sqe;

	while ((sqe = flipper->sqe)) {
		__atomic_store_n(&sqe->personality, flipper->personality,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&sqe->personality, 0, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Sends a few thousand times, and until both outcomes have been seen. */
static void race_with_the_core(struct __test_metadata *_metadata,
			       struct ring *ring, __u32 id, int personality)
{
	enum { TRIES = 3000 };
	struct flipper flipper = { .personality = personality };
	int i, ret, sent = 0, refused = 0;
	__u32 value = 1;
	pthread_t thread;

	flipper.sqe = ring->sqes;
	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, &flipper));
	for (i = 0; i < TRIES || !sent || !refused; i++) {
		flipper.sqe = prep_send(ring, id, &value, 4, 0, 1);
		flipper.sqe->ioprio = IOIPC_SEND_WAIT;
		ret = ring_one(ring);
		sent += ret == 4;
		refused += ret == -EINVAL;
	}
	flipper.sqe = NULL;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(i, sent + refused);
}

/* What the core has read counts, whatever the SQE says a moment later. */
TEST_F(receiver, cannot_be_forged_by_a_race)
{
	enum { LAST = 2 };
	bool polled = variant->setup & IORING_SETUP_SQPOLL;
	pid_t pid = child_start();
	struct io_uring_ipc_msg_hdr hdr;
	__u32 value = 1;
	struct ring ring;
	int personality, ret;

	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, syscall(SYS_setresuid, STRANGER, 0, 0));
		personality = ipc_register(&ring, IORING_REGISTER_PERSONALITY,
					   NULL, 0);
		ASSERT_LT(0, personality);
		ASSERT_EQ(0, syscall(SYS_setresuid, 0, 0, 0));
		ASSERT_EQ(0, become(USER, GROUP));
		race_with_the_core(_metadata, &ring, self->id, personality);
		prep_send(&ring, self->id, &value, 4, 0, LAST)->ioprio =
			IOIPC_SEND_WAIT;
		EXPECT_EQ(4, ring_one(&ring));
		_exit(_metadata->exit_code);
	}
	do {
		ret = next_header(&self->ring, self->rx.id, &hdr);
		if (ret == -EAGAIN) {
			sched_yield();
			continue;
		}
		ASSERT_EQ(0, ret);
		ASSERT_EQ(polled ? 0U : USER, hdr.uid);
	} while (ret || hdr.sender_data != LAST);
	EXPECT_EQ(0, child_wait(pid));
}

/* From outside one sees whoever is in a container, by other numbers. */
TEST_F(receiver, sender_in_a_container)
{
	struct io_uring_ipc_msg_hdr hdr;
	struct ring ring;
	struct sub tx;
	enum way way;
	pid_t pid;

	pid = container_start(USER, GROUP, CLONE_NEWIPC | CLONE_NEWPID);
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(1, getpid());
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &tx, self->rx.fd,
					IOIPC_SUB_SEND | IOIPC_SUB_FROM_FD));
		for (way = AT_ONCE; way < WAYS; way++) {
			queue_send(&ring, tx.id, way);
			ASSERT_EQ(4, ring_one(&ring));
		}
		end_sender(_metadata, &self->ready, &self->done);
	}
	ASSERT_EQ(0, gate_wait(&self->ready));
	for (way = AT_ONCE; way < WAYS; way++) {
		ASSERT_EQ(0, next_header(&self->ring, self->rx.id, &hdr));
		EXPECT_EQ(USER, (int)hdr.uid);
		EXPECT_EQ(GROUP, (int)hdr.gid);
		EXPECT_EQ(pid, parent_of(hdr.pid));
	}
	gate_open(&self->done);
	EXPECT_EQ(0, child_wait(pid));
}

/* In there one sees its own, and of all others only that they are others. */
TEST_F(receiver, receiver_in_a_container)
{
	struct io_uring_ipc_msg_hdr hdr;
	struct ring ring;
	struct sub both;
	pid_t pid;

	pid = container_start(USER, GROUP, CLONE_NEWIPC | CLONE_NEWPID);
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &both, self->rx.fd,
					IOIPC_SUB_BOTH | IOIPC_SUB_FROM_FD));
		ASSERT_EQ(0, gate_wait(&self->ready));
		ASSERT_EQ(0, next_header(&ring, both.id, &hdr));
		EXPECT_EQ(0U, hdr.pid);
		EXPECT_EQ(OVERFLOW, hdr.uid);
		EXPECT_EQ(OVERFLOW, hdr.gid);
		ASSERT_EQ(4, ipc_send_u32(&ring, both.id, 1));
		ASSERT_EQ(0, next_header(&ring, both.id, &hdr));
		EXPECT_EQ(1U, hdr.pid);
		EXPECT_EQ(0U, hdr.uid);
		EXPECT_EQ(0U, hdr.gid);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, syscall(SYS_setresgid, GROUP + 1, -1, -1));
	ASSERT_EQ(0, syscall(SYS_setresuid, USER + 1, -1, -1));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->rx.id, 1));
	gate_open(&self->ready);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN
