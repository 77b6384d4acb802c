/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of bytes.h is not for each event. */
#include "trace/bytes.h"

void
trace_sink_grow(TraceSink *sink, gsize more)
{
    gsize len = trace_sink_len(sink);
    gsize size = MAX(2 * (gsize)(sink->end - sink->begin), len + more);

    sink->begin = g_realloc(sink->begin, size);
    sink->at = sink->begin + len;
    sink->end = sink->begin + size;
}

void
trace_sink_clear(TraceSink *sink)
{
    g_free(sink->begin);
    *sink = (TraceSink){ NULL };
}

gboolean
trace_take_streams(const guint8 *data, gsize len, gsize skip, TraceBytes *ret, guint n)
{
    gsize at = skip + n * sizeof(guint32);

    if (len < at)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        gsize size = trace_get32(data + skip + i * sizeof(guint32));

        if (size > len - at)
            return FALSE;
        ret[i] = (TraceBytes){ data + at, data + at + size };
        at += size;
    }
    return at == len;
}
