/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses that are not a program's to name. */
#ifndef FOREIGN_MEMORY_H
#define FOREIGN_MEMORY_H

#include <linux/types.h>

/* No user memory at any of these, with @len bytes from there. */
static const struct { __u64 addr; __u32 len; } foreign[] = {
	{ 0xffff888000000000, 16 },	/* all of physical memory */
	{ 0xff11000000000000, 16 },	/* the same, five page table levels */
	{ 0xffffffff81000000, 16 },	/* the kernel's text */
	{ 0xffffffffff600000, 16 },	/* vsyscall page */
	{ 0xfffffffffffffff8, 16 },	/* wraps round to 0 */
	{ 0xffffffffffffffff, 1 },
	{ 0x8000000000000000, 16 },	/* no address at all */
	{ 0x00007ffffffff000, 16 },	/* first above user space */
	{ 0x00007ffffffffff8, 16 },
	{ 0x00007fffffffeff8, 16 },	/* across its end */
	{ 0x00fffffffffff000, 16 },
	{ 8, 16 },
};

#endif /* FOREIGN_MEMORY_H */
