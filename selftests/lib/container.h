/* SPDX-License-Identifier: GPL-2.0 */
/* Children in namespaces of their own, as an unprivileged container has them. */
#ifndef CONTAINER_H
#define CONTAINER_H

#include <sys/types.h>

/*
 * As child_start(), with user, IPC and pid namespaces of its own, in which it is
 * root: outside it is @uid and @gid, which nobody else's ids map to. Exits with
 * 99 where namespaces cannot be had. What is returned is the parent of the child:
 * it waits for it, and exits and dies as it does.
 */
pid_t container_start(uid_t uid, gid_t gid);

/* Pass a descriptor through a Unix socket: 0, or -errno. */
int fd_send(int socket, int fd);

/* The descriptor, or -errno. */
int fd_receive(int socket);

#endif /* CONTAINER_H */
