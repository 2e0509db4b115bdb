// SPDX-License-Identifier: GPL-2.0
/* Buffers that are not there, not yet there, or not the program's to name. */
#include <pthread.h>

#include "channel_fixture.h"
#include "lib/foreign_memory.h"
#include "lib/late_page.h"

#define PAGE	4096

/* A page with nothing mapped behind it. */
static char *page_before_hole(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p + PAGE, PAGE);
	memset(p, 'p', PAGE);
	return p;
}

static char *new_page(int prot)
{
	return mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The ring takes and gives as many messages as it has slots, no more. */
static void check_room(struct __test_metadata *_metadata,
		       struct channel_data *self)
{
	__u32 i;

	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(&self->ring, self->tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(&self->ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(&self->ring, self->rx.id));
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(&self->ring, self->rx.id));
}

TEST_F(channel, send_from_foreign_memory)
{
	struct ring *ring = &self->ring;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(foreign); i++) {
		EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id,
					    (void *)foreign[i].addr,
					    foreign[i].len, 0)) {
			TH_LOG("%#llx", (unsigned long long)foreign[i].addr);
		}
		EXPECT_EQ(-EFAULT, ipc_send(ring, self->id,
					    (void *)foreign[i].addr,
					    foreign[i].len, self->rx.id)) {
			TH_LOG("%#llx", (unsigned long long)foreign[i].addr);
		}
		EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	}
	check_room(_metadata, self);
}

/* Failed sends one after the other, nobody receiving: they use no slots. */
TEST_F(channel, failed_sends_take_no_room)
{
	struct ring *ring = &self->ring;
	char *hole = page_before_hole();
	int i;

	for (i = 0; i < 3 * CHANNEL_ENTRIES; i++)
		ASSERT_EQ(-EFAULT, ipc_send(ring, self->tx.id, (void *)8, 16,
					    0));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));

	/* In between good ones, too. */
	for (i = 0; i < CHANNEL_ENTRIES; i++) {
		EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id,
					    hole + PAGE - 8, 64, 0));
		EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	}
	EXPECT_EQ(-ENOBUFS, ipc_send_u32(ring, self->tx.id, i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	check_room(_metadata, self);
}

TEST_F(channel, send_from_half_a_buffer)
{
	struct ring *ring = &self->ring;
	char *hole = page_before_hole(), *none = new_page(PROT_NONE);
	char buf[CHANNEL_SIZE];

	EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id, hole + PAGE - 8, 9, 0));
	EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id, hole + PAGE - 64, 128,
				    0));
	EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id, hole + PAGE, 1, 0));
	EXPECT_EQ(-EFAULT, ipc_send(ring, self->tx.id, none, 1, 0));
	EXPECT_EQ(-EAGAIN, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	/* Up to the very last byte is fine. */
	EXPECT_EQ(64, ipc_send(ring, self->tx.id, hole + PAGE - 64, 64, 0));
	EXPECT_EQ(64, ipc_recv(ring, self->rx.id, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, hole, 64));
	check_room(_metadata, self);
}

/*
 * @want is what a good message comes to. A bad buffer comes before that, for
 * memory is looked at first: it may take long, and what holds then is what counts.
 */
static void expect_fault_first(struct __test_metadata *_metadata,
			       struct ring *ring, __u32 id, __u32 target,
			       int want)
{
	EXPECT_EQ(want, ipc_send(ring, id, "good", 4, target));
	EXPECT_EQ(-EFAULT, ipc_send(ring, id, (void *)8, 4, target))
		TH_LOG("before %d", want);
}

TEST_F(channel, bad_buffer_comes_first)
{
	struct ring *ring = &self->ring;
	__u32 i, unknown = self->rx.id + 1000;

	/* But who it is, and a length that is none, need no look at all. */
	EXPECT_EQ(-EMSGSIZE, ipc_send(ring, self->tx.id, (void *)8,
				      CHANNEL_SIZE + 1, 0));
	EXPECT_EQ(-ENOENT, ipc_send(ring, unknown, (void *)8, 4, 0));
	expect_fault_first(_metadata, ring, self->rx.id, 0, -EACCES);
	expect_fault_first(_metadata, ring, self->tx.id, unknown, -ENOENT);
	EXPECT_EQ(-EAGAIN, ipc_recv_u32(ring, self->rx.id));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
	expect_fault_first(_metadata, ring, self->tx.id, 0, -ENOBUFS);
	expect_fault_first(_metadata, ring, self->id, 0, -ENOBUFS);
	ASSERT_EQ(0, ipc_destroy(ring, self->id));
	expect_fault_first(_metadata, ring, self->tx.id, 0, -EPIPE);
	EXPECT_EQ(-ENOENT, ipc_send(ring, self->id, (void *)8, 4, 0));
}

