/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `mose ps` shows of a task: columns for people, all of it for programs. */
#pragma once

#include "cli/table.h"
#include "vmi/linux/task-info.h"

typedef struct {
    MoseTask *task;     /* owned */
    MoseTaskInfo *info; /* owned */
    guint depth;        /* in a tree; 0: no parent is shown */
} MosePsRow;

void mose_ps_row_free(MosePsRow *row);

/* Columns, parsed from their names. */
typedef struct MosePsColumns MosePsColumns;

/* @names with commas in between. INVALID, with the names there are. */
MosePsColumns *mose_ps_columns_new(const char *names, GError **error);
void mose_ps_columns_free(MosePsColumns *columns);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MosePsColumns, mose_ps_columns_free)

/* For mose_table_new(). */
const MoseColumn *mose_ps_columns_table(const MosePsColumns *columns);

/* The MoseTaskParts that they need. */
guint mose_ps_columns_parts(const MosePsColumns *columns);

/* A row of these columns; @whole: of a process. */
JsonObject *mose_ps_columns_row(const MosePsColumns *columns, const MosePsRow *row);

/* All that is known, for --json. */
JsonObject *mose_ps_json(const MosePsRow *row);
