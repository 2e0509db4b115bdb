// SPDX-License-Identifier: GPL-2.0
/* What is refused, one wrong value at a time, and that nothing is left. */
#include <poll.h>
#include <sys/resource.h>
#include "plain_fixture.h"

#define BIT(n)	(1U << (n))

static const struct io_uring_ipc_channel_create good_create = {
	.ring_entries = 4,
	.max_msg_size = 64,
	.mode = 0600,
};

/* Where a kernel has nothing mapped for user space, and where nobody has. */
static void *const bad_pointers[] = {
	(void *)1,
	(void *)4096,
	(void *)0x00007ffffffff000,
	(void *)0x8000000000000000,
	(void *)0xffff888000000000,
	(void *)0xffffffff81000000,
	(void *)-4096L,
	(void *)-8L,
};

static void *read_only_page(const void *content, size_t size)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(page, content, size);
	mprotect(page, 4096, PROT_READ);
	return page;
}

TEST_F(plain, create_good)
{
	struct io_uring_ipc_channel_create arg = good_create;

	/* Out means out: what is in there before is nobody's business. */
	arg.channel_id_out = UINT32_MAX;
	ASSERT_EQ(0, ipc_create_arg(&self->ring, &arg));
	EXPECT_NE(0, (int)arg.channel_id_out);
	EXPECT_NE(UINT32_MAX, arg.channel_id_out);
	/* It goes into sqe->fd, which is signed. */
	EXPECT_GT(BIT(31), arg.channel_id_out);
	EXPECT_EQ(0, ipc_destroy(&self->ring, arg.channel_id_out));
}

TEST_F(plain, create_unknown_flags)
{
	struct io_uring_ipc_channel_create arg;
	int i;

	for (i = 4; i < 32; i++) {
		arg = good_create;
		arg.flags = BIT(i);
		EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
			TH_LOG("flag bit %d", i);
		arg.flags = BIT(i) | IOIPC_F_BROADCAST;
		EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
			TH_LOG("flag bit %d with BROADCAST", i);
	}
}

TEST_F(plain, create_flag_combinations)
{
	static const __u32 good[] = {
		0, IOIPC_F_BROADCAST, IOIPC_F_MULTICAST, IOIPC_F_PRIVATE,
		IOIPC_F_BROADCAST | IOIPC_F_PRIVATE,
		IOIPC_F_MULTICAST | IOIPC_F_PRIVATE,
	};
	struct io_uring_ipc_channel_create arg = good_create;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		arg = good_create;
		arg.flags = good[i];
		EXPECT_EQ(0, ipc_create_arg(&self->ring, &arg));
	}
	arg.flags = IOIPC_F_BROADCAST | IOIPC_F_MULTICAST;
	EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg));
	arg.flags |= IOIPC_F_PRIVATE;
	EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg));
}

TEST_F(plain, create_reserved)
{
	struct io_uring_ipc_channel_create arg;
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(arg.reserved); i++) {
		for (bit = 0; bit < 32; bit++) {
			arg = good_create;
			arg.reserved[i] = BIT(bit);
			EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
				TH_LOG("reserved[%u] bit %u", i, bit);
		}
	}
}

TEST_F(plain, create_entries)
{
	static const __u32 bad[] = {
		0, 3, 5, 6, 7, 9, 1000, 32767, 32769, 65536, BIT(31),
		BIT(31) + 1, UINT32_MAX,
	};
	struct io_uring_ipc_channel_create arg;
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = good_create;
		arg.ring_entries = bad[i];
		EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
			TH_LOG("%u entries", bad[i]);
	}
	for (i = 1; i <= IOIPC_MAX_RING_ENTRIES; i *= 2) {
		arg = good_create;
		arg.ring_entries = i;
		arg.max_msg_size = 1;
		EXPECT_EQ(0, ipc_create_arg(&self->ring, &arg))
			TH_LOG("%u entries", i);
		EXPECT_EQ(0, ipc_destroy(&self->ring, arg.channel_id_out));
	}
}