/* Whatever goes wrong on receiving, the message is for the next try. */
TEST_F(channel, recv_into_foreign_memory)
{
	struct ring *ring = &self->ring;
	static const char text[] = "sixteen letters";
	char buf[16];
	unsigned int i;

	ASSERT_EQ(16, ipc_send(ring, self->tx.id, text, 16, 0));
	for (i = 0; i < ARRAY_SIZE(foreign); i++) {
		EXPECT_EQ(-EFAULT, ipc_recv(ring, self->rx.id,
					    (void *)foreign[i].addr, 16)) {
			TH_LOG("%#llx", (unsigned long long)foreign[i].addr);
		}
		EXPECT_EQ(-EFAULT, ipc_recv_flags(ring, self->rx.id,
						  (void *)foreign[i].addr, 64,
						  IOIPC_RECV_HDR)) {
			TH_LOG("%#llx", (unsigned long long)foreign[i].addr);
		}
	}
	EXPECT_EQ(16, ipc_recv(ring, self->rx.id, buf, 16));
	EXPECT_EQ(0, memcmp(buf, text, 16));
	check_room(_metadata, self);
}

TEST_F(channel, recv_into_bad_memory)
{
	struct ring *ring = &self->ring;
	char *hole = page_before_hole(), *none = new_page(PROT_NONE);
	char *ro = new_page(PROT_READ);
	char buf[16];
	int i;

	EXPECT_EQ(0, ro[0]);
	for (i = 1; i <= 3; i++)
		ASSERT_EQ(16, ipc_send(ring, self->tx.id, hole, 16, 0));
	for (i = 0; i < 2 * CHANNEL_ENTRIES; i++) {
		EXPECT_EQ(-EFAULT, ipc_recv(ring, self->rx.id, ro, 16));
		EXPECT_EQ(-EFAULT, ipc_recv(ring, self->rx.id, none, 16));
		EXPECT_EQ(-EFAULT, ipc_recv(ring, self->rx.id,
					    hole + PAGE - 15, 16));
		/* The header fits, the payload does not; and neither. */
		EXPECT_EQ(-EFAULT, ipc_recv_flags(ring, self->rx.id,
						  hole + PAGE - 50, 64,
						  IOIPC_RECV_HDR));
		EXPECT_EQ(-EFAULT, ipc_recv_flags(ring, self->rx.id,
						  hole + PAGE - 10, 64,
						  IOIPC_RECV_HDR));
	}
	EXPECT_EQ(0, ro[0]);
	memset(hole, 'p', PAGE);
	for (i = 1; i <= 3; i++) {
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(16, ipc_recv(ring, self->rx.id, buf, 16));
		EXPECT_EQ(0, memcmp(buf, hole, 16));
	}
	/* Only what is written to has to be there. */
	ASSERT_EQ(8, ipc_send(ring, self->tx.id, hole, 8, 0));
	EXPECT_EQ(8, ipc_recv(ring, self->rx.id, hole + PAGE - 8, 16));
	check_room(_metadata, self);
}

