/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small io_uring helper without liburing, and the IPC calls on top of it.
 *
 * Nothing here is thread-safe: one ring, one user. With SINGLE_ISSUER that is
 * the kernel's rule too, so a test opens a ring in the task that uses it.
 */
#ifndef IPC_URING_H
#define IPC_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/io_uring.h>

/* What is younger than the headers that this may be compiled with. */
#ifndef IORING_SETUP_CQE_MIXED
#define IORING_SETUP_CQE_MIXED	(1U << 18)
#define IORING_CQE_F_SKIP	(1U << 5)
#define IORING_CQE_F_32		(1U << 15)
#endif
#ifndef IORING_SETUP_SQE_MIXED
#define IORING_SETUP_SQE_MIXED	(1U << 19)
#endif

struct io_uring_ipc_channel_create;
struct io_uring_ipc_channel_attach;

#define RING_ENTRIES	64	/* most SQEs between two ring_enter() */

#define QUIET_MS	10	/* what has not come by then is not expected */

#define RING_PLAIN	0
#define RING_DEFER	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define RING_SQPOLL	IORING_SETUP_SQPOLL

struct ring {
	int fd;
	unsigned int setup;		/* IORING_SETUP_* */
	unsigned int sq_entries;
	unsigned int queued;		/* SQEs the kernel has not been told of */
	unsigned int tail;		/* ours; published by ring_enter() */
	unsigned int sq_mask;
	unsigned int cq_mask;
	unsigned int sqe_shift;		/* entries twice as long have 1 */
	unsigned int cqe_shift;
	unsigned int *sq_head;
	unsigned int *sq_tail;
	unsigned int *sq_flags;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	struct io_uring_cqe *cqes;
	struct io_uring_sqe *sqes;
	void *map;
	size_t map_size;
	size_t sqes_size;
};

/* Calls that can fail return 0 or -errno. */
int ring_open(struct ring *ring, unsigned int setup);

/* With so many entries; @cq 0 for what the kernel chooses. */
int ring_open_sized(struct ring *ring, unsigned int setup, unsigned int sq,
		    unsigned int cq);

/* With the polling thread of another ring, which is SQPOLL and this process'. */
int ring_open_sharing(struct ring *ring, const struct ring *other);

/* Give it other sizes, and move what is in its queues. */
int ring_resize(struct ring *ring, unsigned int sq, unsigned int cq);

/* Drop mappings, then the descriptor: on return the kernel has released it. */
void ring_close(struct ring *ring);

/* The next SQE, zeroed. NULL where the queue is full of new ones. */
struct io_uring_sqe *ring_sqe(struct ring *ring);

/* Submit what is queued and wait until @wait completions lie in the ring. */
int ring_enter(struct ring *ring, unsigned int wait);

/*
 * The same for what may never come: -ETIME after so long. With @wait 0, too, it
 * runs what DEFER_TASKRUN has deferred and fetches what overflowed.
 */
int ring_enter_timeout(struct ring *ring, unsigned int wait, unsigned int ms);

/* Submit what is queued; on return every request has been issued once. */
int ring_submit(struct ring *ring);

/* Submit, wait for a completion and take it: -ETIME after PATIENCE_MS. */
int ring_next(struct ring *ring, struct io_uring_cqe *cqe);

/* Submit, and see that there is no completion for so long. */
bool ring_quiet(struct ring *ring, unsigned int ms);

/* The next completion, where it lies, or NULL. */
const struct io_uring_cqe *ring_peek(struct ring *ring);

/* Take a completion if there is one. */
bool ring_cqe(struct ring *ring, struct io_uring_cqe *cqe);

/* Submit the one SQE queued, wait, return cqe->res. */
int ring_one(struct ring *ring);

/*
 * Submit @n SQEs queued with user_data 0 to n - 1, wait for all of them and
 * put each result at its index.
 */
int ring_batch(struct ring *ring, int *res, unsigned int n);

/* One subscriber, as ATTACH describes it. */
struct sub {
	__u32 id;
	int fd;
	__u64 offset;
	__u32 size;
};

int ipc_register(struct ring *ring, unsigned int op, void *arg,
		 unsigned int nr_args);
int ipc_create_arg(struct ring *ring, struct io_uring_ipc_channel_create *arg);
int ipc_attach_arg(struct ring *ring, struct io_uring_ipc_channel_attach *arg);

/* Mode 0600, no key. */
int ipc_create(struct ring *ring, __u32 *id, __u32 flags, __u32 entries,
	       __u32 size);
int ipc_create_key(struct ring *ring, __u32 *id, __u32 flags, __u32 entries,
		   __u32 size, __u32 mode, __u64 key);
