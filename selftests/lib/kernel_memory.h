/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel and the module hold, to see whether something stays behind. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include <stdbool.h>

/*
 * Bytes that the module has allocated and not freed, its Rust and its C: exact,
 * from /proc/allocinfo. -ENOENT where the kernel does not count.
 */
long long module_bytes(void);

/* How many references keep the module loaded, or -errno. */
long long module_references(void);

/* Whether they become so many: requests and rings end a little late. */
bool module_references_become(long long count);

/* What each place in the kernel's source has allocated and not freed. */
struct kernel_memory;

/* NULL where it cannot be read. */
struct kernel_memory *kernel_memory_now(void);
void kernel_memory_free(struct kernel_memory *memory);

/*
 * Something was done @times times between the two: how many places have at
 * least half as many allocations more, or, in the module, any. @name says which
 * they are on standard output.
 */
unsigned int kernel_memory_leaks(const struct kernel_memory *before,
				 const struct kernel_memory *after,
				 unsigned int times, bool name);

#endif /* KERNEL_MEMORY_H */
