// SPDX-License-Identifier: GPL-2.0
/*
 * Messages, with each allocation and copy on their way failing in turn: a
 * request that fails has sent nothing and lost nothing.
 */
#include <sys/mman.h>

#include "injection_fixture.h"

#define PAGE	4096
#define GROUP	3
#define BUFFERS	4
#define LOST	3	/* messages, of a lossy receiver */

/*
 * Besides what the module says: no request was to be had (EAGAIN, of the system
 * call), or no worker for one that cannot be polled (ECANCELED).
 */
static bool is_lack_of_request(int ret)
{
	return is_lack(ret) || ret == -EAGAIN || ret == -ECANCELED;
}

/*
 * Issue what is queued while the n-th fails. 0, or -errno where it was not even
 * submitted and has been taken out of the queue.
 */
static int submit_injected(struct ring *ring, enum injection kind,
			   unsigned int n, bool *hit)
{
	int ret;

	inject(kind, n);
	ret = ring_enter(ring, 0);
	*hit = injected();
	if (!ring->queued)
		return 0;
	ring->tail -= ring->queued;
	ring->queued = 0;
	return ret ?: -EPROTO;
}

/* The same for one request that does not wait; its result. */
static int one_injected(struct ring *ring, enum injection kind, unsigned int n,
			bool *hit)
{
	struct io_uring_cqe cqe;
	int ret = submit_injected(ring, kind, n, hit);

	if (!ret)
		ret = ring_next(ring, &cqe);
	return ret ?: cqe.res;
}

static char *new_pages(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

struct length {
	const char *name;
	__u32 offset;	/* in its first page */
	__u32 len;
};

static const struct length lengths[] = {
	{ "16 bytes", 64, 16 },
	{ "across a page boundary", PAGE - 16, 64 },
	{ "all of 32 KiB", 8, SIZE },
};

/* @cold: in pages that are not there yet. */
static void send_each(struct __test_metadata *_metadata,
		      struct injection_data *self, enum injection kind,
		      const struct length *length, bool by_channel, bool cold)
{
	static char want[SIZE], got[SIZE];
	unsigned int n, failed = 0;
	__u32 id = by_channel ? self->id : self->tx.id;
	__u32 target = by_channel ? self->rx.id : 0;
	char *pages, *buf;
	bool hit;
	int ret;

	pages = new_pages(2 * SIZE);
	buf = pages + length->offset;
	for_each_failure(n, hit) {
		memset(want, cold ? 0 : n, length->len);
		if (cold)
			madvise(pages, 2 * SIZE, MADV_DONTNEED);
		else
			memset(buf, n, length->len);
		prep_send(&self->ring, id, buf, length->len, target, 0);
		ret = one_injected(&self->ring, kind, n, &hit);
		if (ret < 0) {
			/* For NO_MEMORY the n-th copy is not all that fails. */
			ASSERT_TRUE(is_lack_of_request(ret) &&
				    (hit || kind == NO_MEMORY))
				TH_LOG("%d at %u", ret, n);
			failed++;
		} else {
			ASSERT_EQ((int)length->len, ret);
			ASSERT_EQ(ret, ipc_recv(&self->ring, self->rx.id, got,
						SIZE));
			ASSERT_EQ(0, memcmp(want, got, length->len));
		}
		ASSERT_EQ(-EAGAIN, ipc_recv(&self->ring, self->rx.id, got,
					    SIZE));
	}
	expect_failures(n, hit, failed, 1U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
	munmap(pages, 2 * SIZE);
}

TEST_F_TIMEOUT(injection, send, LIMIT)
{
	enum injection kind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		for (kind = ONE_FAILURE; kind <= NO_MEMORY; kind++)
			send_each(_metadata, self, kind, &lengths[i], false,
				  false);
}

TEST_F_TIMEOUT(injection, send_cold, LIMIT)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		send_each(_metadata, self, ONE_FAILURE, &lengths[i], false,
			  true);
}

TEST_F_TIMEOUT(injection, send_by_channel, LIMIT)
{
	enum injection kind;

	for (kind = ONE_FAILURE; kind <= NO_MEMORY; kind++)
		send_each(_metadata, self, kind, &lengths[1], true, false);
}

/*
 * Sends, each as the first request of its ring, which makes the table of what
 * the ring has attached: how many have failed for want of that.
 */
static unsigned int send_first_each(struct __test_metadata *_metadata,
				    struct injection_data *self,
				    unsigned int setup)
{
	unsigned int n, without_table = 0;
	struct ring ring;
	bool hit;
	int ret;

	for_each_failure(n, hit) {
		ASSERT_EQ(0, ring_open(&ring, setup));
		prep_send(&ring, self->id, &n, 4, 0, 0);
		ret = one_injected(&ring, ONE_FAILURE, n, &hit);
		if (ret < 0) {
			ASSERT_TRUE(hit && is_lack_of_request(ret))
				TH_LOG("%d at %u", ret, n);
			/* One without a request has EAGAIN from the core. */
			without_table += ret == -ENOMEM;
			ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->ring,
							self->rx.id));
			ret = ipc_send_u32(&ring, self->id, n);
		}
		ASSERT_EQ(4, ret);
		ASSERT_EQ(n, ipc_recv_u32(&self->ring, self->rx.id));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
		ring_close(&ring);
	}
	EXPECT_FALSE(hit);
	return without_table;
}