/* A page fault on each side for every message, on the smallest ring. */
TEST_F(channel, cold_pages_on_a_ring_of_one)
{
	struct ring *ring = &self->ring;
	char *in, *out, want[64];
	struct sub tx, rx;
	__u32 id;
	int i;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 1, 64));
	ASSERT_EQ(0, ipc_attach(ring, &tx, id, IOIPC_SUB_SEND));
	ASSERT_EQ(0, ipc_attach(ring, &rx, id, IOIPC_SUB_RECV));
	for (i = 0; i < 20; i++) {
		in = new_page(PROT_READ | PROT_WRITE);
		out = new_page(PROT_READ | PROT_WRITE);
		/* Untouched, or touched and dropped again. */
		if (i & 1) {
			memset(in, i, PAGE);
			madvise(in, PAGE, MADV_DONTNEED);
		}
		memset(want, 0, sizeof(want));
		ASSERT_EQ(64, ipc_send(ring, tx.id, in, 64, 0));
		/* There is no slot for what is already there. */
		ASSERT_EQ(-ENOBUFS, ipc_send(ring, tx.id, in + 64, 64, 0));
		ASSERT_EQ(64, ipc_recv(ring, rx.id, out, 64));
		EXPECT_EQ(0, memcmp(out, want, 64));
		ASSERT_EQ(-EAGAIN, ipc_recv(ring, rx.id, out, 64));
		munmap(in, PAGE);
		munmap(out, PAGE);
	}
}

/* The same with all slots used, and every message told apart. */
TEST_F(channel, cold_pages_on_a_full_ring)
{
	struct ring *ring = &self->ring;
	char *in, *out;
	__u32 i, j;

	for (i = 0; i < 4; i++) {
		in = new_page(PROT_READ | PROT_WRITE);
		for (j = 0; j < CHANNEL_ENTRIES; j++) {
			madvise(in, PAGE, MADV_DONTNEED);
			ASSERT_EQ((int)(j + 1), ipc_send(ring, self->tx.id,
							 in, j + 1, 0));
		}
		ASSERT_EQ(-ENOBUFS, ipc_send(ring, self->tx.id, in, 1, 0));
		for (j = 0; j < CHANNEL_ENTRIES; j++) {
			out = new_page(PROT_READ | PROT_WRITE);
			ASSERT_EQ((int)(j + 1), ipc_recv(ring, self->rx.id,
							 out, 64));
			munmap(out, PAGE);
		}
		munmap(in, PAGE);
	}
	check_room(_metadata, self);
}

/* A buffer of many pages, none of them present. */
TEST_F(channel, cold_mebibyte)
{
	struct ring *ring = &self->ring;
	size_t size = IOIPC_MAX_MSG_SIZE;
	char *in, *out;
	struct sub both;
	__u32 id, i;

	ASSERT_EQ(0, ipc_create(ring, &id, variant->flags, 1, size));
	ASSERT_EQ(0, ipc_attach(ring, &both, id, IOIPC_SUB_BOTH));
	in = mmap(NULL, size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	out = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Every third page is there, the rest is not. */
	for (i = 0; i < size; i += 3 * PAGE)
		memset(in + i, i / PAGE, PAGE);
	ASSERT_EQ((int)size, ipc_send(ring, both.id, in, size, 0));
	ASSERT_EQ((int)size, ipc_recv(ring, both.id, out, size));
	EXPECT_EQ(0, memcmp(in, out, size));
}

/*
 * Stalled by userfaultfd: a child's thread runs into a page that is not
 * served before the parent says so.
 */
struct stall {
	struct gate stalled, resume;
	struct channel_data *self;
	unsigned int setup;
	__u32 rights;
	struct late_page page;
	int res;
};

static void *stalling_thread(void *arg)
{
	struct stall *s = arg;
	struct ring ring;
	struct sub sub;

	s->res = -EPROTO;
	if (ring_open(&ring, s->setup))
		return NULL;
	if (!ipc_attach(&ring, &sub, s->self->id, s->rights))
		s->res = s->rights & IOIPC_SUB_SEND ?
			 ipc_send(&ring, sub.id, s->page.at, 4, 0) :
			 ipc_recv(&ring, sub.id, s->page.at, 4);
	ring_close(&ring);
	return NULL;
}

/*
 * The child's exit status: the first byte of the message, 99 where there was
 * none, 100 and up where something else went wrong.
 */
static int run_stalled(struct stall *s)
{
	char content[LATE_PAGE_SIZE] = { 77 };
	pthread_t thread;

	if (late_page_open(&s->page, NULL, 0))
		return 100;
	if (pthread_create(&thread, NULL, stalling_thread, s))
		return 102;
	if (late_page_wait(&s->page))
		return 103;
	gate_open(&s->stalled);
	if (gate_wait(&s->resume))
		return 104;
	if (late_page_serve(&s->page, content))
		return 105;
	pthread_join(thread, NULL);
	if (s->res == -EAGAIN)
		return 99;
	if (s->res != 4)
		return 106;
	return s->page.at[0];
}

static pid_t start_stalled(struct __test_metadata *_metadata,
			   struct channel_data *self, struct stall *s,
			   unsigned int setup, __u32 rights)
{
	pid_t pid;

	*s = (struct stall){ .self = self, .setup = setup, .rights = rights };
	ASSERT_EQ(0, gate_init(&s->stalled));
	ASSERT_EQ(0, gate_init(&s->resume));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(run_stalled(s));
	ASSERT_EQ(0, gate_wait(&s->stalled)) {
		TH_LOG("nothing ran into the page: %d", child_wait(pid));
	}
	return pid;
}

TEST_F(channel, stalled_sender_stops_nobody)
{
	struct ring *ring = &self->ring;
	struct stall s;
	pid_t pid;
	int i;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	pid = start_stalled(_metadata, self, &s, variant->setup,
			    IOIPC_SUB_SEND);
	for (i = 0; i < 5 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, i));
		ASSERT_EQ(i, ipc_recv_u32(ring, self->rx.id));
	}
	/* It holds not one slot. */
	check_room(_metadata, self);
	gate_open(&s.resume);
	EXPECT_EQ(77, child_wait(pid));
	EXPECT_EQ(77, ipc_recv_u32(ring, self->rx.id));
	check_room(_metadata, self);
}

