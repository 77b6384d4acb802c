/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that every command has, and the one place that reports. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/json.h"

static gboolean json_wanted;

static const GOptionEntry common_entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json_wanted, "print one JSON object", NULL },
    { NULL },
};

static const MoseCommand *
command_by_name(const char *name)
{
    for (const MoseCommand *c = mose_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

gboolean
mose_cli_parse(int *argc, char ***argv, const GOptionEntry *entries, int min, int max,
               int *ret)
{
    const char *name = (*argv)[0];
    const MoseCommand *command = command_by_name(name);
    g_autofree char *prgname = g_strdup_printf("mose %s", name);
    g_autoptr(GOptionContext) context = g_option_context_new(command->arguments);
    g_autoptr(GError) error = NULL;

    g_set_prgname(prgname);
    g_option_context_set_summary(context, command->summary);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common_entries, NULL);

    *ret = MOSE_EXIT_USAGE;
    if (!g_option_context_parse(context, argc, argv, &error)) {
        fprintf(stderr, "%s: %s%s; `%s --help` tells how\n", prgname, error->message,
                strstr(command->arguments, "-- ") ? "; options of QEMU's go behind `--`"
                                                  : "",
                prgname);
        return FALSE;
    }
    if (*argc - 1 < min || (max >= 0 && *argc - 1 > max)) {
        fprintf(stderr, "usage: %s %s; `%s --help` tells more\n", prgname,
                command->arguments, prgname);
        return FALSE;
    }
    return TRUE;
}

const char *const *
mose_cli_split_dashes(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        *argc = i;
        argv[i] = NULL;
        return (const char *const *)&argv[i + 1];
    }
    return NULL;
}

gboolean
mose_cli_json(void)
{
    return json_wanted;
}

JsonObject *
mose_cli_error_json(const GError *error, const char *hint)
{
    int code = error->domain == MOSE_ERROR ? error->code : MOSE_ERROR_FAILED;
    JsonObject *object = mose_json_object("code", "s", mose_error_code_name(code),
                                          "message", "s", error->message, NULL);

    if (hint)
        json_object_set_string_member(object, "hint", hint);
    return object;
}

int
mose_cli_fail(const GError *error, const char *hint)
{
    if (json_wanted) {
        g_autoptr(JsonObject) object =
            mose_json_object("error", "o", mose_cli_error_json(error, hint), NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
    } else {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), error->message);
        if (hint)
            fprintf(stderr, "%s\n", hint);
    }
    return MOSE_EXIT_FAILED;
}

int
mose_cli_fail_guest(const GError *error, const char *name, const char *hint)
{
    g_autofree char *stop =
        g_strdup_printf("`mose stop %s` clears away what is left of it.", name);

    if (g_error_matches(error, MOSE_ERROR, MOSE_ERROR_ENDED))
        hint = stop;
    else if (g_error_matches(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        hint = "`mose list` shows the guests there are.";
    return mose_cli_fail(error, hint);
}

void
mose_cli_print_json(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, TRUE);

    puts(text);
}
