/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all vCPUs did, by time; see reader.h. */
#include "trace/reader-private.h"

typedef struct {
    MoseTraceCursor *cursor;
    MoseTraceStep step; /* the next one ... */
    gboolean is_known;  /* ... if it has been asked for, and not given */
    gboolean has_ended;
} Lane;

struct MoseTraceMerge {
    guint n;
    Lane *lanes; /* by vCPU */
};

MoseTraceMerge *
mose_trace_merge_new(const MoseTrace *trace)
{
    MoseTraceMerge *merge = g_new0(MoseTraceMerge, 1);

    merge->n = trace->info.n_vcpus;
    merge->lanes = g_new0(Lane, merge->n);
    for (guint i = 0; i < merge->n; i++)
        merge->lanes[i].cursor = mose_trace_cursor_new(trace, i);
    return merge;
}

void
mose_trace_merge_free(MoseTraceMerge *merge)
{
    if (!merge)
        return;
    for (guint i = 0; i < merge->n; i++)
        mose_trace_cursor_free(merge->lanes[i].cursor);
    g_free(merge->lanes);
    g_free(merge);
}

/* Ask for its next step; that which was given is used up by that. */
static gboolean
look(Lane *lane, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (lane->is_known || lane->has_ended)
        return TRUE;
    lane->is_known = mose_trace_cursor_next(lane->cursor, &lane->step, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    lane->has_ended = !lane->is_known;
    return TRUE;
}

gboolean
mose_trace_merge_next(MoseTraceMerge *merge, MoseTraceStep *ret, GError **error)
{
    Lane *first = NULL;

    *ret = (MoseTraceStep){ .block = MOSE_TRACE_NO_BLOCK, .task = MOSE_TRACE_NO_TASK };
    for (guint i = 0; i < merge->n; i++) {
        Lane *lane = &merge->lanes[i];

        if (!look(lane, error))
            return FALSE;
        if (lane->is_known && (!first || lane->step.time < first->step.time))
            first = lane;
        if (lane->has_ended)
            ret->lost += lane->step.lost;
    }
    if (!first)
        return FALSE;
    *ret = first->step;
    first->is_known = FALSE;
    return TRUE;
}
