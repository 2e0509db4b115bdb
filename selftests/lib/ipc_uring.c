// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/io_uring_ipc.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ipc_uring.h"
#include "process.h"

#define RESIZE_RINGS	33	/* IORING_REGISTER_RESIZE_RINGS, of 6.13 */

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

static int map_rings(struct ring *ring, const struct io_uring_params *p)
{
	size_t sq_size = 0, cq_size;
	unsigned int *array;
	unsigned int i;
	int ret;

	if (!(ring->setup & IORING_SETUP_NO_SQARRAY))
		sq_size = p->sq_off.array + p->sq_entries * sizeof(*array);
	cq_size = p->cq_off.cqes + (p->cq_entries * sizeof(*ring->cqes)
				    << ring->cqe_shift);
	ring->map_size = sq_size > cq_size ? sq_size : cq_size;
	ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring->fd,
			 IORING_OFF_SQ_RING);
	if (ring->map == MAP_FAILED)
		return -errno;
	ring->sqes_size = p->sq_entries * sizeof(*ring->sqes) << ring->sqe_shift;
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED) {
		ret = -errno;
		munmap(ring->map, ring->map_size);
		return ret;
	}

	ring->sq_entries = p->sq_entries;
	ring->sq_head = ring->map + p->sq_off.head;
	ring->sq_tail = ring->map + p->sq_off.tail;
	ring->sq_flags = ring->map + p->sq_off.flags;
	ring->sq_mask = p->sq_entries - 1;
	ring->cq_head = ring->map + p->cq_off.head;
	ring->cq_tail = ring->map + p->cq_off.tail;
	ring->cq_mask = p->cq_entries - 1;
	ring->cqes = ring->map + p->cq_off.cqes;
	if (!sq_size)
		return 0;
	array = ring->map + p->sq_off.array;
	for (i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return 0;
}

static void unmap_rings(struct ring *ring)
{
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->map, ring->map_size);
	ring->map = NULL;
}

static int open_with(struct ring *ring, struct io_uring_params p,
		     unsigned int sq)
{
	int ret;

	memset(ring, 0, sizeof(*ring));
	ring->setup = p.flags;
	ring->sqe_shift = !!(p.flags & IORING_SETUP_SQE128);
	ring->cqe_shift = !!(p.flags & IORING_SETUP_CQE32);
	if (p.flags & IORING_SETUP_SQPOLL)
		p.sq_thread_idle = 5;
	if (p.cq_entries)
		p.flags |= IORING_SETUP_CQSIZE;
	ring->fd = syscall(__NR_io_uring_setup, sq, &p);
	if (ring->fd < 0)
		return -errno;
	ret = map_rings(ring, &p);
	if (ret)
		close(ring->fd);
	return ret;
}

int ring_open_sized(struct ring *ring, unsigned int setup, unsigned int sq,
		    unsigned int cq)
{
	struct io_uring_params p = { .flags = setup, .cq_entries = cq };

	return open_with(ring, p, sq);
}

int ring_open_sharing(struct ring *ring, const struct ring *other)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ,
		.wq_fd = other->fd,
	};

	return open_with(ring, p, RING_ENTRIES);
}

int ring_open(struct ring *ring, unsigned int setup)
{
	return ring_open_sized(ring, setup, RING_ENTRIES, 0);
}

int ring_resize(struct ring *ring, unsigned int sq, unsigned int cq)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE,
		.sq_entries = sq,
		.cq_entries = cq,
	};
	int ret;

	/* It moves what it has been told of. */
	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	ret = ipc_register(ring, RESIZE_RINGS, &p, 1);
	if (ret)
		return ret;
	unmap_rings(ring);
	return map_rings(ring, &p);
}

void ring_close(struct ring *ring)
{
	if (!ring->map)
		return;
	unmap_rings(ring);
	close(ring->fd);
	memset(ring, 0, sizeof(*ring));
	ring->fd = -1;
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (ring->queued == ring->sq_entries)
		return NULL;
	/* An SQPOLL thread may still be reading what completed already. */
	while (ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) >=
	       ring->sq_entries)
		;
	sqe = &ring->sqes[(ring->tail++ & ring->sq_mask) << ring->sqe_shift];
	ring->queued++;
	memset(sqe, 0, sizeof(*sqe) << ring->sqe_shift);
	return sqe;
}

static unsigned int cq_ready(struct ring *ring)
{
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) -
	       *ring->cq_head;
}

static int wake_sqpoll(struct ring *ring)
{
	ring->queued = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) &
	    IORING_SQ_NEED_WAKEUP)
		return enter(ring, 0, 0, IORING_ENTER_SQ_WAKEUP);
	return 0;
}

