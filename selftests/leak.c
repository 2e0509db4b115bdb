// SPDX-License-Identifier: GPL-2.0
/*
 * What is done again and again leaves nothing behind in the kernel, neither
 * memory of the module's nor of those it calls.
 */
#include <fcntl.h>
#include <poll.h>
#include <linux/io_uring_ipc.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/harness.h"
#include "lib/ipc_uring.h"
#include "lib/kernel_memory.h"
#include "lib/process.h"

#define MODULE	"io_uring_ipc"
#define ENTRIES	4
#define SIZE	2048
#define GROUP	1
#define LIMIT	300	/* seconds */

FIXTURE(leak)
{
};

FIXTURE_VARIANT(leak)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(leak, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(leak, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(leak, sqpoll)
{
	.setup = RING_SQPOLL,
};

FIXTURE_SETUP(leak)
{
	if (module_bytes() == -ENOENT)
		SKIP(return, "kernel without CONFIG_MEM_ALLOC_PROFILING");
	ASSERT_TRUE(module_references_become(0));
}

FIXTURE_TEARDOWN(leak)
{
}

/* A channel's whole life on this ring, with requests of all kinds. */
static void live(struct __test_metadata *_metadata, struct ring *ring,
		 __u32 flags)
{
	struct io_uring_cqe cqe;
	char buf[SIZE] = {};
	struct sub tx, rx;
	void *map;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(ring, &id, flags, ENTRIES, SIZE, 0600, 77));
	ASSERT_EQ(0, ipc_attach_key(ring, &tx, 77, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	map = mmap(NULL, rx.size, PROT_READ, MAP_SHARED, rx.fd, rx.offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(SIZE, ipc_send(ring, tx.id, buf, SIZE, 0));
	ASSERT_EQ(16, ipc_send(ring, id, buf, 16, rx.id));
	ASSERT_EQ(SIZE, ipc_recv(ring, rx.id, buf, SIZE));
	ASSERT_EQ(-EFAULT, ipc_recv(ring, rx.id, (void *)8, 16));
	ASSERT_EQ(16, ipc_recv(ring, rx.id, buf, SIZE));
	ASSERT_EQ(-EAGAIN, ipc_recv(ring, rx.id, buf, SIZE));
	ASSERT_EQ(-EEXIST, ipc_create_key(ring, &(__u32){ 0 }, flags, ENTRIES,
					  SIZE, 0600, 77));
	/* One that waits till the end. */
	prep_recv(ring, rx.id, buf, SIZE, IOIPC_RECV_WAIT, 1);
	ASSERT_EQ(0, ring_submit(ring));
	ASSERT_EQ(0, ipc_detach(ring, rx.id));
	ASSERT_EQ(0, ring_next(ring, &cqe));
	ASSERT_EQ(-ENOENT, cqe.res);
	/* And messages that nobody receives. */
	ASSERT_EQ(4, ipc_send_u32(ring, tx.id, 1));
	ASSERT_EQ(0, ipc_destroy(ring, id));
	ASSERT_EQ(0, ipc_detach(ring, tx.id));
	ASSERT_EQ(0, munmap(map, rx.size));
	close(tx.fd);
	close(rx.fd);
}

/*
 * Nothing is undone: the end of the ring has to do it. Requests of all kinds
 * wait, and notices lie unread.
 */
static void leave(struct __test_metadata *_metadata, const struct ring *first,
		  __u32 flags)
{
	static const __u32 value;
	struct sub watch, sub, rx, tx;
	struct io_uring_cqe cqe;
	struct buffers buffers;
	struct ring ring;
	__u32 id, full;

	ASSERT_EQ(0, first->setup & IORING_SETUP_SQPOLL ?
			     ring_open_sharing(&ring, first) :
			     ring_open(&ring, first->setup));
	ASSERT_EQ(0, ipc_create(&ring, &id, flags, ENTRIES, SIZE));
	ASSERT_EQ(0, ipc_attach(&ring, &watch, id,
				IOIPC_SUB_RECV | IOIPC_SUB_EVENTS));
	ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_create(&ring, &full, flags, 1, 4));
	ASSERT_EQ(0, ipc_attach(&ring, &rx, full, IOIPC_SUB_RECV));
	ASSERT_EQ(0, ipc_attach(&ring, &tx, full, IOIPC_SUB_SEND));
	ASSERT_EQ(4, ipc_send_u32(&ring, tx.id, value));
	ASSERT_EQ(0, buffers_open(&ring, &buffers, BUFFER_RING, GROUP, 1, 8));
	prep_recv_select(&ring, sub.id, GROUP, 0, IOIPC_RECV_MULTISHOT, 1);
	prep_send(&ring, tx.id, &value, 4, 0, 2)->ioprio = IOIPC_SEND_WAIT;
	prep_poll(&ring, sub.fd, POLLIN, 0);
	ASSERT_EQ(0, ring_submit(&ring));
	ASSERT_EQ(1, fdinfo_value(sub.fd, RECEIVES_WAITING));
	ASSERT_EQ(1, fdinfo_value(tx.fd, SENDS_WAITING));
	ASSERT_EQ(1, fdinfo_value(watch.fd, "ipc-notices"));
	ASSERT_FALSE(ring_cqe(&ring, &cqe));
	close(watch.fd);
	close(sub.fd);
	close(rx.fd);
	close(tx.fd);
	ring_close(&ring);
	buffers_close(&buffers);
}

static void many_lives(struct __test_metadata *_metadata, unsigned int setup,
		       unsigned int times)
{
	static const __u32 flags[] = { 0, IOIPC_F_BROADCAST, IOIPC_F_MULTICAST };
	struct ring ring;
	unsigned int i;

	ASSERT_EQ(0, ring_open(&ring, setup));
	for (i = 0; i < times; i++)
		live(_metadata, &ring, flags[i % ARRAY_SIZE(flags)]);
	ring_close(&ring);
}

static void many_rings(struct __test_metadata *_metadata, unsigned int setup,
		       unsigned int times)
{
	struct ring first;
	unsigned int i;

	/*
	 * All with its polling thread, if it has one: what the kernel has of
	 * stacks of threads that have gone it frees when there are many.
	 */
	ASSERT_EQ(0, ring_open(&first, setup));
	for (i = 0; i < times; i++)
		leave(_metadata, &first, i & 1 ? IOIPC_F_BROADCAST : 0);
	ring_close(&first);
}

static void reload(struct __test_metadata *_metadata, unsigned int setup,
		   unsigned int times)
{
	int fd = open(getenv("IOIPC_MODULE") ?: "", O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	for (; times; times--) {
		many_lives(_metadata, setup, 1);
		ASSERT_TRUE(module_references_become(0));
		ASSERT_EQ(0, syscall(__NR_delete_module, MODULE, O_NONBLOCK));
		ASSERT_EQ(0, syscall(__NR_finit_module, fd, "", 0));
	}
	close(fd);
}

typedef void (*deed)(struct __test_metadata *_metadata, unsigned int setup,
		     unsigned int times);

/* Some of it first: caches and tables grow to what they will need. */
static void repeat(struct __test_metadata *_metadata, deed deed,
		   unsigned int setup, unsigned int times)
{
	struct kernel_memory *before, *after;
	unsigned int leaks;
	int tries;

	deed(_metadata, setup, times / 4);
	ASSERT_TRUE(module_references_become(0));
	before = kernel_memory_now();
	ASSERT_NE(NULL, before);
	deed(_metadata, setup, times);
	ASSERT_TRUE(module_references_become(0));
	/* What is freed after a grace period needs one. */
	for (tries = 50, leaks = 1; leaks && tries; tries--) {
		sleep_ms(100);
		after = kernel_memory_now();
		ASSERT_NE(NULL, after);
		leaks = kernel_memory_leaks(before, after, times, tries == 1);
		kernel_memory_free(after);
	}
	kernel_memory_free(before);
	EXPECT_EQ(0U, leaks);
}

TEST_F_TIMEOUT(leak, channels, LIMIT)
{
	repeat(_metadata, many_lives, variant->setup, 200);
}

TEST_F_TIMEOUT(leak, rings, LIMIT)
{
	repeat(_metadata, many_rings, variant->setup, 200);
}

TEST_F_TIMEOUT(leak, loading, LIMIT)
{
	repeat(_metadata, reload, variant->setup, 20);
}

TEST_HARNESS_MAIN
