/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * io_uring IPC channels: the user-space contract.
 *
 * A channel is a ring of messages in the kernel. Programs make, join, leave
 * and end channels with io_uring_register(2), and move messages with the
 * opcodes IORING_OP_IPC_SEND and IORING_OP_IPC_RECV. Every unused field of the
 * structures and of the SQE has to be zero; unknown flags are -EINVAL.
 *
 * Ids are 1 to INT_MAX, those of channels and of subscribers; a @channel_fd is no
 * id. "Ring" is an io_uring here, or where it holds messages a channel's.
 *
 * A payload or a buffer belongs to the kernel until its request completes, as that of
 * a request that waits does. Neither has to be aligned. The completion of a send says
 * that the message is in the channel, not that it was received. It is received once,
 * when it has been copied: with a process that dies, what it has received is gone.
 * What nobody has received stays, on a unicast or multicast channel for whoever comes
 * next. Messages are in memory only, and end with the channel's last user.
 *
 * A ring closes with the last reference to it: descriptors in all processes, and
 * mappings of its queues. exec and exit give up a process's own. A child of fork() has
 * both until it execs or ends: as long as it does, its parent stays attached though
 * it has died, and on a broadcast channel holds senders up. So give queues
 * MADV_DONTFORK (io_uring_ring_dontfork()), and close the descriptor in a child.
 *
 * The queues of a ring have no lock of their own. Whoever submits to a ring may use
 * all its subscribers. The calls, as any of io_uring_register(2), give -EEXIST to a
 * task other than the submitter of an IORING_SETUP_SINGLE_ISSUER ring, and -EACCES
 * where the ring's restrictions do not allow them.
 */
#ifndef _UAPI_LINUX_IO_URING_IPC_H
#define _UAPI_LINUX_IO_URING_IPC_H

#include <linux/io_uring.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Enumerators of these names, which <linux/io_uring.h> of a kernel with the hooks
 * has, are the same numbers; other headers do not know them.
 */
#ifndef IORING_OP_IPC_SEND
#define IORING_OP_IPC_SEND			65
#define IORING_OP_IPC_RECV			66
#define IORING_REGISTER_IPC_CHANNEL_CREATE	38
#define IORING_REGISTER_IPC_CHANNEL_ATTACH	39
#define IORING_REGISTER_IPC_CHANNEL_DETACH	40
#define IORING_REGISTER_IPC_CHANNEL_DESTROY	41
#endif

/* Limits of io_uring_ipc_channel_create. */
#define IOIPC_MAX_RING_ENTRIES	32768
#define IOIPC_MAX_MSG_SIZE	(1 << 20)

/*
 * io_uring_ipc_channel_create.flags. Without BROADCAST and MULTICAST the
 * channel is unicast: each message reaches exactly one receiver, and stays in
 * the ring while there is none.
 *
 * BROADCAST: each message reaches every receiver that is attached. Where there
 *            is none the send succeeds, and nobody gets the message.
 * MULTICAST: as unicast, but wake-ups go round the receivers that wait, where on a
 *            unicast channel the one of them is woken that has attached first. Neither
 *            gives fixed shares: who is awake takes what there is. Not with BROADCAST.
 * PRIVATE:   permission is checked again for every SEND and RECV with the
 *            credentials of the caller, and the region cannot be mapped.
 * LOSSY:     every receiver is as with IOIPC_SUB_LOSSY. With BROADCAST only.
 */
#define IOIPC_F_BROADCAST	(1U << 0)
#define IOIPC_F_MULTICAST	(1U << 1)
#define IOIPC_F_PRIVATE		(1U << 2)
#define IOIPC_F_LOSSY		(1U << 3)