static int enter_sqpoll(struct ring *ring, unsigned int wait)
{
	int ret = wake_sqpoll(ring);

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

int ring_submit(struct ring *ring)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	int ret;

	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	if (ring->setup & IORING_SETUP_SQPOLL) {
		ret = wake_sqpoll(ring);
		/* The head moves when the whole batch has been issued. */
		while (ret >= 0 && now_ms() < until) {
			if (__atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) ==
			    ring->tail)
				return 0;
			sched_yield();
		}
		return ret < 0 ? ret : -ETIME;
	}
	while (ring->queued) {
		ret = enter(ring, ring->queued, 0, 0);
		if (ret < 0)
			return ret;
		ring->queued -= ret;
	}
	return 0;
}

static int enter_until(struct ring *ring, unsigned int wait,
		       unsigned long long until)
{
	unsigned long long now = now_ms();
	unsigned long long left = until > now ? until - now : 0;
	struct __kernel_timespec ts = {
		.tv_sec = left / 1000,
		.tv_nsec = left % 1000 * 1000000,
	};
	struct io_uring_getevents_arg arg = { .ts = (unsigned long)&ts };

	if (syscall(__NR_io_uring_enter, ring->fd, 0, wait,
		    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg,
		    sizeof(arg)) >= 0)
		return 0;
	return errno == ETIME || errno == EINTR ? 0 : -errno;
}

int ring_enter_timeout(struct ring *ring, unsigned int wait, unsigned int ms)
{
	unsigned long long until = now_ms() + ms;
	int ret;

	ret = ring_submit(ring);
	if (ret)
		return ret;
	do {
		ret = enter_until(ring, wait, until);
		if (ret)
			return ret;
		if (cq_ready(ring) >= wait)
			return 0;
	} while (now_ms() < until);
	return -ETIME;
}

int ring_next(struct ring *ring, struct io_uring_cqe *cqe)
{
	/* Also where one lies there: others may need the kernel to go on. */
	int ret = ring_enter_timeout(ring, 1, PATIENCE_MS);

	if (ret)
		return ret;
	return ring_cqe(ring, cqe) ? 0 : -EPROTO;
}

bool ring_quiet(struct ring *ring, unsigned int ms)
{
	return ring_enter_timeout(ring, 1, ms) == -ETIME;
}

const struct io_uring_cqe *ring_peek(struct ring *ring)
{
	const struct io_uring_cqe *cqe;

	while (cq_ready(ring)) {
		cqe = &ring->cqes[(*ring->cq_head & ring->cq_mask)
				  << ring->cqe_shift];
		/* A long one does not begin in the last place of a queue. */
		if (!(cqe->flags & IORING_CQE_F_SKIP))
			return cqe;
		__atomic_store_n(ring->cq_head, *ring->cq_head + 1,
				 __ATOMIC_RELEASE);
	}
	return NULL;
}