TEST_F(plain, create_size)
{
	static const __u32 bad[] = {
		0, IOIPC_MAX_MSG_SIZE + 1, BIT(21), BIT(31), UINT32_MAX,
		UINT32_MAX - 4095,
	};
	static const __u32 good[] = {
		1, 2, 3, 63, 64, 65, 4095, 4096, 4097, IOIPC_MAX_MSG_SIZE - 1,
		IOIPC_MAX_MSG_SIZE,
	};
	struct io_uring_ipc_channel_create arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = good_create;
		arg.max_msg_size = bad[i];
		EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
			TH_LOG("size %u", bad[i]);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		arg = good_create;
		arg.ring_entries = 1;
		arg.max_msg_size = good[i];
		EXPECT_EQ(0, ipc_create_arg(&self->ring, &arg))
			TH_LOG("size %u", good[i]);
		EXPECT_EQ(0, ipc_destroy(&self->ring, arg.channel_id_out));
	}
}

/* The region as a whole has its own limit, INT_MAX bytes. */
TEST_F(plain, create_region_too_large)
{
	static const struct { __u32 entries, size; } bad[] = {
		{ 2048, IOIPC_MAX_MSG_SIZE },	/* 2 GiB of payload alone */
		{ 4096, IOIPC_MAX_MSG_SIZE },	/* 4 GiB: 0 in 32 bits */
		{ 32768, IOIPC_MAX_MSG_SIZE },
		{ 32768, 65536 },
		{ 32768, 131072 },
	};
	struct io_uring_ipc_channel_create arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = good_create;
		arg.ring_entries = bad[i].entries;
		arg.max_msg_size = bad[i].size;
		EXPECT_EQ(-EINVAL, ipc_create_arg(&self->ring, &arg))
			TH_LOG("%u of %u", bad[i].entries, bad[i].size);
	}
}

TEST_F(plain, create_nr_args)
{
	static const __u32 bad[] = { 0, 2, 40, BIT(31), UINT32_MAX };
	struct io_uring_ipc_channel_create arg = good_create;
	unsigned int i;

	arg.key = 0x5eed0001;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL,
			  ipc_register(&self->ring,
				       IORING_REGISTER_IPC_CHANNEL_CREATE,
				       &arg, bad[i]));
	/* Nothing holds the key. */
	EXPECT_EQ(0, ipc_create_arg(&self->ring, &arg));
}

TEST_F(plain, create_bad_pointer)
{
	struct ring *ring = &self->ring;
	unsigned int i;

	EXPECT_EQ(-EFAULT,
		  ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_CREATE, NULL,
			       1));
	for (i = 0; i < ARRAY_SIZE(bad_pointers); i++)
		EXPECT_EQ(-EFAULT,
			  ipc_register(ring,
				       IORING_REGISTER_IPC_CHANNEL_CREATE,
				       bad_pointers[i], 1))
			TH_LOG("pointer %p", bad_pointers[i]);
}

/* The id cannot be told: the channel must not stay. */
TEST_F(plain, create_copy_back_fails)
{
	struct io_uring_ipc_channel_create arg = good_create, *page;
	struct ring *ring = &self->ring;
	struct sub sub;
	int i;

	arg.key = 0x5eed0002;
	page = read_only_page(&arg, sizeof(arg));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, ipc_create_arg(ring, page));
	EXPECT_EQ(-ENOENT, ipc_attach_key(ring, &sub, arg.key,
					  IOIPC_SUB_BOTH));
	EXPECT_EQ(0, ipc_create_arg(ring, &arg));
}

static const struct io_uring_ipc_channel_attach good_attach = {
	.flags = IOIPC_SUB_BOTH,
};

static void check_attach(struct __test_metadata *_metadata, struct ring *ring,
			 struct io_uring_ipc_channel_attach arg, int want)
{
	int fds = count_fds();