/*
 * io_uring_ipc_channel_attach.flags. At least one of SEND and RECV, and RECV
 * for REPLAY, LOSSY and EVENTS. Who has both receives its own messages too.
 *
 * REPLAY:  a receiver of a broadcast channel starts at the oldest message the
 *          ring still holds, not at the next one sent.
 * LOSSY:   a receiver of a broadcast channel that holds no sender up. A sender
 *          that finds the ring full overruns it: it loses as many of the oldest
 *          messages as it takes for 1/64 of the ring to be free (where there are
 *          many LOSSY receivers, less), and at least one, and goes on with the oldest that is left. How many it has lost
 *          IOIPC_RECV_HDR tells, and fdinfo. A receive that is overrun again and
 *          again while it copies may end with -EAGAIN, also one that waits.
 * FROM_FD: @channel_id is a channel_fd that the caller has inherited or was
 *          given, of an attached subscriber; @key is 0. Who holds that may
 *          send, receive, or both, as its subscriber may, in any IPC namespace
 *          and whatever the channel's mode says (but see PRIVATE): mind whom
 *          you pass it to. -EACCES for more than the subscriber's rights.
 * EVENTS:  a receiver that is told of the subscribers that come and go after it:
 *          a notice for each, IOIPC_MSG_F_JOIN when it has attached, and
 *          IOIPC_MSG_F_LEAVE when it has been detached, however that came.
 *          IORING_OP_IPC_RECV receives them as messages of length 0, so ask for
 *          IOIPC_RECV_HDR. All that were sent before come before a notice, all
 *          that are sent after it come after (but for a message that another
 *          receiver of the channel has taken and, failing, given back). They
 *          take no room in the ring, and none is lost: who attaches pays for
 *          places (-ENOMEM), and where a receiver has left so many unread that
 *          there would be more than 65536 with one for each subscriber's
 *          leaving, nobody else can attach (-ENOSPC). "ipc-notices-slowest" in
 *          the fdinfo of any channel_fd says who it is, for the owner to detach.
 *          After DESTROY they are received before -EPIPE, and others may follow.
 */
#define IOIPC_SUB_SEND		(1U << 0)
#define IOIPC_SUB_RECV		(1U << 1)
#define IOIPC_SUB_BOTH		(IOIPC_SUB_SEND | IOIPC_SUB_RECV)
#define IOIPC_SUB_REPLAY	(1U << 2)
#define IOIPC_SUB_LOSSY		(1U << 3)
#define IOIPC_SUB_FROM_FD	(1U << 4)
/* (1U << 5) is kept for receivers that read the mapping; -EINVAL so far. */
#define IOIPC_SUB_EVENTS	(1U << 6)

/*
 * The SQE of IORING_OP_IPC_SEND.
 *
 * fd:         the id of a subscriber of this ring; or that of a channel in the
 *             submitter's IPC namespace, for whom its mode lets send unattached.
 *             (On a ring with IORING_SETUP_SQPOLL the submitter is the polling
 *             thread, in the namespace in which it was made.)
 * addr, len:  the payload. A message may be empty.
 * file_index: the id of the one receiver it is for, or 0.
 * user_data:  comes back in the completion, and goes with the message, as
 *             @sender_data: every receiver can see it, and all who map the
 *             channel. So let it be no pointer, and set it for each send.
 * ioprio:     IOIPC_SEND_*, below.
 *
 * cqe->res is len. A send that fails has sent nothing:
 *
 * -ENOBUFS:   no room in the channel, without WAIT (but see there).
 * -EMSGSIZE:  longer than @max_msg_size.
 * -EFAULT:    the payload cannot be read.
 * -ENOENT:    fd names neither, or a subscriber that has been detached; or
 *             file_index names no receiver that is attached to the channel.
 * -EACCES:    the subscriber has no right to send; or the channel's mode does not
 *             let the caller, for sends by its id and on PRIVATE channels.
 * -EPIPE:     the channel has been destroyed.
 * -ENOMEM:    for a send that has to wait, or that loses its pages meanwhile.
 *
 * Both opcodes: -EINVAL for what is unknown or has to be 0, and on a ring with
 * IORING_SETUP_IOPOLL, -EBADF with IOSQE_FIXED_FILE, -EOPNOTSUPP where the module
 * is not loaded, or for a send with IOSQE_BUFFER_SELECT, -ENOMEM for a ring that
 * has had nothing to do with channels: as with other opcodes these also end the
 * submission, without IORING_SETUP_SUBMIT_ALL. -ECANCELED as for any request.
 */

