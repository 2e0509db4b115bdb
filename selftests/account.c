// SPDX-License-Identifier: GPL-2.0
/* Who pays for a region: memory cgroup and RLIMIT_MEMLOCK. Runs as root. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "ring_fixture.h"

#define MIB	(1024ULL * 1024)

/* Charges are batched for each CPU: a counter is off by that much. */
#define SLACK	(2 * MIB)

/* A region of a little more than @mib MiB. */
static int create_mib(struct ring *ring, __u32 *id, unsigned int mib)
{
	return ipc_create(ring, id, 0, mib, MIB);
}

FIXTURE(memcg)
{
	struct ring ring;
	char root[64];
	char a[96];
	char b[96];
	bool mounted;
};

FIXTURE_VARIANT(memcg)
{
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(memcg, plain)
{
	.setup = RING_PLAIN,
};

FIXTURE_VARIANT_ADD(memcg, defer)
{
	.setup = RING_DEFER,
};

FIXTURE_VARIANT_ADD(memcg, sqpoll)
{
	.setup = RING_SQPOLL,
};

static int write_in(const char *dir, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return write_file(path, text);
}

static int read_file(const char *dir, const char *name, char *text,
		     size_t size)
{
	char path[160];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	text[len] = 0;
	return 0;
}

static unsigned long long memory_current(const char *dir)
{
	char text[64];

	if (read_file(dir, "memory.current", text, sizeof(text)))
		return ~0ULL;
	return strtoull(text, NULL, 10);
}

/* Charges that are given back late are waited for. */
static unsigned long long memory_at_most(const char *dir,
					 unsigned long long limit)
{
	unsigned long long now, until = now_ms() + PATIENCE_MS;

	for (;;) {
		now = memory_current(dir);
		if (now <= limit || now_ms() > until)
			return now;
		sleep_ms(10);
	}
}

static int join(const char *dir)
{
	return write_in(dir, "cgroup.procs", "0");
}

FIXTURE_SETUP(memcg)
{
	char text[512];

	snprintf(self->root, sizeof(self->root), "/tmp/ipc-cgroup-%d",
		 getpid());
	ASSERT_EQ(0, mkdir(self->root, 0755));
	ASSERT_EQ(0, mount("none", self->root, "cgroup2", 0, NULL));
	self->mounted = true;
	ASSERT_EQ(0, read_file(self->root, "cgroup.controllers", text,
			       sizeof(text)));
	if (!strstr(text, "memory"))
		SKIP(return, "no memory controller in cgroup2");
	write_in(self->root, "cgroup.subtree_control", "+memory");
	snprintf(self->a, sizeof(self->a), "%s/ipc-a", self->root);
	snprintf(self->b, sizeof(self->b), "%s/ipc-b", self->root);
	ASSERT_TRUE(!mkdir(self->a, 0755) || errno == EEXIST);
	ASSERT_TRUE(!mkdir(self->b, 0755) || errno == EEXIST);
	ASSERT_NE(~0ULL, memory_current(self->a));
	ASSERT_EQ(0, ring_open(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(memcg)
{
	ring_close(&self->ring);
	if (!self->mounted)
		return;
	join(self->root);
	rmdir(self->a);
	rmdir(self->b);
	umount2(self->root, MNT_DETACH);
	rmdir(self->root);
}

TEST_F(memcg, charged_and_given_back)
{
	unsigned long long before;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, join(self->a));
	before = memory_current(self->a);
	ASSERT_EQ(0, create_mib(&self->ring, &id, 16));
	/* All of it at creation, not when a message touches it. */
	EXPECT_LE(before + 16 * MIB - SLACK, memory_current(self->a));
	EXPECT_GE(before + 16 * MIB + SLACK, memory_current(self->a));
	ASSERT_EQ(0, ipc_destroy(&self->ring, id));
	EXPECT_GE(before + SLACK, memory_at_most(self->a, before + SLACK));

	/* With a subscriber it goes when that goes. */
	ASSERT_EQ(0, create_mib(&self->ring, &id, 16));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(1, ipc_send(&self->ring, sub.id, "", 1, 0));
	ASSERT_EQ(0, ipc_destroy(&self->ring, id));
	ASSERT_EQ(0, ipc_detach(&self->ring, sub.id));
	close(sub.fd);
	EXPECT_GE(before + SLACK, memory_at_most(self->a, before + SLACK));

	/* And with the ring. */
	ASSERT_EQ(0, create_mib(&self->ring, &id, 16));
	ring_close(&self->ring);
	EXPECT_GE(before + SLACK, memory_at_most(self->a, before + SLACK));
}

/* Over the limit there is an error, and nobody is killed for it. */
TEST_F(memcg, limit)
{
	struct ring ring;
	pid_t pid;
	__u32 id;
	int i;

	ASSERT_EQ(0, write_in(self->a, "memory.max", "16777216"));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, join(self->a));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		for (i = 0; i < 3; i++)
			EXPECT_EQ(-ENOMEM, create_mib(&ring, &id, 64));
		/* Nothing of the failed ones is still charged. */
		EXPECT_EQ(0, create_mib(&ring, &id, 8));
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &id, 8));
		ring_close(&ring);
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	write_in(self->a, "memory.max", "max");
}

