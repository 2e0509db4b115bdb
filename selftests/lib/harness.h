/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's harness, with a time limit for machines that are slow. */
#ifndef HARNESS_H
#define HARNESS_H

#include "kselftest_harness.h"

/* Seconds. What hangs has waited for PATIENCE_MS and said so before. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

#endif /* HARNESS_H */
