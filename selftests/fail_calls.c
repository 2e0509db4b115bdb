// SPDX-License-Identifier: GPL-2.0
/*
 * Every call but those that move messages, with each of its allocations and
 * copies failing in turn: it says so and has done nothing, or it succeeds.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "injection_fixture.h"

#define KEY	0x696e6a656374ULL
#define SMALL	64	/* message size where the number of pages is no matter */

/* One failure at a time or no copies at all. */
#define for_both_kinds(kind) for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++)

/* Attach twice, send, receive. */
static void check_key(struct __test_metadata *_metadata, struct ring *ring)
{
	struct sub tx, rx;

	ASSERT_EQ(0, ipc_attach_key(ring, &tx, KEY, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach_key(ring, &rx, KEY, IOIPC_SUB_RECV));
	check_channel(_metadata, ring, tx.id, rx.id);
	close(tx.fd);
	close(rx.fd);
}

/* On a new ring each time: the first use of channels is the longest way. */
TEST_F_TIMEOUT(injection, create, LIMIT)
{
	unsigned int n, failed;
	enum injection kind;
	struct ring ring;
	long long refs;
	struct sub sub;
	bool hit;
	__u32 id;
	int ret;

	refs = module_references();
	for_both_kinds(kind) {
		failed = 0;
		for_each_failure(n, hit) {
			ASSERT_EQ(0, ring_open(&ring, variant->setup));
			inject(kind, n);
			ret = ipc_create_key(&ring, &id, variant->flags,
					     ENTRIES, SMALL, 0600, KEY);
			hit = injected();
			if (ret) {
				ASSERT_TRUE(hit && is_lack(ret))
					TH_LOG("%d at %u", ret, n);
				failed++;
				EXPECT_TRUE(module_references_become(refs));
				ASSERT_EQ(-ENOENT, ipc_attach_key(&ring, &sub,
						KEY, IOIPC_SUB_SEND));
				ASSERT_EQ(0, ipc_create_key(&ring, &id,
						variant->flags, ENTRIES, SMALL,
						0600, KEY));
			}
			check_key(_metadata, &ring);
			ring_close(&ring);
		}
		expect_failures(n, hit, failed, 2U);
	}
}

/* Nor is any part of RLIMIT_MEMLOCK used up, which has room for one channel. */
TEST_F_TIMEOUT(injection, create_with_memlock, LIMIT)
{
	struct rlimit limit = { 512 << 10, 512 << 10 };
	uid_t user = own_user();
	unsigned int n, failed = 0;
	struct ring ring;
	pid_t pid;
	bool hit;
	__u32 id;
	int ret;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, injection_open());
		ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
		ASSERT_EQ(0, become(user, user));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		for_each_failure(n, hit) {
			inject(ONE_FAILURE, n);
			ret = ipc_create(&ring, &id, variant->flags, ENTRIES,
					 SIZE);
			hit = injected();
			if (ret) {
				ASSERT_TRUE(hit && is_lack(ret));
				failed++;
			} else {
				ASSERT_EQ(0, ipc_destroy(&ring, id));
			}
		}
		expect_failures(n, hit, failed, 10U);
		/* It is as tight as it should be. */
		ASSERT_EQ(0, ipc_create(&ring, &id, variant->flags, ENTRIES,
					SIZE));
		EXPECT_EQ(-ENOMEM, ipc_create(&ring, &id, variant->flags,
					      ENTRIES, SIZE));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/*
 * A ring that has @others subscribers already, so that tables have to grow. @channel
 * is its id, or with IOIPC_SUB_FROM_FD a descriptor.
 */
static void attach_after(struct __test_metadata *_metadata,
			 struct injection_data *self, unsigned int setup,
			 __u32 channel, __u32 flags, enum injection kind,
			 unsigned int others)
{
	unsigned int n, i, failed = 0;
	long long refs, members;
	struct sub sub[8];
	struct ring ring;
	bool hit;
	int ret, fds;

	/* A file for each, and the table of the ring that has one. */
	refs = module_references() + (others ? others + 1 : 0);
	for_each_failure(n, hit) {
		ASSERT_EQ(0, ring_open(&ring, setup));
		for (i = 0; i < others; i++)
			ASSERT_EQ(0, ipc_attach(&ring, &sub[i], channel,
						flags));
		members = fdinfo_value(self->rx.fd, "ipc-subscribers");
		fds = count_fds();
		inject(kind, n);
		ret = ipc_attach(&ring, &sub[i], channel, flags);
		hit = injected();
		if (ret) {
			ASSERT_TRUE(hit && is_lack(ret))
				TH_LOG("%d at %u", ret, n);
			failed++;
			EXPECT_EQ(members, fdinfo_value(self->rx.fd,
							"ipc-subscribers"));
			EXPECT_TRUE(module_references_become(refs));
			EXPECT_EQ(fds, count_fds());
			ASSERT_EQ(0, ipc_attach(&ring, &sub[i], channel,
						flags));
		}
		EXPECT_EQ(members + 1, fdinfo_value(self->rx.fd,
						    "ipc-subscribers"));
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(&ring, sub[i].id));
		for (i = 0; i <= others; i++)
			close(sub[i].fd);
		ring_close(&ring);
	}
	expect_failures(n, hit, failed, 2U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/* The ring's table is full at 6; the channel's at 4, with three there. */
static const unsigned int some[] = { 0, 1, 6 };

TEST_F_TIMEOUT(injection, attach, LIMIT)
{
	enum injection kind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some); i++)
		for_both_kinds(kind)
			attach_after(_metadata, self, variant->setup, self->id,
				     IOIPC_SUB_BOTH, kind, some[i]);
}

