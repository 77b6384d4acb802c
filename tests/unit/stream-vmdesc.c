/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The description: what is read from it, what is written, and each refusal. */
#include "stream/vmdesc.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "lib/make-stream.h"
#include "util/error.h"

static char *
in_vmdesc(const char *devices)
{
    return g_strdup_printf(
        "{\"configuration\": {\"x\": [1, {\"y\": null}]}, \"page_size\": 4096, "
        "\"devices\": [%s]}",
        devices);
}

static MoseVmdesc *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    MoseVmdesc *vmdesc = mose_vmdesc_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return vmdesc;
}

static char *
write_out(const MoseVmdesc *vmdesc)
{
    GString *out = g_string_new(NULL);

    mose_vmdesc_write(vmdesc, out);
    return g_string_free(out, FALSE);
}

static void
test_tree(void)
{
    g_autofree char *text = in_vmdesc(mk_small_devices);
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    const MoseSection *dev = vmdesc->sections->pdata[0];
    const MoseSection *old = vmdesc->sections->pdata[1];
    const MoseSection *more = dev->subsections->pdata[0];
    const MoseField *b = dev->fields->pdata[1], *t = dev->fields->pdata[2];

    g_assert_cmpstr(dev->name, ==, "dev");
    g_assert_cmpuint(dev->version, ==, 3);
    g_assert_cmpuint(b->count, ==, 3);
    g_assert_cmpuint(b->size, ==, 2);
    g_assert_cmpstr(t->inner->vmsd_name, ==, "tv");
    g_assert_cmpuint(t->inner->fields->len, ==, 2);
    g_assert_cmpstr(more->name, ==, "dev/more");
    g_assert_null(old->vmsd_name);
    g_assert_cmpuint(old->instance, ==, 1);
}

/* The two spellings of white space, and keys in another order, come back as they were.
 */
static void
test_untouched_text_is_kept(void)
{
    static const char *const texts[] = {
        "{\"devices\":[]}",
        "{\"devices\": [  {\"name\":\"a\"} ,{\"name\":\"b\"}\n] }",
        " { \"devices\" : [ ] , \"z\" : \"\\u00e9\\\"\" } ",
        "{\"devices\":[{\"fields\":[]  ,\"name\":\"\\u0041\"}]}",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(MoseVmdesc) vmdesc = parse(texts[i]);
        g_autofree char *out = write_out(vmdesc);

        g_assert_cmpstr(out, ==, texts[i]);
    }
}

static void
touch_all(MoseSection *section)
{
    mose_section_node_touch(section);
    for (guint i = 0; i < section->fields->len; i++) {
        MoseField *field = section->fields->pdata[i];

        field->text = (MoseText){ NULL, 0 };
        if (field->inner)
            touch_all(field->inner);
    }
    for (guint i = 0; i < section->subsections->len; i++)
        touch_all(section->subsections->pdata[i]);
}

/* Written anew from the tree alone, it is what QEMU writes. The example has every shape
 * of migration/vmstate.c: an array in one piece, one by index, null pointers, struct,
 * vstruct, tmp, names used twice, subsections in a struct. */
static void
test_written_anew(void)
{
    static const char devices[] =
        "{\"name\": \"d\", \"instance_id\": 4294967295, \"vmsd_name\": \"d\", "
        "\"version\": 2, \"fields\": ["
        "{\"name\": \"u\", \"array_len\": 2, \"type\": \"uint8\", \"size\": 1}, "
        "{\"name\": \"e\", \"index\": 0, \"type\": \"struct\", \"struct\": {"
        "\"vmsd_name\": \"ev\", \"version\": 1, \"fields\": ["
        "{\"name\": \"q\", \"type\": \"int32\", \"size\": 4}], "
        "\"subsections\": [{\"vmsd_name\": \"ev/s\", \"version\": 1, \"fields\": "
        "[]}]}, "
        "\"size\": 14}, "
        "{\"name\": \"e\", \"type\": \"nullptr\", \"size\": 1}, "
        "{\"name\": \"f[0]\", \"type\": \"tmp\", \"vmsd_name\": \"t\", \"version\": 1, "
        "\"fields\": [{\"name\": \"g\\\"\\\\\\u00E9\\uD83D\\uDE00\", \"type\": "
        "\"bool\", "
        "\"size\": 1}], \"size\": 1}, "
        "{\"name\": \"f[1]\", \"type\": \"vstruct\", \"vmsd_name\": \"w\", "
        "\"version\": "
        "1, \"fields\": [], \"size\": 0}]}";
    g_autofree char *text = in_vmdesc(devices);
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    g_autofree char *out = NULL;

    touch_all(vmdesc->sections->pdata[0]);
    out = write_out(vmdesc);
    g_assert_cmpstr(out, ==, text);
}

