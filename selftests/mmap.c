// SPDX-License-Identifier: GPL-2.0
/* The region as user space maps it: layout, content, and no way to write. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>

#include "channel_fixture.h"

struct map {
	struct io_uring_ipc_ring *ring;
	unsigned char *base;
};

static struct io_uring_ipc_msg_desc *desc(struct map *map, __u64 pos)
{
	return (void *)(map->base + map->ring->desc_offset +
			(pos & map->ring->ring_mask) * map->ring->desc_size);
}

static unsigned char *payload(struct map *map, __u64 pos)
{
	return map->base + map->ring->data_offset + desc(map, pos)->offset;
}

static int map_sub(struct map *map, const struct sub *sub, int flags)
{
	map->base = mmap(NULL, sub->size, PROT_READ, flags, sub->fd,
			 sub->offset);
	map->ring = (void *)map->base;
	return map->base == MAP_FAILED ? -errno : 0;
}

TEST_F(channel, layout)
{
	static const struct { __u32 entries, size; } shapes[] = {
		{ 1, 1 }, { 2, 64 }, { 8, 65 }, { 64, 4096 }, { 1024, 100 },
		{ 1, IOIPC_MAX_MSG_SIZE },
	};
	struct ring *ring = &self->ring;
	struct io_uring_ipc_ring *r;
	struct sub sub;
	struct map map;
	__u64 end;
	unsigned int i;
	__u32 id;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		ASSERT_EQ(0, ipc_create(ring, &id, variant->flags,
					shapes[i].entries, shapes[i].size));
		ASSERT_EQ(0, ipc_attach(ring, &sub, id, IOIPC_SUB_RECV));
		EXPECT_EQ(0, (int)sub.offset);
		EXPECT_EQ(0, (int)(sub.size % 4096));
		ASSERT_EQ(0, map_sub(&map, &sub, MAP_SHARED));
		r = map.ring;
		EXPECT_EQ(0, (int)r->tail);
		EXPECT_EQ(0, (int)r->head);
		EXPECT_EQ(IOIPC_RING_VERSION, (int)r->version);
		EXPECT_EQ(shapes[i].entries, r->ring_entries);
		EXPECT_EQ(shapes[i].entries - 1, r->ring_mask);
		EXPECT_EQ(shapes[i].size, r->max_msg_size);
		EXPECT_EQ(64, (int)r->desc_size);
		EXPECT_EQ(0, (int)(r->desc_offset % 64));
		EXPECT_LE(4096, (int)r->desc_offset);
		EXPECT_LE(r->desc_offset + 64ULL * r->ring_entries,
			  r->data_offset);
		EXPECT_EQ(0, (int)(r->data_offset % 64));
		EXPECT_EQ(0, (int)(r->data_stride % 64));
		EXPECT_LE(r->max_msg_size, r->data_stride);
		end = r->data_offset +
		      (__u64)r->data_stride * r->ring_entries;
		EXPECT_LE(end, sub.size);
		/* No page to spare, and nothing of the kernel's in it. */
		EXPECT_GT(end + 4096, sub.size);
		for (; end < sub.size; end++)
			ASSERT_EQ(0, map.base[end]);
		munmap(map.base, sub.size);
		close(sub.fd);
		ASSERT_EQ(0, ipc_destroy(ring, id));
	}
}

/* Neither a message that never was nor what the pages held before. */
TEST_F(channel, fresh_region_is_empty)
{
	struct map map;
	__u32 i;

	ASSERT_EQ(0, map_sub(&map, &self->rx, MAP_SHARED));
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		EXPECT_EQ(0, (int)desc(&map, i)->seq);
		EXPECT_EQ(0, (int)desc(&map, i)->len);
	}
	for (i = sizeof(*map.ring); i < map.ring->desc_offset; i++)
		ASSERT_EQ(0, map.base[i]);
	for (i = map.ring->data_offset; i < self->rx.size; i++)
		ASSERT_EQ(0, map.base[i]);
}

