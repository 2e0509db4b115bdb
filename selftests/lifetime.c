// SPDX-License-Identifier: GPL-2.0
/* The ends: detach, destroy, close, exec, kill; and many at once. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "channel_fixture.h"
#include "ring_fixture.h"

#define KEY	0x6c6966650000ULL
/* Where what does not change begins in a mapping. */
#define CONSTANTS	offsetof(struct io_uring_ipc_ring, version)

TEST_F(channel, detached_is_enoent)
{
	struct ring *ring = &self->ring;

	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	ASSERT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, self->tx.id, 2));
	EXPECT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-ENOENT, ipc_send(ring, self->rx.id, "", 1, 0));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, self->rx.id));
}

/* Closing channel_fd is not detaching. */
TEST_F(channel, closed_fd_is_still_attached)
{
	struct ring *ring = &self->ring;

	close(self->tx.fd);
	close(self->rx.fd);
	EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 1));
	EXPECT_EQ(1, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(0, ipc_detach(ring, self->rx.id));
}

TEST_F(channel, destroyed_is_epipe_after_a_drain)
{
	struct ring *ring = &self->ring;
	struct sub late;
	__u32 i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	EXPECT_EQ(-EPIPE, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(-EPIPE, ipc_send(ring, self->tx.id, NULL, 0, 0));
	EXPECT_EQ(-EPIPE, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(ring, self->rx.id));
	/* Its name is gone at once. */
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, self->id, i));
	EXPECT_EQ(-ENOENT, ipc_attach(ring, &late, self->id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, self->id));
	/* And leaving works still. */
	EXPECT_EQ(0, ipc_detach(ring, self->tx.id));
	EXPECT_EQ(0, ipc_detach(ring, self->rx.id));
	EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, self->rx.id));
}

/* Full, then destroyed: no longer a question of room. */
TEST_F(channel, destroyed_while_full)
{
	struct ring *ring = &self->ring;
	__u32 i;

	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	EXPECT_EQ(-EPIPE, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(ring, self->rx.id));
}

/* The creator's ring closes: for the others that is a destroy. */
TEST_F(channel, creator_closes_its_ring)
{
	struct ring other;
	struct sub tx, rx;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	ASSERT_EQ(0, ipc_attach(&other, &tx, self->id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(&other, &rx, self->id, IOIPC_SUB_RECV));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	ASSERT_EQ(4, ipc_send_u32(&other, tx.id, 2));
	ring_close(&self->ring);
	EXPECT_EQ(-EPIPE, ipc_send_u32(&other, tx.id, 3));
	EXPECT_EQ(1, ipc_recv_u32(&other, rx.id));
	EXPECT_EQ(2, ipc_recv_u32(&other, rx.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&other, rx.id));
	EXPECT_EQ(-ENOENT, ipc_send_u32(&other, self->id, 3));
	EXPECT_EQ(0, ipc_detach(&other, tx.id));
	EXPECT_EQ(0, ipc_detach(&other, rx.id));
	ring_close(&other);
}

/* Another ring leaves: the channel goes on. */
TEST_F(channel, attached_ring_closes)
{
	struct ring *ring = &self->ring, other;
	struct sub tx, rx;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		ASSERT_EQ(0, ipc_attach(&other, &tx, self->id,
					IOIPC_SUB_SEND));
		ASSERT_EQ(0, ipc_attach(&other, &rx, self->id,
					IOIPC_SUB_RECV));
		ASSERT_EQ(4, ipc_send_u32(&other, tx.id, i));
		ring_close(&other);
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
	/* None of them holds a slot. */
	for (i = 0; i < 3 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
}

/* A mapping outlives everything it came from, content and all. */
TEST_F(channel, mapping_survives)
{
	struct ring *ring = &self->ring;
	unsigned char *map, *copy, junk[CHANNEL_SIZE];
	struct ring other;
	struct sub sub;
	__u32 id, size;
	int i, round;

	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		memset(junk, 'a' + i, sizeof(junk));
		ASSERT_EQ((int)sizeof(junk), ipc_send(ring, self->tx.id, junk,
						      sizeof(junk), 0));
	}
	size = self->rx.size;
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, self->rx.fd,
		   self->rx.offset);
	ASSERT_NE(MAP_FAILED, map);
	copy = malloc(size);
	ASSERT_NE(NULL, copy);
	memcpy(copy, map, size);

	for (round = 0; round < 4; round++) {
		if (round == 0)
			ASSERT_EQ(0, ipc_destroy(ring, self->id));
		if (round == 1)
			ASSERT_EQ(0, ipc_detach(ring, self->rx.id));
		if (round == 2)
			ASSERT_EQ(0, close(self->rx.fd));
		if (round == 3)
			ring_close(ring);
		/* Whoever takes the pages now, if they were free. */
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, ipc_create(&other, &id, variant->flags,
						CHANNEL_ENTRIES,
						CHANNEL_SIZE));
			ASSERT_EQ(0, ipc_attach(&other, &sub, id,
						IOIPC_SUB_BOTH));
			memset(junk, 'z', sizeof(junk));
			ipc_send(&other, sub.id, junk, sizeof(junk), 0);
			close(sub.fd);
		}
		ring_close(&other);
		/* Before these are counters, which go on. */
		EXPECT_EQ(0, memcmp(map + CONSTANTS, copy + CONSTANTS,
				    size - CONSTANTS)) {
			TH_LOG("round %d", round);
		}
	}
	EXPECT_EQ(0, munmap(map, size));
	free(copy);
}

