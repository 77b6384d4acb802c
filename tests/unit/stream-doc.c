/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The document: fields by path, changes of value and of shape, strictness. */
#include "stream/doc.h"

#include <string.h>

#include "lib/make-stream.h"
#include "stream/reader.h"
#include "stream/walk.h"
#include "util/error.h"

/* A stream read whole; the reader owns the document. */
static MoseReader *
read_stream(const GByteArray *stream, GError **error)
{
    g_autoptr(MoseReader) reader = mose_reader_new();
    gsize pass;

    if (!mose_reader_push(reader, stream->data, stream->len, &pass, error) ||
        !mose_reader_finish(reader, error))
        return NULL;
    return g_steal_pointer(&reader);
}

static MoseReader *
read_small(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GError) error = NULL;
    MoseReader *reader = read_stream(stream, &error);

    g_assert_no_error(error);
    return reader;
}

/* A stream with one section "d" of @body, described by @fields. */
static GByteArray *
one_section(const GByteArray *body, const char *fields)
{
    GByteArray *stream = g_byte_array_new();
    g_autofree char *device = g_strdup_printf(
        "{\"name\": \"d\", \"instance_id\": 0, \"vmsd_name\": \"d\", \"version\": 1, "
        "\"fields\": [%s]}",
        fields);

    mk_begin(stream);
    mk_ram(stream);
    mk_section_begin(stream, 5, "d", 0, 1);
    g_byte_array_append(stream, body->data, body->len);
    mk_section_end(stream, 5);
    mk_end(stream, device);
    return stream;
}

static guint64
get(const MoseSection *section, const char *path)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    mose_section_get(section, path, &value, &error);
    g_assert_no_error(error);
    return value;
}

/* The document once written out and read again. */
static MoseReader *
reread(const MoseReader *reader)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    MoseReader *again;

    mk_begin(stream);
    mk_ram(stream);
    mose_doc_write(mose_reader_doc(reader), stream);
    again = read_stream(stream, &error);
    g_assert_no_error(error);
    return again;
}