TEST_F(channel, descriptors_while_sending)
{
	struct ring *ring = &self->ring;
	struct map map;
	struct io_uring_ipc_msg_desc *d;
	unsigned char buf[CHANNEL_SIZE];
	__u32 target, len;
	__u64 pos;

	ASSERT_EQ(0, map_sub(&map, &self->rx, MAP_SHARED));
	/* Four times round. */
	for (pos = 0; pos < 4 * CHANNEL_ENTRIES; pos++) {
		len = pos * 5 % CHANNEL_SIZE;
		memset(buf, pos + 1, sizeof(buf));
		target = pos % 3 ? 0 : self->rx.id;
		EXPECT_EQ(pos, map.ring->tail);
		d = desc(&map, pos);
		EXPECT_NE(pos + 1, d->seq);
		prep_send(ring, pos & 1 ? self->id : self->tx.id, buf, len,
			  target, 0xc0ffee00000000ULL + pos);
		ASSERT_EQ((int)len, ring_one(ring));
		EXPECT_EQ(pos + 1, map.ring->tail);
		EXPECT_LE(map.ring->head, pos);

		EXPECT_EQ(pos + 1, d->seq);
		EXPECT_EQ(0xc0ffee00000000ULL + pos, d->sender_data);
		EXPECT_EQ(len, d->len);
		EXPECT_EQ(0, (int)d->flags);
		EXPECT_EQ(target, d->target);
		EXPECT_EQ(pos & 1 ? 0 : self->tx.id, d->sender_id);
		EXPECT_LE(d->offset + (__u64)map.ring->data_stride,
			  self->rx.size - map.ring->data_offset);
		EXPECT_EQ(0, (int)(d->offset % map.ring->data_stride));
		EXPECT_EQ(0, memcmp(payload(&map, pos), buf, len));
		/* Nobody's identity is in there. */
		EXPECT_EQ(0, (int)d->pid);
		EXPECT_EQ(65534, (int)d->uid);
		EXPECT_EQ(65534, (int)d->gid);

		ASSERT_EQ((int)len, ipc_recv(ring, self->rx.id, buf, len));
		/* Receiving leaves the message readable. */
		EXPECT_EQ(pos + 1, d->seq);
		EXPECT_EQ(len, d->len);
	}
}

/* Slots do not share memory, whatever the sizes. */
TEST_F(channel, payloads_are_apart)
{
	struct ring *ring = &self->ring;
	struct map map;
	unsigned char buf[CHANNEL_SIZE];
	int i, j;

	ASSERT_EQ(0, map_sub(&map, &self->rx, MAP_SHARED));
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		memset(buf, 'A' + i, sizeof(buf));
		ASSERT_EQ(CHANNEL_SIZE, ipc_send(ring, self->tx.id, buf,
						 CHANNEL_SIZE, 0));
	}
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		for (j = 0; j < CHANNEL_SIZE; j++)
			ASSERT_EQ('A' + i, payload(&map, i)[j]);
}

/* head and tail only ever go up, and are never more than the ring apart. */
TEST_F(channel, head_and_tail)
{
	struct ring *ring = &self->ring;
	struct map map;
	__u64 head = 0;
	__u32 i;

	ASSERT_EQ(0, map_sub(&map, &self->rx, MAP_SHARED));
	for (i = 0; i < 10 * CHANNEL_ENTRIES; i++) {
		if (ipc_send_u32(ring, self->tx.id, i) != 4)
			ASSERT_LE(0, ipc_recv_u32(ring, self->rx.id));
		ASSERT_LE(head, map.ring->head);
		head = map.ring->head;
		ASSERT_LE(head, map.ring->tail);
		ASSERT_GE(CHANNEL_ENTRIES, (int)(map.ring->tail - head));
	}
	EXPECT_LT(3 * CHANNEL_ENTRIES, (int)head);
}

TEST_F(channel, private_mapping_shows_the_same)
{
	struct map shared, priv;

	ASSERT_EQ(0, map_sub(&shared, &self->rx, MAP_SHARED));
	ASSERT_EQ(0, map_sub(&priv, &self->rx, MAP_PRIVATE));
	ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	EXPECT_EQ(1, (int)shared.ring->tail);
	EXPECT_EQ(1, (int)priv.ring->tail);
	EXPECT_EQ(0, memcmp(shared.base, priv.base, self->rx.size));
}

TEST_F(channel, never_writable)
{
	static const int kinds[] = { MAP_SHARED, MAP_PRIVATE,
				     MAP_SHARED_VALIDATE };
	struct sub *rx = &self->rx;
	unsigned int i;
	void *p;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		p = mmap(NULL, rx->size, PROT_READ | PROT_WRITE, kinds[i],
			 rx->fd, 0);
		EXPECT_EQ(MAP_FAILED, p);
		EXPECT_EQ(EACCES, errno);
		p = mmap(NULL, rx->size, PROT_WRITE, kinds[i], rx->fd, 0);
		EXPECT_EQ(MAP_FAILED, p);
		EXPECT_EQ(EACCES, errno);
		p = mmap(NULL, rx->size, PROT_READ, kinds[i], rx->fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, mprotect(p, rx->size, PROT_READ | PROT_WRITE));
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(-1, mprotect(p, 4096, PROT_WRITE));
		EXPECT_EQ(EACCES, errno);
		/* It could be made readable again, if that is allowed. */
		EXPECT_EQ(0, mprotect(p, rx->size, PROT_NONE));
		EXPECT_EQ(0, mprotect(p, rx->size, PROT_READ));
		munmap(p, rx->size);
	}
}