TEST_F_TIMEOUT(injection, attach_lossy, LIMIT)
{
	enum injection kind;

	/* There is none such where receivers compete. */
	if (!(variant->flags & IOIPC_F_BROADCAST))
		return;
	for_both_kinds(kind)
		attach_after(_metadata, self, variant->setup, self->id,
			     IOIPC_SUB_BOTH | IOIPC_SUB_LOSSY, kind, 0);
}

TEST_F_TIMEOUT(injection, attach_by_descriptor, LIMIT)
{
	enum injection kind;

	for_both_kinds(kind)
		attach_after(_metadata, self, variant->setup, self->rx.fd,
			     IOIPC_SUB_RECV | IOIPC_SUB_FROM_FD, kind, 0);
}

/* Notices need places, which are too few from four members on. */
TEST_F_TIMEOUT(injection, attach_noticed, LIMIT)
{
	enum injection kind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some); i++)
		for_both_kinds(kind)
			attach_after(_metadata, self, variant->setup, self->id,
				     IOIPC_SUB_BOTH | IOIPC_SUB_EVENTS, kind,
				     some[i]);
}

/* These end something, and cannot fail. */
TEST_F_TIMEOUT(injection, detach_destroy_close, LIMIT)
{
	unsigned int n, step;
	struct ring ring;
	struct sub sub, other;
	bool hit = true;
	int ret, fd = -1;
	__u32 id;

	for (step = 0; step < 4; step++) {
		for_each_failure(n, hit) {
			ASSERT_EQ(0, ring_open(&ring, variant->setup));
			ASSERT_EQ(0, ipc_create_key(&ring, &id, variant->flags,
						    ENTRIES, SMALL, 0600, KEY));
			ASSERT_EQ(0, ipc_attach(&ring, &sub, id,
						IOIPC_SUB_BOTH));
			ASSERT_EQ(4, ipc_send_u32(&ring, sub.id, n));
			close(sub.fd);
			ASSERT_EQ(0, ipc_attach(&self->ring, &other, id,
						IOIPC_SUB_RECV));
			close(other.fd);
			ret = 0;
			if (step == 2) {
				/* Unmapping may fail, and is not ours. */
				fd = dup(ring.fd);
				ring_close(&ring);
			}
			inject(ONE_FAILURE, n);
			if (step == 0)
				ret = ipc_detach(&ring, sub.id);
			else if (step == 1)
				ret = ipc_destroy(&ring, id);
			else if (step == 2)
				ret = close(fd);
			else
				/* Somebody else's. */
				ret = ipc_detach(&ring, other.id);
			hit = injected();
			EXPECT_EQ(0, ret);
			if (step == 0)
				EXPECT_EQ(-ENOENT, ipc_recv_u32(&ring, sub.id));
			if (step == 3)
				EXPECT_EQ(-ENOENT, ipc_recv_u32(&self->ring,
								other.id));
			/* Its ring knows it until then. */
			EXPECT_EQ(0, ipc_detach(&self->ring, other.id));
			ring_close(&ring);
			EXPECT_EQ(-ENOENT, ipc_attach_key(&self->ring, &sub,
							  KEY, IOIPC_SUB_SEND));
		}
		EXPECT_FALSE(hit);
	}
}