TEST_F_TIMEOUT(injection, send_first, LIMIT)
{
	unsigned int round, without_table = 0;

	/*
	 * The table, and its places. Which allocation is the n-th depends on
	 * what the allocator has at hand, so that a round may pass over either,
	 * and two rounds may have had the same.
	 */
	for (round = 0; round < 20 && without_table < 2; round++)
		without_table = send_first_each(_metadata, self,
						variant->setup);
	EXPECT_LE(2U, without_table);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/*
 * The second copy is the one into the slot. Where it fails, and no memory is to
 * be had for the way by a buffer, just that slot is skipped.
 */
TEST_F_TIMEOUT(injection, send_without_memory, LIMIT)
{
	bool hit;
	int i;

	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
	for (i = 0; i < 3 * ENTRIES; i++) {
		prep_send(&self->ring, self->tx.id, "abc", 4, 0, 0);
		ASSERT_EQ(-ENOMEM, one_injected(&self->ring, NO_MEMORY, 2,
						&hit));
		ASSERT_TRUE(hit);
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(&self->ring, self->rx.id));
	}
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/* A new ring each time: io_uring has nothing in store for it. */
static void send_wait_each(struct __test_metadata *_metadata,
			   struct injection_data *self, unsigned int setup,
			   bool by_channel)
{
	unsigned int n, failed = 0;
	struct io_uring_cqe cqe;
	struct ring ring;
	struct sub sub;
	__u32 i, value;
	bool hit;
	int ret;

	for_each_failure(n, hit) {
		ASSERT_EQ(0, ring_open(&ring, setup));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, self->id, IOIPC_SUB_SEND));
		for (i = 0; i < ENTRIES; i++)
			ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
		value = ENTRIES;
		prep_send(&ring, by_channel ? self->id : sub.id, &value, 4, 0,
			  0)->ioprio = IOIPC_SEND_WAIT;
		ret = submit_injected(&ring, ONE_FAILURE, n, &hit);
		for (i = 0; i < ENTRIES; i++)
			ASSERT_EQ(i, ipc_recv_u32(&self->ring, self->rx.id));
		if (!ret) {
			ASSERT_EQ(0, ring_next(&ring, &cqe));
			ret = cqe.res;
		}
		if (ret == 4) {
			ASSERT_EQ(ENTRIES, ipc_recv_u32(&self->ring,
							self->rx.id));
		} else {
			ASSERT_TRUE(hit && is_lack_of_request(ret))
				TH_LOG("%d at %u", ret, n);
			failed++;
		}
		EXPECT_EQ(0, fdinfo_value(sub.fd, SENDS_WAITING));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
		close(sub.fd);
		ring_close(&ring);
	}
	/* Its place among those that wait. The core can do without some. */
	expect_failures(n, hit, failed, 1U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/* A user's share of those that may wait by the channel's id. */
#define SHARE	256

/* All of them may: none of what has failed has kept a place. */
static void check_share(struct __test_metadata *_metadata,
			struct injection_data *self, unsigned int setup)
{
	struct ring ring;
	__u32 i;

	ASSERT_EQ(0, ring_open(&ring, setup));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	EXPECT_EQ(SHARE, ipc_crowd(&ring, self->id));
	ring_close(&ring);
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(i, ipc_recv_u32(&self->ring, self->rx.id));
	/* Its requests end when the kernel has come to it. */
	while (ipc_recv_u32(&self->ring, self->rx.id) >= 0)
		;
}

TEST_F_TIMEOUT(injection, send_wait, LIMIT)
{
	send_wait_each(_metadata, self, variant->setup, false);
	send_wait_each(_metadata, self, variant->setup, true);
	check_share(_metadata, self, variant->setup);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

struct receive {
	const char *name;
	__u16 flags;
	__u32 space;	/* for the payload */
	bool cold;	/* into pages that are not there yet */
};

static const struct receive receives[] = {
	{ "plain", 0, SIZE, false },
	{ "header", IOIPC_RECV_HDR, SIZE, false },
	{ "cut", IOIPC_RECV_TRUNC, 100, false },
	{ "cold", 0, SIZE, true },
	{ "cold header", IOIPC_RECV_HDR, SIZE, true },
};

/* At least so many failures have to reach the caller. */
static void recv_each(struct __test_metadata *_metadata,
		      struct injection_data *self, enum injection kind,
		      const struct receive *receive, unsigned int least)
{
	static char want[SIZE];
	bool header = receive->flags & IOIPC_RECV_HDR;
	__u32 head = header ? sizeof(struct io_uring_ipc_msg_hdr) : 0;
	struct io_uring_ipc_msg_hdr *hdr;
	unsigned int n, failed = 0;
	__u64 sent = 0;
	char *pages;
	bool hit;
	int ret;

	pages = new_pages(2 * SIZE);
	hdr = (void *)pages;
	for_each_failure(n, hit) {
		memset(want, n, SIZE);
		ASSERT_EQ(SIZE, ipc_send(&self->ring, self->tx.id, want, SIZE,
					 0));
		if (receive->cold)
			madvise(pages, 2 * SIZE, MADV_DONTNEED);
		else
			memset(pages, 0xee, 2 * SIZE);
		prep_recv(&self->ring, self->rx.id, pages,
			  head + receive->space, receive->flags, 0);
		ret = one_injected(&self->ring, kind, n, &hit);
		if (ret < 0) {
			ASSERT_TRUE(hit && is_lack_of_request(ret))
				TH_LOG("%d at %u, %s", ret, n, receive->name);
			failed++;
			ret = ipc_recv_flags(&self->ring, self->rx.id, pages,
					     head + receive->space,
					     receive->flags);
		}
		ASSERT_EQ((int)(head + SIZE), ret)
			TH_LOG("at %u, %s", n, receive->name);
		ASSERT_EQ(0, memcmp(want, pages + head, receive->space));
		if (header) {
			ASSERT_EQ(SIZE, hdr->len);
			/* None is lost or skipped. */
			if (sent)
				ASSERT_EQ(sent + 1, hdr->msg_id);
			sent = hdr->msg_id;
		}
		ASSERT_EQ(-EAGAIN, ipc_recv(&self->ring, self->rx.id, pages,
					    SIZE));
	}
	expect_failures(n, hit, failed, least);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
	munmap(pages, 2 * SIZE);
}

/*
 * After a copy that fails the buffer is faulted in, and another made. So the
 * caller hears of one failure only where that one is the faulting in, for pages
 * that are not there; where all copies fail, so does that.
 */
TEST_F_TIMEOUT(injection, recv, LIMIT)
{
	enum injection kind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(receives); i++)
		for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++)
			recv_each(_metadata, self, kind, &receives[i],
				  kind == NO_COPIES || receives[i].cold);
}