/*
 * sqe->ioprio of IORING_OP_IPC_SEND.
 *
 * WAIT: where the ring is full the request waits for room; without it -ENOBUFS.
 *       It may go on waiting until a quarter of the ring is free or has been
 *       received, or there is nothing more for a receiver, or no receiver.
 *       Subscribers whose sends wait are woken in turn, so each has its part of
 *       the room. Once they are woken, up to a quarter of the ring is theirs
 *       until they have used it, a whole ring of messages has been sent, or
 *       nobody receives: sends that do not wait get what is more, or -ENOBUFS.
 *       Messages keep the order in which one task has sent them by one ring: while
 *       a send waits, later ones of the same task, ring and subscriber (or channel,
 *       for sends by its id) wait behind it, or fail with -ENOBUFS. So do those
 *       that come when 1024 of the subscriber wait already; or, by the channel's id,
 *       1024 of all or 256 of the same user.
 */
#define IOIPC_SEND_WAIT		(1U << 0)

/*
 * The SQE of IORING_OP_IPC_RECV.
 *
 * fd:         the id of a subscriber of this ring.
 * addr, len:  the buffer; or with IOSQE_BUFFER_SELECT 0 and the most to use of a
 *             provided one, or 0 for all of it.
 * buf_group:  where to select from, else 0.
 * ioprio:     IOIPC_RECV_*, below.
 *
 * cqe->res is the number of bytes copied (but see TRUNC): a message that is longer
 * than the buffer is cut. Or
 *
 * -EAGAIN:    no message, without WAIT (but see there, and IOIPC_SUB_LOSSY).
 * -EPIPE:     none, and the channel has been destroyed.
 * -EFAULT:    the buffer cannot be written.
 * -ENOBUFS:   no provided buffer, or one at an address that no program can have.
 * -ENOENT:    fd names no subscriber of this ring, or one that has been detached.
 * -EACCES:    it has no right to receive; or, on a PRIVATE channel, the channel's
 *             mode does not let the caller.
 * -ENOMEM:    on PRIVATE broadcast channels.
 */

/*
 * sqe->ioprio of IORING_OP_IPC_RECV. A receive that fails leaves the message for
 * the next one; what is in its buffer then is undefined. A receiver that attaches
 * at that moment may get that message after later ones of the same sender.
 *
 * WAIT:      where there is no message the request waits for one; without it, or
 *            where 1024 of the subscriber wait already, -EAGAIN (with MULTISHOT
 *            in the latter case also where there is one).
 * MULTISHOT: as WAIT, and the request stays: a completion with
 *            IORING_CQE_F_MORE for each message, and IORING_CQE_F_SOCK_NONEMPTY
 *            where the next was there already. Needs IOSQE_BUFFER_SELECT, and
 *            does not go with IOSQE_CQE_SKIP_SUCCESS. Ends with a completion
 *            without MORE: -ENOBUFS where there was a message and no buffer,
 *            any other error, or a message where the completion queue was full.
 * HDR:       the buffer starts with a struct io_uring_ipc_msg_hdr and the
 *            payload follows it; cqe->res counts both. sqe->len, and every
 *            provided buffer, is at least the size of that structure.
 * TRUNC:     cqe->res counts the whole message even where it was cut.
 *
 * A provided buffer that does not have room for the header of HDR ends a receive
 * with -EINVAL; with buffers that are consumed by bytes (IOU_PBUF_RING_INC) give
 * a minimum that has to be left.
 */
#define IOIPC_RECV_WAIT		(1U << 0)
#define IOIPC_RECV_MULTISHOT	(1U << 1)
#define IOIPC_RECV_HDR		(1U << 2)
#define IOIPC_RECV_TRUNC	(1U << 3)

