/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows that are printed as a table for people, or as an array with --json: made once,
 * as JSON objects.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    const char *member; /* of each row; NULL ends the columns */
    const char *title;
} MoseColumn;

typedef struct MoseTable MoseTable;

#define MOSE_TABLE_MAX_COLUMNS 48

/* @columns: what the table shows of the rows, in this order. Numbers are aligned to the
 * right; an array is shown with commas; what a row has not, as "-". */
MoseTable *mose_table_new(const MoseColumn *columns);
void mose_table_free(MoseTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTable, mose_table_free)

/* Takes @row over. */
void mose_table_add(MoseTable *table, JsonObject *row);
guint mose_table_count(const MoseTable *table);

/*
 * Print it: with --json an object {@name: [rows], ...} with the members of @more (taken
 * over; may be NULL) beside.
 */
void mose_table_print(MoseTable *table, const char *name, JsonObject *more);

/* A guest's address or other 64-bit number as JSON has it, and people read it: "0x..."
 */
void mose_table_set_hex(JsonObject *row, const char *member, guint64 value);

/* Tell people (on standard error) that a list changed @retries times while it was read;
 * an object with "retries" for @more above. */
JsonObject *mose_table_retries(guint retries);
