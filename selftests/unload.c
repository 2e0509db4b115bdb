// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module: refused while anything uses it, possible right after.
 * The module's file is in IOIPC_MODULE. It is loaded before and after.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <linux/io_uring_ipc.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/ipc_uring.h"
#include "lib/process.h"

#define MODULE	"io_uring_ipc"

static int unload(void)
{
	return syscall(__NR_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}

static int load(void)
{
	const char *path = getenv("IOIPC_MODULE");
	int fd, ret;

	fd = open(path ?: "", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * A request is put some time after its completion is seen. Without a pause, so
 * that the module goes right when its last user does, who may still be on the way
 * out of it.
 */
static int unload_soon(void)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	int ret;

	do {
		ret = unload();
	} while (ret == -EWOULDBLOCK && now_ms() < until);
	return ret;
}

/* The kernel says EWOULDBLOCK where rmmod(8) prints "in use". */
#define IN_USE	(-EWOULDBLOCK)

FIXTURE(module)
{
	struct ring ring;
};

FIXTURE_VARIANT(module)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(module, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(module, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(module, sqpoll)
{
	.setup = RING_SQPOLL,
};

FIXTURE_SETUP(module)
{
	ASSERT_NE(NULL, getenv("IOIPC_MODULE"));
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(module)
{
	ring_close(&self->ring);
	/* Whatever happened: the next test finds it loaded. */
	load();
}

/*
 * A ring that never used a channel is none of the module's business; one that
 * did may hold the module until it is closed.
 */
TEST_F(module, idle)
{
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load());
	ASSERT_EQ(0, unload());
	EXPECT_EQ(-ENOENT, unload());
	ASSERT_EQ(0, load());
	EXPECT_EQ(-EEXIST, load());
}

TEST_F(module, held_by_a_channel)
{
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	EXPECT_EQ(IN_USE, unload());
	ASSERT_EQ(0, ipc_destroy(&self->ring, id));
	ring_close(&self->ring);
	EXPECT_EQ(0, unload());
}

TEST_F(module, held_by_a_subscriber)
{
	struct ring other;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_create(&other, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	close(sub.fd);
	ASSERT_EQ(0, ipc_destroy(&other, id));
	ring_close(&other);
	EXPECT_EQ(IN_USE, unload());
	ASSERT_EQ(0, ipc_detach(&self->ring, sub.id));
	ring_close(&self->ring);
	EXPECT_EQ(0, unload());
}

TEST_F(module, held_by_a_descriptor)
{
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	ring_close(&self->ring);
	EXPECT_EQ(IN_USE, unload());
	close(sub.fd);
	EXPECT_EQ(0, unload());
}

/*
 * Whoever holds whom: a descriptor on its way through a socket to its own
 * holder, and in the table of the very ring that attached it.
 */
TEST_F(module, held_by_no_cycle)
{
	int socket[2], fds[2];
	struct sub sub, again;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_attach(&self->ring, &again, sub.fd,
				IOIPC_SUB_BOTH | IOIPC_SUB_FROM_FD));
	/* The kernel takes no ring into a ring. */
	fds[0] = self->ring.fd;
	EXPECT_EQ(-1, syscall(__NR_io_uring_register, self->ring.fd,
			      IORING_REGISTER_FILES, fds, 1));
	EXPECT_EQ(EBADF, errno);
	fds[0] = sub.fd;
	fds[1] = again.fd;
	ASSERT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd,
			     IORING_REGISTER_FILES, fds, 2));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	ASSERT_EQ(0, fd_send(socket[0], sub.fd));
	/* The socket holds itself, too, for the kernel's collector to find. */
	ASSERT_EQ(0, fd_send(socket[0], socket[1]));
	EXPECT_EQ(-EINVAL, fd_send(socket[0], self->ring.fd));
	close(socket[0]);
	close(socket[1]);
	close(sub.fd);
	close(again.fd);
	EXPECT_EQ(IN_USE, unload());
	ring_close(&self->ring);
	/* It looks when a socket goes. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	close(socket[0]);
	close(socket[1]);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(module, held_by_a_mapping)
{
	struct sub sub;
	__u32 id;
	char *p;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	p = mmap(NULL, sub.size, PROT_READ, MAP_SHARED, sub.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ring_close(&self->ring);
	close(sub.fd);
	EXPECT_EQ(IN_USE, unload());
	EXPECT_EQ(0, p[0]);
	ASSERT_EQ(0, munmap(p, sub.size));
	EXPECT_EQ(0, unload());
}

TEST_F(module, held_by_a_sleeping_poll)
{
	struct ring other;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, ipc_create(&other, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&other, &sub, id, IOIPC_SUB_BOTH));
	prep_poll(&self->ring, sub.fd, POLLIN, 0);
	ASSERT_EQ(0, ring_submit(&self->ring));
	/* Nothing but the request holds the subscriber's file now. */
	close(sub.fd);
	EXPECT_EQ(IN_USE, unload());
	ring_close(&other);
	/* That was a hang-up, which the request was waiting for, too. */
	ASSERT_EQ(0, ring_enter(&self->ring, 1));
	ring_close(&self->ring);
	EXPECT_EQ(0, unload_soon());
}

/* A program that ended, however it did, holds nothing. */
TEST_F(module, after_a_program)
{
	struct gate ready;
	struct ring ring;
	struct sub sub;
	pid_t pid;
	__u32 id;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	for (i = 0; i < 4; i++) {
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (ring_open(&ring, variant->setup) ||
			    ipc_create(&ring, &id, i % 3, 4, 4) ||
			    ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH) ||
			    ipc_send_u32(&ring, sub.id, 1) != 4 ||
			    mmap(NULL, sub.size, PROT_READ, MAP_SHARED, sub.fd,
				 0) == MAP_FAILED)
				_exit(10);
			gate_open(&ready);
			if (i & 1)
				pause();
			_exit(0);
		}
		ASSERT_EQ(0, gate_wait(&ready));
		if (i & 1) {
			EXPECT_EQ(IN_USE, unload());
			child_kill(pid);
		} else {
			EXPECT_EQ(0, child_wait(pid));
		}
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, load());
	}
}

