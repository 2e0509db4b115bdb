// SPDX-License-Identifier: GPL-2.0
#include "late_page.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

bool late_page_possible(void)
{
	/* The file is there exactly if the system call is. */
	return !access("/proc/sys/vm/unprivileged_userfaultfd", F_OK);
}

static int protect(struct late_page *page, __u64 mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)page->at, LATE_PAGE_SIZE },
		.mode = mode,
	};

	return ioctl(page->fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

int late_page_open(struct late_page *page, const void *content, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = content ? UFFDIO_REGISTER_MODE_WP :
				  UFFDIO_REGISTER_MODE_MISSING,
		.range.len = LATE_PAGE_SIZE,
	};

	page->is_there = content;
	page->at = mmap(NULL, LATE_PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page->at == MAP_FAILED)
		return -errno;
	if (content)
		memcpy(page->at, content, len);
	page->fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (page->fd < 0)
		return -errno;
	reg.range.start = (unsigned long)page->at;
	if (ioctl(page->fd, UFFDIO_API, &api) ||
	    ioctl(page->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return content ? protect(page, UFFDIO_WRITEPROTECT_MODE_WP) : 0;
}

int late_page_wait(struct late_page *page)
{
	struct pollfd pollfd = { .fd = page->fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&pollfd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	if (read(page->fd, &msg, sizeof(msg)) != sizeof(msg))
		return -errno;
	return msg.event == UFFD_EVENT_PAGEFAULT ? 0 : -EPROTO;
}

int late_page_serve(struct late_page *page, const void *content)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)page->at,
		.src = (unsigned long)content,
		.len = LATE_PAGE_SIZE,
	};

	if (page->is_there)
		return protect(page, 0);
	return ioctl(page->fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

void late_page_close(struct late_page *page)
{
	close(page->fd);
}
