/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing a process's memory (vmi/write.h), with what Linux's processes share in mind.
 */
#pragma once

#include "vmi/linux/tasks.h"
#include "vmi/write.h"

/*
 * Write @len bytes at @address of @task, whose space is @space. With the guest stopped
 * it is looked up again that the task still has this memory: AGAIN if not. Nothing is
 * broken apart for it as the kernel would (mm/memory.c:do_wp_page): a page that the
 * process may not write may be other processes' as well, or the file's in the cache,
 * and is REFUSED unless @shared. The page of zeros that all share is always REFUSED.
 * @expect may be NULL.
 */
gboolean mose_task_write(MoseGuest *guest, MoseLinux *kernel, const MoseTask *task,
                         MoseSpace *space, guint64 address, const guint8 *bytes,
                         gsize len, const guint8 *expect, gsize expect_len,
                         gboolean shared, MoseWritten *ret, GError **error);
