/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See draft.h. */
#include "trace/draft.h"

/* What a chunk needs now and then only, a stream. */
#define KEEP ((gsize)4 << 20)

TraceDraft *
trace_draft_new(void)
{
    return g_new0(TraceDraft, 1);
}

void
trace_draft_free(gpointer data)
{
    TraceDraft *draft = data;

    if (!draft)
        return;
    trace_sink_clear(&draft->head);
    for (guint i = 0; i < G_N_ELEMENTS(draft->streams); i++)
        trace_sink_clear(&draft->streams[i]);
    g_free(draft);
}

static void
empty(TraceSink *sink)
{
    if ((gsize)(sink->end - sink->begin) > KEEP)
        trace_sink_clear(sink);
    sink->at = sink->begin;
}

void
trace_draft_begin(TraceDraft *draft, TraceKind kind, guint n_streams)
{
    draft->chunk = (TraceChunk){ .kind = kind };
    draft->n_streams = n_streams;
    empty(&draft->head);
    for (guint i = 0; i < G_N_ELEMENTS(draft->streams); i++)
        empty(&draft->streams[i]);
}

gsize
trace_draft_raw(const TraceDraft *draft)
{
    gsize raw = trace_sink_len(&draft->head);

    for (guint i = 0; i < draft->n_streams; i++)
        raw += sizeof(guint32) + trace_sink_len(&draft->streams[i]);
    return raw;
}

static guint8 *
append(guint8 *to, const TraceSink *sink)
{
    gsize len = trace_sink_len(sink);

    if (len > 0)
        memcpy(to, sink->begin, len);
    return to + len;
}

void
trace_draft_gather(const TraceDraft *draft, guint8 *ret)
{
    ret = append(ret, &draft->head);
    for (guint i = 0; i < draft->n_streams; i++, ret += sizeof(guint32))
        trace_set32(ret, (guint32)trace_sink_len(&draft->streams[i]));
    for (guint i = 0; i < draft->n_streams; i++)
        ret = append(ret, &draft->streams[i]);
}