	EXPECT_EQ(want, ipc_attach_arg(ring, &arg)) {
		TH_LOG("flags %#x key %#llx reserved %x %x %x", arg.flags,
		       (unsigned long long)arg.key, arg.reserved[0],
		       arg.reserved[1], arg.reserved[2]);
	}
	EXPECT_EQ(fds, count_fds());
}

TEST_F(plain, attach_good)
{
	struct io_uring_ipc_channel_attach arg = good_attach;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 64));
	arg.channel_id = id;
	arg.channel_fd = -1;
	arg.local_id_out = UINT32_MAX;
	arg.mmap_offset_out = UINT64_MAX;
	arg.region_size = UINT32_MAX;
	ASSERT_EQ(0, ipc_attach_arg(&self->ring, &arg));
	EXPECT_LE(0, arg.channel_fd);
	EXPECT_NE(0, (int)arg.local_id_out);
	EXPECT_NE(id, arg.local_id_out);
	EXPECT_GT(BIT(31), arg.local_id_out);
	EXPECT_EQ(0, (int)arg.mmap_offset_out);
	EXPECT_LT(4096, (int)arg.region_size);
}

TEST_F(plain, attach_flags)
{
	struct io_uring_ipc_channel_attach arg = good_attach;
	__u32 id;
	int i;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, IOIPC_F_BROADCAST, 4, 64));
	arg.channel_id = id;
	arg.flags = 0;
	check_attach(_metadata, &self->ring, arg, -EINVAL);
	arg.flags = IOIPC_SUB_REPLAY;
	check_attach(_metadata, &self->ring, arg, -EINVAL);
	arg.flags = IOIPC_SUB_EVENTS;
	check_attach(_metadata, &self->ring, arg, -EINVAL);
	arg.flags = IOIPC_SUB_FROM_FD;
	check_attach(_metadata, &self->ring, arg, -EINVAL);
	for (i = 4; i < 32; i++) {
		if (BIT(i) & (IOIPC_SUB_FROM_FD | IOIPC_SUB_EVENTS))
			continue;
		arg.flags = IOIPC_SUB_BOTH | BIT(i);
		check_attach(_metadata, &self->ring, arg, -EINVAL);
		arg.flags = IOIPC_SUB_RECV | BIT(i);
		check_attach(_metadata, &self->ring, arg, -EINVAL);
		arg.flags = BIT(i);
		check_attach(_metadata, &self->ring, arg, -EINVAL);
	}
}

/* What only a broadcast channel has, on others, by whichever way they are found. */
TEST_F(plain, attach_for_broadcast_only)
{
	static const __u32 modes[] = { 0, IOIPC_F_MULTICAST };
	static const __u32 flags[] = {
		IOIPC_SUB_RECV | IOIPC_SUB_REPLAY,
		IOIPC_SUB_BOTH | IOIPC_SUB_REPLAY,
		IOIPC_SUB_RECV | IOIPC_SUB_LOSSY,
		IOIPC_SUB_BOTH | IOIPC_SUB_REPLAY | IOIPC_SUB_LOSSY,
	};
	const __u64 key = 0x5eed0005;
	struct io_uring_ipc_channel_attach arg;
	struct sub sub;
	unsigned int i, n;
	__u32 id;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, ipc_create_key(&self->ring, &id, modes[i], 4, 64,
					    0600, key + i));
		ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_BOTH));
		for (n = 0; n < ARRAY_SIZE(flags); n++) {
			arg = good_attach;
			arg.flags = flags[n];
			arg.channel_id = id;
			check_attach(_metadata, &self->ring, arg, -EINVAL);
			arg.key = key + i;
			check_attach(_metadata, &self->ring, arg, -EINVAL);
			arg.key = 0;
			arg.flags |= IOIPC_SUB_FROM_FD;
			arg.channel_id = sub.fd;
			check_attach(_metadata, &self->ring, arg, -EINVAL);
		}
	}
}

