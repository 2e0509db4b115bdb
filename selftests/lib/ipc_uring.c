// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ipc_uring.h"

static int enter(struct ring *ring, unsigned int submit, unsigned int wait,
		 unsigned int flags)
{
	int ret;

	do {
		ret = syscall(__NR_io_uring_enter, ring->fd, submit, wait,
			      flags, NULL, 0);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int ring_open(struct ring *ring, unsigned int setup)
{
	struct io_uring_params p = { .flags = setup };
	unsigned int *array;
	size_t sq_size, cq_size;
	unsigned int i;
	int ret;

	memset(ring, 0, sizeof(*ring));
	ring->setup = setup;
	if (setup & IORING_SETUP_SQPOLL)
		p.sq_thread_idle = 5;
	ring->fd = syscall(__NR_io_uring_setup, RING_ENTRIES, &p);
	if (ring->fd < 0)
		return -errno;

	sq_size = p.sq_off.array + p.sq_entries * sizeof(__u32);
	cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	ring->map_size = sq_size > cq_size ? sq_size : cq_size;
	ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring->fd,
			 IORING_OFF_SQ_RING);
	if (ring->map == MAP_FAILED)
		goto err_close;
	ring->sqes = mmap(NULL, RING_ENTRIES * sizeof(*ring->sqes),
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ring->fd, IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED)
		goto err_unmap;

	ring->sq_head = ring->map + p.sq_off.head;
	ring->sq_tail = ring->map + p.sq_off.tail;
	ring->sq_flags = ring->map + p.sq_off.flags;
	ring->sq_mask = p.sq_entries - 1;
	ring->cq_head = ring->map + p.cq_off.head;
	ring->cq_tail = ring->map + p.cq_off.tail;
	ring->cq_mask = p.cq_entries - 1;
	ring->cqes = ring->map + p.cq_off.cqes;
	array = ring->map + p.sq_off.array;
	for (i = 0; i < p.sq_entries; i++)
		array[i] = i;
	return 0;

err_unmap:
	ret = -errno;
	munmap(ring->map, ring->map_size);
	close(ring->fd);
	return ret;
err_close:
	ret = -errno;
	close(ring->fd);
	return ret;
}

void ring_close(struct ring *ring)
{
	if (!ring->map)
		return;
	munmap(ring->sqes, RING_ENTRIES * sizeof(*ring->sqes));
	munmap(ring->map, ring->map_size);
	close(ring->fd);
	memset(ring, 0, sizeof(*ring));
	ring->fd = -1;
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (ring->queued == RING_ENTRIES)
		return NULL;
	/* An SQPOLL thread may still be reading what completed already. */
	while (ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) >=
	       RING_ENTRIES)
		;
	sqe = &ring->sqes[ring->tail++ & ring->sq_mask];
	ring->queued++;
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static unsigned int cq_ready(struct ring *ring)
{
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) -
	       *ring->cq_head;
}

static int enter_sqpoll(struct ring *ring, unsigned int wait)
{
	int ret = 0;

	ring->queued = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) &
	    IORING_SQ_NEED_WAKEUP)
		ret = enter(ring, 0, 0, IORING_ENTER_SQ_WAKEUP);
	while (ret >= 0 && cq_ready(ring) < wait)
		ret = enter(ring, 0, wait, IORING_ENTER_GETEVENTS);
	return ret < 0 ? ret : 0;
}

int ring_enter(struct ring *ring, unsigned int wait)
{
	int ret;

	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	if (ring->setup & IORING_SETUP_SQPOLL)
		return enter_sqpoll(ring, wait);

	/* A failing prep ends a batch early: go on with the rest of it. */
	while (ring->queued) {
		ret = enter(ring, ring->queued, wait, IORING_ENTER_GETEVENTS);
		if (ret < 0)
			return ret;
		ring->queued -= ret;
	}
	/* DEFER_TASKRUN completes nothing unless asked. */
	do {
		if (cq_ready(ring) >= wait && wait)
			return 0;
		ret = enter(ring, 0, wait, IORING_ENTER_GETEVENTS);
	} while (ret >= 0 && cq_ready(ring) < wait);
	return ret < 0 ? ret : 0;
}