/* What is mapped stays readable in a child after the parent let go. */
TEST_F(channel, mapping_in_a_child)
{
	struct gate go;
	unsigned char *map;
	pid_t pid;
	__u64 tail;

	ASSERT_EQ(0, gate_init(&go));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	map = mmap(NULL, self->rx.size, PROT_READ, MAP_SHARED, self->rx.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ring_close(&self->ring);
		close(self->rx.fd);
		gate_wait(&go);
		memcpy(&tail, map, sizeof(tail));
		_exit(tail == 1 ? 0 : 10);
	}
	munmap(map, self->rx.size);
	ASSERT_EQ(0, ipc_destroy(&self->ring, self->id));
	ASSERT_EQ(0, ipc_detach(&self->ring, self->rx.id));
	close(self->rx.fd);
	ring_close(&self->ring);
	gate_open(&go);
	EXPECT_EQ(0, child_wait(pid));
}

/* Requests of all kinds queued and not waited for when the ring closes. */
TEST_F(channel, ring_closes_with_messages_in_flight)
{
	struct ring other;
	struct sub both;
	__u32 id, v = 1;
	int i, j;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		ASSERT_EQ(0, ipc_create(&other, &id, variant->flags, 4, 4));
		ASSERT_EQ(0, ipc_attach(&other, &both, id, IOIPC_SUB_BOTH));
		for (j = 0; j < 16; j++) {
			if (j & 2)
				prep_recv(&other, both.id, &v, 4, 0, j);
			else
				prep_send(&other, both.id, &v, 4, 0, j);
			if (j & 1)
				other.sqes[(other.tail - 1) & other.sq_mask]
					.flags = IOSQE_ASYNC;
		}
		ASSERT_EQ(0, ring_enter(&other, 0));
		ring_close(&other);
		close(both.fd);
	}
	EXPECT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	EXPECT_EQ(1, ipc_recv_u32(&self->ring, self->rx.id));
}

/* The program itself, executed anew: is that descriptor still open? */
static void __attribute__((constructor)) executed(void)
{
	const char *fd = getenv("IOIPC_EXEC_FD");
	struct ring ring;

	if (fd)
		_exit(fcntl(atoi(fd), F_GETFD) == -1 && errno == EBADF ?
		      0 : 1);
	if (!getenv("IOIPC_EXEC_GATE"))
		return;
	/* Tell the parent, stay until killed. */
	if (ring_open(&ring, RING_PLAIN) ||
	    write(atoi(getenv("IOIPC_EXEC_GATE")), "", 1) != 1)
		_exit(1);
	pause();
}