/*
 * Others to compete with: the buffer is looked at before the message is taken, and
 * faulted in where that fails.
 */
TEST_F_TIMEOUT(injection, recv_competing, LIMIT)
{
	enum injection kind;
	struct sub other;

	if (variant->flags & IOIPC_F_BROADCAST)
		return;
	ASSERT_EQ(0, ipc_attach(&self->ring, &other, self->id,
				IOIPC_SUB_RECV));
	for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++)
		recv_each(_metadata, self, kind, &receives[0],
			  kind == NO_COPIES);
	ASSERT_EQ(0, ipc_detach(&self->ring, other.id));
	close(other.fd);
}

/* A notice stays for the next receive. */
TEST_F_TIMEOUT(injection, recv_notice, LIMIT)
{
	struct io_uring_ipc_msg_hdr hdr;
	unsigned int n, failed;
	struct sub watch, other;
	enum injection kind;
	bool hit;
	int ret;

	ASSERT_EQ(0, ipc_attach(&self->ring, &watch, self->id,
				IOIPC_SUB_RECV | IOIPC_SUB_EVENTS));
	for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++) {
		failed = 0;
		for_each_failure(n, hit) {
			ASSERT_EQ(0, ipc_attach(&self->ring, &other, self->id,
						IOIPC_SUB_SEND));
			prep_recv(&self->ring, watch.id, &hdr, sizeof(hdr),
				  IOIPC_RECV_HDR, 0);
			ret = one_injected(&self->ring, kind, n, &hit);
			if (ret < 0) {
				ASSERT_TRUE(hit && is_lack_of_request(ret))
					TH_LOG("%d at %u", ret, n);
				failed++;
				ret = ipc_recv_flags(&self->ring, watch.id,
						     &hdr, sizeof(hdr),
						     IOIPC_RECV_HDR);
			}
			ASSERT_EQ((int)sizeof(hdr), ret);
			ASSERT_EQ(IOIPC_MSG_F_JOIN, hdr.flags);
			ASSERT_EQ(other.id, hdr.sender_id);
			ASSERT_EQ(0, ipc_detach(&self->ring, other.id));
			close(other.fd);
			ASSERT_EQ((int)sizeof(hdr),
				  ipc_recv_flags(&self->ring, watch.id, &hdr,
						 sizeof(hdr), IOIPC_RECV_HDR));
			ASSERT_EQ(IOIPC_MSG_F_LEAVE, hdr.flags);
			ASSERT_EQ(-EAGAIN, ipc_recv(&self->ring, watch.id,
						    &hdr, sizeof(hdr)));
		}
		expect_failures(n, hit, failed, kind == NO_COPIES ? 1U : 0U);
	}
	ASSERT_EQ(0, ipc_detach(&self->ring, watch.id));
	close(watch.fd);
}

