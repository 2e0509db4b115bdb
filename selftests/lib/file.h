/* SPDX-License-Identifier: GPL-2.0 */
/* Files of the kernel's, in /proc and the like. */
#ifndef FILE_H
#define FILE_H

/* All of @text in one write: 0, or -errno, -EIO where only a part was taken. */
int write_file(const char *path, const char *text);

#endif /* FILE_H */
