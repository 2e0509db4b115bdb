/* SPDX-License-Identifier: GPL-2.0 */
/* Children in namespaces of their own, as an unprivileged container has them. */
#ifndef CONTAINER_H
#define CONTAINER_H

#include <sys/types.h>

/*
 * As child_start(), in a user namespace of its own, in which it is root: outside
 * it is @uid and @gid. @namespaces (CLONE_NEWIPC, CLONE_NEWPID) are its own as
 * well. Exits with 99 where they cannot be had. What is returned is the parent
 * of the child: it waits for it, and exits as it does.
 */
pid_t container_start(uid_t uid, gid_t gid, int namespaces);

/*
 * As container_start(), for a caller that is root, with the @count users and
 * groups from @first on: the child is the first of them.
 */
pid_t container_start_many(unsigned int first, unsigned int count);

/* Pass a descriptor through a Unix socket: 0, or -errno. */
int fd_send(int socket, int fd);

/* The descriptor, or -errno. */
int fd_receive(int socket);

#endif /* CONTAINER_H */
