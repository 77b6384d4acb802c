/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One stream of a real QEMU with many devices, looked at closely and then damaged:
 * our reading of its description against json-glib's, each field by its path, and
 * each truncated, corrupted or foreign form of it refused with section, offset and
 * reason.
 */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "stream/load.h"
#include "stream/walk.h"
#include "util/error.h"
#include "vm/stream-pair.h"

static GByteArray *stream; /* recorded once */
static guint64 device_offset;

static void
record(void)
{
    static const char *const args[] = {
        "-machine", "pc",
        "-m",       "32",
        "-smp",     "2",
        "-device",  "e1000",
        "-device",  "VGA",
        "-device",  "virtio-net-pci",
        "-device",  "qemu-xhci",
        "-device",  "intel-hda",
        "-device",  "ahci",
        "-drive",   "if=floppy,format=raw,readonly=on,file=%d/boot",
        NULL
    };
    g_autoptr(GError) error = NULL;
    Pair *pair = pair_new(args, NULL, &error);

    g_assert_no_error(error);
    pair_migrate(pair, BY_FILE, NULL, NULL, NULL);
    stream = g_byte_array_ref(pair->in);
    device_offset = mose_rewriter_info(pair->rewriter)->device_offset;
    pair_free(pair);
}

static MoseReader *
read_bytes(const guint8 *data, gsize len, GError **error)
{
    g_autoptr(MoseReader) reader = mose_reader_new();
    gsize pass;

    if (!mose_reader_push(reader, data, len, &pass, error) ||
        !mose_reader_finish(reader, error))
        return NULL;
    return g_steal_pointer(&reader);
}

static MoseReader *
read_good(void)
{
    g_autoptr(GError) error = NULL;
    MoseReader *reader = read_bytes(stream->data, stream->len, &error);

    g_assert_no_error(error);
    return reader;
}

/* The bytes that json-glib's reading of the description adds up to. */
static gint64
described_bytes(JsonObject *section)
{
    JsonArray *fields = json_object_get_array_member(section, "fields");
    gint64 sum = 0;

    for (guint i = 0; i < json_array_get_length(fields); i++) {
        JsonObject *field = json_array_get_object_element(fields, i);
        gint64 count = json_object_get_int_member_with_default(field, "array_len", 1);

        sum += count * json_object_get_int_member(field, "size");
    }
    if (json_object_has_member(section, "subsections")) {
        JsonArray *subs = json_object_get_array_member(section, "subsections");

        for (guint i = 0; i < json_array_get_length(subs); i++) {
            JsonObject *sub = json_array_get_object_element(subs, i);

            sum += 6 + (gint64)strlen(json_object_get_string_member(sub, "vmsd_name")) +
                   described_bytes(sub);
        }
    }
    return sum;
}

static void
test_as_json_glib(void)
{
    g_autoptr(MoseReader) reader = read_good();
    const MoseDoc *doc = mose_reader_doc(reader);
    const guint8 *text = memmem(stream->data + device_offset,
                                stream->len - device_offset, "{\"configuration\"", 16);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    JsonArray *devices;

    json_parser_load_from_data(parser, (const char *)text,
                               stream->data + stream->len - text, &error);
    g_assert_no_error(error);
    devices = json_object_get_array_member(
        json_node_get_object(json_parser_get_root(parser)), "devices");
    g_assert_cmpuint(mose_doc_n_sections(doc), ==, json_array_get_length(devices));
    g_assert_cmpuint(mose_doc_n_sections(doc), >, 35);
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        JsonObject *device = json_array_get_object_element(devices, i);
        const MoseSection *section = mose_doc_section(doc, i);

        g_assert_cmpstr(mose_section_name(section), ==,
                        json_object_get_string_member(device, "name"));
        g_assert_cmpint((gint64)mose_section_size(section), ==,
                        described_bytes(device));
    }
}

typedef struct {
    MoseSection *section;
    guint leaves;
    guint hidden;
    gsize bytes;
} Visit;

/* Two paths mean two fields each: QEMU calls a field of i8254 as a field in its array
 * of structs would be called, and both floppy drives have the same subsection. The
 * first rule of path.h and the first subsection win. */
static gboolean
is_hidden(const char *path)
{
    return strcmp(path, "channels[0].next_transition_time") == 0 ||
           strcmp(path, "media_rate") == 0;
}

static void
visit_leaf(const MoseLeaf *leaf, gpointer data)
{
    Visit *visit = data;
    MoseSection *section = visit->section;
    gsize len = leaf->element_size * leaf->count, found;
    g_autoptr(GError) error = NULL;
    const guint8 *bytes;

    if (!leaf->path) {
        visit->bytes += 6 + strlen(leaf->subsection);
        return;
    }
    visit->leaves++;
    visit->bytes += len;
    if (leaf->subsection)
        section = mose_section_subsection(section, leaf->subsection);
    bytes = mose_section_bytes(section, leaf->path, &found, &error);
    g_assert_no_error(error);
    if (!is_hidden(leaf->path))
        g_assert_cmpmem(bytes, found, leaf->bytes, len);
    if (bytes != leaf->bytes)
        visit->hidden++;
}