static int set_limit(const char *dir, unsigned long long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", bytes);
	return write_in(dir, "memory.max", text);
}

/* Whichever part of a channel does not fit, or what a channel needs later. */
TEST_F(memcg, limit_wherever_it_is_met)
{
	/* What a channel of so many entries takes, roughly. */
	const unsigned long long least = 15 * MIB / 4, most = 5 * MIB;
	unsigned long long more;
	struct sub reader, sub;
	unsigned int i, made = 0, failed = 0;
	struct ring ring;
	char text[512];
	pid_t pid;
	int ret = 0;
	__u32 id;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, join(self->a));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		for (more = least; more < most; more += MIB / 16) {
			ASSERT_EQ(0, set_limit(self->a, more +
					       memory_current(self->a)));
			ret = ipc_create(&ring, &id, 0, IOIPC_MAX_RING_ENTRIES,
					 64);
			if (!ret) {
				made++;
				ASSERT_EQ(0, ipc_destroy(&ring, id));
			} else {
				failed++;
				ASSERT_EQ(-ENOMEM, ret);
			}
		}
		EXPECT_LT(0, (int)made);
		EXPECT_LT(0, (int)failed);

		/* Notices that nobody reads want more and more room. */
		ASSERT_EQ(0, ipc_create(&ring, &id, 0, 4, 4));
		ASSERT_EQ(0, ipc_attach(&ring, &reader, id,
					IOIPC_SUB_RECV | IOIPC_SUB_EVENTS));
		ASSERT_EQ(0, set_limit(self->a, MIB / 2 +
				       memory_current(self->a)));
		for (i = 0; i < 20000; i++) {
			ret = ipc_attach(&ring, &sub, id, IOIPC_SUB_SEND);
			if (ret)
				break;
			ASSERT_EQ(0, ipc_detach(&ring, sub.id));
			close(sub.fd);
		}
		EXPECT_EQ(-ENOMEM, ret);
		ring_close(&ring);
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, read_file(self->a, "memory.events", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "oom_kill 0\n"))
		TH_LOG("%s", text);
	write_in(self->a, "memory.max", "max");
}