TEST_F(channel, never_executable)
{
	struct sub *rx = &self->rx;
	void *p;

	p = mmap(NULL, rx->size, PROT_READ | PROT_EXEC, MAP_SHARED, rx->fd,
		 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EPERM, errno);
	p = mmap(NULL, rx->size, PROT_READ | PROT_EXEC, MAP_PRIVATE, rx->fd,
		 0);
	EXPECT_EQ(MAP_FAILED, p);
	p = mmap(NULL, rx->size, PROT_READ, MAP_SHARED, rx->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mprotect(p, rx->size, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
}

/* Not through the debugger's door either, where a private copy would do. */
TEST_F(channel, no_forced_write)
{
	static const int kinds[] = { MAP_SHARED, MAP_PRIVATE };
	unsigned int i;
	int mem;

	mem = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, mem);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct map map;

		ASSERT_EQ(0, map_sub(&map, &self->rx, kinds[i]));
		EXPECT_EQ(-1, pwrite(mem, "x", 1, (unsigned long)map.base));
		EXPECT_EQ(0, (int)map.ring->tail);
	}
	close(mem);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
}

/* A receiver may look; one that only sends has nothing to look at. */
TEST_F(channel, receivers_only)
{
	struct sub both;
	struct map map;

	EXPECT_EQ(-EACCES, map_sub(&map, &(struct sub){
		.fd = self->tx.fd, .size = self->rx.size }, MAP_SHARED));
	EXPECT_EQ(-EACCES, map_sub(&map, &(struct sub){
		.fd = self->tx.fd, .size = 4096 }, MAP_PRIVATE));
	ASSERT_EQ(0, ipc_attach(&self->ring, &both, self->id,
				IOIPC_SUB_BOTH));
	EXPECT_EQ(0, map_sub(&map, &both, MAP_SHARED));
}

TEST_F(channel, wrong_offset_and_length)
{
	struct sub *rx = &self->rx;
	static const __u64 offsets[] = {
		1ULL << 12, 1ULL << 20, 1ULL << 31, 1ULL << 32, 1ULL << 44,
		(1ULL << 63) - 4096,
	};
	unsigned int i;
	void *p;

	p = mmap(NULL, rx->size + 4096, PROT_READ, MAP_SHARED, rx->fd, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EINVAL, errno);
	p = mmap(NULL, 1UL << 32, PROT_READ, MAP_SHARED, rx->fd, 0);
	EXPECT_EQ(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		p = mmap(NULL, rx->size, PROT_READ, MAP_SHARED, rx->fd,
			 offsets[i]);
		EXPECT_EQ(MAP_FAILED, p) {
			TH_LOG("offset %#llx", (unsigned long long)offsets[i]);
		}
		EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
	}
	/* It does not grow later. */
	p = mmap(NULL, rx->size, PROT_READ, MAP_SHARED, rx->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, rx->size, rx->size + 4096,
				     MREMAP_MAYMOVE));
}

/* It polls and maps; messages do not go through it. */
TEST_F(channel, no_file_operations_besides)
{
	char c;

	EXPECT_EQ(-1, read(self->rx.fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->rx.fd, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, ftruncate(self->rx.fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, 1));
	EXPECT_EQ(1, ipc_recv_u32(&self->ring, self->rx.id));
}

/* A reader of the mapping sees every message while another process sends. */
TEST_F(channel, reading_along)
{
	enum { TOTAL = 500 };
	struct ring *ring = &self->ring;
	struct io_uring_ipc_msg_desc *d;
	struct map map;
	__u32 value, i = 0;
	pid_t pid;

	ASSERT_EQ(0, map_sub(&map, &self->rx, MAP_SHARED));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring other;

		if (ring_open(&other, variant->setup))
			_exit(10);
		while (i < TOTAL) {
			if (ipc_send_u32(&other, self->id, i) == 4)
				i++;
			else
				sched_yield();
		}
		_exit(0);
	}
	for (i = 0; i < TOTAL; i++) {
		d = desc(&map, i);
		while (__atomic_load_n(&d->seq, __ATOMIC_ACQUIRE) != i + 1)
			sched_yield();
		memcpy(&value, payload(&map, i), 4);
		ASSERT_EQ(i, value);
		ASSERT_EQ(4, (int)d->len);
		/* Receive it, to let the sender go on. */
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN
