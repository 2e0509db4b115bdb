// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "injection.h"

#define DEBUGFS	"/sys/kernel/debug/"
#define MANY	64	/* copies; more than anything here retries */

static int fail_nth = -1;	/* /proc/thread-self/fail-nth */
static int make_it_fail = -1;	/* /proc/thread-self/make-it-fail */
static enum injection kind;
static unsigned int nth;
static unsigned int wanted;	/* copies that are to fail */

static long long read_number(const char *path)
{
	char text[32] = {};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long long ret = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		ret = -errno;
	close(fd);
	return ret ?: strtoll(text, NULL, 10);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void set(const char *knob, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s", knob);
	must(!write_file(path, text), path);
}

static void set_number(const char *knob, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	set(knob, text);
}

int injection_open(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	char knob[64];
	unsigned int i;

	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth < 0)
		return -errno;
	make_it_fail = open("/proc/thread-self/make-it-fail",
			    O_RDWR | O_CLOEXEC);
	if (make_it_fail < 0)
		return -errno;
	for (i = 0; i < 3; i++) {
		snprintf(knob, sizeof(knob), DEBUGFS "%s/verbose", kinds[i]);
		if (access(knob, W_OK))
			return -errno;
		/* No report of each: tests look for reports in the log. */
		snprintf(knob, sizeof(knob), "%s/verbose", kinds[i]);
		set(knob, "0");
		snprintf(knob, sizeof(knob), "%s/probability", kinds[i]);
		set(knob, "0");
		snprintf(knob, sizeof(knob), "%s/task-filter", kinds[i]);
		set(knob, "Y");
	}
	/* Of any size, and those that may sleep, too. */
	set("failslab/ignore-gfp-wait", "N");
	set("failslab/times", "-1");
	set("fail_page_alloc/ignore-gfp-wait", "N");
	set("fail_page_alloc/ignore-gfp-highmem", "N");
	set("fail_page_alloc/min-order", "0");
	return 0;
}

static void start_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	must(pwrite(fail_nth, text, len, 0) == len, "fail-nth");
}

static bool stop_nth(void)
{
	char text[16] = {};
	bool hit;

	/* Where reading fails it was this copy's turn, and no other's. */
	hit = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	while (pwrite(fail_nth, "0", 1, 0) != 1)
		must(errno == EFAULT, "fail-nth");
	return hit;
}

static void start_copies(unsigned int n)
{
	wanted = kind == NO_COPIES ? MANY : 1;
	set_number("fail_usercopy/times", wanted);
	set_number("fail_usercopy/space", n);
	set_number("fail_usercopy/probability", 100);
	if (kind == NO_MEMORY)
		set_number("failslab/probability", 100);
	must(pwrite(make_it_fail, "1", 1, 0) == 1, "make-it-fail");
}

static bool stop_copies(void)
{
	unsigned int own = 0;
	long long left;

	/* The copy of what is written here may be one that fails. */
	while (pwrite(make_it_fail, "0", 1, 0) != 1) {
		must(errno == EFAULT, "make-it-fail");
		own++;
	}
	set("fail_usercopy/probability", "0");
	set("failslab/probability", "0");
	left = read_number(DEBUGFS "fail_usercopy/times");
	must(left >= 0, "fail_usercopy/times");
	return left + own < wanted;
}

void inject(enum injection wanted_kind, unsigned int n)
{
	kind = wanted_kind;
	nth = n;
	if (!n)
		return;
	if (kind == ONE_FAILURE)
		start_nth(n);
	else
		start_copies(n);
}

bool injected(void)
{
	if (!nth)
		return true;
	return kind == ONE_FAILURE ? stop_nth() : stop_copies();
}