/* The way to ask what there is: no channel is 0. */
TEST_F(plain, attach_to_ask_what_there_is)
{
	static const __u32 known[] = {
		IOIPC_SUB_SEND, IOIPC_SUB_BOTH,
		IOIPC_SUB_RECV | IOIPC_SUB_REPLAY | IOIPC_SUB_LOSSY,
		IOIPC_SUB_BOTH | IOIPC_SUB_EVENTS,
	};
	struct io_uring_ipc_channel_attach arg = good_attach;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		arg.flags = known[i];
		check_attach(_metadata, &self->ring, arg, -ENOENT);
		arg.flags = known[i] | BIT(5);
		check_attach(_metadata, &self->ring, arg, -EINVAL);
		arg.flags = known[i] | BIT(7);
		check_attach(_metadata, &self->ring, arg, -EINVAL);
	}
}

static int ask(struct ring *ring, __u8 opcode, __u16 ioprio, __u8 flags)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = opcode;
	sqe->len = opcode == IORING_OP_IPC_RECV && !flags ?
		   sizeof(struct io_uring_ipc_msg_hdr) : 0;
	sqe->ioprio = ioprio;
	sqe->flags = flags;
	return ring_one(ring);
}

/* Likewise of the bits of ioprio. */
TEST_F(plain, request_to_ask_what_there_is)
{
	struct ring *ring = &self->ring;
	int i;

	for (i = 0; i < 16; i++) {
		EXPECT_EQ(BIT(i) & IOIPC_SEND_WAIT ? -ENOENT : -EINVAL,
			  ask(ring, IORING_OP_IPC_SEND, BIT(i), 0))
			TH_LOG("SEND, bit %d", i);
		EXPECT_EQ(BIT(i) & (IOIPC_RECV_WAIT | IOIPC_RECV_HDR |
				    IOIPC_RECV_TRUNC) ? -ENOENT : -EINVAL,
			  ask(ring, IORING_OP_IPC_RECV, BIT(i), 0))
			TH_LOG("RECV, bit %d", i);
		EXPECT_EQ(BIT(i) & (IOIPC_RECV_WAIT | IOIPC_RECV_HDR |
				    IOIPC_RECV_TRUNC | IOIPC_RECV_MULTISHOT) ?
				  -ENOENT : -EINVAL,
			  ask(ring, IORING_OP_IPC_RECV, BIT(i),
			      IOSQE_BUFFER_SELECT))
			TH_LOG("RECV with BUFFER_SELECT, bit %d", i);
	}
}

#define BATCH	64

/* Fills the largest ring with the numbers from 0 on. */
static void fill_largest(struct __test_metadata *_metadata, struct ring *ring,
			 __u32 id, __u32 target)
{
	__u32 value[BATCH], n;
	int res[BATCH];
	unsigned int i;

	for (n = 0; n < IOIPC_MAX_RING_ENTRIES; n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			value[i] = n + i;
			prep_send(ring, id, &value[i], 4, target, i);
		}
		ASSERT_EQ(0, ring_batch(ring, res, BATCH));
		for (i = 0; i < BATCH; i++)
			ASSERT_EQ(4, res[i]);
	}
}

/* All slots of the largest ring, and all of them again. */
TEST_F(plain, largest_ring_is_filled)
{
	static const __u32 modes[] = { 0, IOIPC_F_BROADCAST, IOIPC_F_MULTICAST };
	struct ring *ring = &self->ring;
	__u32 value[BATCH], id, n, m;
	struct sub tx, rx;
	int res[BATCH];
	unsigned int i, round;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		ASSERT_EQ(0, ipc_create(ring, &id, modes[m],
					IOIPC_MAX_RING_ENTRIES, 4));
		ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		for (round = 0; round < 2; round++) {
			fill_largest(_metadata, ring, tx.id, 0);
			EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, 0));
			for (n = 0; n < IOIPC_MAX_RING_ENTRIES; n += BATCH) {
				for (i = 0; i < BATCH; i++)
					prep_recv(ring, rx.id, &value[i], 4, 0,
						  i);
				ASSERT_EQ(0, ring_batch(ring, res, BATCH));
				for (i = 0; i < BATCH; i++) {
					ASSERT_EQ(4, res[i]);
					ASSERT_EQ(n + i, value[i]);
				}
			}
			EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, rx.id));
		}
		ASSERT_EQ(0, ipc_destroy(ring, id));
		ASSERT_EQ(0, ipc_detach(ring, tx.id));
		ASSERT_EQ(0, ipc_detach(ring, rx.id));
		close(tx.fd);
		close(rx.fd);
	}
}

