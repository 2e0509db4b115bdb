// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "process.h"

int gate_init(struct gate *gate)
{
	return pipe(gate->fd) ? -errno : 0;
}

void gate_open(struct gate *gate)
{
	while (write(gate->fd[1], "", 1) < 0 && errno == EINTR)
		;
}

int gate_wait(struct gate *gate)
{
	struct pollfd pfd = { .fd = gate->fd[0], .events = POLLIN };
	char c;

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	return read(gate->fd[0], &c, 1) == 1 ? 0 : -EPIPE;
}

pid_t child_start(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

int child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

int children_wait(int n)
{
	int ret = 0;

	while (!ret && n--)
		ret = child_wait(-1);
	return ret;
}

bool child_ended(pid_t pid)
{
	siginfo_t info = {};

	/* Also where there is none: nobody is to wait for it. */
	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid;
}

/* State and parent of a process; 0 where it has gone. */
static char look_at(pid_t pid, pid_t *parent)
{
	char path[32], text[512], *name_end, state;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	text[len] = 0;
	/* pid (name) state parent: the name may contain anything. */
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end, ") %c %d", &state, parent) != 2)
		return 0;
	return state;
}

pid_t parent_of(pid_t pid)
{
	pid_t parent;

	return look_at(pid, &parent) ? parent : 0;
}

int asleep_wait(pid_t pid)
{
	unsigned long long until = now_ms() + PATIENCE_MS;
	pid_t parent;

	while (now_ms() < until) {
		if (look_at(pid, &parent) == 'S')
			return 0;
		sleep_ms(1);
	}
	return -ETIMEDOUT;
}

void child_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	child_wait(pid);
}

int become(uid_t uid, gid_t gid)
{
	/* The system calls: the library would do it to every thread. */
	if (syscall(SYS_setgroups, 0, NULL) ||
	    syscall(SYS_setresgid, gid, gid, gid) ||
	    syscall(SYS_setresuid, uid, uid, uid))
		return -errno;
	return 0;
}

int become_capable(uid_t uid, gid_t gid, int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct sets[2] = {};
	int ret;

	if (capability >= 0) {
		sets[capability / 32].effective = 1U << capability % 32;
		sets[capability / 32].permitted = 1U << capability % 32;
	}
	if (prctl(PR_SET_KEEPCAPS, 1))
		return -errno;
	ret = become(uid, gid);
	if (ret)
		return ret;
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

uid_t own_user(void)
{
	/* Above all that any test names. */
	return 1000000 + getpid();
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

unsigned long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void *shared_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