/* What was lost is told once, by the receive that gets through. */
TEST_F_TIMEOUT(injection, recv_lossy, LIMIT)
{
	struct {
		struct io_uring_ipc_msg_hdr hdr;
		__u32 value;
	} message;
	const __u32 len = sizeof(message.hdr) + 4;
	enum injection kind;
	unsigned int n, failed;
	struct sub lossy;
	bool hit;
	__u32 i;
	int ret;

	if (!(variant->flags & IOIPC_F_BROADCAST))
		return;
	ASSERT_EQ(0, ipc_attach(&self->ring, &lossy, self->id,
				IOIPC_SUB_RECV | IOIPC_SUB_LOSSY));
	for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++) {
		failed = 0;
		for_each_failure(n, hit) {
			/* The other one does not hold the sender up. */
			for (i = 0; i < ENTRIES + LOST; i++) {
				ASSERT_EQ(4, ipc_send_u32(&self->ring,
							  self->tx.id, i));
				ASSERT_EQ(i, ipc_recv_u32(&self->ring,
							  self->rx.id));
			}
			prep_recv(&self->ring, lossy.id, &message, len,
				  IOIPC_RECV_HDR, 0);
			ret = one_injected(&self->ring, kind, n, &hit);
			if (ret < 0) {
				ASSERT_TRUE(hit && is_lack_of_request(ret))
					TH_LOG("%d at %u", ret, n);
				failed++;
				ret = ipc_recv_flags(&self->ring, lossy.id,
						     &message, len,
						     IOIPC_RECV_HDR);
			}
			for (i = LOST; i < ENTRIES + LOST; i++) {
				ASSERT_EQ((int)len, ret);
				ASSERT_EQ(i, message.value);
				ASSERT_EQ(i == LOST ? LOST : 0,
					  (int)message.hdr.lost);
				ret = ipc_recv_flags(&self->ring, lossy.id,
						     &message, len,
						     IOIPC_RECV_HDR);
			}
			ASSERT_EQ(-EAGAIN, ret);
		}
		expect_failures(n, hit, failed, kind == NO_COPIES ? 1U : 0U);
	}
	ASSERT_EQ(0, ipc_detach(&self->ring, lossy.id));
	close(lossy.fd);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/* It can also get through all of them. */