/*
 * struct io_uring_ipc_channel_create - arg of IORING_REGISTER_IPC_CHANNEL_CREATE
 * @flags:		IOIPC_F_*
 * @ring_entries:	messages the ring holds: a power of two, 1 to
 *			IOIPC_MAX_RING_ENTRIES
 * @max_msg_size:	bytes, 1 to IOIPC_MAX_MSG_SIZE
 * @mode:		who may attach and send, as for a file (0666; other bits do
 *			nothing): read is to receive, write is to send
 * @key:		a name other processes attach by, or 0 for none
 * @channel_id_out:	out: the channel's id
 * @reserved:		zero
 *
 * nr_args is 1. The whole region has to fit INT_MAX bytes. The channel lasts
 * until DESTROY, or until the ring that has made it closes, which is the same
 * for all who use it. A call that fails has made nothing:
 *
 * All four calls: -EOPNOTSUPP where there is no module, -ENOMEM for a ring that has
 * had nothing to do with channels.
 *
 * -EINVAL: a field is not as above, or the region is too large.
 * -EFAULT: the structure cannot be read, or written.
 * -ENOMEM: the caller's memory cgroup or RLIMIT_MEMLOCK has no room for it: for the
 *          region, 12 bytes for each entry, and a page. The limit is one for all that
 *          a user's processes have locked in this way.
 * -EDQUOT: the caller (fsuid) has as many channels as a user may (the module's
 *          parameter max_user_channels) and lacks CAP_SYS_RESOURCE in the initial
 *          user namespace. A channel counts until it is destroyed.
 * -EEXIST: the key is taken in the caller's IPC namespace.
 * -ENOSPC: all ids are in use.
 * -ENFILE: so many files are open as the system may have.
 * -EACCES: a security module does not let the caller.
 *
 * IORING_REGISTER_IPC_CHANNEL_DESTROY: arg is NULL, or -EINVAL, and nr_args the
 * channel's id. Takes its id and key away; nothing can be sent any more, and
 * receivers get what is left. -ENOENT where the caller's IPC namespace has no
 * such channel (any more), -EPERM for who is not its owner (fsuid) and lacks
 * CAP_FOWNER over that.
 */
struct io_uring_ipc_channel_create {
	__u32	flags;
	__u32	ring_entries;
	__u32	max_msg_size;
	__u32	mode;
	__u64	key;
	__u32	channel_id_out;
	__u32	reserved[3];
};

/*
 * struct io_uring_ipc_channel_attach - arg of IORING_REGISTER_IPC_CHANNEL_ATTACH
 * @channel_id:		which channel; ignored where @key is not 0. A descriptor
 *			with IOIPC_SUB_FROM_FD
 * @flags:		IOIPC_SUB_*
 * @key:		which channel, by its key, or 0
 * @channel_fd:		out: a close-on-exec file of this subscriber, for
 *			poll(2), mmap(2) and /proc/<pid>/fdinfo
 * @local_id_out:	out: the subscriber's id, for sqe->fd
 * @mmap_offset_out:	out: offset for mmap(2) of the region
 * @region_size:	out: bytes to map
 * @reserved:		zero
 *
 * nr_args is 1. What is out means nothing where the call fails. Closing @channel_fd
 * does not detach; DETACH and closing the ring do.
 *
 * -EINVAL: flags that are unknown or do not go together, REPLAY or LOSSY where the
 *          channel is not a broadcast one, @reserved; or FROM_FD with a @key, or
 *          with a descriptor that is not a channel_fd.
 * -EFAULT: the structure cannot be read, or written.
 * -ENOENT: there is no such channel in the caller's IPC namespace, or none any more;
 *          or the subscriber that FROM_FD names has ended.
 * -EACCES: the channel's mode does not let the caller (see also FROM_FD).
 * -EBADF:  what FROM_FD names is no open descriptor.
 * -ENOSPC: the channel has as many subscribers as it may (the module's parameter
 *          max_subscribers; see also EVENTS), or all ids are in use.
 * -EMFILE: the ring has RLIMIT_NOFILE subscribers, or the process as many files.
 * -ENFILE: so many files are open as the system may have.
 * -ENOMEM: the caller's memory cgroup or RLIMIT_MEMLOCK has no room: a page for each
 *          subscriber, until it is detached and no descriptor, mapping or request
 *          of it is left; and where more
 *          notices have to be kept from now on (see EVENTS), the places of all, up to
 *          2.5 MiB, until there are more again or nobody is told any more.
 *
 * What poll(2) of @channel_fd says, as far as the subscriber has the right:
 *
 * EPOLLIN:  there is a message or a notice for it, which where receivers compete
 *           another one may get first.
 * EPOLLOUT: a send without WAIT would find room.
 * EPOLLHUP: the channel has been destroyed, or the subscriber detached. Messages
 *           that are left after DESTROY are EPOLLIN as well.
 *
 * With EPOLLET they come again when a receive (without WAIT) has found no message
 * since, or a send no room (-ENOBUFS).
 *
 * /proc/<pid>/fdinfo of it has lines "ipc-NAME:" and a value, of the channel and the
 * subscriber; there may be more of them some day. "ipc-entries" and
 * "ipc-max-msg-size" are @ring_entries and @max_msg_size of the channel. "ipc-uid"
 * and "ipc-gid" are its owner, in the reader's user namespace: anybody may be the
 * first to use a key, and whoever attaches by one can look who was before it sends.
 *
 * IORING_REGISTER_IPC_CHANNEL_DETACH: arg is NULL, or -EINVAL, and nr_args the id
 * of one of the ring's subscribers, also after DESTROY. Whoever may DESTROY the
 * channel (its owner, or CAP_FOWNER over it) may also DETACH the subscribers of
 * other rings, where the channel's names are or were visible: a reader that has
 * stopped, say, and holds senders up ("ipc-slowest" in the fdinfo of any
 * channel_fd: where receivers compete, one that has not received the oldest
 * message, which is for it alone). Such a subscriber's requests end with -ENOENT from then on, also
 * those that are under way and still wait for their memory, and so does mmap(2). Its
 * mappings stay; and it may attach again if the channel's mode, or a descriptor
 * that it has of another subscriber, lets it. Its ring still has to DETACH it, for
 * the id to be free. -EPERM without the right, -ENOENT for any other id that names
 * no attached subscriber.
 */