static void
test_get(void)
{
    g_autoptr(MoseReader) reader = read_small();
    MoseSection *dev = mose_doc_find(mose_reader_doc(reader), "dev", 0);
    MoseSection *old = mose_doc_find(mose_reader_doc(reader), "old", 1);
    g_autoptr(GError) error = NULL;
    const guint8 *bytes;
    gsize len;

    g_assert_cmpuint(get(dev, "a"), ==, 0x11223344);
    g_assert_cmpuint(get(dev, "b[0]"), ==, 1);
    g_assert_cmpuint(get(dev, "b[2]"), ==, 3);
    g_assert_cmpuint(get(dev, "t.y"), ==, 9);
    g_assert_cmpuint(get(mose_section_subsection(dev, "dev/more"), "m"), ==, 0x55);
    g_assert_false(mose_section_has(dev, "b[3]"));
    g_assert_false(mose_section_has(dev, "t.z"));
    g_assert_false(mose_section_has(dev, "t."));
    g_assert_false(mose_section_has(dev, "a.b"));
    g_assert_false(mose_section_has(dev, ""));
    g_assert_null(mose_section_subsection(dev, "dev/less"));
    bytes = mose_section_bytes(dev, "b", &len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(bytes, len, "\0\1\0\2\0\3", 6);
    bytes = mose_section_bytes(old, "data", &len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(bytes, len, "12345", 5);
    g_assert_cmpuint(mose_section_version(old), ==, 2);
    g_assert_null(mose_doc_find(mose_reader_doc(reader), "dev", 1));
}

static void
test_set(void)
{
    g_autoptr(MoseReader) reader = read_small();
    g_autoptr(MoseReader) again = NULL;
    MoseSection *dev = mose_doc_find(mose_reader_doc(reader), "dev", 0);
    g_autoptr(GError) error = NULL;

    mose_section_set(dev, "a", 0xffffffff, &error);
    g_assert_no_error(error);
    mose_section_set(dev, "b[1]", 0xabcd, &error);
    g_assert_no_error(error);
    mose_section_set(dev, "t.y", G_MAXUINT64, &error);
    g_assert_no_error(error);
    mose_section_set(mose_section_subsection(dev, "dev/more"), "m", 1, &error);
    g_assert_no_error(error);
    again = reread(reader);
    dev = mose_doc_find(mose_reader_doc(again), "dev", 0);
    g_assert_cmpuint(get(dev, "a"), ==, 0xffffffff);
    g_assert_cmpuint(get(dev, "b[0]"), ==, 1);
    g_assert_cmpuint(get(dev, "b[1]"), ==, 0xabcd);
    g_assert_cmpuint(get(dev, "t.x"), ==, 7);
    g_assert_cmpuint(get(dev, "t.y"), ==, G_MAXUINT64);
    g_assert_cmpuint(get(mose_section_subsection(dev, "dev/more"), "m"), ==, 1);
}

static void
expect(GError **error, int code, const char *message)
{
    g_assert_error(*error, MOSE_ERROR, code);
    g_assert_cmpstr((*error)->message, ==, message);
    g_clear_error(error);
}

#define DEV "section 'dev' 0, "
#define MORE "section 'dev' 0, subsection 'dev/more', "

static void
test_field_errors(void)
{
    g_autoptr(MoseReader) reader = read_small();
    MoseSection *dev = mose_doc_find(mose_reader_doc(reader), "dev", 0);
    MoseSection *old = mose_doc_find(mose_reader_doc(reader), "old", 1);
    guint64 at = mose_section_offset(dev);
    g_autofree char *missing = g_strdup_printf(
        MORE "stream offset 0x%" G_GINT64_MODIFIER "x: no field 'n'", at + 19 + 14);
    g_autofree char *array =
        g_strdup_printf(DEV "field 'b', stream offset 0x%" G_GINT64_MODIFIER
                            "x: an array of 3, not an integer",
                        at + 4);
    g_autofree char *structure = g_strdup_printf(
        DEV "field 't', stream offset 0x%" G_GINT64_MODIFIER "x: a struct, not bytes",
        at + 10);
    g_autofree char *fit =
        g_strdup_printf(DEV "field 'b[2]', stream offset 0x%" G_GINT64_MODIFIER
                            "x: 0x10000 does not fit in 2 bytes",
                        at + 8);
    g_autofree char *buffer = g_strdup_printf(
        "section 'old' 1, field 'data', stream offset 0x%" G_GINT64_MODIFIER
        "x: 5 bytes of type buffer, not an integer",
        mose_section_offset(old));
    GError *error = NULL;
    guint64 value;

    mose_section_get(mose_section_subsection(dev, "dev/more"), "n", &value, &error);
    expect(&error, MOSE_ERROR_NOT_FOUND, missing);
    mose_section_get(dev, "b", &value, &error);
    expect(&error, MOSE_ERROR_STREAM, array);
    mose_section_set_bytes(dev, "t", "123456789", 9, &error);
    expect(&error, MOSE_ERROR_INVALID, structure);
    mose_section_set(dev, "b[2]", 0x10000, &error);
    expect(&error, MOSE_ERROR_INVALID, fit);
    mose_section_get(old, "data", &value, &error);
    expect(&error, MOSE_ERROR_STREAM, buffer);
    g_assert_false(mose_section_set_bytes(old, "data", "1234", 4, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "4 bytes do not fit in a field of 5"));
    g_clear_error(&error);
    g_assert_true(mose_section_set_bytes(old, "data", "abcde", 5, &error));
    g_assert_no_error(error);
}

/* Names with dots and brackets of their own, arrays by element, null pointers. */
static void
test_paths(void)
{
    static const char fields[] =
        "{\"name\": \"env.r\", \"array_len\": 2, \"type\": \"uint8\", \"size\": 1}, "
        "{\"name\": \"env\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"e\", "
        "\"version\": 1, \"fields\": [{\"name\": \"r\", \"type\": \"uint8\", \"size\": "
        "1}, {\"name\": \"s\", \"type\": \"uint8\", \"size\": 1}]}, \"size\": 2}, "
        "{\"name\": \"u[0]\", \"array_len\": 2, \"type\": \"uint8\", \"size\": 1}, "
        "{\"name\": \"u[1]\", \"type\": \"uint8\", \"size\": 1}, "
        "{\"name\": \"p\", \"array_len\": 2, \"type\": \"nullptr\", \"size\": 1}, "
        "{\"name\": \"p\", \"index\": 2, \"type\": \"struct\", \"struct\": {"
        "\"vmsd_name\": \"e\", \"version\": 1, \"fields\": [{\"name\": \"k\", "
        "\"type\": "
        "\"uint8\", \"size\": 1}]}, \"size\": 1}, "
        "{\"name\": \"p\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"e\", "
        "\"version\": 1, \"fields\": [{\"name\": \"k\", \"type\": \"uint8\", \"size\": "
        "1}]}, \"size\": 1}, "
        "{\"name\": \"c\", \"array_len\": 3, \"type\": \"struct\", \"struct\": {"
        "\"vmsd_name\": \"e\", \"version\": 1, \"fields\": [{\"name\": \"v\", "
        "\"array_len\": 2, \"type\": \"uint8\", \"size\": 1}]}, \"size\": 2}";
    static const struct {
        const char *path;
        guint64 value;
    } rows[] = {
        { "env.r[0]", 0 },   { "env.r[1]", 1 },   { "env.s", 3 },
        { "u[0][0]", 4 },    { "u[0][1]", 5 },    { "u[1]", 6 },
        { "p[0]", 7 },       { "p[1]", 8 },       { "p[2].k", 9 },
        { "p[3].k", 10 },    { "c[0].v[0]", 11 }, { "c[1].v[0]", 13 },
        { "c[2].v[1]", 16 },
    };
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(MoseReader) reader = NULL;
    g_autoptr(GError) error = NULL;
    MoseSection *section;
    const guint8 *bytes;
    gsize len;

    for (int i = 0; i < 17; i++)
        mk(body, "b", i);
    stream = one_section(body, fields);
    reader = read_stream(stream, &error);
    g_assert_no_error(error);
    section = mose_doc_find(mose_reader_doc(reader), "d", 0);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpuint(get(section, rows[i].path), ==, rows[i].value);
    g_assert_false(mose_section_has(section, "p[4]"));
    g_assert_false(mose_section_has(section, "p.k"));
    g_assert_false(mose_section_has(section, "c.v[0]"));
    g_assert_false(mose_section_has(section, "c[3].v[0]"));
    g_assert_false(mose_section_has(section, "c[1"));
    g_assert_false(mose_section_has(section, "c[-1]"));
    bytes = mose_section_bytes(section, "p", &len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(bytes, len, "\7\10\11\12", 4);
    bytes = mose_section_bytes(section, "env.r", &len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(bytes, len, "\0\1", 2);
}

/* Every field of a walk is reached by its path, and holds the same bytes. */
static void
check_leaf(const MoseLeaf *leaf, gpointer data)
{
    MoseSection *section = data;
    g_autoptr(GError) error = NULL;
    const guint8 *bytes;
    gsize len;

    if (!leaf->path)
        return;
    if (leaf->subsection)
        section = mose_section_subsection(section, leaf->subsection);
    bytes = mose_section_bytes(section, leaf->path, &len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(bytes, len, leaf->bytes, leaf->element_size * leaf->count);
}

static void
test_walk_and_paths_agree(void)
{
    g_autoptr(MoseReader) reader = read_small();
    const MoseDoc *doc = mose_reader_doc(reader);

    for (guint i = 0; i < mose_doc_n_sections(doc); i++)
        mose_section_walk(mose_doc_section(doc, i), check_leaf,
                          mose_doc_section(doc, i));
}

static void
test_drop_and_add_section(void)
{
    g_autoptr(MoseReader) reader = read_small();
    g_autoptr(MoseReader) again = NULL;
    MoseDoc *doc = mose_reader_doc(reader);
    MoseSection *clock = mose_doc_add(doc, "kvmclock", 0, 1);
    MoseSection *reliable;

    mose_section_append(clock, "clock", "uint64", 8, 12345);
    reliable = mose_section_add_subsection(clock, "kvmclock/reliable", 2);
    mose_section_append(reliable, "r", "bool", 1, 1);
    mose_section_append(clock, "late", "uint16", 2, 0xbeef);
    mose_doc_drop(doc, mose_doc_find(doc, "dev", 0));
    again = reread(reader);
    doc = mose_reader_doc(again);
    g_assert_cmpuint(mose_doc_n_sections(doc), ==, 2);
    g_assert_null(mose_doc_find(doc, "dev", 0));
    clock = mose_doc_find(doc, "kvmclock", 0);
    g_assert_true(clock == mose_doc_section(doc, 1));
    g_assert_cmpuint(get(clock, "clock"), ==, 12345);
    g_assert_cmpuint(get(clock, "late"), ==, 0xbeef);
    reliable = mose_section_subsection(clock, "kvmclock/reliable");
    g_assert_cmpuint(mose_section_version(reliable), ==, 2);
    g_assert_cmpuint(get(reliable, "r"), ==, 1);
}

/* A new section's id is no other's, not even RAM's. */
static void
test_new_id(void)
{
    static const guint32 ids[] = { 1, 7, G_MAXUINT32 };

    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autoptr(MoseDoc) doc = mose_doc_new();
        g_autoptr(GByteArray) out = g_byte_array_new();

        mose_doc_reserve_id(doc, ids[i]);
        mose_doc_add(doc, "a", 0, 1);
        mose_doc_add(doc, "b", 0, 1);
        mose_doc_write(doc, out);
        /* 04, id, 01 'a', instance, version, 7e, id, 04, id */
        g_assert_cmpmem(out->data + 1, 4, out->data + 16, 4);
        g_assert_cmpint(memcmp(out->data + 1, out->data + 21, 4), !=, 0);
    }
}

static void
test_subsections_in_a_struct(void)
{
    static const char fields[] =
        "{\"name\": \"o\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"o\", "
        "\"version\": 1, \"fields\": [{\"name\": \"x\", \"type\": \"uint8\", \"size\": "
        "1}], \"subsections\": [{\"vmsd_name\": \"o/s\", \"version\": 1, \"fields\": "
        "[{\"name\": \"y\", \"type\": \"uint8\", \"size\": 1}]}]}, \"size\": 11}, "
        "{\"name\": \"z\", \"type\": \"uint8\", \"size\": 1}";
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(MoseReader) reader = NULL, again = NULL, third = NULL;
    g_autoptr(GError) error = NULL;
    MoseSection *section, *sub;

    mk(body, "bbswbb", 1, 5, "o/s", 1, 2, 3);
    stream = one_section(body, fields);
    reader = read_stream(stream, &error);
    g_assert_no_error(error);
    section = mose_doc_find(mose_reader_doc(reader), "d", 0);
    g_assert_cmpuint(get(mose_section_subsection(section, "o/s"), "y"), ==, 2);

    /* Grown: the struct around it must be told so. */
    sub = mose_section_add_subsection(mose_section_subsection(section, "o/s"), "o/s/t",
                                      1);
    mose_section_append(sub, "w", "uint32", 4, 0x77);
    again = reread(reader);
    section = mose_doc_find(mose_reader_doc(again), "d", 0);
    g_assert_cmpuint(get(mose_section_subsection(section, "o/s/t"), "w"), ==, 0x77);
    g_assert_cmpuint(get(section, "z"), ==, 3);

    mose_section_drop_subsection(section, "o/s");
    mose_section_drop_subsection(section, "o/none");
    g_assert_null(mose_section_subsection(section, "o/s/t"));
    third = reread(again);
    section = mose_doc_find(mose_reader_doc(third), "d", 0);
    g_assert_cmpuint(mose_section_size(section), ==, 2);
    g_assert_cmpuint(get(section, "o.x"), ==, 1);
    g_assert_cmpuint(get(section, "z"), ==, 3);
}

/* Strictness: the small stream with bytes of the device part changed. */
typedef struct {
    const char *name;
    const char *find; /* the change is made at these bytes + @at */
    int at;
    guint8 value;
    const char *message; /* a part of it */
} Damage;

static const Damage damages[] = {
    { "section-name", "\3dev", 1, 'D',
      DEV "stream offset 0x10a4: another section is here" },
    { "section-kind", "\3dev", -5, 2,
      "section, stream offset 0x10a5: part of section 5, which is not open" },
    { "second-section-kind", "\3old", -5, 2,
      "section 'old' 1, stream offset 0x10df: no section begins here" },
    { "instance", "\3dev", 7, 1, "another instance is here" },
    { "version", "\3dev", 11, 2, "another version is here than described" },
    { "subsection-name", "dev/more", 0, 'D',
      DEV "subsection 'dev/more', stream offset 0x10c8: described, but not there" },
    { "subsection-version", "dev/more", 11, 3,
      DEV "subsection 'dev/more', stream offset 0x10c8: version 1 described, but 3 "
          "there" },
    { "footer", "\3old", -10, 0x7f,
      DEV "stream offset 0x10da: no footer where its fields end" },
    { "footer-id", "\3old", -6, 9,
      DEV "stream offset 0x10da: the footer is that of another section" },
    { "size", "\"y\", \"type\": \"uint64\", \"size\": 8", 31, '7',
      DEV
      "field 't', stream offset 0x10bf: described as 9 bytes, but its fields take 8" },
    { "too-long", "\"name\": \"data\", \"size\": 5", 24, '9',
      "section 'old' 1, stream offset 0x10f9: no footer where its fields end" },
    { "too-short", "\"name\": \"data\", \"size\": 5", 24, '4',
      "no footer where its fields end" },
    { "array-too-long", "\"array_len\": 3", 13, '9',
      DEV "subsection 'dev/more', stream offset 0x10d4: described, but not there" },
};

static void
test_damage(gconstpointer data)
{
    const Damage *damage = data;
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(MoseReader) reader = NULL;
    g_autoptr(GError) error = NULL;
    guint8 *found =
        memmem(stream->data, stream->len, damage->find, strlen(damage->find));

    g_assert_nonnull(found);
    found[damage->at] = damage->value;
    reader = read_stream(stream, &error);
    g_assert_null(reader);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    if (!strstr(error->message, damage->message))
        g_error("\"%s\" is not in \"%s\"", damage->message, error->message);
}

typedef struct {
    const char *name;
    const char *fields;
    const char *message;
} Shape;

#define SUBSECTION                                                                     \
    "\"subsections\": [{\"vmsd_name\": \"s\", \"version\": 1, \"fields\": []}]"

/* Described shapes that the header of subsection "s", twice, and a footer have not. */
static const Shape shapes[] = {
    { "field-too-long", "{\"name\": \"f\", \"type\": \"buffer\", \"size\": 1000}",
      "section 'd' 0, field 'f', stream offset 0x60: takes 1000 bytes, but 19 are "
      "left" },
    { "array-too-long",
      "{\"name\": \"f\", \"array_len\": 67108864, \"type\": \"buffer\", \"size\": "
      "67108864}",
      "section 'd' 0, field 'f', stream offset 0x60: takes 4503599627370496 bytes, but "
      "19 "
      "are left" },
    { "array-of-nothing",
      "{\"name\": \"f\", \"array_len\": 2, \"type\": \"buffer\", \"size\": 0}",
      "section 'd' 0, field 'f', stream offset 0x60: an array of 2 elements of no "
      "size" },
    { "subsections-in-an-array",
      "{\"name\": \"f\", \"array_len\": 2, \"type\": \"struct\", \"struct\": "
      "{\"vmsd_name\": \"e\", \"version\": 1, \"fields\": [], " SUBSECTION
      "}, \"size\": 7}",
      "section 'd' 0, field 'f', stream offset 0x60: an array in one piece whose "
      "elements "
      "have subsections" },
    { "subsection-cut-off",
      "{\"name\": \"f\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"e\", "
      "\"version\": 1, \"fields\": [], " SUBSECTION "}, \"size\": 6}",
      "section 'd' 0, subsection 's', stream offset 0x60: its header does not "
      "fit in what is left" },
};

static void
test_shape(gconstpointer data)
{
    const Shape *shape = data;
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 2; i++)
        mk(body, "bsw", 5, "s", 1);
    stream = one_section(body, shape->fields);
    g_assert_null(read_stream(stream, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_cmpstr(error->message, ==, shape->message);
}

static void
test_left_over(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    mk_begin(stream);
    mk_ram(stream);
    mk_section_begin(stream, 5, "d", 0, 1);
    mk_section_end(stream, 5);
    mk_end(stream, "");
    g_assert_null(read_stream(stream, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_cmpstr(error->message, ==,
                    "stream offset 0x51: 20 bytes behind the last section described");
}

static void
test_described_but_missing(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    mk_begin(stream);
    mk_ram(stream);
    mk_end(stream, mk_small_devices);
    g_assert_null(read_stream(stream, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_cmpstr(error->message, ==,
                    DEV "stream offset 0x51: described, but the device part is over");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/doc/get", test_get);
    g_test_add_func("/stream/doc/set", test_set);
    g_test_add_func("/stream/doc/field-errors", test_field_errors);
    g_test_add_func("/stream/doc/paths", test_paths);
    g_test_add_func("/stream/doc/walk-and-paths-agree", test_walk_and_paths_agree);
    g_test_add_func("/stream/doc/drop-and-add-section", test_drop_and_add_section);
    g_test_add_func("/stream/doc/new-id", test_new_id);
    g_test_add_func("/stream/doc/subsections-in-a-struct",
                    test_subsections_in_a_struct);
    g_test_add_func("/stream/doc/left-over", test_left_over);
    g_test_add_func("/stream/doc/described-but-missing", test_described_but_missing);
    for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autofree char *path =
            g_strdup_printf("/stream/doc/refuses/%s", damages[i].name);

        g_test_add_data_func(path, &damages[i], test_damage);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++) {
        g_autofree char *path = g_strdup_printf("/stream/doc/shape/%s", shapes[i].name);

        g_test_add_data_func(path, &shapes[i], test_shape);
    }
    return g_test_run();
}