/* Every byte of every section is in exactly one field, and each field has a path. */
static void
test_every_field(void)
{
    g_autoptr(MoseReader) reader = read_good();
    const MoseDoc *doc = mose_reader_doc(reader);
    guint leaves = 0, hidden = 0;

    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        Visit visit = { .section = mose_doc_section(doc, i) };

        mose_section_walk(visit.section, visit_leaf, &visit);
        g_assert_cmpuint(visit.bytes, ==, mose_section_size(visit.section));
        leaves += visit.leaves;
        hidden += visit.hidden;
    }
    g_assert_cmpuint(hidden, ==, 2);
    g_assert_cmpuint(leaves, >, 1000);
}

static void
expect_refusal(const guint8 *data, gsize len, const char *const *parts)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseReader) reader = read_bytes(data, len, &error);

    g_assert_null(reader);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    for (; *parts; parts++) {
        if (!strstr(error->message, *parts))
            g_error("\"%s\" is not in \"%s\"", *parts, error->message);
    }
}

static void
test_truncated(void)
{
    static const char *const parts[] = { "stream offset 0x", "truncated", NULL };

    for (gsize len = 0; len < device_offset; len += 65537)
        expect_refusal(stream->data, len, parts);
    for (gsize len = device_offset; len < stream->len; len += 9973)
        expect_refusal(stream->data, len, parts);
    expect_refusal(stream->data, stream->len - 1, parts);
}

/* The footer of each section in turn, and the name in its header. */
static void
test_corrupted(void)
{
    g_autoptr(MoseReader) reader = read_good();
    const MoseDoc *doc = mose_reader_doc(reader);

    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        const MoseSection *section = mose_doc_section(doc, i);
        const char *name = mose_section_name(section);
        guint64 begin = mose_section_offset(section);
        guint64 end = begin + mose_section_size(section);
        guint64 header = begin - (14 + strlen(name));
        g_autofree char *where =
            g_strdup_printf("section '%s' %u, ", name, mose_section_instance(section));
        g_autofree char *at_end =
            g_strdup_printf("stream offset 0x%" G_GINT64_MODIFIER "x: ", end);
        g_autofree char *at_header =
            g_strdup_printf("stream offset 0x%" G_GINT64_MODIFIER "x: ", header);
        const char *footer_parts[] = { where, at_end, "no footer where its fields end",
                                       NULL };
        const char *name_parts[] = { where, at_header, "another section is here",
                                     NULL };
        gboolean last = i + 1 == mose_doc_n_sections(doc);

        /* The last one's footer is also how the description is recognised. */
        if (!last) {
            stream->data[end] ^= 1;
            expect_refusal(stream->data, stream->len, footer_parts);
            stream->data[end] ^= 1;
        }
        stream->data[header + 6] ^= 0x20;
        expect_refusal(stream->data, stream->len, name_parts);
        stream->data[header + 6] ^= 0x20;
    }
}

static void
test_foreign(void)
{
    static const char *const header[] = { "header, stream offset 0x0: ",
                                          "not a QEMU migration stream", NULL };
    static const char *const version[] = {
        "header, stream offset 0x0: migration stream version 2, not 3", NULL
    };
    g_autoptr(GZlibCompressor) gzip =
        g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 1);
    g_autofree guint8 *bytes = g_malloc(stream->len);
    g_autoptr(GError) error = NULL;
    gsize read, written;
    GRand *rand = g_rand_new_with_seed(1);

    g_converter_convert(G_CONVERTER(gzip), stream->data, stream->len, bytes,
                        stream->len, G_CONVERTER_INPUT_AT_END, &read, &written, &error);
    g_assert_no_error(error);
    expect_refusal(bytes, written, header);
    for (gsize i = 0; i < 4096; i++)
        bytes[i] = (guint8)g_rand_int(rand);
    g_rand_free(rand);
    expect_refusal(bytes, 4096, header);
    stream->data[7] = 2;
    expect_refusal(stream->data, stream->len, version);
    stream->data[7] = 3;
}

/* From a file, the error names it. */
static void
test_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autoptr(MoseReader) reader = NULL;
    int fd = g_file_open_tmp("mose-stream-XXXXXX", &path, &error);

    g_assert_no_error(error);
    g_close(fd, NULL);
    g_file_set_contents(path, (const char *)stream->data, stream->len, &error);
    g_assert_no_error(error);
    reader = mose_stream_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mose_reader_info(reader)->length, ==, stream->len);
    g_file_set_contents(path, (const char *)stream->data, 100000, &error);
    g_assert_null(mose_stream_load(path, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_unlink(path);
}

int
main(int argc, char **argv)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    int status;

    g_test_init(&argc, &argv, NULL);
    if (!qemu) {
        g_print("1..0 # SKIP qemu-system-x86_64 is not installed\n");
        return 0;
    }
    g_test_add_func("/stream/damage/as-json-glib", test_as_json_glib);
    g_test_add_func("/stream/damage/every-field", test_every_field);
    g_test_add_func("/stream/damage/truncated", test_truncated);
    g_test_add_func("/stream/damage/corrupted", test_corrupted);
    g_test_add_func("/stream/damage/foreign", test_foreign);
    g_test_add_func("/stream/damage/file", test_file);
    record();
    status = g_test_run();
    g_byte_array_unref(stream);
    return status;
}