TEST_F_TIMEOUT(injection, mmap, LIMIT)
{
	unsigned int n, failed = 0;
	struct io_uring_ipc_ring *map;
	bool hit;
	int ret;

	if (variant->flags & IOIPC_F_PRIVATE) {
		map = mmap(NULL, self->rx.size, PROT_READ, MAP_SHARED,
			   self->rx.fd, self->rx.offset);
		ASSERT_EQ(MAP_FAILED, (void *)map);
		return;
	}
	for_each_failure(n, hit) {
		inject(ONE_FAILURE, n);
		map = mmap(NULL, self->rx.size, PROT_READ, MAP_SHARED,
			   self->rx.fd, self->rx.offset);
		ret = map == MAP_FAILED ? -errno : 0;
		hit = injected();
		if (ret) {
			ASSERT_TRUE(hit);
			ASSERT_EQ(-ENOMEM, ret);
			failed++;
			continue;
		}
		EXPECT_EQ(IOIPC_RING_VERSION, map->version);
		EXPECT_EQ(ENTRIES, map->ring_entries);
		/* And the last page is there, too. */
		EXPECT_EQ(0, ((char *)map)[self->rx.size - 1]);
		ASSERT_EQ(0, munmap(map, self->rx.size));
	}
	expect_failures(n, hit, failed, 1U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

TEST_F_TIMEOUT(injection, poll, LIMIT)
{
	struct pollfd pfd = { .fd = self->tx.fd, .events = POLLOUT };
	unsigned int n, failed;
	enum injection kind;
	bool hit;
	int ret;

	for_both_kinds(kind) {
		failed = 0;
		for_each_failure(n, hit) {
			pfd.revents = 0;
			inject(kind, n);
			ret = poll(&pfd, 1, 0);
			ret = ret < 0 ? -errno : ret;
			hit = injected();
			if (ret < 0) {
				ASSERT_TRUE(hit && is_lack(ret));
				failed++;
				continue;
			}
			EXPECT_EQ(1, ret);
			EXPECT_EQ(POLLOUT, pfd.revents);
		}
		expect_failures(n, hit, failed, 1U);
	}
}

TEST_F_TIMEOUT(injection, epoll, LIMIT)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	unsigned int n, failed = 0;
	int epoll, ret;
	bool hit;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, epoll);
	for_each_failure(n, hit) {
		inject(ONE_FAILURE, n);
		ret = epoll_ctl(epoll, EPOLL_CTL_ADD, self->rx.fd, &event);
		ret = ret ? -errno : 0;
		hit = injected();
		if (ret) {
			ASSERT_TRUE(hit && is_lack(ret));
			failed++;
			ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD,
					       self->rx.fd, &event));
		}
		EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, n));
		EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
		ASSERT_EQ(n, ipc_recv_u32(&self->ring, self->rx.id));
		ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_DEL, self->rx.fd,
				       NULL));
	}
	expect_failures(n, hit, failed, 2U);
	close(epoll);
}

/* Reading, that is: opening is the file system's. */
TEST_F_TIMEOUT(injection, fdinfo, LIMIT)
{
	static char text[4096], want[4096];
	unsigned int n, failed = 0;
	ssize_t len, want_len;
	enum injection kind;
	char path[64];
	bool hit;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->rx.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	want_len = read(fd, want, sizeof(want));
	ASSERT_LT(0, want_len);
	close(fd);
	for_both_kinds(kind) {
		failed = 0;
		for_each_failure(n, hit) {
			fd = open(path, O_RDONLY | O_CLOEXEC);
			ASSERT_LE(0, fd);
			inject(kind, n);
			len = read(fd, text, sizeof(text));
			len = len < 0 ? -errno : len;
			hit = injected();
			close(fd);
			if (len < 0) {
				ASSERT_TRUE(hit && is_lack(len));
				failed++;
				continue;
			}
			ASSERT_EQ(want_len, len);
			EXPECT_EQ(0, memcmp(want, text, len));
		}
		expect_failures(n, hit, failed, 1U);
	}
}

TEST_HARNESS_MAIN
