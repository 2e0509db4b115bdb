// SPDX-License-Identifier: GPL-2.0
/*
 * supervise [-t seconds] [-c file] [-s reason]... [-u] [-r role] program [argument]...
 *
 * Runs one test program, passes its KTAP on, and looks at the kernel's log
 * after each result: lines that mean trouble make that result "not ok", and so
 * do lines that were lost. A program that takes too long is killed with all it
 * started, and one that yields no result, or fewer than it announced, counts as
 * a failure. So does one that ends otherwise than its results say, and one that
 * leaves a process nobody can kill. So does a skipped test, unless its reason
 * contains one of those given with -s. With -u lines that programs have written
 * to the kernel's log count, too. With -r the program is run by a user without
 * rights ("user"), or by one who is root in namespaces of its own ("container").
 *
 * "passed failed skipped" is written to the file. The exit status is 0 if none
 * failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/container.h"
#include "lib/process.h"

#define NOBODY	1000	/* a user without rights */

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const char * const trouble[] = {
	/* No test in C has anybody killed for want of memory. */
	"Call Trace",
#include "log_trouble.h"
};

#define SLOW_MS	1000	/* a case that takes longer is remarked on */

static const char *excuses[16];
static unsigned int n_excuses;
static const char *program;
static unsigned int passed, failed, skipped, planned;
static unsigned int results;	/* that the program has told */
static unsigned int admitted;	/* failures among them */
static unsigned long long last;	/* when the last result came */
static bool users_count;
static int kmsg = -1;
static const char *role;	/* NULL: whoever we are */

static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	fflush(stdout);
}

/* A failure that is no test's. */
static void complain(const char *fmt, ...)
{
	va_list args;

	printf("not ok - %s # ", program);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	say("\n");
	failed++;
}

/* Opens at what comes next. */
static void open_log(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

static bool is_trouble(const char *line)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(trouble); i++)
		if (strstr(line, trouble[i]))
			return true;
	return false;
}

/*
 * A race that KCSAN reports is trouble where this project's module is one of the
 * innermost functions on either side: with strict rules the rest of the kernel has
 * a good many, also below what the module calls.
 */
static bool means_trouble(const char *line)
{
	enum { INNERMOST = 4 };
	static bool in_report, of_module;
	static unsigned int frames;

	if (strstr(line, "BUG: KCSAN")) {
		in_report = true;
		of_module = false;
		/* The line itself names the innermost. */
		frames = 1;
	}
	if (!in_report)
		return is_trouble(line);
	if (strstr(line, " bytes by "))
		frames = INNERMOST + 1;
	if (frames) {
		frames--;
		of_module |= strstr(line, "[io_uring_ipc]") != NULL;
	}
	if (strncmp(line, "=====", 5))
		return false;
	in_report = false;
	return of_module;
}

/* What the log has told since the last result, and whether it means trouble. */
static struct {
	char text[1 << 18];
	size_t used;
	bool bad;
} news;

static void note(const char *line)
{
	if (news.used + strlen(line) + 16 < sizeof(news.text))
		news.used += sprintf(news.text + news.used, "# kernel: %s\n",
				     line);
}

/* Often enough, for the kernel writes over what is old. */
static void read_log(void)
{
	char record[8192], *text, *end;
	ssize_t len;

	for (;;) {
		len = read(kmsg, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE) {
			/* Nobody knows what it said. */
			note("(written over before it was read)");
			news.bad = true;
			continue;
		}
		if (len <= 0)
			break;
		record[len] = 0;
		/* Priority and facility; the kernel's own is 0. */
		if (atoi(record) >> 3 && !users_count)
			continue;
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		end = strchr(text, '\n');
		if (end)
			*end = 0;
		news.bad |= means_trouble(text);
		note(text);
	}
}

/*
 * Whether there was trouble since the last result. If so, all of the log is
 * shown: a report has many lines and only some have such a word.
 */
static bool log_has_trouble(void)
{
	bool bad;

	read_log();
	bad = news.bad;
	if (bad)
		say("%.*s", (int)news.used, news.text);
	news.used = 0;
	news.bad = false;
	return bad;
}

static bool excused(const char *line)
{
	unsigned int i;

	for (i = 0; i < n_excuses; i++)
		if (strstr(line, excuses[i]))
			return true;
	return false;
}

/* A result line: judge it, and pass on what it became. */
static void result(const char *line)
{
	bool ok = !strncmp(line, "ok ", 3);
	const char *rest = line + (ok ? 3 : 7);
	const char *skip = strstr(line, "# SKIP");

	results++;
	admitted += !ok;
	if (log_has_trouble()) {
		say("not ok %s # the kernel complained\n", rest);
		failed++;
	} else if (skip && !excused(skip)) {
		say("not ok %s # unexpected skip\n", rest);
		failed++;
	} else {
		say("%s\n", line);
		if (skip)
			skipped++;
		else if (ok)
			passed++;
		else
			failed++;
	}
	if (now_ms() - last > SLOW_MS)
		say("# that took %llu ms\n", now_ms() - last);
	last = now_ms();
}

static void take_line(const char *line)
{
	if (!strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7)) {
		result(line);
		return;
	}
	sscanf(line, "1..%u", &planned);
	say("%s\n", line);
}

