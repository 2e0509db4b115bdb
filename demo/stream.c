// SPDX-License-Identifier: GPL-2.0
/*
 * Streams a file through an io_uring IPC channel: the sending side.
 *
 *	ipc-stream-sender broadcast|multicast|unicast KEY RECEIVERS FILE
 *
 * Two channels, found by their keys:
 *
 * KEY:		the data. A message is a piece of the file, nothing else; where
 *		it belongs is the sender's user_data, which receivers find in
 *		struct io_uring_ipc_msg_hdr. An empty message says that this is
 *		all, and its user_data is the file's size.
 *
 * KEY + 1:	notes from the receivers: one when it has attached to the data,
 *		one when it has written everything.
 *
 * The receiving side is in rust/src/receive.rs.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/io_uring_ipc.h>

#include "ring.h"

#define CHUNK_SIZE	32768	/* bytes a message */
#define RING_ENTRIES	64	/* messages the data channel holds */
#define BATCH		16	/* messages sent with one system call */
#define MAX_RECEIVERS	32
#define NOTE_ENTRIES	(2 * MAX_RECEIVERS)

#define NOTE_ATTACHED	1
#define NOTE_WRITTEN	2

/* What receivers tell; the same is in rust/src/receive.rs. */
struct note {
	__u32 kind;		/* NOTE_* */
	__u32 subscriber;	/* the receiver's id on the data channel */
};

/* One end of a channel. */
struct end {
	struct ring	*ring;
	__u32		 id;	/* for sqe->fd */
};

/* A message to send. */
struct message {
	const void	*payload;
	__u32		 len;
	__u32		 target;	/* subscriber id, or 0 for any */
	__u64		 tag;
};

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static __u32 create_channel(struct ring *ring, __u32 flags, __u64 key,
			    __u32 entries, __u32 max_msg_size)
{
	struct io_uring_ipc_channel_create create = {
		.flags		= flags,
		.ring_entries	= entries,
		.max_msg_size	= max_msg_size,
		.mode		= 0600,
		.key		= key,
	};
	int ret = ring_register(ring, IORING_REGISTER_IPC_CHANNEL_CREATE,
				&create, 1);

	if (ret < 0)
		errx(1, "making a channel: %s", strerror(-ret));
	return create.channel_id_out;
}

static struct end attach(struct ring *ring, __u32 channel, __u32 flags)
{
	struct io_uring_ipc_channel_attach attach = {
		.channel_id	= channel,
		.flags		= flags,
	};
	int ret = ring_register(ring, IORING_REGISTER_IPC_CHANNEL_ATTACH,
				&attach, 1);

	if (ret < 0)
		errx(1, "attaching to a channel: %s", strerror(-ret));
	/* For poll(2) and mmap(2), but requests go by the id, and wait. */
	close(attach.channel_fd);
	return (struct end) { .ring = ring, .id = attach.local_id_out };
}

/*
 * Sends all messages, in order, and returns when the last one has had room. The
 * payloads have to stay until then.
 */
static void send_all(const struct end *end, const struct message *message,
		     unsigned int count)
{
	__u64 len = 0, sent = 0;
	int results[BATCH];
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = ring_queue(end->ring);

		sqe->opcode	= IORING_OP_IPC_SEND;
		sqe->ioprio	= IOIPC_SEND_WAIT;
		sqe->fd		= end->id;
		sqe->addr	= (uintptr_t)message[i].payload;
		sqe->len	= message[i].len;
		sqe->file_index	= message[i].target;
		sqe->user_data	= message[i].tag;
		len += message[i].len;
	}
	ring_run(end->ring, results);

	for (i = 0; i < count; i++) {
		if (results[i] < 0)
			errx(1, "sending: %s", strerror(-results[i]));
		sent += results[i];
	}
	if (sent != len)
		errx(1, "sent %llu bytes of %llu", sent, len);
}

/* Waits for a note, which has to be of this @kind. */
static struct note receive_note(const struct end *end, __u32 kind)
{
	struct io_uring_sqe *sqe = ring_queue(end->ring);
	struct note note = { };
	int result;