/* The largest ring is full of what is for one receiver, and that one goes. */
TEST_F(plain, largest_ring_of_who_leaves)
{
	static const __u32 modes[] = { 0, IOIPC_F_BROADCAST };
	struct ring *ring = &self->ring;
	struct io_uring_cqe cqe;
	__u32 id, n = 0, m;
	struct sub tx, rx;
	unsigned int i;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		ASSERT_EQ(0, ipc_create(ring, &id, modes[m],
					IOIPC_MAX_RING_ENTRIES, 4));
		ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
		ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
		fill_largest(_metadata, ring, tx.id, rx.id);
		prep_poll(ring, tx.fd, POLLOUT, 1);
		prep_send(ring, tx.id, &n, 4, 0, 2)->ioprio = IOIPC_SEND_WAIT;
		ASSERT_TRUE(ring_parks(ring, tx.fd, SENDS_WAITING));
		ASSERT_EQ(0, ipc_detach(ring, rx.id));
		/* In either order. */
		for (n = 0, i = 0; n < 2; n++) {
			ASSERT_EQ(0, ring_next(ring, &cqe));
			i |= cqe.user_data;
			EXPECT_EQ(cqe.user_data == 1 ? POLLOUT : 4, cqe.res &
				  (POLLOUT | POLLERR | POLLHUP | 4));
		}
		EXPECT_EQ(3, (int)i);
		/* All room is there again. */
		for (n = 1; n < IOIPC_MAX_RING_ENTRIES; n++) {
			prep_send(ring, tx.id, &n, 4, 0, 0);
			if (n % BATCH)
				continue;
			ASSERT_EQ(0, ring_enter(ring, BATCH));
			while (ring_cqe(ring, &cqe))
				ASSERT_EQ(4, cqe.res);
		}
		ASSERT_EQ(0, ring_enter(ring, BATCH - 1));
		while (ring_cqe(ring, &cqe))
			ASSERT_EQ(4, cqe.res);
		if (!(modes[m] & IOIPC_F_BROADCAST))
			EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, tx.id, n));
		ASSERT_EQ(0, ipc_destroy(ring, id));
		ASSERT_EQ(0, ipc_detach(ring, tx.id));
		close(tx.fd);
		close(rx.fd);
	}
}

TEST_F(plain, attach_reserved)
{
	struct io_uring_ipc_channel_attach arg;
	unsigned int i, bit;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 64));
	for (i = 0; i < ARRAY_SIZE(arg.reserved); i++) {
		for (bit = 0; bit < 32; bit++) {
			arg = good_attach;
			arg.channel_id = id;
			arg.reserved[i] = BIT(bit);
			check_attach(_metadata, &self->ring, arg, -EINVAL);
		}
	}
}

TEST_F(plain, attach_unknown)
{
	struct io_uring_ipc_channel_attach arg = good_attach;
	struct ring *ring = &self->ring;
	struct sub sub;
	__u32 id;

	check_attach(_metadata, ring, arg, -ENOENT);
	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 64));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	arg.channel_id = id + 1000;
	check_attach(_metadata, ring, arg, -ENOENT);
	arg.channel_id = UINT32_MAX;
	check_attach(_metadata, ring, arg, -ENOENT);
	arg.channel_id = sub.id;
	check_attach(_metadata, ring, arg, -ENOENT);
	/* A key is looked up whatever channel_id says. */
	arg.channel_id = id;
	arg.key = 0x5eed0003;
	check_attach(_metadata, ring, arg, -ENOENT);
}