struct io_uring_ipc_channel_attach {
	__u32	channel_id;
	__u32	flags;
	__u64	key;
	__s32	channel_fd;
	__u32	local_id_out;
	__u64	mmap_offset_out;
	__u32	region_size;
	__u32	reserved[3];
};

/*
 * struct io_uring_ipc_msg_hdr - what IOIPC_RECV_HDR puts before the payload
 * @msg_id:		position in the channel, from 1. Goes up by 1 with each of the
 *		channel's messages, and with one whose sender unmaps it, or is
 *		detached, or whose channel is destroyed, while it is being sent:
 *		there are gaps where not all are for this receiver
 * @sender_data:	the sender's sqe->user_data
 * @len:		the message's whole length in bytes
 * @flags:		IOIPC_MSG_F_*
 * @sender_id:		subscriber id of the sender, 0 if it sent by channel id
 * @pid:		the sending process as the receiver sees it, 0 if not visible.
 *		A number: when the process has gone, another may have it
 * @uid:		likewise its real user, the overflow id if not visible
 * @gid:		likewise its real group, the overflow id if not visible
 * @lost:		messages that were for this receiver and that it has lost, since
 *		the last one that it received with a header, or since it
 *		attached: with no receive without a header and no notice in
 *		between, just before this one
 *
 * In a notice (see IOIPC_SUB_EVENTS) @sender_id is the subscriber that has come or
 * gone, @pid, @uid and @gid are of the task that has attached it, @flags says
 * which, and the rest is 0.
 *
 * The sender is the task that has submitted the SQE, as it was when the message
 * went into the ring. A request that is for a worker thread (IOSQE_ASYNC, or in a
 * chain with such a one), or that IOSQE_IO_DRAIN has kept back, keeps the
 * credentials that it was submitted with, as all requests of io_uring do: also for
 * what IOIPC_F_PRIVATE asks, as long as it waits. On a ring with IORING_SETUP_SQPOLL that is a thread of
 * whoever has made the ring, with the credentials of then: also for others who
 * have got hold of the ring. Nobody else's can be claimed; sqe->personality has
 * to be 0.
 */
struct io_uring_ipc_msg_hdr {
	__u64	msg_id;
	__u64	sender_data;
	__u32	len;
	__u32	flags;
	__u32	sender_id;
	__u32	pid;
	__u32	uid;
	__u32	gid;
	__u64	lost;
};

/* io_uring_ipc_msg_hdr.flags */
#define IOIPC_MSG_F_JOIN	(1U << 0)	/* a subscriber has attached */
#define IOIPC_MSG_F_LEAVE	(1U << 1)	/* one has been detached */
/* io_uring_ipc_msg_desc.flags */
#define IOIPC_MSG_F_SKIP	(1U << 31)	/* slot without a message */

