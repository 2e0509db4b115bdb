// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ipc_namespace.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/pagemap.h>
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "helpers.h"

/* User memory. */

bool helper_access_ok(u64 addr, size_t len)
{
	return access_ok(u64_to_user_ptr(addr), len);
}

/*
 * The copies do not sleep. Both return the bytes that were not copied. The
 * caller has called access_ok().
 *
 * Faults are injected here where the kernel's functions do not do it.
 */
size_t helper_copy_from_user_nofault(void *dst, u64 src, size_t len)
{
	const void __user *from = u64_to_user_ptr(src);
	size_t left;

	if (should_fail_usercopy())
		return len;
	/* Not to be speculated past the caller's access_ok(). */
	if (can_do_masked_user_access())
		from = mask_user_address(from);
	else
		barrier_nospec();
	pagefault_disable();
	left = __copy_from_user_inatomic(dst, from, len);
	pagefault_enable();
	return left;
}

size_t helper_copy_to_user_nofault(u64 dst, const void *src, size_t len)
{
	size_t left;

	pagefault_disable();
	/* The cell may be another message's by now, which is seen afterwards. */
	left = data_race(__copy_to_user_inatomic(u64_to_user_ptr(dst), src, len));
	pagefault_enable();
	return left;
}

/* fault_in_readable() for what mostly lies in one page or two. */
size_t helper_fault_in_readable(u64 addr, size_t len)
{
	const char __user *start = u64_to_user_ptr(addr);
	char byte;

	if (should_fail_usercopy())
		return len;
	if (len - 1 >= PAGE_SIZE || !user_read_access_begin(start, len))
		return fault_in_readable(start, len);

	unsafe_get_user(byte, start, fault);
	unsafe_get_user(byte, start + len - 1, fault);
	user_read_access_end();
	(void)byte;
	return 0;
fault:
	user_read_access_end();
	return len;
}

size_t helper_fault_in_writeable(u64 addr, size_t len)
{
	if (should_fail_usercopy())
		return len;
	return fault_in_writeable(u64_to_user_ptr(addr), len);
}

/* Whether that would not sleep, now. */
bool helper_is_writeable(u64 addr, size_t len)
{
	size_t left;

	if (should_fail_usercopy())
		return false;
	pagefault_disable();
	left = fault_in_writeable(u64_to_user_ptr(addr), len);
	pagefault_enable();
	return !left;
}

/* Anonymous files and their inodes. */

struct file *helper_anon_file(const char *name,
			      const struct file_operations *fops, void *priv,
			      int flags)
{
	return anon_inode_getfile_fmode(name, fops, priv, flags, FMODE_NOWAIT);
}

struct file *helper_anon_file_own_inode(const char *name,
					const struct file_operations *fops,
					int flags)
{
	return anon_inode_create_getfile(name, fops, NULL, flags, NULL);
}

/* A dentry holds its inode. */
struct dentry *helper_file_dentry_get(struct file *file)
{
	return dget(file->f_path.dentry);
}

void helper_dentry_put(struct dentry *dentry)
{
	dput(dentry);
}

struct inode *helper_dentry_inode(struct dentry *dentry)
{
	return d_inode(dentry);
}

void helper_inode_set_mode(struct inode *inode, umode_t mode)
{
	inode->i_mode = (inode->i_mode & S_IFMT) | (mode & 0777);
}

int helper_inode_permission(struct inode *inode, int mask)
{
	return inode_permission(&nop_mnt_idmap, inode, mask);
}

struct helper_owner helper_inode_owner(const struct inode *inode)
{
	struct user_namespace *ns = current_user_ns();

	return (struct helper_owner) {
		.uid = from_kuid_munged(ns, inode->i_uid),
		.gid = from_kgid_munged(ns, inode->i_gid),
		.mode = READ_ONCE(inode->i_mode) & 0777,
	};
}

bool helper_inode_owner_or_capable(struct inode *inode)
{
	return inode_owner_or_capable(&nop_mnt_idmap, inode);
}

/*
 * As chmod() of a file in memory. Not by notify_change(): the operations of an
 * anonymous inode refuse it.
 */
int helper_dentry_chmod(struct dentry *dentry, umode_t mode)
{
	struct inode *inode = d_inode(dentry);
	struct iattr attr = { .ia_valid = ATTR_MODE | ATTR_CTIME };
	int ret;

	ret = inode_lock_killable(inode);
	if (ret)
		return ret;
	attr.ia_mode = (inode->i_mode & S_IFMT) | (mode & 0777);
	attr.ia_ctime = current_time(inode);
	ret = setattr_prepare(&nop_mnt_idmap, dentry, &attr);
	if (!ret)
		ret = security_inode_setattr(&nop_mnt_idmap, dentry, &attr);
	if (!ret)
		setattr_copy(&nop_mnt_idmap, inode, &attr);
	inode_unlock(inode);
	return ret;
}

/* Namespaces. */

u64 helper_current_ipc_ns_id(void)
{
#ifdef CONFIG_IPC_NS
	/* A task that exits has left its namespaces before its last files. */
	if (current->nsproxy)
		return current->nsproxy->ipc_ns->ns.ns_id;
#endif
	return 0;
}

/* Identities. */

/* Others may read meanwhile. */
void helper_current_identity(struct helper_identity *to)
{
	const struct cred *cred = current_cred();

	WRITE_ONCE(to->pid, task_tgid_nr(current));
	WRITE_ONCE(to->uid, __kuid_val(cred->uid));
	WRITE_ONCE(to->gid, __kgid_val(cred->gid));
}

/* What the calling task acts with, if that is not its own: a reference, or NULL. */
const struct cred *helper_overriding_creds(void)
{
	if (current_cred() == current_real_cred())
		return NULL;
	return get_current_cred();
}