TEST_F(plain, attach_nr_args)
{
	static const __u32 bad[] = { 0, 2, 48, BIT(31), UINT32_MAX };
	struct io_uring_ipc_channel_attach arg = good_attach;
	int fds = count_fds();
	unsigned int i;

	ASSERT_EQ(0, ipc_create(&self->ring, &arg.channel_id, 0, 4, 64));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL,
			  ipc_register(&self->ring,
				       IORING_REGISTER_IPC_CHANNEL_ATTACH,
				       &arg, bad[i]));
	EXPECT_EQ(fds, count_fds());
}

TEST_F(plain, attach_bad_pointer)
{
	struct ring *ring = &self->ring;
	unsigned int i;

	EXPECT_EQ(-EFAULT,
		  ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_ATTACH, NULL,
			       1));
	for (i = 0; i < ARRAY_SIZE(bad_pointers); i++)
		EXPECT_EQ(-EFAULT,
			  ipc_register(ring,
				       IORING_REGISTER_IPC_CHANNEL_ATTACH,
				       bad_pointers[i], 1))
			TH_LOG("pointer %p", bad_pointers[i]);
}

/* A subscriber that nobody was told of would hold a broadcast ring up. */
TEST_F(plain, attach_copy_back_fails)
{
	struct io_uring_ipc_channel_attach arg = good_attach, *page;
	struct ring *ring = &self->ring;
	int fds = count_fds();
	struct sub tx;
	__u32 id;
	int i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 1, 64));
	arg.channel_id = id;
	page = read_only_page(&arg, sizeof(arg));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, ipc_attach_arg(ring, page));
	EXPECT_EQ(fds, count_fds());
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, ipc_send(ring, tx.id, "", 1, 0));
	EXPECT_EQ(0, ipc_destroy(ring, id));
}

/* No descriptor to be had: no subscriber either. */
TEST_F(plain, attach_without_descriptors)
{
	struct ring *ring = &self->ring;
	struct rlimit old, none;
	struct sub tx, sub;
	__u32 id;
	int i;

	ASSERT_EQ(0, ipc_create(ring, &id, IOIPC_F_BROADCAST, 1, 64));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EMFILE, ipc_attach(ring, &sub, id,
					      IOIPC_SUB_BOTH));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, ipc_send(ring, tx.id, "", 1, 0));
}

/* Subscribers are files of the ring, though nobody keeps their descriptors. */
TEST_F(plain, attach_without_end)
{
	enum { LIMIT = 64 };
	struct ring *ring = &self->ring;
	struct rlimit old, few;
	struct sub sub, first;
	int n, ret;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 1, 64));
	ASSERT_EQ(0, ipc_attach(ring, &first, id, IOIPC_SUB_BOTH));
	close(first.fd);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few = old;
	few.rlim_cur = LIMIT;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	for (n = 1; n <= LIMIT; n++) {
		ret = ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH);
		if (ret)
			break;
		close(sub.fd);
	}
	EXPECT_EQ(-EMFILE, ret);
	EXPECT_EQ(LIMIT, n);
	ASSERT_EQ(0, ipc_detach(ring, first.id));
	EXPECT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	close(sub.fd);
	EXPECT_EQ(-EMFILE, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
}

TEST_F(plain, detach)
{
	struct ring *ring = &self->ring;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 64));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EINVAL, ipc_register(ring,
					IORING_REGISTER_IPC_CHANNEL_DETACH,
					&sub, sub.id));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, 0));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, UINT32_MAX));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, BIT(31)));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, sub.id + 1000));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, id));
	/* None of that did anything. */
	EXPECT_EQ(1, ipc_send(ring, sub.id, "", 1, 0));
	EXPECT_EQ(0, ipc_detach(ring, sub.id));
	EXPECT_EQ(-ENOENT, ipc_detach(ring, sub.id));
}

/* A subscriber belongs to the ring that attached; that one may end it. */
TEST_F(plain, id_of_another_ring)
{
	struct ring *ring = &self->ring, other;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&other, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 64));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOENT, ipc_send(&other, sub.id, "", 1, 0));
	EXPECT_EQ(-ENOENT, ipc_recv(&other, sub.id, NULL, 0));
	EXPECT_EQ(1, ipc_send(ring, sub.id, "", 1, 0));
	EXPECT_EQ(0, ipc_detach(ring, sub.id));
	ring_close(&other);
}

