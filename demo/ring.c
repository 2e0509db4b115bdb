// SPDX-License-Identifier: GPL-2.0
/*
 * A small io_uring without liburing.
 */
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

static void *map_queue(int fd, size_t size, off_t offset)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, fd, offset);

	if (map == MAP_FAILED)
		err(1, "mapping a queue");
	return map;
}

void ring_open(struct ring *ring, unsigned int entries)
{
	struct io_uring_params params = { };
	size_t sq_size, cq_size;
	char *queues;

	ring->fd = syscall(SYS_io_uring_setup, entries, &params);
	if (ring->fd < 0)
		err(1, "io_uring_setup");
	if (!(params.features & IORING_FEAT_SINGLE_MMAP))
		errx(1, "this kernel's io_uring is too old");

	sq_size = params.sq_off.array +
		  params.sq_entries * sizeof(*ring->sq_array);
	cq_size = params.cq_off.cqes + params.cq_entries * sizeof(*ring->cqes);
	ring->queues_size = sq_size > cq_size ? sq_size : cq_size;
	ring->queues = map_queue(ring->fd, ring->queues_size,
				 IORING_OFF_SQ_RING);
	queues = ring->queues;

	ring->entries = params.sq_entries;
	ring->queued = 0;
	ring->sqes_size = params.sq_entries * sizeof(*ring->sqes);
	ring->sqes = map_queue(ring->fd, ring->sqes_size, IORING_OFF_SQES);
	ring->sq_tail = (void *)(queues + params.sq_off.tail);
	ring->sq_mask = (void *)(queues + params.sq_off.ring_mask);
	ring->sq_array = (void *)(queues + params.sq_off.array);
	ring->cq_head = (void *)(queues + params.cq_off.head);
	ring->cq_tail = (void *)(queues + params.cq_off.tail);
	ring->cq_mask = (void *)(queues + params.cq_off.ring_mask);
	ring->cqes = (void *)(queues + params.cq_off.cqes);
}

void ring_close(struct ring *ring)
{
	/* A mapping is a reference to it, too. */
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->queues, ring->queues_size);
	close(ring->fd);
}

struct io_uring_sqe *ring_queue(struct ring *ring)
{
	unsigned int slot = (*ring->sq_tail + ring->queued) & *ring->sq_mask;
	struct io_uring_sqe *sqe = &ring->sqes[slot];

	if (ring->queued == ring->entries)
		errx(1, "too many requests at a time");
	ring->queued++;
	ring->sq_array[slot] = slot;
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

void ring_run(struct ring *ring, int *results)
{
	unsigned int to_submit = ring->queued, missing = ring->queued;

	/* The kernel may look at the requests from here on. */
	__atomic_store_n(ring->sq_tail, *ring->sq_tail + ring->queued,
			 __ATOMIC_RELEASE);
	ring->queued = 0;

	while (missing) {
		unsigned int head = *ring->cq_head;
		int ret = syscall(SYS_io_uring_enter, ring->fd, to_submit,
				  missing, IORING_ENTER_GETEVENTS, NULL, 0);

		if (ret < 0 && errno != EINTR)
			err(1, "io_uring_enter");
		if (ret > 0)
			to_submit -= ret;

		while (head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
			*results++ = ring->cqes[head++ & *ring->cq_mask].res;
			missing--;
		}
		__atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
	}
}

int ring_register(struct ring *ring, unsigned int op, void *arg,
		  unsigned int nr_args)
{
	int ret = syscall(SYS_io_uring_register, ring->fd, op, arg, nr_args);

	return ret < 0 ? -errno : ret;
}