/* Who uses the channel, or where the creator moves, changes nothing. */
TEST_F(memcg, creator_pays)
{
	unsigned long long a, b;
	struct gate ready, done;
	struct ring ring;
	struct sub sub;
	unsigned int i;
	pid_t pid;
	__u32 id;
	void *map;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	ASSERT_EQ(0, join(self->a));
	a = memory_current(self->a);
	ASSERT_EQ(0, create_mib(&self->ring, &id, 16));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		char *buf = calloc(1, MIB);

		ASSERT_EQ(0, join(self->b));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		b = memory_current(self->b);
		for (i = 0; i < 16; i++)
			ASSERT_EQ((int)MIB, ipc_send(&ring, sub.id, buf, MIB,
						     0));
		map = mmap(NULL, sub.size, PROT_READ,
			   MAP_SHARED | MAP_POPULATE, sub.fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		/* 1 MiB of its own buffer, and page tables. */
		EXPECT_GE(b + 3 * MIB, memory_current(self->b));
		gate_open(&ready);
		gate_wait(&done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, join(self->root));
	EXPECT_LE(a + 16 * MIB - SLACK, memory_current(self->a));
	b = memory_current(self->b);
	ASSERT_EQ(0, ipc_destroy(&self->ring, id));
	/* The child has it mapped: it is not free, and not for free. */
	EXPECT_LE(a + 16 * MIB - SLACK, memory_current(self->a));
	EXPECT_GE(b + SLACK, memory_current(self->b));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_GE(a + SLACK, memory_at_most(self->a, a + SLACK));
}

/* Who attaches pays for what that takes: not much, but nobody counts it. */
TEST_F(memcg, subscribers_are_their_own)
{
	enum { CHANNELS = 8, EACH = 500, LEAST = 700 };
	struct rlimit many = { CHANNELS * EACH + 64, CHANNELS * EACH + 64 };
	unsigned long long a, b;
	__u32 id[CHANNELS];
	struct gate ready, done;
	struct ring ring;
	struct sub sub;
	pid_t pid;
	int i;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	ASSERT_EQ(0, join(self->a));
	for (i = 0; i < CHANNELS; i++)
		ASSERT_EQ(0, ipc_create(&self->ring, &id[i], 0, 1, 4));
	a = memory_current(self->a);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		ASSERT_EQ(0, join(self->b));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &many));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		b = memory_current(self->b);
		for (i = 0; i < CHANNELS * EACH; i++) {
			ASSERT_EQ(0, ipc_attach(&ring, &sub, id[i % CHANNELS],
						IOIPC_SUB_BOTH));
			close(sub.fd);
		}
		/* The file, and most of all the member. */
		EXPECT_LE(b + i * LEAST, memory_current(self->b));
		gate_open(&ready);
		gate_wait(&done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_GE(a + SLACK, memory_current(self->a));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(memcg, no_leak_in_200_cycles)
{
	unsigned long long before = 0;
	struct ring other;
	struct sub sub;
	__u32 id;
	int i;

	ASSERT_EQ(0, join(self->a));
	for (i = 0; i < 220; i++) {
		/* What is kept for later use is there after the first few. */
		if (i == 20)
			before = memory_current(self->a);
		ASSERT_EQ(0, ring_open(&other, variant->setup));
		ASSERT_EQ(0, ipc_create(&other, &id, i % 3, 8, 16384));
		ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id,
					IOIPC_SUB_BOTH));
		ASSERT_EQ(4, ipc_send_u32(&self->ring, sub.id, i));
		if (i & 1)
			ASSERT_EQ(0, ipc_destroy(&other, id));
		if (i & 2)
			ASSERT_EQ(i, ipc_recv_u32(&self->ring, sub.id));
		ring_close(&other);
		ASSERT_EQ(0, ipc_detach(&self->ring, sub.id));
		close(sub.fd);
	}
	/* 200 regions of 128 KiB would be 25 MiB. */
	EXPECT_GE(before + SLACK, memory_at_most(self->a, before + SLACK));
}

/*
 * RLIMIT_MEMLOCK
 *
 * It is counted for each user, and given back late: every test has a user of its
 * own, in each set-up. Rings are charged too, a few pages each, so the sizes
 * leave some room.
 */
static int limit_memlock(uid_t uid, rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	return become(uid, uid);
}

#define OPEN_AS(user, bytes) do {					\
	ASSERT_EQ(0, limit_memlock(user, bytes));			\
	ASSERT_EQ(0, ring_open(&ring, variant->setup));			\
} while (0)

TEST_F(ring, memlock_limit)
{
	uid_t user = own_user();
	struct ring ring;
	struct sub sub;
	pid_t pid;
	__u32 id;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		OPEN_AS(user, 4 * MIB);
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &id, 8));
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &id, 4));
		ASSERT_EQ(0, create_mib(&ring, &id, 2));
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &(__u32){ 0 }, 2));
		ASSERT_EQ(0, ipc_destroy(&ring, id));
		ASSERT_EQ(0, create_mib(&ring, &id, 2));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		ASSERT_EQ(0, ipc_destroy(&ring, id));
		ASSERT_EQ(0, ipc_detach(&ring, sub.id));
		close(sub.fd);
		EXPECT_EQ(0, create_mib(&ring, &id, 2));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* The user's processes share the limit; root passes. */
