// SPDX-License-Identifier: GPL-2.0
/*
 * The module's limits: channels of a user, subscribers of a channel. Runs as
 * root, with the module loaded with max_user_channels=CHANNELS and
 * max_subscribers=SUBSCRIBERS.
 */
#include <fcntl.h>
#include <linux/capability.h>

#include "lib/container.h"
#include "lib/file.h"
#include "ring_fixture.h"

#define CHANNELS	4
#define SUBSCRIBERS	3

#define USER		1000
#define OTHER		2000
#define KEY		0x6c696d697473ULL

static int create(struct ring *ring, __u32 *id)
{
	return ipc_create_key(ring, id, 0, 4, 4, 0666, 0);
}

/* Makes as many as it can, but no more than one too many, and says how many. */
static int create_all(struct ring *ring, __u32 *id)
{
	int n, ret = 0;

	for (n = 0; n <= CHANNELS && !ret; n++)
		ret = create(ring, &id[n]);
	if (!ret)
		return n;
	return ret == -EDQUOT ? n - 1 : -1;
}

/* The exit status of a child with these ids: how many channels it can have. */
static int room_for(uid_t uid, unsigned int setup)
{
	__u32 id[CHANNELS + 1];
	struct ring ring;
	pid_t pid;

	pid = child_start();
	if (!pid) {
		if (become(uid, uid) || ring_open(&ring, setup))
			_exit(100);
		_exit(create_all(&ring, id));
	}
	return child_wait(pid);
}

/* Who may do anything else in a user namespace of its own is the same user. */
static int room_in_container(uid_t uid, unsigned int setup)
{
	__u32 id[CHANNELS + 1];
	struct ring ring;
	pid_t pid;

	pid = container_start(uid, uid, 0);
	if (!pid) {
		if (ring_open(&ring, setup))
			_exit(100);
		_exit(create_all(&ring, id));
	}
	return child_wait(pid);
}

TEST_F(ring, channels_of_a_user)
{
	__u32 *id = shared_alloc(4096);
	struct gate ready, done;
	struct sub sub;
	pid_t pid;

	ASSERT_NE(NULL, id);
	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&done));
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring ring, second;

		ASSERT_EQ(0, become(USER, USER));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ring_open(&second, variant->setup));
		EXPECT_EQ(CHANNELS, create_all(&ring, id));
		EXPECT_EQ(-EDQUOT, create(&second, &id[CHANNELS]));
		/* What goes makes room. */
		EXPECT_EQ(0, ipc_destroy(&ring, id[0]));
		EXPECT_EQ(0, create(&second, &id[0]));
		EXPECT_EQ(-EDQUOT, create(&ring, &id[CHANNELS]));
		ring_close(&second);
		EXPECT_EQ(0, create(&ring, &id[0]));
		EXPECT_EQ(-EDQUOT, create(&ring, &id[CHANNELS]));
		gate_open(&ready);
		gate_wait(&done);
		EXPECT_EQ(1, create_all(&ring, id));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	EXPECT_EQ(0, room_for(USER, variant->setup));
	EXPECT_EQ(0, room_in_container(USER, variant->setup));
	EXPECT_EQ(CHANNELS, room_for(OTHER, variant->setup));
	/* Another's end of it gives it back to the user whose it was. */
	ASSERT_EQ(0, ipc_attach(&self->ring, &sub, id[1], IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_destroy(&self->ring, id[1]));
	/* Although what is left of it is still in use. */
	EXPECT_EQ(-EPIPE, ipc_recv_u32(&self->ring, sub.id));
	gate_open(&done);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(CHANNELS, room_for(USER, variant->setup));
}

TEST_F(ring, root_passes)
{
	__u32 id[3 * CHANNELS];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(id); i++)
		EXPECT_EQ(0, create(&self->ring, &id[i]));
}

/* Not as root, but as one who may exceed limits. */
TEST_F(ring, one_capability_passes)
{
	static const int capabilities[] = {
		CAP_SYS_RESOURCE, CAP_SYS_ADMIN, CAP_IPC_LOCK, CAP_IPC_OWNER,
		CAP_DAC_OVERRIDE, CAP_FOWNER,
	};
	__u32 id[CHANNELS + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++) {
		struct ring ring;
		pid_t pid;

		pid = child_start();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (become_capable(USER, USER, capabilities[i]) ||
			    ring_open(&ring, variant->setup))
				_exit(100);
			_exit(create_all(&ring, id));
		}
		EXPECT_EQ(CHANNELS + (capabilities[i] == CAP_SYS_RESOURCE),
			  child_wait(pid))
			TH_LOG("capability %d", capabilities[i]);
	}
}