int ipc_attach(struct ring *ring, struct sub *sub, __u32 channel, __u32 flags);
int ipc_attach_key(struct ring *ring, struct sub *sub, __u64 key, __u32 flags);
int ipc_detach(struct ring *ring, __u32 sub);
int ipc_destroy(struct ring *ring, __u32 channel);

/* Queue only; the caller may change the SQE before ring_enter(). */
struct io_uring_sqe *prep_send(struct ring *ring, __u32 id, const void *buf,
			       __u32 len, __u32 target, __u64 user_data);
struct io_uring_sqe *prep_recv(struct ring *ring, __u32 id, void *buf,
			       __u32 len, __u16 flags, __u64 user_data);

/* With a buffer of the group; @len 0 for all of it. */
struct io_uring_sqe *prep_recv_select(struct ring *ring, __u32 id, __u16 group,
				      __u32 len, __u16 flags, __u64 user_data);
struct io_uring_sqe *prep_nop(struct ring *ring, __u64 user_data);

/* IORING_OP_POLL_ADD */
struct io_uring_sqe *prep_poll(struct ring *ring, int fd, __u32 events,
			       __u64 user_data);

/* IORING_OP_ASYNC_CANCEL of @target (user_data), @fd, @op, as the flags say. */
struct io_uring_sqe *prep_cancel(struct ring *ring, __u32 flags, __u64 target,
				 int fd, __u32 op, __u64 user_data);

/* One message, its cqe->res. */
int ipc_send(struct ring *ring, __u32 id, const void *buf, __u32 len,
	     __u32 target);
int ipc_recv(struct ring *ring, __u32 id, void *buf, __u32 len);
int ipc_recv_flags(struct ring *ring, __u32 id, void *buf, __u32 len,
		   __u16 flags);

/*
 * Have sends by a full channel's id wait, as many as may: how many, or -errno. They
 * are left waiting.
 */
int ipc_crowd(struct ring *ring, __u32 channel);

/* A number as a message, where the content only has to be told apart. */
int ipc_send_u32(struct ring *ring, __u32 id, __u32 value);

/* The number received, or -errno, or -EBADMSG where it is not four bytes. */
long long ipc_recv_u32(struct ring *ring, __u32 id);

/* Provided buffers: one group, with buffer ids 0 to @count - 1. */
enum buffer_kind { BUFFER_RING, BUFFER_RING_INC, BUFFER_LEGACY };

struct buffers {
	enum buffer_kind kind;
	__u16 group;
	__u16 tail;
	unsigned int count;
	unsigned int size;		/* of each */
	struct io_uring_buf_ring *ring;	/* NULL for BUFFER_LEGACY */
	char *data;
};

/* An empty group. @count is a power of two. */
int buffers_open(struct ring *ring, struct buffers *buffers,
		 enum buffer_kind kind, __u16 group, unsigned int count,
		 unsigned int size);
void buffers_close(struct buffers *buffers);

/*
 * Provide buffers of these ids. Legacy ones take an SQE, which is submitted
 * with all that is queued and completes silently.
 */
int buffers_give(struct ring *ring, struct buffers *buffers, unsigned int id,
		 unsigned int count);

/* Provide a buffer that is not ours, or only a part of one. */
int buffers_give_at(struct ring *ring, struct buffers *buffers,
		    unsigned int id, const void *addr, unsigned int len);

/* The buffer a completion names; NULL where it names none of ours. */
void *buffers_at(const struct buffers *buffers, const struct io_uring_cqe *cqe);

static inline unsigned int cqe_buffer(const struct io_uring_cqe *cqe)
{
	return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

#define RECEIVES_WAITING	"ipc-receives-waiting"
#define SENDS_WAITING		"ipc-sends-waiting"
#define WAKEUPS			"ipc-wakeups"
#define ROOM_WAKEUPS		"ipc-room-wakeups"

/* A number in the fdinfo of a channel_fd, or -errno. */
long long fdinfo_value(int fd, const char *name);

/* Wait for it to become @want: -ETIME after PATIENCE_MS. */
int fdinfo_wait(int fd, const char *name, long long want);

/*
 * Whether one request comes to wait, by that counter, and nothing completes until
 * then: what io-wq sends back does so when its ring is entered, whenever that
 * thread has run.
 */
bool ring_parks(struct ring *ring, int fd, const char *counter);

/*
 * Submit a receive of a number that finds none, and see that it sleeps: 0, or
 * -errno.
 */
int ipc_park(struct ring *ring, const struct sub *sub, __u32 *value,
	     __u64 user_data);

/* What poll(2) says of a channel_fd, of messages and room, or -errno. */
short poll_now(int fd);

#endif /* IPC_URING_H */
