/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a migration stream. The first byte chooses in what
 * pieces they come. What is accepted must come out unchanged, and must still be a
 * stream after its shape was changed.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "stream/rewriter.h"
#include "stream/walk.h"

static void
touch_leaf(const MoseLeaf *leaf, gpointer data)
{
    const gsize len = leaf->element_size * leaf->count;
    guint8 *sum = data;

    for (gsize i = 0; i < len; i++)
        *sum ^= leaf->bytes[i];
}

/* Reads every field, and changes values and shape. */
static gboolean
change(MoseDoc *doc, gpointer data, GError **error)
{
    guint n = mose_doc_n_sections(doc);
    MoseSection *made = mose_doc_add(doc, "made", 7, 1);
    guint8 sum = 0;

    for (guint i = 0; i < n; i++) {
        MoseSection *section = mose_doc_section(doc, i);

        mose_section_walk(section, touch_leaf, &sum);
        mose_section_set(section, "a", sum, NULL);
        mose_section_drop_subsection(section, "dev/more");
        mose_section_add_subsection(section, "x/y", sum);
    }
    mose_section_append(made, "a", "uint32", 4, sum);
    if (n > 1)
        mose_doc_drop(doc, mose_doc_section(doc, 0));
    return TRUE;
}

/* What comes out for @data in pieces of @chunk bytes, or NULL. */
static GByteArray *
rewrite(MoseRewriteFunc func, const guint8 *data, gsize size, gsize chunk)
{
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(func, NULL);
    g_autoptr(GByteArray) out = g_byte_array_new(), more = g_byte_array_new();

    for (gsize at = 0; at < size; at += chunk) {
        gsize pass;

        if (!mose_rewriter_push(rewriter, data + at, MIN(chunk, size - at), &pass, more,
                                NULL))
            return NULL;
        FUZZ_CHECK(pass <= MIN(chunk, size - at));
        FUZZ_CHECK(pass == 0 || more->len == 0 || mose_rewriter_done(rewriter));
        g_byte_array_append(out, data + at, (guint)pass);
        g_byte_array_append(out, more->data, more->len);
        g_byte_array_set_size(more, 0);
    }
    return mose_rewriter_finish(rewriter, NULL) ? g_steal_pointer(&out) : NULL;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    gsize chunk = size > 0 && data[0] > 0 ? data[0] : 1 << 20;
    g_autoptr(GByteArray) same = NULL, changed = NULL, again = NULL;

    if (size == 0)
        return 0;
    data++;
    size--;
    same = rewrite(NULL, data, size, chunk);
    if (!same)
        return 0;
    FUZZ_CHECK(same->len == size && memcmp(same->data, data, size) == 0);
    changed = rewrite(change, data, size, 1 << 20);
    FUZZ_CHECK(changed);
    again = rewrite(NULL, changed->data, changed->len, 1 << 20);
    FUZZ_CHECK(again && again->len == changed->len);
    return 0;
}