TEST_F(ring, fd_is_closed_on_exec)
{
	char number[16];
	struct sub sub;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(FD_CLOEXEC, fcntl(sub.fd, F_GETFD));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		snprintf(number, sizeof(number), "%d", sub.fd);
		setenv("IOIPC_EXEC_FD", number, 1);
		execl("/proc/self/exe", "lifetime", NULL);
		_exit(10);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(4, ipc_send_u32(&self->ring, sub.id, 1));
}

/* exec() closes the ring: what it created is destroyed, though it lives. */
TEST_F(ring, exec_ends_channels)
{
	struct ring owner;
	struct gate ready, go;
	char number[16];
	struct sub sub;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_open(&owner, variant->setup) ||
		    ipc_create_key(&owner, &id, 0, 4, 4, 0600, KEY))
			_exit(10);
		gate_open(&ready);
		gate_wait(&go);
		snprintf(number, sizeof(number), "%d", ready.fd[1]);
		setenv("IOIPC_EXEC_GATE", number, 1);
		execl("/proc/self/exe", "lifetime", NULL);
		_exit(10);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, ipc_attach_key(&self->ring, &sub, KEY, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(&self->ring, sub.id, 6));
	gate_open(&go);
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(-EPIPE, ipc_send_u32(&self->ring, sub.id, 7));
	EXPECT_EQ(6, ipc_recv_u32(&self->ring, sub.id));
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, sub.id));
	child_kill(pid);
}

/* A sender that never attached, in another process. */
TEST_F(channel, bare_sender_in_another_process)
{
	struct ring *ring = &self->ring;
	struct ring other;
	pid_t pid;
	int i;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			EXPECT_EQ(4, ipc_send_u32(&other, self->id, i));
		EXPECT_EQ(-ENOBUFS, ipc_send_u32(&other, self->id, i));
		EXPECT_EQ(-EMSGSIZE, ipc_send(&other, self->id, &i,
					      CHANNEL_SIZE + 1, 0));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	EXPECT_EQ(-ENOENT, ipc_send_u32(ring, self->id, 1));
}

/* Sends or receives for ever, as fast as it goes, until killed. */
static void __noreturn
stream(unsigned int setup, __u32 id, __u32 rights, struct gate *ready)
{
	struct ring ring;
	struct sub sub;
	int res[16], i;
	__u32 v[16];

	if (ring_open(&ring, setup) || ipc_attach(&ring, &sub, id, rights))
		_exit(10);
	gate_open(ready);
	for (;;) {
		for (i = 0; i < 16; i++) {
			v[i] = i;
			if (rights & IOIPC_SUB_RECV)
				prep_recv(&ring, sub.id, &v[i], 4, 0, i);
			else
				prep_send(&ring, sub.id, &v[i], 4, 0, i);
		}
		if (ring_batch(&ring, res, 16))
			_exit(11);
	}
}

