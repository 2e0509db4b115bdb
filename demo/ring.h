/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small io_uring without liburing: requests go in together and are waited
 * for together.
 */
#ifndef DEMO_RING_H
#define DEMO_RING_H

#include <linux/io_uring.h>
#include <stddef.h>

struct ring {
	int			 fd;
	unsigned int		 entries;
	unsigned int		 queued;	/* requests not submitted yet */
	unsigned int		*sq_tail;
	unsigned int		*sq_mask;
	unsigned int		*sq_array;
	struct io_uring_sqe	*sqes;
	size_t			 sqes_size;
	void			*queues;	/* all the others are in there */
	size_t			 queues_size;
	unsigned int		*cq_head;
	unsigned int		*cq_tail;
	unsigned int		*cq_mask;
	struct io_uring_cqe	*cqes;
};

/* Makes a ring for @entries requests at a time; ends the program if it cannot. */
void ring_open(struct ring *ring, unsigned int entries);

/* Closes it, which ends its channels, unless a child has it still. */
void ring_close(struct ring *ring);

/* The next request, all zero. At most as many as the ring has entries. */
struct io_uring_sqe *ring_queue(struct ring *ring);

/*
 * Submits what is queued, waits for all of it, and stores the results in the
 * order of completion.
 */
void ring_run(struct ring *ring, int *results);

/* io_uring_register(2): 0 or more, or a negative errno. */
int ring_register(struct ring *ring, unsigned int op, void *arg,
		  unsigned int nr_args);

#endif /* DEMO_RING_H */