TEST_F_TIMEOUT(injection, recv_wait, LIMIT)
{
	unsigned int n, failed = 0;
	struct io_uring_cqe cqe;
	struct ring ring;
	struct sub sub;
	__u32 value;
	bool hit;
	int ret;

	for_each_failure(n, hit) {
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, self->id, IOIPC_SUB_RECV));
		prep_recv(&ring, sub.id, &value, 4, IOIPC_RECV_WAIT, 0);
		ret = submit_injected(&ring, ONE_FAILURE, n, &hit);
		ASSERT_EQ(4, ipc_send(&self->ring, self->tx.id, &n, 4, sub.id));
		if (!ret) {
			ASSERT_EQ(0, ring_next(&ring, &cqe));
			ret = cqe.res;
		}
		if (ret == 4) {
			ASSERT_EQ(n, value);
		} else {
			ASSERT_TRUE(hit && is_lack_of_request(ret))
				TH_LOG("%d at %u", ret, n);
			failed++;
			ASSERT_EQ(n, ipc_recv_u32(&ring, sub.id));
		}
		EXPECT_EQ(0, fdinfo_value(sub.fd, RECEIVES_WAITING));
		close(sub.fd);
		ring_close(&ring);
	}
	expect_failures(n, hit, failed, 0U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

/* A receive that fails leaves the buffer where it was, as well. */
static void select_each(struct __test_metadata *_metadata,
			struct injection_data *self, enum injection kind,
			enum buffer_kind buffer_kind, __u16 flags)
{
	__u32 head = flags ? sizeof(struct io_uring_ipc_msg_hdr) : 0;
	unsigned int n, failed = 0;
	struct buffers buffers;
	struct io_uring_cqe cqe;
	__u16 group = GROUP + buffer_kind + (flags ? 8 : 0) + kind * 16;
	bool hit;
	int ret;

	ASSERT_EQ(0, buffers_open(&self->ring, &buffers, buffer_kind, group, 1,
				  256));
	ASSERT_EQ(0, buffers_give(&self->ring, &buffers, 0, 1));
	for_each_failure(n, hit) {
		ASSERT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, n));
		memset(buffers.data, 0xee, 256);
		prep_recv_select(&self->ring, self->rx.id, group, 0, flags, 0);
		ret = submit_injected(&self->ring, kind, n, &hit);
		if (!ret) {
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
			ret = cqe.res;
		}
		if (ret < 0) {
			ASSERT_TRUE(hit && is_lack_of_request(ret))
				TH_LOG("%d at %u", ret, n);
			failed++;
			prep_recv_select(&self->ring, self->rx.id, group, 0,
					 flags, 0);
			ASSERT_EQ(0, ring_next(&self->ring, &cqe));
		}
		ASSERT_EQ((int)head + 4, cqe.res);
		ASSERT_EQ(buffers.data, (char *)buffers_at(&buffers, &cqe));
		ASSERT_EQ(0, memcmp(buffers.data + head, &n, 4));
		ASSERT_EQ(0, buffers_give(&self->ring, &buffers, 0, 1));
		ASSERT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
	}
	expect_failures(n, hit, failed, kind == NO_COPIES ? 1U : 0U);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
	buffers_close(&buffers);
}