static void
test_old_style_written_anew(void)
{
    g_autofree char *text = in_vmdesc(
        "{\"name\": \"o\", \"instance_id\": 0, \"size\": 5, \"fields\": [{\"name\": "
        "\"data\", \"size\": 5, \"type\": \"buffer\"}]}");
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    MoseSection *section = vmdesc->sections->pdata[0];
    g_autofree char *out = NULL;

    section->end = 5;
    section->text = (MoseText){ NULL, 0 };
    out = write_out(vmdesc);
    g_assert_cmpstr(out, ==, text);
}

/* A list repeats the keys of its elements; it is bytes, and stays as it is written. */
static void
test_list_is_bytes(void)
{
    g_autofree char *text = in_vmdesc(
        "{\"name\": \"d\", \"vmsd_name\": \"d\", \"version\": 1, \"fields\": "
        "[{\"name\": "
        "\"l\", \"type\": \"qtailq\", \"vmsd_name\": \"x\", \"version\": 1, "
        "\"fields\": "
        "[], \"vmsd_name\": \"x\", \"version\": 1, \"fields\": [], \"size\": 9}]}");
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    MoseSection *section = vmdesc->sections->pdata[0];
    const MoseField *field = section->fields->pdata[0];
    g_autofree char *out = NULL;

    g_assert_null(field->inner);
    g_assert_cmpuint(field->size, ==, 9);
    mose_section_node_touch(section);
    out = write_out(vmdesc);
    g_assert_nonnull(strstr(out, "\"fields\": [], \"vmsd_name\": \"x\""));
}

/* json-glib reads the same strings. */
static void
test_strings_as_json_glib(void)
{
    static const char string[] =
        "\"a\\u00e9\\ud83d\\ude00\\\\\\/\\b\\f\\n\\r\\t\\\"z\"";
    g_autofree char *json = g_strdup_printf("[%s]", string);
    g_autofree char *device =
        g_strdup_printf("{\"name\": %s, \"vmsd_name\": \"v\", \"fields\": []}", string);
    g_autofree char *text = in_vmdesc(device);
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    const MoseSection *section = vmdesc->sections->pdata[0];
    g_autoptr(JsonNode) node = json_from_string(json, NULL);

    g_assert_cmpstr(section->name, ==,
                    json_array_get_string_element(json_node_get_array(node), 0));
}

typedef struct {
    const char *name;
    const char *text;
    const char *message; /* a part of it */
} Refusal;

#define DEVICE(fields)                                                                 \
    "{\"devices\": [{\"name\": \"d\", \"vmsd_name\": \"d\", \"fields\": [" fields "]}" \
    "]}"

static const Refusal refusals[] = {
    { "empty", "", "byte 0: cut off in an object" },
    { "array", "[]", "byte 0: expected an object" },
    { "no-devices", "{\"page_size\": 4096}", "no \"devices\" in it" },
    { "devices-twice", "{\"devices\": [], \"devices\": []}", "\"devices\" twice" },
    { "cut-off", "{\"devices\": [{\"name\": \"d\"", "cut off in ',' or '}'" },
    { "more-behind", "{\"devices\": []} x", "byte 16: expected nothing more" },
    { "no-comma", "{\"devices\": [{} {}]}", "without a name of 1 to 255 bytes" },
    { "no-colon", "{\"devices\" []}", "byte 11: expected ':'" },
    { "bad-escape", "{\"devices\": [{\"name\": \"\\x\"}]}", "a valid escape" },
    { "nul", "{\"devices\": [{\"name\": \"\\u0000\"}]}", "a valid escape" },
    { "lone-surrogate", "{\"devices\": [{\"name\": \"\\ud800\"}]}", "a valid escape" },
    { "not-utf8", "{\"devices\": [{\"name\": \"\xff\"}]}", "UTF-8" },
    { "control-character", "{\"devices\": [{\"name\": \"\n\"}]}", "control character" },
    { "negative", DEVICE("{\"name\": \"f\", \"type\": \"t\", \"size\": -1}"),
      "a number that is not negative" },
    { "huge",
      DEVICE("{\"name\": \"f\", \"type\": \"t\", \"size\": 99999999999999999999}"),
      "a smaller number" },
    { "no-elements",
      DEVICE("{\"name\": \"f\", \"type\": \"t\", \"size\": 1, \"array_len\": 0}"),
      "section 'd' 0, field 'f': an array of no elements" },
    { "no-type", DEVICE("{\"name\": \"f\", \"size\": 1}"),
      "section 'd' 0, field 'f': a field without name or type" },
    { "two-structs",
      DEVICE("{\"name\": \"f\", \"type\": \"struct\", \"struct\": {}, \"struct\": {}}"),
      "section 'd' 0, field 'f': two structs" },
    { "two-types",
      DEVICE("{\"name\": \"f\", \"type\": \"tmp\", \"vmsd_name\": \"v\", \"type\": "
             "\"t\"}"),
      "section 'd' 0, field 'f': two types" },
    { "nameless-struct",
      DEVICE("{\"name\": \"f\", \"type\": \"struct\", \"struct\": {\"fields\": []}}"),
      "section 'd' 0, field 'f': a struct without vmsd_name" },
    { "nameless-subsection",
      "{\"devices\": [{\"name\": \"d\", \"subsections\": [{\"version\": 1}]}]}",
      "a subsection without a name of 1 to 255 bytes" },
};

static void
test_refusal(gconstpointer data)
{
    const Refusal *refusal = data;
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_vmdesc_parse(refusal->text, strlen(refusal->text), &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    g_assert_true(g_str_has_prefix(error->message, "description"));
    if (!strstr(error->message, refusal->message))
        g_error("\"%s\" is not in \"%s\"", refusal->message, error->message);
}

/* Every description cut short is refused, whatever the place. */
static void
test_every_truncation(void)
{
    g_autofree char *text = in_vmdesc(mk_small_devices);

    for (gsize len = 0; len < strlen(text); len++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(mose_vmdesc_parse(text, len, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    }
}

static void
repeat(GString *out, const char *text, guint n)
{
    while (n-- > 0)
        g_string_append(out, text);
}

/* As deep as a stack would have to be that was not limited. */
static void
test_depth(void)
{
    static const char *const opens[] = {
        "{\"name\":\"d\",\"vmsd_name\":\"d\",\"type\":\"vstruct\",\"fields\":[",
        "{\"name\":\"d\",\"vmsd_name\":\"d\",\"subsections\":[",
        "{\"x\":[",
        "[",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(opens); i++) {
        g_autoptr(GString) text = g_string_new("{\"devices\":[");
        g_autoptr(GError) error = NULL;

        if (i == 3)
            g_string_assign(text, "{\"x\":");
        repeat(text, opens[i], 100000);
        g_assert_null(mose_vmdesc_parse(text->str, text->len, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
        g_assert_nonnull(
            strstr(error->message, i < 2 ? "nested too deep" : "less nesting"));
    }
}

static void
test_where(void)
{
    g_autofree char *text = in_vmdesc(mk_small_devices);
    g_autoptr(MoseVmdesc) vmdesc = parse(text);
    const MoseSection *dev = vmdesc->sections->pdata[0];
    const MoseSection *more = dev->subsections->pdata[0];
    const MoseField *t = dev->fields->pdata[2];
    g_autofree char *a = mose_section_where(dev, NULL);
    g_autofree char *b = mose_section_where(t->inner, t->inner->fields->pdata[1]);
    g_autofree char *c = mose_section_where(more, more->fields->pdata[0]);

    g_assert_cmpstr(a, ==, "section 'dev' 0");
    g_assert_cmpstr(b, ==, "section 'dev' 0, field 't.y'");
    g_assert_cmpstr(c, ==, "section 'dev' 0, subsection 'dev/more', field 'm'");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/vmdesc/tree", test_tree);
    g_test_add_func("/stream/vmdesc/untouched-text-is-kept",
                    test_untouched_text_is_kept);
    g_test_add_func("/stream/vmdesc/written-anew", test_written_anew);
    g_test_add_func("/stream/vmdesc/old-style-written-anew",
                    test_old_style_written_anew);
    g_test_add_func("/stream/vmdesc/list-is-bytes", test_list_is_bytes);
    g_test_add_func("/stream/vmdesc/strings-as-json-glib", test_strings_as_json_glib);
    g_test_add_func("/stream/vmdesc/every-truncation", test_every_truncation);
    g_test_add_func("/stream/vmdesc/depth", test_depth);
    g_test_add_func("/stream/vmdesc/where", test_where);
    for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path =
            g_strdup_printf("/stream/vmdesc/refuses/%s", refusals[i].name);

        g_test_add_data_func(path, &refusals[i], test_refusal);
    }
    return g_test_run();
}
