/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mose stream show FILE [--section S]: what is in a saved migration stream.
 * mose stream diff A B: what differs between the states in two of them.
 *
 * The exit status of diff is that of diff(1): 0 no difference, 1 differences, 2
 * trouble (wrong use, or a stream that cannot be read).
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "stream/load.h"
#include "stream/show.h"
#include "util/error.h"

#define HINT                                                                           \
    "A stream is what `migrate` with a file: address writes, the machine's "           \
    "description at its end included."

enum {
    DIFF_SAME = 0,
    DIFF_DIFFERENT = 1,
    DIFF_TROUBLE = 2,
};

static int
show(const char *path, const char *section)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseReader) reader = mose_stream_load(path, &error);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    gboolean found = TRUE;

    if (!reader)
        return mose_cli_fail(error, HINT);
    if (section)
        found = mose_show_section(reader, section, text);
    else
        mose_show_stream(reader, text);
    if (!found) {
        g_set_error(&error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s: no section '%s'",
                    path, section);
        return mose_cli_fail(error, "`mose stream show FILE` lists the sections.");
    }
    if (!mose_cli_json()) {
        fputs(text->str, stdout);
        return MOSE_EXIT_DONE;
    }
    json_builder_begin_object(builder);
    mose_show_json(reader, section, builder);
    json_builder_end_object(builder);
    mose_cli_print_json(builder);
    return MOSE_EXIT_DONE;
}

static int
diff(const char *path_a, const char *path_b)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseReader) a = mose_stream_load(path_a, &error);
    g_autoptr(MoseReader) b = a ? mose_stream_load(path_b, &error) : NULL;
    g_autoptr(GPtrArray) differences = NULL;

    if (!b) {
        mose_cli_fail(error, HINT);
        return DIFF_TROUBLE;
    }
    differences = mose_stream_compare(a, b);
    if (mose_cli_json()) {
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        mose_show_differences_json(differences, builder);
        json_builder_end_object(builder);
        mose_cli_print_json(builder);
    } else {
        g_autoptr(GString) text = g_string_new(NULL);

        mose_show_differences(differences, text);
        fputs(text->str, stdout);
    }
    return differences->len > 0 ? DIFF_DIFFERENT : DIFF_SAME;
}

int
mose_cmd_stream(int argc, char **argv)
{
    g_autofree char *section = NULL;
    const GOptionEntry entries[] = {
        { "section", 0, 0, G_OPTION_ARG_STRING, &section,
          "show: the fields of the sections called so", "S" },
        { NULL },
    };
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 3, &ret))
        return ret;
    if (strcmp(argv[1], "show") == 0 && argc == 3)
        return show(argv[2], section);
    if (strcmp(argv[1], "diff") == 0 && argc == 4 && !section)
        return diff(argv[2], argv[3]);
    fprintf(stderr,
            "usage: mose stream show FILE [--section S] | mose stream diff A B\n");
    return MOSE_EXIT_USAGE;
}