/* A victim of each kind, killed wherever it happens to be. */
TEST_F(channel, killed_mid_stream)
{
	struct ring *ring = &self->ring;
	/* Where polling threads compete for few processors, fewer. */
	int i, round, rounds = variant->setup & IORING_SETUP_SQPOLL ? 4 : 8;
	struct gate ready;
	pid_t tx, rx;

	ASSERT_EQ(0, gate_init(&ready));
	for (round = 0; round < rounds; round++) {
		tx = child_start();
		if (!tx)
			stream(variant->setup, self->id, IOIPC_SUB_SEND,
			       &ready);
		rx = child_start();
		if (!rx)
			stream(variant->setup, self->id, IOIPC_SUB_RECV,
			       &ready);
		ASSERT_EQ(0, gate_wait(&ready));
		ASSERT_EQ(0, gate_wait(&ready));
		for (i = 0; i < 20 * (round + 1); i++)
			ipc_recv_u32(ring, self->rx.id);
		if (round & 1) {
			child_kill(tx);
			child_kill(rx);
		} else {
			child_kill(rx);
			child_kill(tx);
		}
		/* Drain, then the channel has to be as good as new. */
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ipc_recv_u32(ring, self->rx.id);
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
		for (i = 0; i < CHANNEL_ENTRIES; i++)
			ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
}

/* Others keep talking while one is killed. */
TEST_F(channel, others_go_on_after_a_kill)
{
	struct ring *ring = &self->ring;
	struct gate ready;
	long long value;
	pid_t pid[3];
	int i, got = 0;

	ASSERT_EQ(0, gate_init(&ready));
	for (i = 0; i < 3; i++) {
		pid[i] = child_start();
		if (!pid[i])
			stream(variant->setup, self->id,
			       i == 1 ? IOIPC_SUB_RECV : IOIPC_SUB_SEND,
			       &ready);
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, gate_wait(&ready));
	child_kill(pid[0]);
	child_kill(pid[1]);
	/* The second sender goes on, and so do we. */
	while (got < 200) {
		value = ipc_recv_u32(ring, self->rx.id);
		if (value >= 0) {
			got++;
			continue;
		}
		ASSERT_EQ(-EAGAIN, value);
		sched_yield();
	}
	child_kill(pid[2]);
}

/* A ring is there as long as its queues are mapped. */
TEST_F(ring, mapped_queues_keep_a_ring)
{
	struct ring own;
	__u32 id;

	ASSERT_EQ(0, ring_open(&own, variant->setup));
	ASSERT_EQ(0, ipc_create_key(&own, &id, 0, 4, 4, 0600, KEY));
	close(own.fd);
	EXPECT_EQ(-EEXIST, ipc_create_key(&self->ring, &id, 0, 4, 4, 0600,
					  KEY));
	munmap(own.sqes, own.sq_entries * sizeof(*own.sqes));
	EXPECT_EQ(-EEXIST, ipc_create_key(&self->ring, &id, 0, 4, 4, 0600,
					  KEY));
	munmap(own.map, own.map_size);
	EXPECT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0600, KEY));
}

/* Attaches, and leaves a child behind, which gives its ring up or does not. */
static void attach_and_fork(unsigned int setup, __u32 channel, bool give_up,
			    struct gate *forked, struct gate *done)
{
	struct ring ring;
	struct sub sub;

	if (ring_open(&ring, setup) ||
	    ipc_attach(&ring, &sub, channel, IOIPC_SUB_RECV))
		_exit(10);
	if (give_up &&
	    (madvise(ring.map, ring.map_size, MADV_DONTFORK) ||
	     madvise(ring.sqes, ring.sq_entries * sizeof(*ring.sqes),
		     MADV_DONTFORK)))
		_exit(11);
	/* Nothing ends it with its parent. */
	if (!fork()) {
		if (give_up)
			close(ring.fd);
		gate_open(forked);
		gate_wait(done);
		_exit(0);
	}
	for (;;)
		pause();
}

/* Who has died is attached for as long as a child has the ring. */
TEST_F(ring, a_child_keeps_its_parents_ring)
{
	struct ring *ring = &self->ring;
	struct gate forked, done;
	struct sub tx;
	int give_up;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, gate_init(&forked));
	ASSERT_EQ(0, gate_init(&done));
	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 4, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	for (give_up = 0; give_up < 2; give_up++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid)
			attach_and_fork(variant->setup, id, give_up, &forked,
					&done);
		ASSERT_EQ(0, gate_wait(&forked));
		EXPECT_EQ(2, fdinfo_value(tx.fd, "ipc-subscribers"));
		child_kill(pid);
		if (give_up) {
			EXPECT_EQ(0, fdinfo_wait(tx.fd, "ipc-subscribers", 1));
		} else {
			sleep_ms(QUIET_MS);
			EXPECT_EQ(2, fdinfo_value(tx.fd, "ipc-subscribers"));
		}
		gate_open(&done);
		EXPECT_EQ(0, fdinfo_wait(tx.fd, "ipc-subscribers", 1));
	}
}