/*
 * Without the module the calls ask for it and then say there is none: the test
 * systems have no modprobe that would find it.
 */
TEST_F(module, absent)
{
	struct sub sub;
	__u32 id;
	int ret;

	ASSERT_EQ(0, unload());
	ret = ipc_create(&self->ring, &id, 0, 4, 4);
	EXPECT_EQ(-EOPNOTSUPP, ret);
	EXPECT_EQ(-EOPNOTSUPP, ipc_attach(&self->ring, &sub, 1,
					  IOIPC_SUB_BOTH));
	EXPECT_EQ(-EOPNOTSUPP, ipc_send_u32(&self->ring, 1, 1));
	EXPECT_EQ(-EOPNOTSUPP, ipc_recv_u32(&self->ring, 1));
	ASSERT_EQ(0, load());
	/* The same ring, opened before the module came. */
	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 4));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(4, ipc_send_u32(&self->ring, sub.id, 3));
	EXPECT_EQ(3, ipc_recv_u32(&self->ring, sub.id));
}

TEST_F_TIMEOUT(module, many_cycles, 600)
{
	/* Loading takes a tenth of a second under emulation. */
	int i, cycles = variant->setup == RING_PLAIN ? 50 : 5;
	struct ring ring;
	struct sub sub;
	__u32 id;

	for (i = 0; i < cycles; i++) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_create_key(&ring, &id, i % 3, 4, 4, 0600,
					    0x756e6c6f6164ULL));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		ASSERT_EQ(4, ipc_send_u32(&ring, sub.id, i));
		ASSERT_EQ(i, ipc_recv_u32(&ring, sub.id));
		close(sub.fd);
		ring_close(&ring);
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, load());
	}
}