/* Dying while stalled leaves nothing behind. */
TEST_F(channel, stalled_sender_killed)
{
	struct ring *ring = &self->ring;
	struct stall s;
	pid_t pid;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	pid = start_stalled(_metadata, self, &s, variant->setup,
			    IOIPC_SUB_SEND);
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 5));
	child_kill(pid);
	EXPECT_EQ(5, ipc_recv_u32(ring, self->rx.id));
	check_room(_metadata, self);
}

/* To find a message that is there: elsewhere a receiver joins at the oldest. */
static __u32 receiver_rights(__u32 flags)
{
	return IOIPC_SUB_RECV |
	       (flags & IOIPC_F_BROADCAST ? IOIPC_SUB_REPLAY : 0);
}

/*
 * Unicast and multicast: the other receiver gets everything, the stalled one its
 * message back or nothing. Broadcast: a lossy one, which holds no slots; the
 * other gets it all, the stalled one a message that is whole, or nothing.
 */
TEST_F(channel, stalled_receiver_stops_nobody)
{
	struct ring *ring = &self->ring;
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	int i, sent = 1, got = 0, res;
	long long value;
	struct stall s;
	pid_t pid;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 50));
	pid = start_stalled(_metadata, self, &s, variant->setup,
			    receiver_rights(variant->flags) |
			    (broadcast ? IOIPC_SUB_LOSSY : 0));
	for (i = 0; i < 5 * CHANNEL_ENTRIES; i++) {
		ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 51));
		sent++;
		value = ipc_recv_u32(ring, self->rx.id);
		ASSERT_TRUE(value == 50 || value == 51);
		got++;
	}
	while (ipc_recv_u32(ring, self->rx.id) >= 0)
		got++;
	gate_open(&s.resume);
	res = child_wait(pid);
	if (broadcast) {
		EXPECT_TRUE(res == 51 || res == 99);
	} else if (res != 99) {
		EXPECT_EQ(50, res);
		got++;
	}
	EXPECT_EQ(sent, got)
		TH_LOG("the stalled one said %d", res);
	check_room(_metadata, self);
}

/* As any slow receiver: the others have it all, and then there is no room. */
TEST_F(channel, stalled_receiver_holds_slots_of_a_broadcast)
{
	struct ring *ring = &self->ring;
	bool broadcast = variant->flags & IOIPC_F_BROADCAST;
	struct stall s;
	pid_t pid;
	int i;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 50));
	pid = start_stalled(_metadata, self, &s, variant->setup,
			    receiver_rights(variant->flags));
	for (i = 1; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(4, ipc_send_u32(ring, self->tx.id, 50 + i));
	for (i = 0; i < CHANNEL_ENTRIES; i++)
		EXPECT_EQ(50 + i, ipc_recv_u32(ring, self->rx.id));
	EXPECT_EQ(broadcast ? -ENOBUFS : 4,
		  ipc_send_u32(ring, self->tx.id, 50 + i));
	if (!broadcast)
		EXPECT_EQ(50 + i, ipc_recv_u32(ring, self->rx.id));
	gate_open(&s.resume);
	EXPECT_EQ(broadcast ? 50 : 99, child_wait(pid));
	/* It is gone now: no slot of its left. */
	check_room(_metadata, self);
}

