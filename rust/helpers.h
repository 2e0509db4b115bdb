/* SPDX-License-Identifier: GPL-2.0 */
/* Inline functions and macros of the kernel that Rust cannot call itself. */
#ifndef RUST_HELPERS_H
#define RUST_HELPERS_H

#include <linux/types.h>

struct cred;
struct dentry;
struct file;
struct file_operations;
struct inode;
struct lock_class_key;
struct page;
struct poll_table_struct;
struct vm_area_struct;
struct wait_queue_head;

bool helper_access_ok(u64 addr, size_t len);
size_t helper_copy_from_user_nofault(void *dst, u64 src, size_t len);
size_t helper_copy_to_user_nofault(u64 dst, const void *src, size_t len);
size_t helper_fault_in_readable(u64 addr, size_t len);
size_t helper_fault_in_writeable(u64 addr, size_t len);
bool helper_is_writeable(u64 addr, size_t len);

struct file *helper_anon_file(const char *name,
			      const struct file_operations *fops, void *priv,
			      int flags);
struct file *helper_anon_file_own_inode(const char *name,
					const struct file_operations *fops,
					int flags);
struct dentry *helper_file_dentry_get(struct file *file);
void helper_dentry_put(struct dentry *dentry);
struct inode *helper_dentry_inode(struct dentry *dentry);
void helper_inode_set_mode(struct inode *inode, umode_t mode);
int helper_inode_permission(struct inode *inode, int mask);
bool helper_inode_owner_or_capable(struct inode *inode);

/* Who owns an inode, as the calling task sees it, and its permission bits. */
struct helper_owner {
	u32 uid;
	u32 gid;
	u32 mode;
};

struct helper_owner helper_inode_owner(const struct inode *inode);
int helper_dentry_chmod(struct dentry *dentry, umode_t mode);

u64 helper_current_ipc_ns_id(void);

/* A process and its credentials: in global numbers, or as somebody sees them. */
struct helper_identity {
	u32 pid;
	u32 uid;
	u32 gid;
};

void helper_current_identity(struct helper_identity *to);
const struct cred *helper_overriding_creds(void);
bool helper_fatal_signal_pending(void);
struct helper_identity helper_visible_identity(const struct helper_identity *id);

void helper_preempt_disable(void);
void helper_preempt_enable(void);

uid_t helper_current_fsuid(void);
bool helper_capable_sys_resource(void);
size_t helper_rlimit_nofile(void);
int helper_charge_memlock(size_t nr_pages, void **user);
void helper_uncharge_memlock(void *user, size_t nr_pages);

unsigned int helper_poll_requested(const struct poll_table_struct *table);
void helper_wake_up_all(struct wait_queue_head *queue, unsigned int events);

void *helper_realloc_mayfail(void *old, size_t old_size, size_t size);

void *helper_vmap_new_pages(size_t nr_pages);
void helper_copy_changing(void *to, const void *from, size_t len);
void helper_vfree(void *memory);
int helper_insert_vmap_pages(struct vm_area_struct *vma, void *start,
			     size_t nr_pages);

#endif /* RUST_HELPERS_H */