	sqe->opcode	= IORING_OP_IPC_RECV;
	sqe->ioprio	= IOIPC_RECV_WAIT;
	sqe->fd		= end->id;
	sqe->addr	= (uintptr_t)&note;
	sqe->len	= sizeof(note);
	ring_run(end->ring, &result);

	if (result < 0)
		errx(1, "receiving a note: %s", strerror(-result));
	if (result != sizeof(note) || note.kind != kind)
		errx(1, "an unexpected note: %d bytes, kind %u", result,
		     note.kind);
	return note;
}

/* Reads @len bytes: the file has them, or it has changed meanwhile. */
static void read_all(int fd, char *buffer, size_t len)
{
	while (len) {
		ssize_t got = read(fd, buffer, len);

		if (got < 0)
			err(1, "reading the file");
		if (!got)
			errx(1, "the file became shorter");
		buffer += got;
		len -= got;
	}
}

/* Sends the file, and gives the number of messages. */
static unsigned long send_file(const struct end *end, int fd, __u64 size)
{
	static char buffers[BATCH][CHUNK_SIZE];
	struct message messages[BATCH];
	unsigned long total = 0;
	__u64 offset = 0;

	while (offset < size) {
		unsigned int count = 0;

		while (count < BATCH && offset < size) {
			__u64 left = size - offset;
			__u32 len = left < CHUNK_SIZE ? left : CHUNK_SIZE;

			read_all(fd, buffers[count], len);
			messages[count] = (struct message) {
				.payload	= buffers[count],
				.len		= len,
				.tag		= offset,
			};
			offset += len;
			count++;
		}
		send_all(end, messages, count);
		total += count;
	}
	return total;
}

int main(int argc, char **argv)
{
	__u32 flags, receivers[MAX_RECEIVERS];
	unsigned long i, count, messages;
	struct message last = { };
	struct end data, notes;
	struct ring ring;
	struct stat stat;
	__u64 key, start;
	int fd;

	if (argc != 5)
		errx(2, "usage: %s broadcast|multicast|unicast KEY RECEIVERS FILE",
		     argv[0]);
	if (!strcmp(argv[1], "broadcast"))
		flags = IOIPC_F_BROADCAST;
	else if (!strcmp(argv[1], "multicast"))
		flags = IOIPC_F_MULTICAST;
	else if (!strcmp(argv[1], "unicast"))
		flags = 0;
	else
		errx(2, "no such mode: %s", argv[1]);
	key = strtoull(argv[2], NULL, 0);
	count = strtoul(argv[3], NULL, 0);
	if (!key || !count || count > MAX_RECEIVERS)
		errx(2, "KEY is not 0, and RECEIVERS is 1 to %d", MAX_RECEIVERS);
	fd = open(argv[4], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0)
		err(1, "%s", argv[4]);

	/* Who finds the data channel finds that for notes too. */
	ring_open(&ring, BATCH);
	notes = attach(&ring, create_channel(&ring, 0, key + 1, NOTE_ENTRIES,
					     sizeof(struct note)),
		       IOIPC_SUB_RECV);
	data = attach(&ring, create_channel(&ring, flags, key, RING_ENTRIES,
					    CHUNK_SIZE),
		      IOIPC_SUB_SEND);

	/* A broadcast reaches those who are there: wait for all. */
	for (i = 0; i < count; i++)
		receivers[i] = receive_note(&notes, NOTE_ATTACHED).subscriber;

	start = now_ns();
	messages = send_file(&data, fd, stat.st_size);

	/*
	 * A broadcast's end reaches all; else each message reaches one, and
	 * each receiver is told of the end by a message for it alone.
	 */
	last.tag = stat.st_size;
	for (i = 0; i < (flags & IOIPC_F_BROADCAST ? 1 : count); i++) {
		if (!(flags & IOIPC_F_BROADCAST))
			last.target = receivers[i];
		send_all(&data, &last, 1);
	}

	/* Closing the ring ends the channels: not before all is received. */
	for (i = 0; i < count; i++)
		receive_note(&notes, NOTE_WRITTEN);

	printf("messages=%lu bytes=%llu start_ns=%llu\n", messages,
	       (unsigned long long)stat.st_size, start);
	ring_close(&ring);
	return 0;
}
