/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bytes of QEMU's dump go through on their way to the file: there they are
 * completed by what is known of the kernel.
 */
#pragma once

#include "vmi/dump-file.h"
#include "vmi/dump-kernel.h"

typedef struct MoseDumpSink MoseDumpSink;

struct MoseDumpSink {
    /* Take the next @len bytes, however they are cut. */
    gboolean (*feed)(MoseDumpSink *sink, const guint8 *bytes, gsize len,
                     GError **error);
    /* There are no more: QMP for a dump that is not whole. */
    gboolean (*finish)(MoseDumpSink *sink, GError **error);
    void (*free)(MoseDumpSink *sink);

    MoseDumpFile *file;           /* the caller's, */
    const MoseDumpKernel *kernel; /* as is this */
    gboolean has_vmcoreinfo;      /* the file; once it is whole */
};

void mose_dump_sink_free(MoseDumpSink *sink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDumpSink, mose_dump_sink_free)

/* For QEMU's "elf"; for its kdump formats, which come flattened and are not any more
 * in the file. */
MoseDumpSink *mose_dump_elf_sink(MoseDumpFile *file, const MoseDumpKernel *kernel);
MoseDumpSink *mose_dump_kdump_sink(MoseDumpFile *file, const MoseDumpKernel *kernel);
