/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the device part of a stream and finds where it ends.
 *
 * Device sections have no length, and what describes them comes last. So the
 * place of the description is recognised by what stands around it: a footer
 * (unless there are no sections), EOF, 0x06, a length, and QEMU's first words of
 * JSON. A guest can put the same bytes into a device's buffer. Such a place is
 * given up when the text there is no description of all that precedes it, and
 * should a guest manage even that, the bytes behind it are refused: the
 * destination never gets a stream that ends there.
 */
#pragma once

#include <glib.h>

#include "stream/doc.h"

typedef struct MoseTail MoseTail;

/* @offset is where in the stream the device part begins. */
MoseTail *mose_tail_new(guint64 offset);
void mose_tail_free(MoseTail *tail);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTail, mose_tail_free)

/*
 * Keep @len more bytes; sets *@ret_doc once the description is complete, else to
 * NULL. Errors are STREAM: too long, bytes behind the end, or a description that
 * is wrong where nothing follows it.
 */
gboolean mose_tail_push(MoseTail *tail, const guint8 *data, gsize len,
                        MoseDoc **ret_doc, GError **error);

/* Why there is no document though the stream has ended. */
void mose_tail_explain(const MoseTail *tail, GError **error);
