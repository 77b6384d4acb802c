/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of results (result.h) as a table in Markdown: table RESULTS. */
#include <stdio.h>
#include <string.h>

#include "util/json.h"

static double
number(JsonObject *object, const char *name)
{
    return json_object_get_double_member_with_default(object, name, 0);
}

/* Three digits that count; ratios and small values two behind the point. */
static char *
value(JsonObject *object, const char *name)
{
    double x = number(object, name);
    const char *unit = mose_json_string(object, "unit", "");

    if (!*unit)
        return g_strdup_printf("%.2f", x);
    return g_strdup_printf(x < 0.1   ? "%.4f %s"
                           : x < 100 ? "%.1f %s"
                                     : "%.0f %s",
                           x, unit);
}

static char *
goal(JsonObject *object)
{
    const char *unit = mose_json_string(object, "unit", "");
    gboolean floor = json_object_has_member(object, "floor");

    if (!floor && !json_object_has_member(object, "goal"))
        return g_strdup("");
    return g_strdup_printf("%s%g%s%s: %s", floor ? "at least " : "",
                           number(object, floor ? "floor" : "goal"), *unit ? " " : "",
                           unit,
                           mose_json_bool(object, "met", FALSE) ? "met" : "**missed**");
}

static void
row(JsonObject *object)
{
    const char *skipped = mose_json_string(object, "skipped", NULL);
    const char *what = mose_json_string(object, "what", "?");
    g_autofree char *min = value(object, "min"), *median = value(object, "median");
    g_autofree char *p95 = value(object, "p95"), *max = value(object, "max");
    g_autofree char *limit = goal(object);
    int n = (int)mose_json_int(object, "n", 0);

    if (skipped)
        printf("| %s | not measured: %s | | | | | |\n", what, skipped);
    else if (n == 1)
        printf("| %s | | | %s | | | %s |\n", what, median, limit);
    else
        printf("| %s | %d | %s | %s | %s | %s | %s |\n", what, n, min, median, p95, max,
               limit);
}

int
main(int argc, char **argv)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) error = NULL;

    if (argc != 2 || !g_file_get_contents(argv[1], &text, NULL, &error)) {
        g_printerr("usage: table RESULTS\n%s\n", error ? error->message : "");
        return 2;
    }
    puts("| | n | least | median | 95 % | most | goal (median) |\n"
         "|---|---|---|---|---|---|---|");
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autoptr(JsonObject) object = mose_json_parse(*line, -1, "result", NULL);

        if (object && json_object_has_member(object, "figure"))
            row(object);
    }
    return 0;
}
