/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose discard: forks ended, and their guests on their own again. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "fork/fork.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/json.h"

/* End fork @name; the name of its guest. */
static char *
discard(const char *name, GError **error)
{
    g_autoptr(MoseGuest) fork = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    g_autofree char *of = fork ? g_strdup(fork->fork_of) : NULL;

    if (!fork)
        return NULL;
    if (!of) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s is no fork; `mose stop %s` ends a guest", name, name);
        return NULL;
    }
    return mose_fork_end(fork, error) ? g_steal_pointer(&of) : NULL;
}

static void
print_thaw(const MoseGuest *guest, const MoseSwitchReport *report)
{
    printf(
        "guest %s has its memory for itself again: %.1f MB that it had written since "
        "were put\n  into it; it stood still for %.1f ms\n",
        guest->name, report->merged_bytes / 1048576.0, report->blackout_us / 1e3);
}

/* A guest that has ended needs no memory. */
static gboolean
thaw(const char *name, int interrupt_fd, JsonArray *list, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, &cause);
    gboolean terminal = isatty(STDERR_FILENO);
    MoseSwitchReport report = { 0 };
    MoseRecovered recovered;
    gboolean good = FALSE;

    if (!guest && g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    if (guest && mose_recover(guest, &recovered, &cause))
        good =
            mose_fork_thaw(guest, interrupt_fd,
                           terminal ? mose_cli_show_progress : NULL, &report, &cause);
    if (terminal)
        mose_cli_hide_progress();
    if (report.rules) {
        JsonObject *object = mose_switch_report_to_json(&report, guest->side);

        json_object_set_string_member(object, "guest", name);
        json_array_add_object_element(list, object);
        if (!mose_cli_json())
            print_thaw(guest, &report);
    }
    mose_switch_report_clear(&report);
    if (!good)
        g_propagate_prefixed_error(
            error, g_steal_pointer(&cause),
            "the forks have ended; guest %s stays frozen until the next command: ",
            name);
    return good;
}

/* What went wrong first is the command's error; the rest is told. */
static void
keep_first(GError **first, GError *take)
{
    if (!*first) {
        *first = take;
        return;
    }
    if (!mose_cli_json())
        fprintf(stderr, "mose discard: %s\n", take->message);
    g_error_free(take);
}

int
mose_cmd_discard(int argc, char **argv)
{
    g_autoptr(GHashTable) guests =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GError) error = NULL;
    JsonArray *ended = json_array_new(), *thawed = json_array_new();
    g_autoptr(JsonObject) object =
        mose_json_object("discarded", "a", ended, "thawed", "a", thawed, NULL);
    GHashTableIter iter;
    int interrupt_fd, ret;
    gpointer name;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, -1, &ret))
        return ret;
    interrupt_fd = mose_cli_catch_interrupts();
    for (int i = 1; i < argc; i++) {
        GError *cause = NULL;
        char *of = discard(argv[i], &cause);

        if (!of) {
            keep_first(&error, cause);
            continue;
        }
        g_hash_table_add(guests, of);
        json_array_add_string_element(ended, argv[i]);
        if (!mose_cli_json())
            printf("fork %s is gone\n", argv[i]);
    }
    g_hash_table_iter_init(&iter, guests);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        GError *cause = NULL;

        if (!thaw(name, interrupt_fd, thawed, &cause))
            keep_first(&error, cause);
    }
    if (mose_cli_json()) {
        g_autofree char *text = NULL;

        if (error)
            json_object_set_object_member(object, "error",
                                          mose_cli_error_json(error, NULL));
        text = mose_json_text(object, TRUE);
        puts(text);
        return error ? MOSE_EXIT_FAILED : MOSE_EXIT_DONE;
    }
    return error ? mose_cli_fail(error, NULL) : MOSE_EXIT_DONE;
}