/* Calls that come while the module goes and comes. */
TEST_F_TIMEOUT(module, raced, 600)
{
	int ret, done = 0;
	struct gate ready;
	struct ring ring;
	struct sub sub;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, gate_init(&ready));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		gate_open(&ready);
		for (;;) {
			if (ring_open(&ring, variant->setup))
				_exit(10);
			do {
				ret = ipc_create(&ring, &id, 0, 1, 4);
			} while (ret == -EOPNOTSUPP);
			if (ret || ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH))
				_exit(11);
			if (ipc_send_u32(&ring, sub.id, 1) != 4 ||
			    ipc_recv_u32(&ring, sub.id) != 1)
				_exit(12);
			close(sub.fd);
			ring_close(&ring);
			sleep_ms(3);
		}
	}
	ASSERT_EQ(0, gate_wait(&ready));
	while (done < 5) {
		ret = unload();
		if (ret == IN_USE) {
			sched_yield();
			continue;
		}
		ASSERT_EQ(0, ret);
		done++;
		ASSERT_EQ(0, load());
	}
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	child_kill(pid);
}

/*
 * Rings close, and tasks die, while requests wait. A ring's end is finished by
 * the kernel some time after, and right then the module has to be free to go.
 */
static int wait_in_all_ways(struct ring *ring, struct buffers *buffers,
			    unsigned int setup)
{
	struct io_uring_cqe cqe;
	struct sub rx, tx;
	__u32 id, full;
	int ret;

	ret = ring_open(ring, setup);
	if (!ret)
		ret = buffers_open(ring, buffers, BUFFER_RING, 1, 2, 64);
	if (!ret)
		ret = ipc_create(ring, &id, 0, 4, 4);
	if (!ret)
		ret = ipc_create(ring, &full, 0, 1, 4);
	if (!ret)
		ret = ipc_attach(ring, &rx, id, IOIPC_SUB_RECV);
	if (!ret)
		ret = ipc_attach(ring, &tx, full, IOIPC_SUB_SEND);
	if (!ret && ipc_send_u32(ring, tx.id, 0) != 4)
		ret = -EPROTO;
	if (ret)
		return ret;
	prep_recv(ring, rx.id, buffers->data, 4, IOIPC_RECV_WAIT, 1);
	prep_recv_select(ring, rx.id, 1, 0, IOIPC_RECV_MULTISHOT, 2);
	prep_send(ring, tx.id, buffers->data, 4, 0, 3)->ioprio = IOIPC_SEND_WAIT;
	prep_poll(ring, rx.fd, POLLIN, 0);
	ret = ring_submit(ring);
	if (!ret)
		ret = fdinfo_wait(rx.fd, RECEIVES_WAITING, 2);
	if (!ret)
		ret = fdinfo_wait(tx.fd, SENDS_WAITING, 1);
	/* Nor is the poll over. */
	if (!ret && ring_cqe(ring, &cqe))
		ret = -EPROTO;
	close(rx.fd);
	close(tx.fd);
	return ret;
}

/* A child that is killed while its requests wait. */
static int wait_and_be_killed(unsigned int setup)
{
	struct buffers buffers;
	struct gate ready;
	struct ring ring;
	pid_t pid;
	int ret;

	ret = gate_init(&ready);
	if (ret)
		return ret;
	pid = child_start();
	if (!pid) {
		if (!wait_in_all_ways(&ring, &buffers, setup))
			gate_open(&ready);
		pause();
	}
	ret = gate_wait(&ready);
	child_kill(pid);
	close(ready.fd[0]);
	close(ready.fd[1]);
	return ret;
}

/* IOIPC_CYCLES says how often; loading takes a tenth of a second. */
TEST_F_TIMEOUT(module, while_requests_wait, 1800)
{
	const char *number = getenv("IOIPC_CYCLES");
	int i, cycles = number ? atoi(number) : 15;
	struct buffers buffers;
	struct ring ring;

	ASSERT_LT(0, cycles);
	for (i = 1; i <= cycles; i++) {
		if (i % 10 == 0) {
			ASSERT_EQ(0, wait_and_be_killed(variant->setup));
		} else {
			ASSERT_EQ(0, wait_in_all_ways(&ring, &buffers,
						      variant->setup));
			ring_close(&ring);
			buffers_close(&buffers);
		}
		ASSERT_EQ(0, unload_soon())
			TH_LOG("cycle %d", i);
		ASSERT_EQ(0, load());
	}
}

TEST_HARNESS_MAIN
