/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `mose bt` prints of one task's or CPU's stack. */
#pragma once

#include <json-glib/json-glib.h>

#include "vmi/debug-info.h"
#include "vmi/linux/backtrace.h"
#include "vmi/linux/user-unwind.h"

typedef struct {
    MoseLinux *kernel;
    MoseDebugInfo *debug_info; /* of the kernel; or NULL */
    guint64 moved;             /* by how much it runs above where that has it */
    gboolean registers, user, frame_pointers;
    JsonArray *list;   /* what was shown: with --json, all of it */
    GHashTable *users; /* mm to MoseUser, so that threads share it */
} MoseBtShow;

void mose_bt_show_init(MoseBtShow *show, MoseLinux *kernel);
void mose_bt_show_clear(MoseBtShow *show);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseBtShow, mose_bt_show_clear)

/* Take the file @path, or (NULL) one of the system's, where it has one. */
gboolean mose_bt_show_use(MoseBtShow *show, const char *path, GError **error);

/* @task, which must outlive @show, and @trace, or why there is none: @error. @cpu: -1
 * where that is of no interest. */
void mose_bt_show(MoseBtShow *show, const MoseTask *task, int cpu,
                  const MoseBacktrace *trace, const GError *error);
