/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns one migration stream into another, piece by piece and without I/O.
 *
 * RAM and commands pass through as they come. The device part is held until
 * the description at its end is complete; then the callback may change the
 * document, and it is written out. With no callback, or one that changes
 * nothing, the output is the input byte for byte.
 */
#pragma once

#include <glib.h>

#include "stream/doc.h"
#include "stream/reader.h"

typedef struct MoseRewriter MoseRewriter;

/* Change @doc. FALSE with @error set ends the stream: nothing of the device part
 * has then been put out. */
typedef gboolean (*MoseRewriteFunc)(MoseDoc *doc, gpointer data, GError **error);

MoseRewriter *mose_rewriter_new(MoseRewriteFunc rewrite, gpointer data);
void mose_rewriter_free(MoseRewriter *rewriter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseRewriter, mose_rewriter_free)

/*
 * Take @len bytes of the stream. What can go on is the first *@ret_pass of them, and
 * then what is appended to @out: so RAM is not copied. Errors are STREAM (section,
 * offset, reason), UNSUPPORTED (what QEMU can send and MOSE does not move, by name:
 * reader.h) or what the callback set; after one the rewriter takes no more bytes.
 * Bytes after the end are a STREAM error.
 */
gboolean mose_rewriter_push(MoseRewriter *rewriter, const guint8 *data, gsize len,
                            gsize *ret_pass, GByteArray *out, GError **error);

/* TRUE once the whole stream, its description included, has gone through. A
 * source with a return path keeps its socket open: this, not EOF, is the end. */
gboolean mose_rewriter_done(const MoseRewriter *rewriter);

/* The stream has ended at EOF: an error (STREAM, "truncated ...") unless done. */
gboolean mose_rewriter_finish(MoseRewriter *rewriter, GError **error);

/* What has been read so far: machine type, RAM blocks, counts. */
const MoseStreamInfo *mose_rewriter_info(const MoseRewriter *rewriter);
