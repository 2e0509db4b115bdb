// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_memory.h"
#include "process.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct site {
	char *name;		/* file:line [module] func:name */
	long long bytes;
	long long calls;
};

struct kernel_memory {
	struct site *sites;
	size_t n_sites;
};

/*
 * Allocators, whose pages are accounted for by what has been allocated from
 * them; address space, which vmalloc takes back in large lots, and the map of
 * all memory, which is split where modules come to lie; pages of user space,
 * whose tests take notes, as the kernel's debugging aids do.
 */
static const char * const keepers[] = {
	"mm/slub.c:", "func:alloc_vmap_area", "func:split_large_page",
	"mm/memory.c:", "mm/kasan/", "mm/kmemleak.c:",
	"lib/stackdepot.c:", "lib/debugobjects.c:", "mm/page_ext.c:",
	"lib/alloc_tag.c:",
};

static bool is_keeper(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keepers); i++)
		if (strstr(name, keepers[i]))
			return true;
	return false;
}

/* Nobody else in this kernel allocates in Rust. */
static bool is_module_site(const char *name)
{
	return strstr(name, "[io_uring_ipc]") ||
	       !strncmp(name, "rust/helpers/", 13);
}

static int add_site(struct kernel_memory *memory, const char *line)
{
	struct site site, *sites;
	int at = 0;

	if (sscanf(line, "%lld %lld %n", &site.bytes, &site.calls, &at) != 2 ||
	    !at)
		return 0;	/* a heading */
	if (is_keeper(line + at))
		return 0;
	if (!(memory->n_sites & (memory->n_sites - 1))) {
		sites = realloc(memory->sites, sizeof(*sites) *
				(memory->n_sites ? 2 * memory->n_sites : 1));
		if (!sites)
			return -ENOMEM;
		memory->sites = sites;
	}
	site.name = strdup(line + at);
	if (!site.name)
		return -ENOMEM;
	memory->sites[memory->n_sites++] = site;
	return 0;
}

static int read_sites(struct kernel_memory *memory)
{
	FILE *file = fopen("/proc/allocinfo", "re");
	char line[512];
	int ret = 0;

	if (!file)
		return -errno;
	while (!ret && fgets(line, sizeof(line), file))
		ret = add_site(memory, line);
	fclose(file);
	return ret;
}

struct kernel_memory *kernel_memory_now(void)
{
	struct kernel_memory *memory = calloc(1, sizeof(*memory));

	if (!memory || !read_sites(memory))
		return memory;
	kernel_memory_free(memory);
	return NULL;
}

void kernel_memory_free(struct kernel_memory *memory)
{
	size_t i;

	for (i = 0; i < memory->n_sites; i++)
		free(memory->sites[i].name);
	free(memory->sites);
	free(memory);
}

/* Mostly the same place as before: only a module's sites come and go. */
static const struct site *find_site(const struct kernel_memory *memory,
				    size_t hint, const char *name)
{
	size_t i, at;

	for (i = 0; i < memory->n_sites; i++) {
		at = (hint + i) % memory->n_sites;
		if (!strcmp(memory->sites[at].name, name))
			return &memory->sites[at];
	}
	return NULL;
}

unsigned int kernel_memory_leaks(const struct kernel_memory *before,
				 const struct kernel_memory *after,
				 unsigned int times, bool name)
{
	const struct site *site, *old;
	unsigned int leaks = 0;
	long long grown;
	size_t i;

	for (i = 0; i < after->n_sites; i++) {
		site = &after->sites[i];
		old = find_site(before, i, site->name);
		grown = site->calls - (old ? old->calls : 0);
		if (grown < times / 2 &&
		    (grown <= 0 || !is_module_site(site->name)))
			continue;
		leaks++;
		if (name)
			printf("# %lld allocations more in %u times: %s", grown,
			       times, site->name);
	}
	return leaks;
}

long long module_bytes(void)
{
	struct kernel_memory memory = {};
	long long sum = 0;
	size_t i;
	int ret;

	ret = read_sites(&memory);
	for (i = 0; i < memory.n_sites; i++) {
		if (is_module_site(memory.sites[i].name))
			sum += memory.sites[i].bytes;
		free(memory.sites[i].name);
	}
	free(memory.sites);
	return ret ?: sum;
}

long long module_references(void)
{
	FILE *file = fopen("/sys/module/io_uring_ipc/refcnt", "re");
	long long count = -1;

	if (!file)
		return -errno;
	if (fscanf(file, "%lld", &count) != 1)
		count = -EIO;
	fclose(file);
	return count;
}

bool module_references_become(long long count)
{
	int i;

	for (i = 0; i < 500; i++) {
		if (module_references() == count)
			return true;
		sleep_ms(10);
	}
	return false;
}