TEST_F(ring, memlock_is_per_user)
{
	uid_t user = own_user();
	struct gate ready, done;
	struct ring ring;
	struct rlimit none = {};
	pid_t pid[2];
	__u32 id;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	pid[0] = child_start();
	ASSERT_LE(0, pid[0]);
	if (!pid[0]) {
		OPEN_AS(user, 4 * MIB);
		EXPECT_EQ(0, create_mib(&ring, &id, 2));
		gate_open(&ready);
		gate_wait(&done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	pid[1] = child_start();
	ASSERT_LE(0, pid[1]);
	if (!pid[1]) {
		OPEN_AS(user, 4 * MIB);
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &id, 2));
		/* The other process ends, and its share is free. */
		gate_open(&done);
		gate_wait(&ready);
		EXPECT_EQ(0, create_mib(&ring, &id, 2));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid[0]));
	gate_open(&ready);
	EXPECT_EQ(0, child_wait(pid[1]));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	EXPECT_EQ(0, create_mib(&self->ring, &id, 8));
}

/* Users of a channel do not pay for it, and get nothing back for it either. */
TEST_F(ring, memlock_of_the_creator)
{
	uid_t user = own_user();
	struct ring ring;
	struct sub sub;
	pid_t pid;
	__u32 id;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 8, MIB, 0666, 0));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u32 own;

		OPEN_AS(user, 4 * MIB);
		ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		EXPECT_EQ(4, ipc_send_u32(&ring, sub.id, 1));
		ASSERT_EQ(0, create_mib(&ring, &own, 2));
		ASSERT_EQ(0, ipc_detach(&ring, sub.id));
		close(sub.fd);
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &own, 2));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* What another task frees last goes back to who has paid. */
TEST_F(ring, memlock_goes_back_to_the_creator)
{
	uid_t user = own_user();
	struct gate ready, done;
	struct ring ring;
	__u32 *id, own;
	struct sub sub;
	pid_t pid[2];
	void *map;

	id = shared_alloc(4096);
	ASSERT_NE(NULL, id);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	pid[0] = child_start();
	ASSERT_LE(0, pid[0]);
	if (!pid[0]) {
		OPEN_AS(user, 4 * MIB);
		EXPECT_EQ(0, create_mib(&ring, id, 2));
		gate_open(&ready);
		gate_wait(&done);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, *id, IOIPC_SUB_RECV));
	map = mmap(NULL, sub.size, PROT_READ, MAP_SHARED, sub.fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ipc_detach(&self->ring, sub.id));
	close(sub.fd);
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid[0]));
	pid[1] = child_start();
	ASSERT_LE(0, pid[1]);
	if (!pid[1]) {
		/* Or the child's copy would be the last. */
		munmap(map, sub.size);
		OPEN_AS(user, 4 * MIB);
		EXPECT_EQ(-ENOMEM, create_mib(&ring, &own, 2));
		gate_open(&ready);
		gate_wait(&done);
		EXPECT_EQ(0, create_mib(&ring, &own, 2));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, munmap(map, sub.size));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid[1]));
}

