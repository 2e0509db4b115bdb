// SPDX-License-Identifier: GPL-2.0
/* How supervise judges programs that end otherwise than their results say. */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/process.h"

#define ONE_OK		"echo 1..1; echo ok 1 a; echo '# Totals: pass:1';"
#define ONE_NOT_OK	"echo 1..1; echo not ok 1 a; echo '# Totals: fail:1';"

FIXTURE(program)
{
	char supervise[PATH_MAX];
	char home[32];		/* where nobody else may go */
	char shell[64];		/* the shell that lies there */
	int counts;
};

FIXTURE_VARIANT(program)
{
	const char *script;
	const char *role;
	unsigned int passed;
	unsigned int failed;
};

FIXTURE_VARIANT_ADD(program, passes)
{
	.script = ONE_OK "exit 0",
	.passed = 1,
};

FIXTURE_VARIANT_ADD(program, fails)
{
	.script = ONE_NOT_OK "exit 1",
	.failed = 1,
};

/* One that stays behind and has the output open: it is killed. */
FIXTURE_VARIANT_ADD(program, leaves_another)
{
	.script = ONE_OK "sleep 1000 & exit 0",
	.passed = 1,
};

FIXTURE_VARIANT_ADD(program, closes_its_output)
{
	.script = ONE_OK "exec >&- 2>&-; sleep 0.2; exit 0",
	.passed = 1,
};

FIXTURE_VARIANT_ADD(program, exits_with_1_after_its_totals)
{
	.script = ONE_OK "exit 1",
	.passed = 1,
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, is_killed_after_its_totals)
{
	.script = ONE_OK "kill -KILL $$",
	.passed = 1,
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, hangs_after_its_totals)
{
	.script = ONE_OK "sleep 1000",
	.passed = 1,
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, exits_with_0_after_a_failure)
{
	.script = ONE_NOT_OK "exit 0",
	.failed = 2,
};

/* A result too many, and a failure that its exit status does not tell. */
FIXTURE_VARIANT_ADD(program, fails_after_its_totals)
{
	.script = ONE_OK "echo not ok 2 b; exit 0",
	.passed = 1,
	.failed = 3,
};

FIXTURE_VARIANT_ADD(program, announces_two)
{
	.script = "echo 1..2; echo ok 1 a; exit 0",
	.passed = 1,
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, says_nothing)
{
	.script = "exit 0",
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, skips)
{
	.script = "echo 1..1; echo 'ok 1 a # SKIP for no reason'; exit 0",
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, hangs_at_once)
{
	.script = "exec sleep 1000",
	.failed = 2,
};

/* Its success is none where the kernel's log has trouble before it. */
FIXTURE_VARIANT_ADD(program, has_the_kernel_complain)
{
	.script = "echo 'WARNING: planted' >/dev/kmsg;" ONE_OK "exit 0",
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, has_the_kernel_talk)
{
	.script = "echo 'nothing planted' >/dev/kmsg;" ONE_OK "exit 0",
	.passed = 1,
};

#define RACE(frames)							\
	"{ echo 'BUG: KCSAN: data-race in a / b'; echo;"			\
	"echo 'read to 0x1 of 4 bytes by task 1 on cpu 0:';" frames		\
	"echo ' io_issue+0x1 [io_uring_ipc]'; echo; echo =====; } |"		\
	"while read -r line; do echo \"$line\" >/dev/kmsg; done;"

/* A race counts where the module is near. */
FIXTURE_VARIANT_ADD(program, has_the_module_race)
{
	.script = RACE("echo ' f+0x1'; echo ' g+0x1'; echo ' h+0x1';") ONE_OK
		  "exit 0",
	.failed = 1,
};

FIXTURE_VARIANT_ADD(program, has_others_race)
{
	.script = RACE("echo ' f+0x1'; echo ' g+0x1'; echo ' h+0x1';"
		       "echo ' i+0x1';") ONE_OK "exit 0",
	.passed = 1,
};

#define STATUS_HAS(line)						\
	"grep -q '" line "' /proc/self/status || exit 3;"
#define UID_MAP_IS(map)							\
	"read a b c </proc/self/uid_map; [ $a.$b.$c = " map " ] || exit 3;"

FIXTURE_VARIANT_ADD(program, is_a_user)
{
	.script = STATUS_HAS("^Uid:.1000.1000.1000") STATUS_HAS("^CapEff:.0*$")
		  ONE_OK "exit 0",
	.role = "user",
	.passed = 1,
};

FIXTURE_VARIANT_ADD(program, is_root_of_a_container)
{
	.script = UID_MAP_IS("0.1000.1") STATUS_HAS("^Uid:.0.0.0") ONE_OK
		  "exit 0",
	.role = "container",
	.passed = 1,
};

FIXTURE_VARIANT_ADD(program, fails_in_a_container)
{
	.script = ONE_NOT_OK "exit 1",
	.role = "container",
	.failed = 1,
};

/* Not run at all: no result, and an exit status that is none of the program's. */
FIXTURE_VARIANT_ADD(program, has_a_role_that_there_is_not)
{
	.script = ONE_OK "exit 0",
	.role = "none",
	.failed = 2,
};

FIXTURE_SETUP(program)
{
	ssize_t len = readlink("/proc/self/exe", self->supervise,
			       sizeof(self->supervise) - 1);
	pid_t pid;

	ASSERT_LT(0, len);
	self->supervise[len] = 0;
	strcat(dirname(self->supervise), "/supervise");
	snprintf(self->home, sizeof(self->home), "/tmp/ipc-home.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->home));
	snprintf(self->shell, sizeof(self->shell), "%s/sh", self->home);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		execlp("install", "install", "-m", "700", "/bin/sh",
		       self->shell, NULL);
		_exit(127);
	}
	ASSERT_EQ(0, child_wait(pid));
	/* Not closed on exec: it is written by that name. */
	self->counts = memfd_create("counts", 0);
	ASSERT_LE(0, self->counts);
}

FIXTURE_TEARDOWN(program)
{
	unlink(self->shell);
	rmdir(self->home);
	close(self->counts);
}

TEST_F(program, is_judged)
{
	unsigned int passed, failed, skipped;
	char path[32], text[64] = "";
	pid_t pid;
	int n;

	snprintf(path, sizeof(path), "/dev/fd/%d", self->counts);
	pid = child_start();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Its results are none of ours. */
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		/* What is planted in the log counts here, and nowhere else. */
		if (variant->role)
			execl(self->supervise, "supervise", "-t", "5", "-u",
			      "-r", variant->role, "-c", path, self->shell,
			      "-c", variant->script, NULL);
		else
			execl(self->supervise, "supervise", "-t", "5", "-u",
			      "-c", path, "/bin/sh", "-c", variant->script,
			      NULL);
		_exit(127);
	}
	EXPECT_EQ(variant->failed ? 1 : 0, child_wait(pid));
	ASSERT_LT(0, pread(self->counts, text, sizeof(text) - 1, 0));
	n = sscanf(text, "%u %u %u", &passed, &failed, &skipped);
	ASSERT_EQ(3, n);
	EXPECT_EQ(variant->passed, passed);
	EXPECT_EQ(variant->failed, failed);
	EXPECT_EQ(0U, skipped);
}

TEST_HARNESS_MAIN
