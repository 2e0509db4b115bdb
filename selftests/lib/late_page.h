/* SPDX-License-Identifier: GPL-2.0 */
/* A page of memory that comes as late as a test wants it, by userfaultfd. */
#ifndef LATE_PAGE_H
#define LATE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#define LATE_PAGE_SIZE	4096

struct late_page {
	char *at;
	int fd;
	bool is_there;		/* to be read: it is only writing that waits */
};

/* Whether the kernel has userfaultfd(2). */
bool late_page_possible(void);

/*
 * A new page. Without @content whoever touches it waits; else it starts with
 * that, and whoever writes to it waits. 0, or -errno.
 */
int late_page_open(struct late_page *page, const void *content, size_t len);

/* Wait until somebody waits: 0, or -ETIMEDOUT after PATIENCE_MS, or -errno. */
int late_page_wait(struct late_page *page);

/*
 * Let those who wait go on: with @content, LATE_PAGE_SIZE bytes, where there was
 * none, or NULL. 0, or -errno.
 */
int late_page_serve(struct late_page *page, const void *content);

/* The memory stays, as it is then. */
void late_page_close(struct late_page *page);

#endif /* LATE_PAGE_H */