TEST_F(plain, destroy)
{
	struct ring *ring = &self->ring;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ipc_create(ring, &id, 0, 4, 64));
	ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EINVAL, ipc_register(ring,
					IORING_REGISTER_IPC_CHANNEL_DESTROY,
					&sub, id));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, 0));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, UINT32_MAX));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, BIT(31)));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, id + 1000));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, sub.id));
	EXPECT_EQ(1, ipc_send(ring, sub.id, "", 1, 0));
	EXPECT_EQ(0, ipc_destroy(ring, id));
	EXPECT_EQ(-ENOENT, ipc_destroy(ring, id));
}

/*
 * SQE fields. The channel holds one message; whatever is refused must neither
 * add one nor take this one.
 */
FIXTURE(sqe)
{
	struct ring ring;
	__u32 id;
	struct sub sub;
	char buf[64];
	struct io_uring_sqe *sqe;
};

#define sqe_data _test_data_sqe

FIXTURE_VARIANT(sqe)
{
	bool send;
};

FIXTURE_VARIANT_ADD(sqe, send)
{
	.send = true,
};

FIXTURE_VARIANT_ADD(sqe, recv)
{
	.send = false,
};

FIXTURE_SETUP(sqe)
{
	ASSERT_EQ(0, ring_open(&self->ring, RING_PLAIN));
	ASSERT_EQ(0, ipc_create(&self->ring, &self->id, 0, 8, 64));
	ASSERT_EQ(0, ipc_attach(&self->ring, &self->sub, self->id,
				IOIPC_SUB_BOTH));
	ASSERT_EQ(3, ipc_send(&self->ring, self->sub.id, "one", 3, 0));
}

FIXTURE_TEARDOWN(sqe)
{
	EXPECT_EQ(3, ipc_recv(&self->ring, self->sub.id, self->buf, 64));
	EXPECT_EQ(0, memcmp(self->buf, "one", 3));
	EXPECT_EQ(-EAGAIN, ipc_recv(&self->ring, self->sub.id, self->buf, 64));
	ring_close(&self->ring);
}

static struct io_uring_sqe *good_sqe(struct sqe_data *self, bool send)
{
	if (send)
		return prep_send(&self->ring, self->sub.id, "two", 3, 0, 0);
	return prep_recv(&self->ring, self->sub.id, self->buf, 64, 0, 0);
}

#define REFUSED(error, field, value) do {				\
	good_sqe(self, variant->send)->field = (value);			\
	EXPECT_EQ(error, ring_one(&self->ring)) {			\
		TH_LOG("%s = %#llx", #field,				\
		       (unsigned long long)(value));			\
	}								\
} while (0)

TEST_F(sqe, ioprio)
{
	const unsigned int known = variant->send ? IOIPC_SEND_WAIT :
				   IOIPC_RECV_WAIT | IOIPC_RECV_MULTISHOT |
				   IOIPC_RECV_HDR | IOIPC_RECV_TRUNC;
	int i;

	for (i = 0; i < 16; i++) {
		if (BIT(i) & known)
			continue;
		REFUSED(-EINVAL, ioprio, BIT(i));
		if (!variant->send)
			REFUSED(-EINVAL, ioprio, BIT(i) | IOIPC_RECV_TRUNC);
	}
}

TEST_F(sqe, rw_flags)
{
	int i;

	for (i = 0; i < 32; i++)
		REFUSED(-EINVAL, rw_flags, (int)BIT(i));
}

TEST_F(sqe, offset)
{
	int i;

	for (i = 0; i < 64; i++)
		REFUSED(-EINVAL, off, 1ULL << i);
}

TEST_F(sqe, buf_index)
{
	int i;

	for (i = 0; i < 16; i++)
		REFUSED(-EINVAL, buf_index, BIT(i));
}