bool helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/* As the calling task sees it; overflow ids and 0 for what it cannot see. */
struct helper_identity helper_visible_identity(const struct helper_identity *id)
{
	struct pid_namespace *pid_ns = task_active_pid_ns(current);
	struct user_namespace *user_ns = current_user_ns();
	struct helper_identity seen = {
		.pid = READ_ONCE(id->pid),
		.uid = from_kuid_munged(user_ns, KUIDT_INIT(READ_ONCE(id->uid))),
		.gid = from_kgid_munged(user_ns, KGIDT_INIT(READ_ONCE(id->gid))),
	};

	if (pid_ns != &init_pid_ns) {
		rcu_read_lock();
		seen.pid = pid_nr_ns(find_pid_ns(seen.pid, &init_pid_ns), pid_ns);
		rcu_read_unlock();
	}
	return seen;
}

/* Preemption. */

void helper_preempt_disable(void)
{
	preempt_disable();
}

void helper_preempt_enable(void)
{
	preempt_enable();
}

/* Limits. */

/* As the file system sees the caller: who owns what it makes. */
uid_t helper_current_fsuid(void)
{
	return __kuid_val(current_fsuid());
}

bool helper_capable_sys_resource(void)
{
	return capable(CAP_SYS_RESOURCE);
}

size_t helper_rlimit_nofile(void)
{
	return rlimit(RLIMIT_NOFILE);
}

/*
 * Locked memory: as io_uring accounts its own rings, against the user and
 * RLIMIT_MEMLOCK, and not at all for CAP_IPC_LOCK. *user is who has been
 * charged, NULL for nobody.
 */
int helper_charge_memlock(size_t nr_pages, void **user)
{
	struct user_struct *payer = current_user();
	unsigned long limit, new;
	long old;

	*user = NULL;
	if (ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK))
		return 0;

	limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	old = atomic_long_read(&payer->locked_vm);
	do {
		new = old + nr_pages;
		if (new > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&payer->locked_vm, &old, new));
	*user = get_uid(payer);
	return 0;
}

void helper_uncharge_memlock(void *user, size_t nr_pages)
{
	struct user_struct *payer = user;

	if (payer) {
		atomic_long_sub(nr_pages, &payer->locked_vm);
		free_uid(payer);
	}
}

/* Wait queues. */

unsigned int helper_poll_requested(const struct poll_table_struct *table)
{
	return (__force unsigned int)poll_requested_events(table);
}

void helper_wake_up_all(struct wait_queue_head *queue, unsigned int events)
{
	__wake_up(queue, TASK_NORMAL, 0,
		  poll_to_key((__force __poll_t)events));
}

/* Memory of many pages. */

/*
 * What does not fit the caller's memory cgroup fails and does not call the OOM
 * killer, and nothing is logged.
 */
#define GFP_MAYFAIL	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Pages in one piece of kernel address space. Not by vmalloc(): when that fails it
 * gives back what it has from a work item, and whoever allocates next in a full
 * cgroup is killed for it.
 */
static void *vmap_new_pages(size_t nr_pages, gfp_t gfp)
{
	struct page **pages;
	void *memory = NULL;
	size_t i;

	pages = kvmalloc_array(nr_pages, sizeof(*pages), GFP_MAYFAIL);
	if (!pages)
		return NULL;
	for (i = 0; i < nr_pages; i++) {
		pages[i] = alloc_page(gfp);
		if (!pages[i])
			break;
		if (fatal_signal_pending(current)) {
			i++;
			break;
		}
		cond_resched();
	}
	if (i == nr_pages && !fatal_signal_pending(current))
		/* From here on vfree() frees pages and array, too. */
		memory = vmap(pages, nr_pages, VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (!memory) {
		while (i--)
			__free_page(pages[i]);
		kvfree(pages);
	}
	return memory;
}

/* Zeroed, for mappings. */
void *helper_vmap_new_pages(size_t nr_pages)
{
	return vmap_new_pages(nr_pages, GFP_MAYFAIL | __GFP_ZERO);
}

/*
 * As krealloc(): without an old size there is no old memory, and without a size it
 * is only freed.
 */
void *helper_realloc_mayfail(void *old, size_t old_size, size_t size)
{
	void *new = NULL;

	if (size) {
		/* In one piece where that is to be had for nothing. */
		if (size <= PAGE_SIZE)
			new = kmalloc(size, GFP_MAYFAIL);
		else if (size <= PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)
			new = kmalloc(size, (GFP_MAYFAIL | __GFP_NORETRY) &
					    ~__GFP_DIRECT_RECLAIM);
		if (!new && size > PAGE_SIZE) {
			new = vmap_new_pages(DIV_ROUND_UP(size, PAGE_SIZE),
					     GFP_MAYFAIL);
			/* What is in there may be the only reference. */
			kmemleak_alloc(new, size, 1, GFP_MAYFAIL);
		}
		if (!new)
			return NULL;
		if (old_size)
			memcpy(new, old, min(size, old_size));
	}
	if (old_size)
		kvfree(old);
	return new;
}

void helper_copy_changing(void *to, const void *from, size_t len)
{
	/* Others may use either meanwhile: parts of the copy may be of any age. */
	data_race(memcpy(to, from, len));
}

void helper_vfree(void *memory)
{
	vfree(memory);
}

/* Maps pages from the start of such memory; each mapping owns its page. */
int helper_insert_vmap_pages(struct vm_area_struct *vma, void *start,
			     size_t nr_pages)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < nr_pages; i++) {
		ret = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				     vmalloc_to_page(start + i * PAGE_SIZE));
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}