TEST_F_TIMEOUT(ring, thousand_channels, 600)
{
	enum { COUNT = 1000 };
	struct ring *ring = &self->ring;
	__u32 id[COUNT];
	struct sub sub;
	int i;

	for (i = 0; i < COUNT; i++)
		ASSERT_EQ(0, ipc_create_key(ring, &id[i], i % 3, 2, 4, 0600,
					    KEY + i));
	for (i = 0; i < COUNT; i += 111) {
		ASSERT_EQ(0, ipc_attach_key(ring, &sub, KEY + i,
					    IOIPC_SUB_BOTH));
		EXPECT_EQ(4, ipc_send_u32(ring, id[i], i));
		EXPECT_EQ(i, ipc_recv_u32(ring, sub.id));
	}
	/* Half of them one by one, the rest with the ring. */
	for (i = 0; i < COUNT; i += 2)
		ASSERT_EQ(0, ipc_destroy(ring, id[i]));
	for (i = 0; i < COUNT; i++)
		ASSERT_EQ(i & 1 ? 4 : -ENOENT, ipc_send_u32(ring, id[i], i));
}

TEST_F_TIMEOUT(ring, many_subscribers, 600)
{
	enum { COUNT = 256 };
	struct ring *ring = &self->ring;
	struct sub sub[COUNT], tx;
	__u32 id, i, round;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 2, 4));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	for (i = 0; i < COUNT; i++)
		ASSERT_EQ(0, ipc_attach(ring, &sub[i], id, IOIPC_SUB_RECV));
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, round));
		ASSERT_EQ(4, ipc_send_u32(ring, tx.id, round + 100));
		ASSERT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 0));
		for (i = 0; i < COUNT; i++) {
			ASSERT_EQ(round, ipc_recv_u32(ring, sub[i].id));
			/* Free when the very last has passed. */
			if (i == COUNT - 2)
				ASSERT_EQ(-ENOBUFS,
					  ipc_send_u32(ring, tx.id, 0));
		}
		for (i = 0; i < COUNT; i++)
			ASSERT_EQ(round + 100, ipc_recv_u32(ring, sub[i].id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(ring, sub[round].id));
	}
	/* Targets among so many. */
	ASSERT_EQ(4, ipc_send(ring, tx.id, &id, 4, sub[COUNT - 1].id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, sub[0].id));
	EXPECT_EQ(id, ipc_recv_u32(ring, sub[COUNT - 1].id));
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, ipc_detach(ring, sub[i].id));
		close(sub[i].fd);
	}
}

/* Attach and detach over and over while messages pass. */
TEST_F(channel, comings_and_goings)
{
	struct ring *ring = &self->ring;
	struct gate ready;
	int i, got = 0;
	pid_t pid;

	ASSERT_EQ(0, gate_init(&ready));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		stream(variant->setup, self->id, IOIPC_SUB_SEND, &ready);
	ASSERT_EQ(0, gate_wait(&ready));
	for (i = 0; i < 100 || got < 20; i++) {
		struct sub sub;

		/* The messages have to come from somebody. */
		ASSERT_EQ(0, waitpid(pid, NULL, WNOHANG));

		ASSERT_EQ(0, ipc_attach(ring, &sub, self->id,
					IOIPC_SUB_BOTH));
		got += ipc_recv_u32(ring, sub.id) >= 0;
		got += ipc_recv_u32(ring, self->rx.id) >= 0;
		ASSERT_EQ(0, ipc_detach(ring, sub.id));
		EXPECT_EQ(-ENOENT, ipc_recv_u32(ring, sub.id));
		close(sub.fd);
	}
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	child_kill(pid);
}

TEST_HARNESS_MAIN
