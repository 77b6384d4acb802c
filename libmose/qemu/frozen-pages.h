/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a process has its guest's memory, and which pages of it are its own: for
 * frozen.c and frozen-read.c. */
#pragma once

#include <sys/stat.h>

#include "util/process.h"

typedef struct {
    guint64 start, end; /* addresses */
    guint64 offset;     /* in the memfd */
    gboolean shared;
} FrozenMapping;

/* The file of the memory that @process has from MOSE; FALSE: it has none. */
gboolean mose_frozen_stat(const MoseProcess *process, struct stat *ret);

/* Where that file, @st, is mapped: of FrozenMapping. */
GArray *mose_frozen_mappings(const MoseProcess *process, const struct stat *st,
                             GError **error);

/* /proc/PID/@file, for reading. */
int mose_frozen_open(const MoseProcess *process, const char *file, GError **error);

/* Tell @func of each run of pages in @mappings that are the process's own. */
typedef gboolean (*FrozenRunFunc)(guint64 address, guint64 offset, guint64 len,
                                  gpointer data, GError **error);
gboolean mose_frozen_scan(const MoseProcess *process, const GArray *mappings,
                          FrozenRunFunc func, gpointer data, GError **error);
