/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pull scanner for JSON text that remembers where everything stood.
 *
 * The description of a stream comes from a stranger, is needed while the guest
 * stands still, and must come out unchanged where nothing was changed. So
 * unlike json-glib this scanner does not recurse, keeps no tree, and lets its
 * caller keep the text of a value. It does not write JSON.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *start;
    const char *at;
    const char *end;
} MoseScan;

/* The number of the byte at which the scan stands, for errors. */
static inline gsize
mose_scan_position(const MoseScan *scan)
{
    return (gsize)(scan->at - scan->start);
}

/* All fail with a STREAM error that gives the byte of the text. */

/* Step over white space and @open, which is '{' or '['. */
gboolean mose_scan_enter(MoseScan *scan, char open, GError **error);

/*
 * Before each member of the container that ends with @close: sets *@ret_more,
 * and steps over the comma (not at the @first member) or over @close.
 */
gboolean mose_scan_more(MoseScan *scan, char close, gboolean first, gboolean *ret_more,
                        GError **error);

/* A string, decoded, kept in @strings. It has no NUL. */
const char *mose_scan_string(MoseScan *scan, GStringChunk *strings, GError **error);

/* The key of a member and the colon after it. */
const char *mose_scan_key(MoseScan *scan, GStringChunk *strings, GError **error);

/* An integer from 0 to @max. */
gboolean mose_scan_integer(MoseScan *scan, guint64 max, guint64 *ret, GError **error);

/* Step over any value, nested at most 64 deep. */
gboolean mose_scan_skip(MoseScan *scan, GError **error);

/* Step over white space up to the next value. */
void mose_scan_space(MoseScan *scan);

/* Nothing but white space is left. */
gboolean mose_scan_finish(MoseScan *scan, GError **error);
