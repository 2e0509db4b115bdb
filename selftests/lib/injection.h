/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations and user copies of this task that fail because a test wants it:
 * see Documentation/fault-injection/ in the kernel's source.
 */
#ifndef INJECTION_H
#define INJECTION_H

#include <stdbool.h>

/* Once in each task. 0, -ENOENT where the kernel injects nothing, or -errno. */
int injection_open(void);

enum injection {
	ONE_FAILURE,	/* the n-th allocation or copy fails */
	NO_COPIES,	/* every copy from the n-th on fails */
	NO_MEMORY,	/* the n-th copy fails, and all allocations from slabs */
};

/* From now on, counted from 1. With 0 nothing fails. */
void inject(enum injection kind, unsigned int n);

/* No longer. Whether it has come to the n-th; true for 0. */
bool injected(void);

#endif /* INJECTION_H */
