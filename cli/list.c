/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose list: the guests of this user, a line each. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/state.h"
#include "util/json.h"

#define MAX_AT_ONCE 32

static void
print_line(const MoseState *state)
{
    printf("%-16s %-12s %-6s %-14s ", state->name, state->side, state->accel,
           state->run_state);
    if (state->pid)
        printf("%d", (int)state->pid);
    else
        printf("-");
    if (state->guest && state->guest->fork_of)
        printf(" (fork of %s)", state->guest->fork_of);
    printf("\n");
}

typedef struct {
    const char *name;
    MoseState *state;
} Entry;

static void
read_entry(gpointer data, gpointer unused)
{
    Entry *entry = data;

    entry->state = mose_state_read(entry->name);
}

/* Ask all guests at once: one whose QEMU hangs shall not delay the others. */
static Entry *
read_all(char **names)
{
    Entry *entries = g_new0(Entry, g_strv_length(names));
    GThreadPool *pool = g_thread_pool_new(read_entry, NULL, MAX_AT_ONCE, FALSE, NULL);

    for (guint i = 0; names[i]; i++) {
        entries[i].name = names[i];
        g_thread_pool_push(pool, &entries[i], NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    return entries;
}

int
mose_cmd_list(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = NULL;
    g_autofree Entry *entries = NULL;
    JsonArray *list;
    g_autoptr(JsonObject) object = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 0, 0, &ret))
        return ret;
    names = mose_guest_names(&error);
    if (!names)
        return mose_cli_fail(error, NULL);
    for (char **name = names; *name; name++)
        mose_state_tidy(*name);
    g_strfreev(names);
    names = mose_guest_names(&error);
    if (!names)
        return mose_cli_fail(error, NULL);
    list = json_array_new();
    object = mose_json_object("guests", "a", list, NULL);
    if (!mose_cli_json() && *names)
        printf("%-16s %-12s %-6s %-14s %s\n", "NAME", "SIDE", "ACCEL", "STATE", "PID");
    entries = read_all(names);
    for (guint i = 0; names[i]; i++) {
        g_autoptr(MoseState) state = entries[i].state;

        json_array_add_object_element(list, mose_state_to_json(state));
        if (!mose_cli_json())
            print_line(state);
    }
    if (mose_cli_json()) {
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
    }
    return MOSE_EXIT_DONE;
}