/*
 * The region, as mmap(2) of channel_fd shows it: read-only, for receivers. A
 * header page, the descriptors, the payloads; the header says where. mmap(2)
 * fails with
 *
 * EACCES: the subscriber may not receive, the channel is PRIVATE, or the mapping
 *         is to be written. EPERM: it is to be executed.
 * EINVAL: it is longer than @region_size, or @mmap_offset_out is not its offset.
 * ENOENT: the subscriber has been detached.
 *
 * struct io_uring_ipc_ring - the region's first bytes
 * @tail:		the next position to be claimed by a sender; positions
 *			count up for ever, slot = position & @ring_mask
 * @head:		the oldest position still held; what is below it may
 *			be overwritten. It goes up when somebody needs room
 * @version:		IOIPC_RING_VERSION
 * @ring_entries:	slots
 * @ring_mask:		@ring_entries - 1
 * @max_msg_size:	bytes
 * @desc_offset:	where the descriptors start, bytes from the region's start
 * @desc_size:		bytes from one descriptor to the next
 * @data_offset:	where the payloads start, bytes from the region's start
 * @data_stride:	bytes from one slot's payload to the next
 *
 * The mapping shows all that is in the ring, whomever it was sent to. Where
 * that is too much, make the channel IOIPC_F_PRIVATE.
 *
 * A reader of position p loads the @seq of its descriptor (acquire): p + 1
 * says that the message is there. When it has copied the message it loads
 * @head, with a barrier between loads before it: where @head is above p by then
 * the slot may have been written over meanwhile, and what was read is void.
 * With IOIPC_MSG_F_SKIP there is no message at p, and its other fields mean
 * nothing; and one whose @target is not 0 is for that subscriber alone. Reading
 * here receives nothing: on unicast and multicast channels others may have got
 * the message, and on broadcast ones it goes on holding its slot.
 */
struct io_uring_ipc_ring {
	__u64	tail;
	__u8	pad0[56];
	__u64	head;
	__u8	pad1[56];
	__u32	version;
	__u32	ring_entries;
	__u32	ring_mask;
	__u32	max_msg_size;
	__u32	desc_offset;
	__u32	desc_size;
	__u32	data_offset;
	__u32	data_stride;
};

#define IOIPC_RING_VERSION	1

/*
 * ioctl(channel_fd, IOIPC_IOC_SET_MODE, mode): what fchmod(2) would be. Changes
 * @mode of the channel, for its owner or a caller with CAP_FOWNER over it, else
 * -EPERM; any channel_fd of the channel will do. -EINVAL for bits outside 0666,
 * -ENOTTY for any other command.
 * Decides who may attach and who may send by the channel's id from then on, and
 * on PRIVATE channels about every message. Who is attached to another channel
 * keeps its rights, as with an open file: DETACH is for that.
 */
#define IOIPC_IOC_SET_MODE	_IO(0xB9, 0)

/*
 * struct io_uring_ipc_msg_desc - a slot's descriptor, one cache line
 * @seq:		position + 1 once the message is published (release)
 * @sender_data:	the sender's sqe->user_data
 * @offset:		payload's start, bytes from data_offset
 * @len:		payload's length in bytes
 * @flags:		IOIPC_MSG_F_SKIP or 0
 * @target:		subscriber id the message is for, 0 for any
 * @sender_id:		subscriber id of the sender, 0 if it sent by channel id
 * @pid:		0: identities are translated in io_uring_ipc_msg_hdr only
 * @uid:		65534, likewise
 * @gid:		65534, likewise
 * @reserved:		for the kernel; contents mean nothing to a reader
 */
struct io_uring_ipc_msg_desc {
	__u64	seq;
	__u64	sender_data;
	__u32	offset;
	__u32	len;
	__u32	flags;
	__u32	target;
	__u32	sender_id;
	__u32	pid;
	__u32	uid;
	__u32	gid;
	__u64	reserved[2];
};

#endif /* _UAPI_LINUX_IO_URING_IPC_H */
