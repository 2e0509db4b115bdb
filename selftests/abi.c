// SPDX-License-Identifier: GPL-2.0
/*
 * The numbers programs were compiled with: opcodes, flags, sizes and offsets.
 * Built twice, against the system's and against the kernel's io_uring.h.
 */
#include <linux/io_uring_ipc.h>
/* Once more: it has to bear that. */
#include <linux/io_uring_ipc.h>
#include <linux/io_uring.h>

#include <fcntl.h>
#include "plain_fixture.h"

#define SIZE(type, size)						\
	_Static_assert(sizeof(struct type) == (size), #type)
#define AT(type, field, offset)						\
	_Static_assert(offsetof(struct type, field) == (offset),	\
		       #type "." #field)

SIZE(io_uring_ipc_channel_create, 40);
AT(io_uring_ipc_channel_create, flags, 0);
AT(io_uring_ipc_channel_create, ring_entries, 4);
AT(io_uring_ipc_channel_create, max_msg_size, 8);
AT(io_uring_ipc_channel_create, mode, 12);
AT(io_uring_ipc_channel_create, key, 16);
AT(io_uring_ipc_channel_create, channel_id_out, 24);
AT(io_uring_ipc_channel_create, reserved, 28);

SIZE(io_uring_ipc_channel_attach, 48);
AT(io_uring_ipc_channel_attach, channel_id, 0);
AT(io_uring_ipc_channel_attach, flags, 4);
AT(io_uring_ipc_channel_attach, key, 8);
AT(io_uring_ipc_channel_attach, channel_fd, 16);
AT(io_uring_ipc_channel_attach, local_id_out, 20);
AT(io_uring_ipc_channel_attach, mmap_offset_out, 24);
AT(io_uring_ipc_channel_attach, region_size, 32);
AT(io_uring_ipc_channel_attach, reserved, 36);

SIZE(io_uring_ipc_msg_hdr, 48);
AT(io_uring_ipc_msg_hdr, msg_id, 0);
AT(io_uring_ipc_msg_hdr, sender_data, 8);
AT(io_uring_ipc_msg_hdr, len, 16);
AT(io_uring_ipc_msg_hdr, flags, 20);
AT(io_uring_ipc_msg_hdr, sender_id, 24);
AT(io_uring_ipc_msg_hdr, pid, 28);
AT(io_uring_ipc_msg_hdr, uid, 32);
AT(io_uring_ipc_msg_hdr, gid, 36);
AT(io_uring_ipc_msg_hdr, lost, 40);

SIZE(io_uring_ipc_ring, 160);
AT(io_uring_ipc_ring, tail, 0);
AT(io_uring_ipc_ring, head, 64);
AT(io_uring_ipc_ring, version, 128);
AT(io_uring_ipc_ring, ring_entries, 132);
AT(io_uring_ipc_ring, ring_mask, 136);
AT(io_uring_ipc_ring, max_msg_size, 140);
AT(io_uring_ipc_ring, desc_offset, 144);
AT(io_uring_ipc_ring, desc_size, 148);
AT(io_uring_ipc_ring, data_offset, 152);
AT(io_uring_ipc_ring, data_stride, 156);

SIZE(io_uring_ipc_msg_desc, 64);
AT(io_uring_ipc_msg_desc, seq, 0);
AT(io_uring_ipc_msg_desc, sender_data, 8);
AT(io_uring_ipc_msg_desc, offset, 16);
AT(io_uring_ipc_msg_desc, len, 20);
AT(io_uring_ipc_msg_desc, flags, 24);
AT(io_uring_ipc_msg_desc, target, 28);
AT(io_uring_ipc_msg_desc, sender_id, 32);
AT(io_uring_ipc_msg_desc, pid, 36);
AT(io_uring_ipc_msg_desc, uid, 40);
AT(io_uring_ipc_msg_desc, gid, 44);
AT(io_uring_ipc_msg_desc, reserved, 48);

#define VALUE(name, value)						\
	_Static_assert((name) == (value), #name)

VALUE(IORING_OP_IPC_SEND, 65);
VALUE(IORING_OP_IPC_RECV, 66);
VALUE(IORING_REGISTER_IPC_CHANNEL_CREATE, 38);
VALUE(IORING_REGISTER_IPC_CHANNEL_ATTACH, 39);
VALUE(IORING_REGISTER_IPC_CHANNEL_DETACH, 40);
VALUE(IORING_REGISTER_IPC_CHANNEL_DESTROY, 41);
VALUE(IOIPC_MAX_RING_ENTRIES, 32768);
VALUE(IOIPC_MAX_MSG_SIZE, 1048576);
VALUE(IOIPC_RING_VERSION, 1);
VALUE(IOIPC_F_BROADCAST, 1);
VALUE(IOIPC_F_MULTICAST, 2);
VALUE(IOIPC_F_PRIVATE, 4);
VALUE(IOIPC_F_LOSSY, 8);
VALUE(IOIPC_SUB_SEND, 1);
VALUE(IOIPC_SUB_RECV, 2);
VALUE(IOIPC_SUB_BOTH, 3);
VALUE(IOIPC_SUB_REPLAY, 4);
VALUE(IOIPC_SUB_LOSSY, 8);
VALUE(IOIPC_SUB_FROM_FD, 16);
VALUE(IOIPC_SUB_EVENTS, 64);
VALUE(IOIPC_SEND_WAIT, 1);
VALUE(IOIPC_RECV_WAIT, 1);
VALUE(IOIPC_RECV_MULTISHOT, 2);
VALUE(IOIPC_RECV_HDR, 4);
VALUE(IOIPC_RECV_TRUNC, 8);
VALUE(IOIPC_MSG_F_JOIN, 1);
VALUE(IOIPC_MSG_F_LEAVE, 2);
VALUE(IOIPC_MSG_F_SKIP, 0x80000000);
VALUE(IOIPC_IOC_SET_MODE, 0xb900);

/* The kernel's view of the structures: it writes where we look. */
TEST_F(plain, create_layout)
{
	union {
		struct io_uring_ipc_channel_create arg;
		__u32 word[12];
	} u;
	int i;

	memset(&u, 0xa5, sizeof(u));
	memset(&u.arg, 0, 40);
	u.word[1] = 4;
	u.word[2] = 100;
	u.word[3] = 0600;
	u.word[4] = 0x61626901;
	u.word[5] = 0x1;
	ASSERT_EQ(0, ipc_create_arg(&self->ring, &u.arg));
	EXPECT_NE(0, (int)u.word[6]);
	EXPECT_EQ(4, (int)u.word[1]);
	EXPECT_EQ(100, (int)u.word[2]);
	EXPECT_EQ(0600, (int)u.word[3]);
	for (i = 7; i < 10; i++)
		EXPECT_EQ(0, (int)u.word[i]);
	for (; i < 12; i++)
		EXPECT_EQ(0xa5a5a5a5, u.word[i]);
}

TEST_F(plain, attach_layout)
{
	union {
		struct io_uring_ipc_channel_attach arg;
		__u32 word[14];
	} u;
	__u32 id;
	int i;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 100));
	memset(&u, 0xa5, sizeof(u));
	memset(&u.arg, 0, 48);
	u.word[0] = id;
	u.word[1] = 3;
	ASSERT_EQ(0, ipc_attach_arg(&self->ring, &u.arg));
	EXPECT_LE(0, (int)u.word[4]);
	EXPECT_LE(0, fcntl((int)u.word[4], F_GETFD));
	EXPECT_NE(0, (int)u.word[5]);
	EXPECT_EQ(0, ipc_send(&self->ring, u.word[5], NULL, 0, 0));
	EXPECT_EQ(0, (int)(u.word[6] | u.word[7]));
	EXPECT_EQ(0, (int)(u.word[8] % 4096));
	EXPECT_NE(0, (int)u.word[8]);
	for (i = 9; i < 12; i++)
		EXPECT_EQ(0, (int)u.word[i]);
	for (; i < 14; i++)
		EXPECT_EQ(0xa5a5a5a5, u.word[i]);
}

TEST_F(plain, header_layout)
{
	__u64 word[7];
	struct sub rx;
	__u32 id;

	ASSERT_EQ(0, ipc_create(&self->ring, &id, 0, 4, 100));
	ASSERT_EQ(0, ipc_attach(&self->ring, &rx, id, IOIPC_SUB_BOTH));
	prep_send(&self->ring, rx.id, "12345678", 8, 0, 0x1122334455667788);
	ASSERT_EQ(8, ring_one(&self->ring));
	ASSERT_EQ(56, ipc_recv_flags(&self->ring, rx.id, word, sizeof(word),
				     1 << 2));
	EXPECT_EQ(1ULL, word[0]);
	EXPECT_EQ(0x1122334455667788ULL, word[1]);
	EXPECT_EQ(8ULL, word[2]);
	EXPECT_EQ((__u64)getpid() << 32 | rx.id, word[3]);
	EXPECT_EQ((__u64)getgid() << 32 | getuid(), word[4]);
	EXPECT_EQ(0ULL, word[5]);
	EXPECT_EQ(0, memcmp(&word[6], "12345678", 8));
}

/* What a program sees that asks before it uses an opcode. */
TEST_F(plain, probe)
{
	enum { OPS = 256 };
	struct io_uring_probe *probe;

	probe = calloc(1, sizeof(*probe) + OPS * sizeof(probe->ops[0]));
	ASSERT_NE(NULL, probe);
	ASSERT_EQ(0, ipc_register(&self->ring, IORING_REGISTER_PROBE, probe,
				  OPS));
	ASSERT_LE(66, probe->last_op);
	EXPECT_EQ(65, probe->ops[65].op);
	EXPECT_EQ(66, probe->ops[66].op);
	EXPECT_TRUE(probe->ops[65].flags & IO_URING_OP_SUPPORTED);
	EXPECT_TRUE(probe->ops[66].flags & IO_URING_OP_SUPPORTED);
	free(probe);
}

TEST_HARNESS_MAIN
