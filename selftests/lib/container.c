// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "container.h"
#include "file.h"
#include "process.h"

#define NO_NAMESPACES	99	/* exit status */

/* Root of a user namespace with nobody else in it. */
static int unshare_as(uid_t uid, gid_t gid, int namespaces)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", uid);
	snprintf(gids, sizeof(gids), "0 %u 1", gid);
	if (become(uid, gid))
		return -errno;
	/* Or its files in /proc are root's. */
	if (prctl(PR_SET_DUMPABLE, 1) ||
	    unshare(CLONE_NEWUSER | namespaces))
		return -errno;
	if (write_file("/proc/self/uid_map", uids) ||
	    write_file("/proc/self/setgroups", "deny") ||
	    write_file("/proc/self/gid_map", gids))
		return -EPERM;
	return 0;
}

pid_t container_start(uid_t uid, gid_t gid, int namespaces)
{
	pid_t pid = child_start();

	if (pid)
		return pid;
	if (unshare_as(uid, gid, namespaces))
		_exit(NO_NAMESPACES);
	/* Of a pid namespace it would be the first process. */
	pid = fork();
	if (pid < 0)
		_exit(NO_NAMESPACES);
	if (pid)
		_exit(child_wait(pid));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static int write_map(pid_t pid, const char *name, unsigned int first,
		     unsigned int count)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	snprintf(map, sizeof(map), "0 %u %u", first, count);
	return write_file(path, map);
}

pid_t container_start_many(unsigned int first, unsigned int count)
{
	struct gate unshared, mapped;
	pid_t pid;

	if (gate_init(&unshared) || gate_init(&mapped))
		return -1;
	pid = child_start();
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(NO_NAMESPACES);
		gate_open(&unshared);
		if (gate_wait(&mapped) || become(0, 0))
			_exit(NO_NAMESPACES);
		return 0;
	}
	if (!gate_wait(&unshared) &&
	    !write_map(pid, "uid_map", first, count) &&
	    !write_map(pid, "gid_map", first, count))
		gate_open(&mapped);
	return pid;
}

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int fd_send(int socket, int fd)
{
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

int fd_receive(int socket)
{
	char c;
	struct iovec byte = { .iov_base = &c, .iov_len = 1 };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	if (control.header.cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}
