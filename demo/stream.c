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
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
	uint32_t kind;		/* NOTE_* */
	uint32_t subscriber;	/* the receiver's id on the data channel */
};

/* One end of a channel. */
struct end {
	struct ring	*ring;
	uint32_t	 id;	/* for sqe->fd */
	int		 fd;	/* for poll(2) */
};

/* A message to send. */
struct message {
	const void	*payload;
	uint32_t	 len;
	uint32_t	 target;	/* subscriber id, or 0 for any */
	uint64_t	 tag;
};

static unsigned long sleeps;	/* times the channel was full */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static uint32_t create_channel(struct ring *ring, uint32_t flags, uint64_t key,
			       uint32_t entries, uint32_t max_msg_size)
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

static struct end attach(struct ring *ring, uint32_t channel, uint32_t flags)
{
	struct io_uring_ipc_channel_attach attach = {
		.channel_id	= channel,
		.flags		= flags,
	};
	int ret = ring_register(ring, IORING_REGISTER_IPC_CHANNEL_ATTACH,
				&attach, 1);

	if (ret < 0)
		errx(1, "attaching to a channel: %s", strerror(-ret));
	return (struct end) {
		.ring	= ring,
		.id	= attach.local_id_out,
		.fd	= attach.channel_fd,
	};
}

/* Sleeps until the channel has a message (POLLIN) or room (POLLOUT). */
static void wait_for(const struct end *end, short event)
{
	struct pollfd poll_fd = { .fd = end->fd, .events = event };

	while (poll(&poll_fd, 1, -1) < 0) {
		if (errno != EINTR)
			err(1, "poll");
	}
	if (!(poll_fd.revents & event))
		errx(1, "poll: unexpected event %#x", poll_fd.revents);
}

/*
 * Sends all messages, in order. They are linked, so that where one finds the
 * channel full those after it are cancelled and do not overtake it.
 */
static void send_all(const struct end *end, const struct message *message,
		     unsigned int count)
{
	int results[BATCH];

	while (count) {
		unsigned int i, sent = 0;

		for (i = 0; i < count; i++) {
			struct io_uring_sqe *sqe = ring_queue(end->ring);

			sqe->opcode	= IORING_OP_IPC_SEND;
			sqe->fd		= end->id;
			sqe->addr	= (uintptr_t)message[i].payload;
			sqe->len	= message[i].len;
			sqe->file_index	= message[i].target;
			sqe->user_data	= message[i].tag;
			if (i + 1 < count)
				sqe->flags = IOSQE_IO_LINK;
		}
		ring_run(end->ring, results);

		while (sent < count && results[sent] >= 0)
			sent++;
		for (i = sent + 1; i < count; i++) {
			if (results[i] != -ECANCELED)
				errx(1, "a send was not cancelled: %d",
				     results[i]);
		}
		if (sent < count) {
			if (results[sent] != -ENOBUFS)
				errx(1, "sending: %s",
				     strerror(-results[sent]));
			sleeps++;
			wait_for(end, POLLOUT);
		}
		message += sent;
		count -= sent;
	}
}

static struct note receive_note(const struct end *end, uint32_t kind)
{
	struct note note = { };
	int result;

	for (;;) {
		struct io_uring_sqe *sqe = ring_queue(end->ring);

		sqe->opcode	= IORING_OP_IPC_RECV;
		sqe->fd		= end->id;
		sqe->addr	= (uintptr_t)&note;
		sqe->len	= sizeof(note);
		ring_run(end->ring, &result);

		if (result != -EAGAIN)
			break;
		wait_for(end, POLLIN);
	}
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
static unsigned long send_file(const struct end *end, int fd, uint64_t size)
{
	static char buffers[BATCH][CHUNK_SIZE];
	struct message messages[BATCH];
	unsigned long total = 0;
	uint64_t offset = 0;

	while (offset < size) {
		unsigned int count = 0;

		while (count < BATCH && offset < size) {
			uint64_t left = size - offset;
			uint32_t len = left < CHUNK_SIZE ? left : CHUNK_SIZE;

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
	uint32_t flags, receivers[MAX_RECEIVERS];
	unsigned long i, count, messages;
	struct message last = { };
	struct end data, notes;
	struct ring ring;
	struct stat stat;
	uint64_t key, start;
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

	printf("messages=%lu bytes=%llu start_ns=%llu sleeps=%lu\n", messages,
	       (unsigned long long)stat.st_size, (unsigned long long)start,
	       sleeps);
	ring_close(&ring);
	return 0;
}