/* Split what was read into lines; the rest is kept for the next read. */
static bool take_output(int fd)
{
	static char buf[65536];
	static size_t used;
	char *start = buf, *end;
	ssize_t len;

	len = read(fd, buf + used, sizeof(buf) - 1 - used);
	if (len <= 0)
		return false;
	used += len;
	buf[used] = 0;
	while ((end = memchr(start, '\n', buf + used - start))) {
		*end = 0;
		take_line(start);
		start = end + 1;
	}
	used -= start - buf;
	memmove(buf, start, used);
	if (used == sizeof(buf) - 1)
		used = 0;
	return true;
}

/* Orphans come to us: kill our children until there are none. */
static void kill_all(void)
{
	unsigned long long until = now_ms() + 10000;
	struct dirent *entry;
	pid_t pid;
	DIR *dir;

	for (;;) {
		dir = opendir("/proc");
		while (dir && (entry = readdir(dir))) {
			pid = atoi(entry->d_name);
			if (pid > 0 && parent_of(pid) == getpid())
				kill(pid, SIGKILL);
		}
		if (dir)
			closedir(dir);
		do {
			pid = waitpid(-1, NULL, WNOHANG);
		} while (pid > 0);
		if (pid < 0)
			return;
		if (now_ms() >= until)
			break;
		usleep(2000);
	}
	complain("processes that do not die are left behind");
}

/* The harness ends with 0 if no test failed. */
static void judge_end(int status)
{
	if (WIFSIGNALED(status))
		complain("killed by signal %d", WTERMSIG(status));
	else if (!WEXITSTATUS(status) != !admitted)
		complain("exit status %d after %u failed tests",
			 WEXITSTATUS(status), admitted);
}

/*
 * The program, for one who may neither go where it lies nor read it there: a home
 * directory lets nobody else in. Negative: it cannot be had.
 */
static int copy_of(const char *path)
{
	const char *name = strrchr(path, '/');
	int from, to;
	ssize_t n;

	from = open(path, O_RDONLY | O_CLOEXEC);
	to = memfd_create(name ? name + 1 : path, MFD_CLOEXEC | MFD_EXEC);
	if (from < 0 || to < 0)
		return -1;
	do {
		n = sendfile(to, from, NULL, 1 << 20);
	} while (n > 0);
	close(from);
	return n || fchmod(to, 0755) ? -1 : to;
}

/* In the child that becomes the program; returns where it is that, or not at all. */
static void play_role(void)
{
	pid_t pid;

	if (!strcmp(role, "user") && !become(NOBODY, NOBODY))
		return;
	if (!strcmp(role, "container")) {
		pid = container_start(NOBODY, NOBODY, CLONE_NEWIPC);
		if (!pid)
			return;
		_exit(child_wait(pid));
	}
	_exit(127);
}

static void run(char **argv, unsigned int seconds)
{
	unsigned long long until = now_ms() + seconds * 1000ULL;
	struct pollfd pfd = { .events = POLLIN };
	bool ended = false;
	int out[2], status = 0, copy;
	pid_t pid;

	last = now_ms();
	if (pipe(out))
		return;
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		if (!role) {
			execv(argv[0], argv);
			_exit(127);
		}
		copy = copy_of(argv[0]);
		play_role();
		fexecve(copy, argv, environ);
		fprintf(stderr, "# no program in memory: %s\n",
			strerror(errno));
		_exit(127);
	}
	close(out[1]);
	pfd.fd = out[0];
	/* Not until end of file: a stuck child may hold the pipe open. */
	while (!ended && now_ms() < until) {
		if (poll(&pfd, 1, 50) > 0 && !take_output(out[0]))
			pfd.fd = -1;
		read_log();
		ended = waitpid(pid, &status, WNOHANG) == pid;
	}
	kill_all();
	/* Nobody writes any more. */
	while (poll(&pfd, 1, 0) > 0 && take_output(out[0]))
		;
	close(out[0]);
	if (ended)
		judge_end(status);
	else
		complain("took more than %u seconds, killed", seconds);
}

int main(int argc, char **argv)
{
	unsigned int seconds = 120;
	const char *counts = NULL;
	FILE *file;
	int opt;

	while ((opt = getopt(argc, argv, "+t:c:s:ur:")) != -1) {
		if (opt == 't')
			seconds = atoi(optarg);
		else if (opt == 'c')
			counts = optarg;
		else if (opt == 's' && n_excuses < ARRAY_SIZE(excuses))
			excuses[n_excuses++] = optarg;
		else if (opt == 'u')
			users_count = true;
		else if (opt == 'r')
			role = optarg;
		else
			return 2;
	}
	if (optind >= argc)
		return 2;
	program = argv[optind];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	open_log();
	if (kmsg < 0)
		complain("/dev/kmsg: %s", strerror(errno));
	run(argv + optind, seconds);

	/* What a program leaves to workers of the kernel shows a bit later. */
	usleep(50000);
	if (log_has_trouble())
		complain("the kernel complained after the last test");
	if (results != planned || !planned)
		complain("%u results of %u", results, planned);
	if (counts) {
		file = fopen(counts, "w");
		if (!file || fprintf(file, "%u %u %u\n", passed, failed,
				     skipped) < 0 ||
		    fclose(file))
			return 2;
	}
	return failed ? 1 : 0;
}
