/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of a trace by address. */
#include "trace/reader-private.h"

static int
compare64(guint64 a, guint64 b)
{
    return (a > b) - (a < b);
}

/* By task, symbols before objects, by where they begin. */
static int
compare(gconstpointer a, gconstpointer b)
{
    const MoseTraceName *left = &((const TraceRange *)a)->name;
    const MoseTraceName *right = &((const TraceRange *)b)->name;
    int order = compare64(left->task, right->task);

    if (order == 0)
        order = compare64(!left->name, !right->name);
    return order ? order : compare64(left->start, right->start);
}

static gboolean
are_alike(const MoseTraceName *a, const MoseTraceName *b)
{
    return a->task == b->task && !a->name == !b->name;
}

void
trace_names_sort(MoseTrace *trace)
{
    TraceRange *ranges;

    /* Those that begin together stay in the order in which they were given (GLib's sort
     * is stable). */
    g_array_sort(trace->names, compare);
    ranges = (TraceRange *)(gpointer)trace->names->data;
    for (guint i = 0; i < trace->names->len; i++) {
        ranges[i].reach = ranges[i].name.end;
        if (i > 0 && are_alike(&ranges[i - 1].name, &ranges[i].name))
            ranges[i].reach = MAX(ranges[i].reach, ranges[i - 1].reach);
    }
}

/* That of @like's sort which has the address @like->start. */
static const MoseTraceName *
find(const MoseTrace *trace, const TraceRange *like)
{
    const TraceRange *ranges = (const TraceRange *)(gconstpointer)trace->names->data;
    guint low = 0, high = trace->names->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (compare(&ranges[middle], like) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- > 0 && are_alike(&ranges[low].name, &like->name) &&
           ranges[low].reach > like->name.start)
        if (ranges[low].name.end > like->name.start)
            return &ranges[low].name;
    return NULL;
}

static const MoseTraceName *
find_for(const MoseTrace *trace, guint32 task, const char *name, guint64 address)
{
    TraceRange like = { .name = { .task = task, .name = name, .start = address } };
    const MoseTraceName *found = find(trace, &like);

    if (found || task == MOSE_TRACE_NO_TASK)
        return found;
    like.name.task = MOSE_TRACE_NO_TASK;
    return find(trace, &like);
}

gboolean
mose_trace_name(const MoseTrace *trace, guint32 task, guint64 address,
                MoseTraceFound *ret)
{
    /* Any name that is one. */
    ret->symbol = find_for(trace, task, "", address);
    ret->object = find_for(trace, task, NULL, address);
    return ret->symbol || ret->object;
}
