/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drafts packed and written, by a thread of their own; the end of the file. There is a
 * fixed number of drafts: who makes them faster than they are written waits for one.
 */
#pragma once

#include "trace/draft.h"

typedef struct TracePacker TracePacker;

/* Write to @take_fd, an empty file, which is taken over; @what names it in errors.
 * @level is zstd's. With @n_drafts drafts. */
TracePacker *trace_packer_new(int take_fd, const char *what, int level, guint n_drafts,
                              GError **error);

/* What was given is written still. */
void trace_packer_free(TracePacker *packer);

/* A draft that nobody has; waits for it. */
TraceDraft *trace_packer_take(TracePacker *packer);

/* Have it written, after those that were given before, and be free again. */
void trace_packer_give(TracePacker *packer, TraceDraft *draft);

/* Wait until all that was given is written: the thread does nothing from then on, and
 * holds nothing, until more is given. */
void trace_packer_rest(TracePacker *packer);

/* An error that was met first; of the thread, or kept here. Later ones are not told of.
 * What is given after one is dropped. */
gboolean trace_packer_check(TracePacker *packer, GError **error);
void trace_packer_keep(TracePacker *packer, GError *take);
gboolean trace_packer_has_failed(const TracePacker *packer);

/* Wait for all that was given; write the index and the footer. *@ret_bytes is the size
 * of the file. */
gboolean trace_packer_finish(TracePacker *packer, guint64 *ret_bytes, GError **error);