TEST_F_TIMEOUT(injection, recv_select, LIMIT)
{
	static const enum buffer_kind kinds[] = { BUFFER_RING, BUFFER_LEGACY };
	enum injection kind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (kind = ONE_FAILURE; kind <= NO_COPIES; kind++) {
			select_each(_metadata, self, kind, kinds[i], 0);
			select_each(_metadata, self, kind, kinds[i],
				    IOIPC_RECV_HDR);
		}
	}
}

/* Take numbers from @want on while the request lives; which is next. */
static __u32 take_numbers(struct __test_metadata *_metadata, struct ring *ring,
			  struct buffers *buffers, __u32 want, __u32 until,
			  int *end)
{
	struct io_uring_cqe cqe;

	while (want < until && !*end) {
		ASSERT_EQ(0, ring_next(ring, &cqe));
		if (cqe.res == 4) {
			ASSERT_NE(NULL, buffers_at(buffers, &cqe));
			ASSERT_EQ(want,
				  *(__u32 *)buffers_at(buffers, &cqe));
			want++;
		}
		if (!(cqe.flags & IORING_CQE_F_MORE))
			*end = cqe.res;
	}
	return want;
}

/*
 * Some messages are there, the others come later. Each arrives once, in order,
 * by the request or, where that has failed, by another.
 */
static void multishot_each(struct __test_metadata *_metadata,
			   struct injection_data *self, unsigned int setup,
			   enum injection kind)
{
	unsigned int n, failed = 0;
	struct buffers buffers;
	struct ring ring;
	struct sub sub;
	__u32 i, next;
	int ret, end;
	bool hit;

	for_each_failure(n, hit) {
		ASSERT_EQ(0, ring_open(&ring, setup));
		ASSERT_EQ(0, ipc_attach(&ring, &sub, self->id, IOIPC_SUB_RECV));
		ASSERT_EQ(0, buffers_open(&ring, &buffers, BUFFER_RING, GROUP,
					  BUFFERS, 64));
		ASSERT_EQ(0, buffers_give(&ring, &buffers, 0, BUFFERS));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(4, ipc_send(&self->ring, self->tx.id, &i, 4,
					      sub.id));
		prep_recv_select(&ring, sub.id, GROUP, 0, IOIPC_RECV_MULTISHOT,
				 1);
		ret = submit_injected(&ring, kind, n, &hit);
		end = ret;
		next = take_numbers(_metadata, &ring, &buffers, 0, 2, &end);
		for (i = 2; i < 4; i++)
			ASSERT_EQ(4, ipc_send(&self->ring, self->tx.id, &i, 4,
					      sub.id));
		next = take_numbers(_metadata, &ring, &buffers, next, 4, &end);
		if (end) {
			ASSERT_TRUE(hit && is_lack_of_request(end))
				TH_LOG("%d at %u", end, n);
			failed++;
		}
		for (; next < 4; next++)
			ASSERT_EQ(next, ipc_recv_u32(&ring, sub.id));
		EXPECT_EQ(end ? 0 : 1, fdinfo_value(sub.fd, RECEIVES_WAITING));
		close(sub.fd);
		ring_close(&ring);
		buffers_close(&buffers);
	}
	expect_failures(n, hit, failed, 1U);
}

TEST_F_TIMEOUT(injection, recv_multishot, LIMIT)
{
	multishot_each(_metadata, self, variant->setup, ONE_FAILURE);
	multishot_each(_metadata, self, variant->setup, NO_COPIES);
	check_channel(_metadata, &self->ring, self->tx.id, self->rx.id);
}

TEST_HARNESS_MAIN