TEST_F(channel, stalled_receiver_killed)
{
	struct ring *ring = &self->ring;
	struct stall s;
	pid_t pid;

	if (!late_page_possible())
		SKIP(return, "kernel without CONFIG_USERFAULTFD");
	ASSERT_EQ(4, ipc_send_u32(ring, self->tx.id, 50));
	pid = start_stalled(_metadata, self, &s, variant->setup,
			    receiver_rights(variant->flags));
	child_kill(pid);
	/* Nobody has received it yet. */
	EXPECT_EQ(50, ipc_recv_u32(ring, self->rx.id));
	check_room(_metadata, self);
}

/*
 * A thread that maps and unmaps a page of a file under the requests: what comes
 * through is whole.
 */
struct flicker {
	char *page;
	int file;
	bool stop;
};

static void *flicker_thread(void *arg)
{
	struct flicker *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		mmap(f->page, PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mmap(f->page, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, f->file, 0);
	}
	return NULL;
}

/* Messages to tell apart, one behind the other, and where to receive one. */
enum { BLOCK = 64, BLOCKS = 32, INBOX = BLOCKS * BLOCK };

/* A file of one page, full of those. */
static int open_blocks(void)
{
	int file = memfd_create("blocks", MFD_CLOEXEC), i;
	unsigned char page[PAGE];

	for (i = 0; i < PAGE; i++)
		page[i] = i / BLOCK + i;
	if (pwrite(file, page, PAGE, 0) != PAGE)
		return -EIO;
	return file;
}

static bool is_block(const unsigned char *got, int block)
{
	int i;

	for (i = 0; i < BLOCK; i++)
		if (got[i] != (unsigned char)(block + block * BLOCK + i))
			return false;
	return true;
}

TEST_F(channel, buffers_that_come_and_go)
{
	struct ring *ring = &self->ring;
	struct flicker f = { .file = open_blocks() };
	int count = variant->setup & IORING_SETUP_SQPOLL ? 100 : 500;
	unsigned char buf[BLOCK], sent[CHANNEL_ENTRIES];
	int i, res, n = 0, got = 0;
	pthread_t thread;
	bool inbox;

	ASSERT_LE(0, f.file);
	f.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f.file,
		      0);
	ASSERT_NE(MAP_FAILED, f.page);
	ASSERT_EQ(0, pthread_create(&thread, NULL, flicker_thread, &f));
	/* Something does come through. */
	for (i = 0; i < count || !got; i++) {
		res = ipc_send(ring, self->tx.id,
			       f.page + i % BLOCKS * BLOCK, BLOCK, 0);
		ASSERT_TRUE(res == BLOCK || res == -EFAULT || res == -ENOBUFS);
		if (res == BLOCK)
			sent[n++ % CHANNEL_ENTRIES] = i % BLOCKS;
		/* Into the same page, or safely. */
		inbox = i & 1;
		res = ipc_recv(ring, self->rx.id,
			       inbox ? f.page + INBOX : (void *)buf, BLOCK);
		ASSERT_TRUE(res == BLOCK || res == -EFAULT || res == -EAGAIN);
		if (res != BLOCK)
			continue;
		if (inbox)
			ASSERT_EQ(BLOCK, pread(f.file, buf, BLOCK, INBOX));
		ASSERT_TRUE(is_block(buf, sent[got++ % CHANNEL_ENTRIES]))
			TH_LOG("message %d", got);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	while (ipc_recv(ring, self->rx.id, buf, BLOCK) == BLOCK)
		ASSERT_TRUE(is_block(buf, sent[got++ % CHANNEL_ENTRIES]));
	EXPECT_EQ(n, got);
	check_room(_metadata, self);
	close(f.file);
}

TEST_HARNESS_MAIN