bool ring_cqe(struct ring *ring, struct io_uring_cqe *cqe)
{
	unsigned int head = *ring->cq_head;

	if (!cq_ready(ring))
		return false;
	*cqe = ring->cqes[head & ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

int ring_one(struct ring *ring)
{
	struct io_uring_cqe cqe;
	int ret;

	ret = ring_enter(ring, 1);
	if (ret)
		return ret;
	return ring_cqe(ring, &cqe) ? cqe.res : -EPROTO;
}

int ring_batch(struct ring *ring, int *res, unsigned int n)
{
	struct io_uring_cqe cqe;
	unsigned int i;
	int ret;

	ret = ring_enter(ring, n);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		if (!ring_cqe(ring, &cqe) || cqe.user_data >= n)
			return -EPROTO;
		res[cqe.user_data] = cqe.res;
	}
	return 0;
}

int ipc_register(struct ring *ring, unsigned int op, void *arg,
		 unsigned int nr_args)
{
	int ret = syscall(__NR_io_uring_register, ring->fd, op, arg, nr_args);

	return ret < 0 ? -errno : ret;
}

int ipc_create_arg(struct ring *ring, struct io_uring_ipc_channel_create *arg)
{
	return ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_CREATE, arg, 1);
}

int ipc_attach_arg(struct ring *ring, struct io_uring_ipc_channel_attach *arg)
{
	return ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_ATTACH, arg, 1);
}

int ipc_create_key(struct ring *ring, __u32 *id, __u32 flags, __u32 entries,
		   __u32 size, __u32 mode, __u64 key)
{
	struct io_uring_ipc_channel_create arg = {
		.flags = flags,
		.ring_entries = entries,
		.max_msg_size = size,
		.mode = mode,
		.key = key,
	};
	int ret = ipc_create_arg(ring, &arg);

	*id = arg.channel_id_out;
	return ret;
}

int ipc_create(struct ring *ring, __u32 *id, __u32 flags, __u32 entries,
	       __u32 size)
{
	return ipc_create_key(ring, id, flags, entries, size, 0600, 0);
}

static int attach(struct ring *ring, struct sub *sub,
		  struct io_uring_ipc_channel_attach *arg)
{
	int ret = ipc_attach_arg(ring, arg);

	memset(sub, 0, sizeof(*sub));
	sub->fd = -1;
	if (ret)
		return ret;
	sub->id = arg->local_id_out;
	sub->fd = arg->channel_fd;
	sub->offset = arg->mmap_offset_out;
	sub->size = arg->region_size;
	return 0;
}

int ipc_attach(struct ring *ring, struct sub *sub, __u32 channel, __u32 flags)
{
	struct io_uring_ipc_channel_attach arg = {
		.channel_id = channel,
		.flags = flags,
	};

	return attach(ring, sub, &arg);
}

int ipc_attach_key(struct ring *ring, struct sub *sub, __u64 key, __u32 flags)
{
	struct io_uring_ipc_channel_attach arg = {
		.key = key,
		.flags = flags,
	};

	return attach(ring, sub, &arg);
}

int ipc_detach(struct ring *ring, __u32 sub)
{
	return ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DETACH, NULL,
			    sub);
}

int ipc_destroy(struct ring *ring, __u32 channel)
{
	return ipc_register(ring, IORING_REGISTER_IPC_CHANNEL_DESTROY, NULL,
			    channel);
}

struct io_uring_sqe *prep_send(struct ring *ring, __u32 id, const void *buf,
			       __u32 len, __u32 target, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_IPC_SEND;
	sqe->fd = id;
	sqe->addr = (unsigned long)buf;
	sqe->len = len;
	sqe->file_index = target;
	sqe->user_data = user_data;
	return sqe;
}

struct io_uring_sqe *prep_recv(struct ring *ring, __u32 id, void *buf,
			       __u32 len, __u16 flags, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_IPC_RECV;
	sqe->fd = id;
	sqe->addr = (unsigned long)buf;
	sqe->len = len;
	sqe->ioprio = flags;
	sqe->user_data = user_data;
	return sqe;
}

int ipc_send(struct ring *ring, __u32 id, const void *buf, __u32 len,
	     __u32 target)
{
	prep_send(ring, id, buf, len, target, 0);
	return ring_one(ring);
}

int ipc_recv_flags(struct ring *ring, __u32 id, void *buf, __u32 len,
		   __u16 flags)
{
	prep_recv(ring, id, buf, len, flags, 0);
	return ring_one(ring);
}

int ipc_recv(struct ring *ring, __u32 id, void *buf, __u32 len)
{
	return ipc_recv_flags(ring, id, buf, len, 0);
}

int ipc_send_u32(struct ring *ring, __u32 id, __u32 value)
{
	return ipc_send(ring, id, &value, sizeof(value), 0);
}

long long ipc_recv_u32(struct ring *ring, __u32 id)
{
	__u32 value;
	int ret = ipc_recv(ring, id, &value, sizeof(value));

	if (ret < 0)
		return ret;
	return ret == sizeof(value) ? (long long)value : -EBADMSG;
}
