// SPDX-License-Identifier: GPL-2.0
/*
 * A right that is taken away is gone when that call returns: what is sent after
 * it is not received, whatever the receiver is in the middle of. Runs as root.
 */
#include <linux/io_uring_ipc.h>
#include <sys/ioctl.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define READER		2000
#define GROUP		1
#define ENTRIES		16	/* fewer than a multishot receive takes in a turn */
#define LARGE		(1 << 20)
#define ROUNDS		4

/* A private channel of root's, and memory that a reader receives to. */
FIXTURE(revoke)
{
	struct ring ring;
	struct sub tx;
	__u32 id;
	char *memory;
	struct shared *shared;
};

struct shared {
	struct gate attached;
	struct gate filled;
	struct gate done;
	__u32 reader;		/* its id */
};

#define revoke_data	_test_data_revoke

FIXTURE_VARIANT(revoke)
{
	unsigned int setup;	/* of the reader's ring */
	bool by_mode;		/* or by DETACH */
};

FIXTURE_VARIANT_ADD(revoke, mode_plain)
{
	.setup = RING_PLAIN,
	.by_mode = true,
};

FIXTURE_VARIANT_ADD(revoke, mode_defer)
{
	.setup = RING_DEFER,
	.by_mode = true,
};

FIXTURE_VARIANT_ADD(revoke, mode_sqpoll)
{
	.setup = RING_SQPOLL,
	.by_mode = true,
};

FIXTURE_VARIANT_ADD(revoke, detach_plain)
{
	.setup = RING_PLAIN,
	.by_mode = false,
};

FIXTURE_VARIANT_ADD(revoke, detach_defer)
{
	.setup = RING_DEFER,
	.by_mode = false,
};

FIXTURE_VARIANT_ADD(revoke, detach_sqpoll)
{
	.setup = RING_SQPOLL,
	.by_mode = false,
};

FIXTURE_SETUP(revoke)
{
	self->memory = shared_alloc(ENTRIES * LARGE);
	ASSERT_NE(NULL, self->memory);
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
	ASSERT_EQ(0, gate_init(&self->shared->attached));
	ASSERT_EQ(0, gate_init(&self->shared->filled));
	ASSERT_EQ(0, gate_init(&self->shared->done));
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
}

FIXTURE_TEARDOWN(revoke)
{
	ring_close(&self->ring);
}

/* Receives until that ends, and says with what; 0 if the late message came. */
static int receive_all(struct ring *ring)
{
	struct io_uring_cqe cqe;

	do {
		if (ring_next(ring, &cqe))
			return -ETIME;
		if (cqe.res == sizeof(__u32))
			return 0;
	} while (cqe.res >= 0 && cqe.flags & IORING_CQE_F_MORE);
	return cqe.res;
}

static void read_as_stranger(struct __test_metadata *_metadata,
			     struct revoke_data *self, unsigned int setup,
			     int want)
{
	struct shared *shared = self->shared;
	struct buffers buffers;
	struct ring ring;
	struct sub sub;
	int i;

	/* Its pages are there: for one that is not the right is asked for anew. */
	memset(self->memory, 0, ENTRIES * LARGE);
	ASSERT_EQ(0, become(READER, READER));
	ASSERT_EQ(0, ring_open(&ring, setup));
	ASSERT_EQ(0, buffers_open(&ring, &buffers, BUFFER_RING, GROUP, ENTRIES,
				  1));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, buffers_give_at(&ring, &buffers, i,
					     self->memory + i * LARGE, LARGE));
	ASSERT_EQ(0, ipc_attach(&ring, &sub, self->id, IOIPC_SUB_RECV));
	shared->reader = sub.id;
	gate_open(&shared->attached);
	ASSERT_EQ(0, gate_wait(&shared->filled));
	prep_recv_select(&ring, sub.id, GROUP, 0, IOIPC_RECV_MULTISHOT, 1);
	EXPECT_EQ(want, receive_all(&ring));
	gate_open(&shared->done);
	buffers_close(&buffers);
	ring_close(&ring);
}

/* Wait until the first message's last byte has come. */
static bool has_begun(struct revoke_data *self)
{
	unsigned long long until = now_ms() + PATIENCE_MS;

	while (!__atomic_load_n(&self->memory[LARGE - 1], __ATOMIC_RELAXED))
		if (now_ms() > until)
			return false;
	return true;
}

static int take_right_away(struct revoke_data *self, bool by_mode)
{
	if (!by_mode)
		return ipc_detach(&self->ring, self->shared->reader);
	return ioctl(self->tx.fd, IOIPC_IOC_SET_MODE, 0600);
}

TEST_F(revoke, what_is_sent_later_does_not_come)
{
	struct shared *shared = self->shared;
	char *payload = malloc(LARGE);
	int round, i;
	pid_t pid;

	ASSERT_NE(NULL, payload);
	memset(payload, 1, LARGE);
	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, ipc_create_key(&self->ring, &self->id,
					    IOIPC_F_PRIVATE, ENTRIES, LARGE,
					    0606, 0));
		ASSERT_EQ(0, ipc_attach(&self->ring, &self->tx, self->id,
					IOIPC_SUB_SEND));
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			read_as_stranger(_metadata, self, variant->setup,
					 variant->by_mode ? -EACCES : -ENOENT);
			_exit(_metadata->exit_code);
		}
		ASSERT_EQ(0, gate_wait(&shared->attached));
		for (i = 0; i < ENTRIES - 1; i++)
			ASSERT_EQ(LARGE, ipc_send(&self->ring, self->tx.id,
						  payload, LARGE, 0));
		gate_open(&shared->filled);
		ASSERT_TRUE(has_begun(self));
		ASSERT_EQ(0, take_right_away(self, variant->by_mode));
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
		EXPECT_EQ(0, gate_wait(&shared->done));
		EXPECT_EQ(0, child_wait(pid));
		ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
		ASSERT_EQ(0, ipc_detach(&self->ring, self->tx.id));
		ASSERT_EQ(0, close(self->tx.fd));
	}
	free(payload);
}

TEST_HARNESS_MAIN
