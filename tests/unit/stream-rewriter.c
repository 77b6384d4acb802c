/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rewriter: identity, change, refusal, and where the stream ends. */
#include "stream/rewriter.h"

#include <string.h>

#include "lib/make-stream.h"
#include "util/error.h"

/* Push @stream in pieces; what came out, or NULL. */
static GByteArray *
rewrite(MoseRewriter *rewriter, const GByteArray *stream, gsize chunk, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();

    for (gsize at = 0; at < stream->len; at += chunk) {
        g_assert_false(mose_rewriter_done(rewriter));
        if (!mk_rewrite(rewriter, stream->data + at, MIN(chunk, stream->len - at), out,
                        error))
            return NULL;
    }
    if (!mose_rewriter_finish(rewriter, error))
        return NULL;
    g_assert_true(mose_rewriter_done(rewriter));
    return g_steal_pointer(&out);
}

static gboolean
change_nothing(MoseDoc *doc, gpointer data, GError **error)
{
    *(int *)data += 1;
    return TRUE;
}

static void
test_identity(void)
{
    static const gsize chunks[] = { 1, 2, 3, 7, 100, 4096, 1 << 20 };
    g_autoptr(GByteArray) stream = mk_small_stream();

    for (gsize i = 0; i < 2 * G_N_ELEMENTS(chunks); i++) {
        int calls = 0;
        g_autoptr(MoseRewriter) rewriter =
            mose_rewriter_new(i % 2 ? change_nothing : NULL, &calls);
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) out = rewrite(rewriter, stream, chunks[i / 2], &error);

        g_assert_no_error(error);
        g_assert_cmpmem(out->data, out->len, stream->data, stream->len);
        g_assert_cmpint(calls, ==, (int)(i % 2));
    }
}

/* RAM goes on at once: nothing before the device part waits for it. */
static void
test_ram_passes_at_once(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
    g_autoptr(GError) error = NULL;
    guint64 device = 0x10a4;

    for (gsize at = 0; at < device; at++) {
        mk_rewrite(rewriter, stream->data + at, 1, out, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(out->len, ==, at + 1);
    }
    mk_rewrite(rewriter, stream->data + device, stream->len - device - 1, out, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(out->len, ==, device);
    g_assert_cmpuint(mose_rewriter_info(rewriter)->device_offset, ==, device);
}

static gboolean
change(MoseDoc *doc, gpointer data, GError **error)
{
    mose_doc_drop(doc, mose_doc_find(doc, "old", 1));
    return mose_section_set(mose_doc_find(doc, "dev", 0), "a", 0xcafe, error);
}

static void
test_change(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(MoseRewriter) first = mose_rewriter_new(change, NULL);
    g_autoptr(MoseReader) reader = mose_reader_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) out = rewrite(first, stream, 64, &error);
    guint64 value = 0;
    gsize pass;

    g_assert_no_error(error);
    mose_reader_push(reader, out->data, out->len, &pass, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mose_doc_n_sections(mose_reader_doc(reader)), ==, 1);
    mose_section_get(mose_doc_find(mose_reader_doc(reader), "dev", 0), "a", &value,
                     &error);
    g_assert_no_error(error);
    g_assert_cmpuint(value, ==, 0xcafe);
}

static gboolean
refuse(MoseDoc *doc, gpointer data, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "no");
    return FALSE;
}

