/* SPDX-License-Identifier: GPL-2.0 */
/* Children of a test, and how they wait for each other. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define PATIENCE_MS	60000	/* what has not come by then is lost */

/* A gate lets as many waits pass as it was opened times. */
struct gate {
	int fd[2];
};

int gate_init(struct gate *gate);
void gate_open(struct gate *gate);

/* 0, or -ETIMEDOUT after PATIENCE_MS. */
int gate_wait(struct gate *gate);

/* As fork(), and the child dies with its parent. */
pid_t child_start(void);

/* The child's exit status, or 128 and the signal that ended it. */
int child_wait(pid_t pid);

/*
 * Wait for @n children, whichever end first: 0, or the status of the first that
 * fails, for others may wait for it.
 */
int children_wait(int n);

/* Whether it has ended, which child_wait() is still to be asked for. */
bool child_ended(pid_t pid);

/*
 * Wait for a process to sleep, which has but one call left to do so in: 0, or
 * -ETIMEDOUT after PATIENCE_MS. What wakes it is for the caller to do.
 */
int asleep_wait(pid_t pid);

/* The parent of any process, 0 where that has gone. */
pid_t parent_of(pid_t pid);

/* kill -9 and wait. */
void child_kill(pid_t pid);

/* Give up root for good: real, effective, saved and fs ids, no groups. */
int become(uid_t uid, gid_t gid);

/* As become(), but one capability stays (CAP_*), or none (-1). */
int become_capable(uid_t uid, gid_t gid, int capability);

/*
 * A user that nobody else is, for what the kernel counts for each user. Another
 * one in each process: a test asks before it has children.
 */
uid_t own_user(void);

void sleep_ms(unsigned int ms);

/* Milliseconds of the monotonic clock. */
unsigned long long now_ms(void);

/* Zeroed memory shared with children forked later. */
void *shared_alloc(size_t size);

/* How many descriptors this process has open. */
int count_fds(void);

#endif /* PROCESS_H */
