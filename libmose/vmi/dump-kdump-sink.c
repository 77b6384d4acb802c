/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's kdump-compressed core on its way to the file. Into a pipe it comes flattened
 * (core-flat.h); its records are put where they belong, so that it is a file that can
 * be read anywhere. VMCOREINFO goes to its end.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/core-flat.h"
#include "vmi/core-kdump-format.h"
#include "vmi/dump-sink.h"

#define RECORD_HEADER 16

typedef struct {
    MoseDumpSink sink;
    guint8 head[MOSE_FLAT_HEADER]; /* the flattened file's header, or a record's */
    gsize got;                     /* bytes of it */
    gboolean begun, ended;
    guint64 offset, left; /* of the record that is under way */
} KdumpSink;

static gboolean
broken(GError **error, const char *what)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "QEMU's dump: %s", what);
    return FALSE;
}

/* A header is whole. */
static gboolean
read_head(KdumpSink *kdump, GError **error)
{
    guint64 numbers[2];

    kdump->got = 0;
    if (!kdump->begun) {
        kdump->begun = TRUE;
        return mose_flat_is(kdump->head, sizeof(kdump->head)) ||
               broken(error, "it is not flattened, as it must be in a pipe");
    }
    memcpy(numbers, kdump->head, sizeof(numbers));
    kdump->offset = GUINT64_FROM_BE(numbers[0]);
    kdump->left = GUINT64_FROM_BE(numbers[1]);
    if (kdump->offset == G_MAXUINT64 && kdump->left == G_MAXUINT64) {
        kdump->left = 0;
        kdump->ended = TRUE;
    }
    return TRUE;
}

static gboolean
feed(MoseDumpSink *sink, const guint8 *bytes, gsize len, GError **error)
{
    KdumpSink *kdump = (KdumpSink *)sink;
    gsize n;

    for (; len > 0; bytes += n, len -= n) {
        gsize head = kdump->begun ? RECORD_HEADER : MOSE_FLAT_HEADER;

        if (kdump->ended)
            return broken(error, "something is behind its end");
        if (kdump->left > 0) {
            n = MIN(len, kdump->left);
            if (!mose_dump_file_write(sink->file, kdump->offset, bytes, n, error))
                return FALSE;
            kdump->offset += n;
            kdump->left -= n;
            continue;
        }
        n = MIN(len, head - kdump->got);
        memcpy(kdump->head + kdump->got, bytes, n);
        kdump->got += n;
        if (kdump->got == head && !read_head(kdump, error))
            return FALSE;
    }
    return TRUE;
}

/* crash takes phys_base from here, and only then from VMCOREINFO (diskdump.c:
 * diskdump_phys_base). */
static gboolean
add_vmcoreinfo(MoseDumpSink *sink, MoseKdumpSub *sub, GError **error)
{
    guint64 at = (mose_dump_file_end(sink->file) + 7) & ~G_GUINT64_CONSTANT(7);
    gsize len = strlen(sink->kernel->vmcoreinfo);

    sub->offset_vmcoreinfo = at;
    sub->size_vmcoreinfo = len;
    if (sink->kernel->has_phys_base)
        sub->phys_base = sink->kernel->phys_base;
    return mose_dump_file_write(sink->file, at, sink->kernel->vmcoreinfo, len, error) &&
           mose_dump_file_write(sink->file, MOSE_KDUMP_BLOCK, sub, sizeof(*sub), error);
}

static gboolean
finish(MoseDumpSink *sink, GError **error)
{
    KdumpSink *kdump = (KdumpSink *)sink;
    MoseKdumpHeader header;
    MoseKdumpSub sub;

    if (!kdump->ended)
        return broken(error, "it has no end");
    if (!mose_dump_file_read(sink->file, 0, &header, sizeof(header), error) ||
        !mose_dump_file_read(sink->file, MOSE_KDUMP_BLOCK, &sub, sizeof(sub), error))
        return FALSE;
    sink->has_vmcoreinfo = sub.size_vmcoreinfo > 0;
    /* A guest that is not in long mode has one of 32 bits: no kernel was found there.
     */
    if (sink->has_vmcoreinfo || !sink->kernel->vmcoreinfo || header.version < 6 ||
        header.block_size != MOSE_KDUMP_BLOCK)
        return TRUE;
    sink->has_vmcoreinfo = TRUE;
    return add_vmcoreinfo(sink, &sub, error);
}

static void
sink_free(MoseDumpSink *sink)
{
    g_free(sink);
}

MoseDumpSink *
mose_dump_kdump_sink(MoseDumpFile *file, const MoseDumpKernel *kernel)
{
    KdumpSink *kdump = g_new0(KdumpSink, 1);

    kdump->sink = (MoseDumpSink){ .feed = feed,
                                  .finish = finish,
                                  .free = sink_free,
                                  .file = file,
                                  .kernel = kernel };
    return &kdump->sink;
}