static void
test_refused(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(refuse, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(mk_rewrite(rewriter, stream->data, stream->len, out, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
    g_assert_cmpuint(out->len, ==, 0x10a4);
    g_assert_false(mose_rewriter_done(rewriter));
    g_clear_error(&error);
    g_assert_false(mk_rewrite(rewriter, stream->data, 1, out, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
}

static void
test_bytes_behind_the_end(void)
{
    for (gsize chunk = 1; chunk < 100000; chunk += 99998) {
        g_autoptr(GByteArray) stream = mk_small_stream();
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
        g_autoptr(GError) error = NULL;
        gboolean ok = TRUE;

        mk(stream, "b", 0);
        for (gsize at = 0; at < stream->len && ok; at += chunk)
            ok = mk_rewrite(rewriter, stream->data + at, MIN(chunk, stream->len - at),
                            out, &error);
        g_assert_false(ok);
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
        g_assert_nonnull(strstr(error->message, "bytes behind the end of the stream"));
    }
}

/* Section "d" whose field is all of @text, as a guest could write it into a buffer. */
static GByteArray *
with_buffer(const GByteArray *text)
{
    GByteArray *stream = g_byte_array_new();
    g_autofree char *device = g_strdup_printf(
        "{\"name\": \"d\", \"instance_id\": 0, \"vmsd_name\": \"d\", \"version\": 1, "
        "\"fields\": [{\"name\": \"f\", \"type\": \"buffer\", \"size\": %u}]}",
        text->len);

    mk_begin(stream);
    mk_ram(stream);
    mk_section_begin(stream, 5, "d", 0, 1);
    g_byte_array_append(stream, text->data, text->len);
    mk_section_end(stream, 5);
    mk_end(stream, device);
    return stream;
}

/* A guest's buffer that looks like the end of the stream is not taken for it. */
static void
test_imitated_description(void)
{
    static const char *const devices[] = { "", "{", mk_small_devices };

    for (gsize i = 0; i < G_N_ELEMENTS(devices); i++) {
        g_autoptr(GByteArray) text = g_byte_array_new();
        g_autoptr(GByteArray) stream = NULL, out = NULL;
        g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
        g_autoptr(GError) error = NULL;

        mk(text, "bw", 0x7e, 5);
        mk_end(text, devices[i]);
        stream = with_buffer(text);
        out = rewrite(rewriter, stream, stream->len, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(out->data, out->len, stream->data, stream->len);
    }
}

/* Nor does one that promises more than ever comes keep the stream from its end. */
static void
test_endless_imitation(void)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_autoptr(GByteArray) stream = NULL, out = NULL;
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
    g_autoptr(GError) error = NULL;

    mk(text, "bwbbwt", 0x7e, 5, 0, 6, 0x100000, "{\"configuration\"");
    stream = with_buffer(text);
    out = rewrite(rewriter, stream, 1, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(out->data, out->len, stream->data, stream->len);
}

static void
test_too_many_imitations(void)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 20; i++)
        mk(text, "bwbbwt", 0x7e, 5, 0, 6, 0x100000, "{\"configuration\"");
    stream = with_buffer(text);
    g_assert_null(rewrite(rewriter, stream, 100, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_nonnull(strstr(error->message, "too many places"));
}

static void
test_no_description(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
    g_autoptr(GError) error = NULL;

    mk_begin(stream);
    mk_ram(stream);
    mk(stream, "b", 0);
    g_assert_null(rewrite(rewriter, stream, 10, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_cmpstr(error->message, ==,
                    "device part, stream offset 0x52: truncated before the description "
                    "(or sent by a machine with suppress-vmdesc=on)");
}

static void
test_too_long(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(GByteArray) zeros = g_byte_array_new();
    g_autoptr(MoseRewriter) rewriter = mose_rewriter_new(NULL, NULL);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    mk_begin(stream);
    mk_ram(stream);
    mk(stream, "b", 4);
    mk(zeros, "z", 1 << 20);
    mk_rewrite(rewriter, stream->data, stream->len, out, &error);
    g_assert_no_error(error);
    for (int i = 0; i < 64 && !error; i++)
        mk_rewrite(rewriter, zeros->data, zeros->len, out, &error);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_nonnull(strstr(error->message, "longer than the limit of 64 MiB"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/rewriter/identity", test_identity);
    g_test_add_func("/stream/rewriter/ram-passes-at-once", test_ram_passes_at_once);
    g_test_add_func("/stream/rewriter/change", test_change);
    g_test_add_func("/stream/rewriter/refused", test_refused);
    g_test_add_func("/stream/rewriter/bytes-behind-the-end", test_bytes_behind_the_end);
    g_test_add_func("/stream/rewriter/imitated-description", test_imitated_description);
    g_test_add_func("/stream/rewriter/endless-imitation", test_endless_imitation);
    g_test_add_func("/stream/rewriter/too-many-imitations", test_too_many_imitations);
    g_test_add_func("/stream/rewriter/no-description", test_no_description);
    g_test_add_func("/stream/rewriter/too-long", test_too_long);
    return g_test_run();
}