TEST_F(sqe, unused_words)
{
	REFUSED(-EINVAL, addr3, 1);
	REFUSED(-EINVAL, addr3, 1ULL << 63);
	REFUSED(-EINVAL, __pad2[0], 1);
	REFUSED(-EINVAL, __pad2[0], 1ULL << 63);
	if (!variant->send) {
		REFUSED(-EINVAL, file_index, 1);
		REFUSED(-EINVAL, file_index, self->sub.id);
	}
}

TEST_F(sqe, personality)
{
	int ret;

	REFUSED(-EINVAL, personality, 1);
	REFUSED(-EINVAL, personality, UINT16_MAX);
	ret = ipc_register(&self->ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	ASSERT_LT(0, ret);
	REFUSED(-EINVAL, personality, ret);
}

TEST_F(sqe, fixed_file)
{
	int fds[1] = { self->sub.fd };

	REFUSED(-EBADF, flags, IOSQE_FIXED_FILE);
	ASSERT_EQ(0, ipc_register(&self->ring, IORING_REGISTER_FILES, fds, 1));
	REFUSED(-EBADF, flags, IOSQE_FIXED_FILE);
	good_sqe(self, variant->send)->flags = IOSQE_FIXED_FILE;
	self->ring.sqes[(self->ring.tail - 1) & self->ring.sq_mask].fd = 0;
	EXPECT_EQ(-EBADF, ring_one(&self->ring));
}

TEST_F(sqe, buffer_select)
{
	/* A send has nothing to select; a receive, no address then. */
	REFUSED(variant->send ? -EOPNOTSUPP : -EINVAL, flags,
		IOSQE_BUFFER_SELECT);
}

TEST_F(sqe, unknown_id)
{
	REFUSED(-ENOENT, fd, 0);
	REFUSED(-ENOENT, fd, -1);
	REFUSED(-ENOENT, fd, INT32_MAX);
	REFUSED(-ENOENT, fd, INT32_MIN);
	REFUSED(-ENOENT, fd, (int)(self->sub.id + 1000));
	/* A descriptor is no id, not even the subscriber's own. */
	if (self->sub.fd != (int)self->sub.id &&
	    self->sub.fd != (int)self->id)
		REFUSED(-ENOENT, fd, self->sub.fd);
	/* A channel's id does to send, not to receive. */
	if (!variant->send)
		REFUSED(-ENOENT, fd, (int)self->id);
}

/* A bad SQE in the middle of a batch leaves the rest of it alone. */
TEST_F(sqe, bad_one_in_a_batch)
{
	struct ring *ring = &self->ring;
	int res[3];

	ASSERT_EQ(3, ipc_send(ring, self->sub.id, "two", 3, 0));
	prep_recv(ring, self->sub.id, self->buf, 64, 0, 0);
	good_sqe(self, variant->send)->rw_flags = 1;
	ring->sqes[(ring->tail - 1) & ring->sq_mask].user_data = 1;
	prep_send(ring, self->sub.id, "one", 3, 0, 2);
	ASSERT_EQ(0, ring_batch(ring, res, 3));
	EXPECT_EQ(3, res[0]);
	EXPECT_EQ(-EINVAL, res[1]);
	EXPECT_EQ(3, res[2]);
	EXPECT_EQ(3, ipc_recv(ring, self->sub.id, self->buf, 64));
}

/* A ring that polls for completions has no use for these opcodes. */
TEST(iopoll_ring)
{
	struct ring ring;
	struct sub sub;
	__u32 id;

	ASSERT_EQ(0, ring_open(&ring, IORING_SETUP_IOPOLL));
	ASSERT_EQ(0, ipc_create(&ring, &id, 0, 4, 64));
	ASSERT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-EINVAL, ipc_send(&ring, sub.id, "", 1, 0));
	EXPECT_EQ(-EINVAL, ipc_recv(&ring, sub.id, NULL, 0));
	ring_close(&ring);
}

TEST_HARNESS_MAIN