bool ring_cqe(struct ring *ring, struct io_uring_cqe *cqe)
{
	const struct io_uring_cqe *next = ring_peek(ring);
	unsigned int places;

	if (!next)
		return false;
	*cqe = *next;
	places = next->flags & IORING_CQE_F_32 ? 2 : 1;
	__atomic_store_n(ring->cq_head, *ring->cq_head + places,
			 __ATOMIC_RELEASE);
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

struct io_uring_sqe *prep_recv_select(struct ring *ring, __u32 id, __u16 group,
				      __u32 len, __u16 flags, __u64 user_data)
{
	struct io_uring_sqe *sqe = prep_recv(ring, id, NULL, len, flags,
					     user_data);

	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = group;
	return sqe;
}

struct io_uring_sqe *prep_nop(struct ring *ring, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_NOP;
	sqe->user_data = user_data;
	return sqe;
}

struct io_uring_sqe *prep_poll(struct ring *ring, int fd, __u32 events,
			       __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = fd;
	sqe->poll32_events = events;
	sqe->user_data = user_data;
	return sqe;
}

struct io_uring_sqe *prep_cancel(struct ring *ring, __u32 flags, __u64 target,
				 int fd, __u32 op, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->cancel_flags = flags;
	sqe->addr = target;
	sqe->fd = fd;
	sqe->len = op;
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

int ipc_crowd(struct ring *ring, __u32 channel)
{
	enum { BATCH = 32, MOST = 2048 };
	static const __u32 value;
	struct io_uring_cqe cqe;
	int i, n, ret = 0;

	for (n = 0; !ret && n < MOST; n += BATCH) {
		for (i = 0; i < BATCH; i++)
			prep_send(ring, channel, &value, 4, 0, 0)->ioprio =
				IOIPC_SEND_WAIT;
		ret = ring_submit(ring);
		if (ring_cqe(ring, &cqe))
			return cqe.res == -ENOBUFS ? n : -EPROTO;
	}
	return ret ?: -EOVERFLOW;
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

static void *map_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t buffer_ring_size(const struct buffers *buffers)
{
	return buffers->count * sizeof(struct io_uring_buf);
}

int buffers_open(struct ring *ring, struct buffers *buffers,
		 enum buffer_kind kind, __u16 group, unsigned int count,
		 unsigned int size)
{
	struct io_uring_buf_reg reg = { .ring_entries = count, .bgid = group };

	memset(buffers, 0, sizeof(*buffers));
	buffers->kind = kind;
	buffers->group = group;
	buffers->count = count;
	buffers->size = size;
	buffers->data = map_pages((size_t)count * size);
	if (!buffers->data)
		return -ENOMEM;
	if (kind == BUFFER_LEGACY)
		return 0;
	buffers->ring = map_pages(buffer_ring_size(buffers));
	if (!buffers->ring)
		return -ENOMEM;
	reg.ring_addr = (unsigned long)buffers->ring;
	if (kind == BUFFER_RING_INC)
		reg.flags = IOU_PBUF_RING_INC;
	return ipc_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

void buffers_close(struct buffers *buffers)
{
	if (buffers->ring)
		munmap(buffers->ring, buffer_ring_size(buffers));
	if (buffers->data)
		munmap(buffers->data, (size_t)buffers->count * buffers->size);
	memset(buffers, 0, sizeof(*buffers));
}

static int provide(struct ring *ring, struct buffers *buffers, unsigned int id,
		   const void *addr, unsigned int len, unsigned int count)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_PROVIDE_BUFFERS;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->fd = count;
	sqe->addr = (unsigned long)addr;
	sqe->len = len;
	sqe->off = id;
	sqe->buf_group = buffers->group;
	return ring_submit(ring);
}

int buffers_give_at(struct ring *ring, struct buffers *buffers,
		    unsigned int id, const void *addr, unsigned int len)
{
	struct io_uring_buf *buf;

	if (buffers->kind == BUFFER_LEGACY)
		return provide(ring, buffers, id, addr, len, 1);
	buf = &buffers->ring->bufs[buffers->tail & (buffers->count - 1)];
	buf->addr = (unsigned long)addr;
	buf->len = len;
	buf->bid = id;
	__atomic_store_n(&buffers->ring->tail, ++buffers->tail,
			 __ATOMIC_RELEASE);
	return 0;
}

int buffers_give(struct ring *ring, struct buffers *buffers, unsigned int id,
		 unsigned int count)
{
	char *addr = buffers->data + (size_t)id * buffers->size;

	if (buffers->kind == BUFFER_LEGACY)
		return provide(ring, buffers, id, addr, buffers->size, count);
	for (; count; count--, id++, addr += buffers->size)
		buffers_give_at(ring, buffers, id, addr, buffers->size);
	return 0;
}

void *buffers_at(const struct buffers *buffers, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_BUFFER) ||
	    cqe_buffer(cqe) >= buffers->count)
		return NULL;
	return buffers->data + (size_t)cqe_buffer(cqe) * buffers->size;
}

long long fdinfo_value(int fd, const char *name)
{
	char path[64], text[2048], *line;
	size_t len = strlen(name);
	int info;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -errno;
	size = read(info, text, sizeof(text) - 1);
	close(info);
	if (size < 0)
		return -EIO;
	text[size] = 0;
	for (line = text; line; line = strchr(line, '\n')) {
		if (line != text)
			line++;
		if (!strncmp(line, name, len) && line[len] == ':')
			return strtoll(line + len + 1, NULL, 10);
	}
	return -ENOENT;
}

int fdinfo_wait(int fd, const char *name, long long want)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	long long value;

	for (;;) {
		value = fdinfo_value(fd, name);
		if (value == want)
			return 0;
		if (value < 0)
			return value;
		if (now_ms() >= until)
			return -ETIME;
		sleep_ms(1);
	}
}

bool ring_parks(struct ring *ring, int fd, const char *counter)
{
	unsigned long long until = now_ms() + PATIENCE_MS;

	while (now_ms() < until) {
		if (!ring_quiet(ring, QUIET_MS))
			return false;
		if (fdinfo_value(fd, counter) == 1)
			return true;
	}
	return false;
}

int ipc_park(struct ring *ring, const struct sub *sub, __u32 *value,
	     __u64 user_data)
{
	long long waiting = fdinfo_value(sub->fd, RECEIVES_WAITING);
	struct io_uring_probe probe = {};
	int ret;

	if (waiting < 0)
		return waiting;
	prep_recv(ring, sub->id, value, 4, IOIPC_RECV_WAIT, user_data);
	ret = ring_submit(ring);
	if (!ret)
		ret = fdinfo_wait(sub->fd, RECEIVES_WAITING, waiting + 1);
	/*
	 * It may be looking once more before it sleeps, in the thread that
	 * submits, which holds the lock that a register call takes.
	 */
	return ret ?: ipc_register(ring, IORING_REGISTER_PROBE, &probe, 0);
}

short poll_now(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&pfd, 1, 0) < 0 ? -errno : pfd.revents;
}
