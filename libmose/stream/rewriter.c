/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rewriter: a reader, and what comes out once the document is there. */
#include "stream/rewriter.h"

#include "stream/reader.h"
#include "util/error.h"

struct MoseRewriter {
    MoseReader *reader;
    MoseRewriteFunc rewrite;
    gpointer data;
    gboolean done;
    gboolean failed;
};

MoseRewriter *
mose_rewriter_new(MoseRewriteFunc rewrite, gpointer data)
{
    MoseRewriter *rewriter = g_new0(MoseRewriter, 1);

    rewriter->reader = mose_reader_new();
    rewriter->rewrite = rewrite;
    rewriter->data = data;
    return rewriter;
}

void
mose_rewriter_free(MoseRewriter *rewriter)
{
    if (!rewriter)
        return;
    mose_reader_free(rewriter->reader);
    g_free(rewriter);
}

static gboolean
push(MoseRewriter *rewriter, const guint8 *data, gsize len, gsize *ret_pass,
     GByteArray *out, GError **error)
{
    MoseDoc *doc;

    if (!mose_reader_push(rewriter->reader, data, len, ret_pass, error))
        return FALSE;
    doc = mose_reader_doc(rewriter->reader);
    if (!doc || rewriter->done)
        return TRUE;
    if (rewriter->rewrite && !rewriter->rewrite(doc, rewriter->data, error))
        return FALSE;
    mose_doc_write(doc, out);
    rewriter->done = TRUE;
    return TRUE;
}

gboolean
mose_rewriter_push(MoseRewriter *rewriter, const guint8 *data, gsize len,
                   gsize *ret_pass, GByteArray *out, GError **error)
{
    *ret_pass = 0;
    if (rewriter->failed) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "the stream failed before; nothing more is taken");
        return FALSE;
    }
    rewriter->failed = !push(rewriter, data, len, ret_pass, out, error);
    return !rewriter->failed;
}

gboolean
mose_rewriter_done(const MoseRewriter *rewriter)
{
    return rewriter->done;
}

gboolean
mose_rewriter_finish(MoseRewriter *rewriter, GError **error)
{
    return rewriter->done || mose_reader_finish(rewriter->reader, error);
}

const MoseStreamInfo *
mose_rewriter_info(const MoseRewriter *rewriter)
{
    return mose_reader_info(rewriter->reader);
}