TEST_F(ring, memlock_200_cycles)
{
	uid_t user = own_user();
	struct ring ring;
	struct sub sub;
	pid_t pid;
	__u32 id;
	int i;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		OPEN_AS(user, 1 * MIB);
		for (i = 0; i < 200; i++) {
			ASSERT_EQ(0, ipc_create(&ring, &id, i % 3, 32, 16384));
			ASSERT_EQ(0, ipc_attach(&ring, &sub, id,
						IOIPC_SUB_BOTH));
			if (i & 1) {
				close(sub.fd);
				ASSERT_EQ(0, ipc_detach(&ring, sub.id));
				ASSERT_EQ(0, ipc_destroy(&ring, id));
			} else {
				ASSERT_EQ(0, ipc_destroy(&ring, id));
				ASSERT_EQ(0, ipc_detach(&ring, sub.id));
				close(sub.fd);
			}
		}
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* A failed creation keeps no charge, however it fails. */
TEST_F(ring, memlock_after_failures)
{
	uid_t user = own_user();
	struct io_uring_ipc_channel_create arg = {
		.ring_entries = 2,
		.max_msg_size = MIB,
		.mode = 0600,
		.key = 0x6d656d6c6f636bULL,
	}, *page;
	struct ring ring;
	pid_t pid;
	__u32 id;
	int i;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		OPEN_AS(user, 6 * MIB);
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		*page = arg;
		ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
		for (i = 0; i < 5; i++)
			EXPECT_EQ(-EFAULT, ipc_create_arg(&ring, page));
		ASSERT_EQ(0, ipc_create_arg(&ring, &arg));
		arg.key = 0x6d656d6c6f636bULL;
		for (i = 0; i < 5; i++)
			EXPECT_EQ(-EEXIST, ipc_create_arg(&ring, &arg));
		EXPECT_EQ(0, create_mib(&ring, &id, 2));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* As README.md has it, in pages. */
static unsigned int channel_pages(unsigned int entries, unsigned int size)
{
	unsigned int stride = (size + 63) / 64 * 64;

	return 2 + (entries * 64 + 4095) / 4096 +
	       (entries * stride + 4095) / 4096 + (entries * 12 + 4095) / 4096;
}

TEST_F(ring, memlock_of_a_channel)
{
	static const struct { __u32 entries, size; } sizes[] = {
		{ 1, 1 }, { 64, 64 }, { 128, 65 }, { 1024, 64 }, { 16, 4096 },
	};
	uid_t user = own_user();
	unsigned int i, less;
	struct ring ring;
	pid_t pid;
	__u32 id;

	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		__u32 entries = sizes[i / 2].entries, size = sizes[i / 2].size;

		less = i % 2;
		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* Root's: it is not charged. */
			ASSERT_EQ(0, ring_open(&ring, variant->setup));
			/* Room for two, or for a page less. */
			ASSERT_EQ(0, limit_memlock(user, 4096 *
				(2 * channel_pages(entries, size) - less)));
			EXPECT_EQ(0, ipc_create(&ring, &id, 0, entries, size));
			EXPECT_EQ(less ? -ENOMEM : 0,
				  ipc_create(&ring, &id, 0, entries, size));
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, child_wait(pid)) {
			TH_LOG("%u of %u", entries, size);
		}
	}
}

/* Each subscriber is charged to who attaches it, by the page. */
TEST_F(ring, memlock_of_subscribers)
{
	uid_t user = own_user();
	struct sub sub, last = {};
	struct ring ring;
	__u32 id, first = 0;
	unsigned int n;
	pid_t pid;
	int ret;

	ASSERT_EQ(0, ipc_create_key(&self->ring, &id, 0, 4, 4, 0666, 0));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		OPEN_AS(user, MIB);
		for (n = 0; n < MIB / 4096 + 1; n++) {
			ret = ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH);
			if (ret)
				break;
			if (!n) {
				/* Does not detach it. */
				first = sub.id;
				close(sub.fd);
			}
			last = sub;
		}
		EXPECT_EQ(-ENOMEM, ret);
		EXPECT_LT(MIB / 4096 / 2, n);
		ASSERT_EQ(0, ipc_detach(&ring, last.id));
		EXPECT_EQ(-ENOMEM, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		/* The descriptor has kept it. */
		close(last.fd);
		EXPECT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		EXPECT_EQ(-ENOMEM, ipc_attach(&ring, &last, id, IOIPC_SUB_BOTH));
		ASSERT_EQ(0, ipc_detach(&ring, first));
		EXPECT_EQ(0, ipc_attach(&ring, &last, id, IOIPC_SUB_BOTH));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* Notices that are not read are charged to those who come and go. */
TEST_F(ring, memlock_of_notices)
{
	uid_t user = own_user();
	enum { ENOUGH = 8192 };
	struct sub reader, sub;
	struct ring ring;
	int i, ret = 0;
	pid_t pid;
	__u32 id;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		OPEN_AS(user, MIB / 4);
		ASSERT_EQ(0, ipc_create(&ring, &id, 0, 4, 4));
		ASSERT_EQ(0, ipc_attach(&ring, &reader, id,
					IOIPC_SUB_RECV | IOIPC_SUB_EVENTS));
		for (i = 0; !ret && i < ENOUGH; i++) {
			ret = ipc_attach(&ring, &sub, id, IOIPC_SUB_SEND);
			if (ret)
				break;
			close(sub.fd);
			ASSERT_EQ(0, ipc_detach(&ring, sub.id));
		}
		EXPECT_EQ(-ENOMEM, ret);
		EXPECT_LT(ENOUGH / 16, i);
		/* Nobody is told any more. */
		close(reader.fd);
		ASSERT_EQ(0, ipc_detach(&ring, reader.id));
		EXPECT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_SEND));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN
