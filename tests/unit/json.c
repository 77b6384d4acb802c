/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON of strangers: refused where the parser would not survive it. */
#include "util/json.h"

#include <string.h>

#include "util/error.h"

static char *
nested(const char *before, int depth)
{
    g_autofree char *open = g_strnfill(depth, '[');
    g_autofree char *close = g_strnfill(depth, ']');

    return g_strconcat("{\"a\": ", before, open, close, "}", NULL);
}

static void
test_depth(void)
{
    static const char *const hidden[] = { "", "[\"]]]\",", "/* \" */", "// \"\n" };
    g_autofree char *good = nested("", 199);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = mose_json_parse(good, -1, "x", &error);

    g_assert_no_error(error);
    g_assert_nonnull(object);
    for (gsize i = 0; i < G_N_ELEMENTS(hidden); i++) {
        g_autofree char *bad = nested(hidden[i], 200000);

        g_assert_null(mose_json_parse(bad, -1, "x", &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, "more than 200 levels"));
        g_clear_error(&error);
    }
}

/* Brackets and slashes in strings are text. */
static void
test_strings(void)
{
    g_autofree char *fill = g_strnfill(1000, '[');
    g_autofree char *text =
        g_strconcat("{\"a\": \"/'#\\\\\\\"", fill, "\", \"b\": 7}", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = mose_json_parse(text, -1, "x", &error);

    g_assert_no_error(error);
    g_assert_cmpint(mose_json_int(object, "b", 0), ==, 7);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/depth", test_depth);
    g_test_add_func("/json/strings", test_strings);
    return g_test_run();
}
