/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people see of a stream, and what differs between two. */
#include "stream/show.h"

#include <string.h>

#include "lib/make-stream.h"
#include "util/error.h"

static MoseReader *
read_small(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    MoseReader *reader = mose_reader_new();
    g_autoptr(GError) error = NULL;
    gsize pass;

    mose_reader_push(reader, stream->data, stream->len, &pass, &error);
    g_assert_no_error(error);
    return reader;
}

static void
test_stream(void)
{
    g_autoptr(MoseReader) reader = read_small();
    g_autoptr(GString) text = g_string_new(NULL);

    mose_show_stream(reader, text);
    g_assert_cmpstr(text->str, ==,
                    "machine pc, 5053 bytes\n\n"
                    "RAM: 20 KiB in 2 blocks\n"
                    "  1 zero pages, 1 whole pages, 1 xbzrle pages\n"
                    "  a      16 KiB\n"
                    "  rom     4 KiB\n\n"
                    "devices: 2 sections, from 0x10a4 on\n"
                    "  section  instance  version   bytes  offset\n"
                    "  dev             0        3      37  0x10b5\n"
                    "  old             1        2       5  0x10f0\n");
}

static void
test_section(void)
{
    g_autoptr(MoseReader) reader = read_small();
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_true(mose_show_section(reader, "dev", text));
    g_assert_cmpstr(text->str, ==,
                    "section dev 0, version 3, 37 bytes at 0x10b5\n"
                    "  a    uint32     0x11223344\n"
                    "  b    uint16[3]  [0x1, 0x2, 0x3]\n"
                    "  t.x  uint8      0x7\n"
                    "  t.y  uint64     0x9\n"
                    " subsection dev/more\n"
                    "  m    uint32     0x55\n");
    g_string_truncate(text, 0);
    g_assert_true(mose_show_section(reader, "old", text));
    g_assert_nonnull(strstr(text->str, "  data  buffer  \"12345\"\n"));
    g_assert_false(mose_show_section(reader, "none", text));
}

static void
test_json(void)
{
    g_autoptr(MoseReader) reader = read_small();
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    JsonObject *section, *field;

    json_builder_begin_object(builder);
    mose_show_json(reader, "dev", builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    section = json_array_get_object_element(
        json_object_get_array_member(json_node_get_object(root), "sections"), 0);
    g_assert_cmpstr(json_object_get_string_member(section, "name"), ==, "dev");
    field = json_array_get_object_element(
        json_object_get_array_member(section, "fields"), 3);
    g_assert_cmpstr(json_object_get_string_member(field, "name"), ==, "t.y");
    g_assert_cmpstr(json_object_get_string_member(field, "value"), ==, "0x9");
    g_assert_cmpint(json_object_get_int_member(field, "offset"), ==, 0x10b5 + 11);
}

static char *
differences(const MoseReader *a, const MoseReader *b)
{
    g_autoptr(GPtrArray) found = mose_stream_compare(a, b);
    GString *text = g_string_new(NULL);

    mose_show_differences(found, text);
    return g_string_free(text, FALSE);
}

static void
test_same(void)
{
    g_autoptr(MoseReader) a = read_small(), b = read_small();
    g_autofree char *text = differences(a, b);

    g_assert_cmpstr(text, ==, "");
}

static void
test_differences(void)
{
    g_autoptr(MoseReader) a = read_small(), b = read_small();
    MoseDoc *doc = mose_reader_doc(b);
    MoseSection *dev = mose_doc_find(doc, "dev", 0);
    g_autofree char *text = NULL;
    g_autofree char *back = NULL;
    g_autoptr(GError) error = NULL;

    mose_section_set(dev, "b[2]", 4, &error);
    g_assert_no_error(error);
    mose_section_drop_subsection(dev, "dev/more");
    mose_doc_drop(doc, mose_doc_find(doc, "old", 1));
    mose_doc_add(doc, "new", 2, 9);
    text = differences(a, b);
    g_assert_cmpstr(text, ==,
                    "section dev 0\n"
                    "  b[2]\n    - 0x3\n    + 0x4\n"
                    "section dev 0, subsection dev/more\n"
                    "  the subsection\n    - present\n    + (not there)\n"
                    "section old 1\n"
                    "  the section\n    - version 2\n    + (not there)\n"
                    "section new 2\n"
                    "  the section\n    - (not there)\n    + version 9\n");
    back = differences(b, a);
    g_assert_nonnull(strstr(back, "  b[2]\n    - 0x4\n    + 0x3\n"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/show/stream", test_stream);
    g_test_add_func("/stream/show/section", test_section);
    g_test_add_func("/stream/show/json", test_json);
    g_test_add_func("/stream/compare/same", test_same);
    g_test_add_func("/stream/compare/differences", test_differences);
    return g_test_run();
}