/* A call that fails takes nothing. */
TEST_F(ring, failed_calls_do_not_count)
{
	struct io_uring_ipc_channel_create *arg;
	pid_t pid;
	int i;

	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u32 id[CHANNELS + 1];
		struct ring ring;

		ASSERT_EQ(0, become(USER, USER));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		ASSERT_EQ(0, ipc_create_key(&ring, &id[0], 0, 4, 4, 0666, KEY));
		arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, arg);
		arg->ring_entries = 4;
		arg->max_msg_size = 4;
		ASSERT_EQ(0, mprotect(arg, 4096, PROT_READ));
		for (i = 0; i < 2 * CHANNELS; i++) {
			EXPECT_EQ(-EEXIST, ipc_create_key(&ring, &id[1], 0, 4,
							  4, 0666, KEY));
			EXPECT_EQ(-EFAULT, ipc_create_arg(&ring, arg));
		}
		EXPECT_EQ(CHANNELS - 1, create_all(&ring, id));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(ring, subscribers_of_a_channel)
{
	struct ring *ring = &self->ring, other;
	struct sub sub[SUBSCRIBERS], more;
	__u32 id, second;
	int i, fds;

	ASSERT_EQ(0, ring_open(&other, variant->setup));
	ASSERT_EQ(0, create(ring, &id));
	ASSERT_EQ(0, create(ring, &second));
	for (i = 0; i < SUBSCRIBERS; i++)
		ASSERT_EQ(0, ipc_attach(ring, &sub[i], id, IOIPC_SUB_BOTH));
	fds = count_fds();
	/* Root or not: they are looked through one by one. */
	EXPECT_EQ(-ENOSPC, ipc_attach(&other, &more, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOSPC, ipc_attach(&other, &more, sub[0].fd,
				      IOIPC_SUB_RECV | IOIPC_SUB_FROM_FD));
	EXPECT_EQ(fds, count_fds());
	/* Who sends by the channel's id is none. */
	EXPECT_EQ(4, ipc_send_u32(&other, id, 1));
	EXPECT_EQ(0, ipc_attach(&other, &more, second, IOIPC_SUB_BOTH));
	ASSERT_EQ(0, ipc_detach(ring, sub[1].id));
	EXPECT_EQ(0, ipc_attach(&other, &more, id, IOIPC_SUB_BOTH));
	EXPECT_EQ(-ENOSPC, ipc_attach(ring, &sub[1], id, IOIPC_SUB_BOTH));
	/* Also one that the owner has made leave. */
	ASSERT_EQ(0, ipc_detach(ring, more.id));
	EXPECT_EQ(0, ipc_attach(ring, &sub[1], id, IOIPC_SUB_BOTH));
	ring_close(&other);
}

/* The kernel's own limit of files, which root passes. */
#define FILE_MAX	"/proc/sys/fs/file-max"

TEST_F(ring, files_of_all)
{
	char before[32] = "";
	struct gate ready, go;
	struct sub sub;
	pid_t pid;
	__u32 id;
	int fd;

	ASSERT_EQ(0, gate_init(&ready));
	ASSERT_EQ(0, gate_init(&go));
	ASSERT_EQ(0, create(&self->ring, &id));
	fd = open(FILE_MAX, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, before, sizeof(before) - 1));
	close(fd);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ring ring;
		int fds;

		ASSERT_EQ(0, become(USER, USER));
		ASSERT_EQ(0, ring_open(&ring, variant->setup));
		fds = count_fds();
		gate_open(&ready);
		ASSERT_EQ(0, gate_wait(&go));
		EXPECT_EQ(-ENFILE, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		gate_open(&ready);
		ASSERT_EQ(0, gate_wait(&go));
		EXPECT_EQ(fds, count_fds());
		EXPECT_EQ(0, ipc_attach(&ring, &sub, id, IOIPC_SUB_BOTH));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, write_file(FILE_MAX, "1"));
	gate_open(&go);
	EXPECT_EQ(0, gate_wait(&ready));
	ASSERT_EQ(0, write_file(FILE_MAX, before));
	/* Nothing of it is attached. */
	EXPECT_EQ(0, ipc_attach(&self->ring, &sub, id, IOIPC_SUB_RECV));
	EXPECT_EQ(1, fdinfo_value(sub.fd, "ipc-subscribers"));
	gate_open(&go);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN
