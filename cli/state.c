/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a guest's state for people; see state.h. */
#include "cli/state.h"

#include "fork/fork.h"
#include "qemu/command.h"
#include "switch/debug.h"
#include "guest/journal.h"
#include "guest/plug.h"
#include "switch/doubt.h"
#include "switch/recover.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

/* Some milliseconds are usual: the process that ends gives its memory back. */
#define SETTLE_TRIES 200
#define SETTLE_WAIT_US 10000

static void
set_state(MoseState *state, const char *word, const GError *error)
{
    g_free(state->run_state);
    state->run_state = g_strdup(word);
    if (error && !state->trouble)
        state->trouble = g_strdup(error->message);
}

/* What a MOSE that died left half done. FALSE: somebody is at it right now. */
static gboolean
recover(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, &error);
    MoseRecovered recovered;

    if (guest)
        mose_recover(guest, &recovered, NULL);
    return !g_error_matches(error, MOSE_ERROR, MOSE_ERROR_BUSY);
}

static void
ask_qemu(MoseState *state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseQmp) qmp =
        mose_guest_connect(state->guest, MOSE_MONITOR_QUERY, &error);
    g_autoptr(JsonObject) status =
        qmp ? mose_qmp_query(qmp, "query-status", NULL, &error) : NULL;

    set_state(state, status ? mose_json_string(status, "status", "?") : "no answer",
              error);
}

/* Its disks are here, and nothing leads to them. */
static gboolean
lacks_tether(const MoseGuest *guest)
{
    g_autoptr(MoseProcess) tether = mose_tether_process(guest);

    return mose_tether_is_needed(guest) && !(tether && mose_process_alive(tether));
}

static gboolean
is_gone(const MoseGuest *guest)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);

    return !process && !mose_guest_is_away(guest);
}

/* Whether a command that may change the guest has something to put right. */
static gboolean
needs_recovery(const MoseGuest *guest)
{
    MoseJournalEntry entry;

    return is_gone(guest) || lacks_tether(guest) || mose_doubt_is_untold(guest) ||
           mose_debug_is_open(guest) || mose_plug_is_open(guest) ||
           mose_journal_read(guest->dir, &entry, NULL);
}

static gboolean
is_committed(const MoseGuest *guest)
{
    MoseJournalEntry entry;

    return mose_journal_read(guest->dir, &entry, NULL) &&
           entry.phase == MOSE_PHASE_COMMIT;
}

static void
reopen(MoseState *state, GError **error)
{
    mose_guest_free(state->guest);
    state->guest = mose_guest_open(state->name, MOSE_GUEST_LOOK, error);
}

/*
 * What died is put right first. A switch that is under way ends the old process before
 * it writes down which one the guest is in now (switch/move-commit.c): who looks in
 * between would take the guest for lost. The journal goes last, so it is read first.
 */
static void
open_settled(MoseState *state, GError **error)
{
    gboolean between = TRUE;

    for (int i = 0; between && i < SETTLE_TRIES; i++) {
        if (i > 0)
            g_usleep(SETTLE_WAIT_US);
        between = !recover(state->name) && is_committed(state->guest);
        reopen(state, error);
        between = between && state->guest && is_gone(state->guest);
    }
}

static gboolean
is_starting(const MoseGuest *guest)
{
    MoseJournalEntry entry;

    return mose_journal_read(guest->dir, &entry, NULL) &&
           (entry.phase == MOSE_PHASE_START || entry.role == MOSE_ROLE_TAKER);
}

/* Whether another host was told to run it, and has not said yet that it does. */
static gboolean
is_in_doubt(const MoseGuest *guest)
{
    MoseJournalEntry entry;

    return mose_journal_read(guest->dir, &entry, NULL) &&
           entry.phase == MOSE_PHASE_DOUBT;
}

/* Of a guest whose disks are here, and which cannot reach them. */
static void
add_tether(MoseState *state)
{
    g_autofree char *why = mose_tether_trouble(state->guest);
    char *both;

    if (!why)
        return;
    both = g_strdup_printf("%s; it cannot reach its disks, which are here: %s",
                           state->trouble, why);
    g_free(state->trouble);
    state->trouble = both;
}

void
mose_state_tidy(const char *name)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

    if (guest && mose_fork_has_lost_owner(guest))
        mose_fork_tidy(guest->fork_of);
    else if (guest && (mose_fork_is_left(guest) || mose_fork_has_stale_state(guest)))
        mose_fork_tidy(name);
}

MoseState *
mose_state_read(const char *name)
{
    MoseState *state = g_new0(MoseState, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process = NULL;

    state->name = g_strdup(name);
    state->side = state->accel = "-";
    state->guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    if (state->guest && needs_recovery(state->guest))
        open_settled(state, &error);
    if (!state->guest) {
        set_state(state, "unreadable", error);
        return state;
    }
    state->side = mose_side_name(state->guest->side);
    state->accel = state->guest->spec->accel[state->guest->side];
    process = mose_guest_process(state->guest, &error);
    if (mose_guest_is_away(state->guest)) {
        set_state(state, "away", error);
        add_tether(state);
        return state;
    }
    if (!process) {
        if (is_starting(state->guest))
            set_state(state, "starting", error);
        else if (is_committed(state->guest))
            set_state(state, "switching", NULL);
        else
            set_state(state, "ended", error);
        return state;
    }
    state->pid = process->pid;
    /* Its QEMU is held still, and would not answer. */
    if (is_in_doubt(state->guest))
        set_state(state, "in-doubt", NULL);
    else
        ask_qemu(state);
    return state;
}

void
mose_state_free(MoseState *state)
{
    if (!state)
        return;
    mose_guest_free(state->guest);
    g_free(state->name);
    g_free(state->run_state);
    g_free(state->trouble);
    g_free(state);
}

const char *
mose_state_words(const char *run_state)
{
    static const struct {
        const char *name, *words;
    } known[] = {
        { "prelaunch", ", it has not begun to run yet" },
        { "internal-error", ", its accelerator could not go on; QEMU lets it run "
                            "again only after a reset" },
        { "shutdown", ", it has shut itself down" },
        { "guest-panicked", ", its kernel has told of a panic" },
        { "io-error", ", a disk has failed" },
        { "watchdog", ", its watchdog has fired" },
        { "suspended", ", it sleeps until it is woken" },
        { "debug", ", a breakpoint has stopped it" },
        { "switching", ", a command is giving it to its next process; see again in a "
                       "moment" },
        { "in-doubt",
          ", another host was told to run it and has not been heard of since; "
          "it is kept still here until it is known who has it" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
        if (g_strcmp0(run_state, known[i].name) == 0)
            return known[i].words;
    return "";
}

JsonObject *
mose_state_to_json(const MoseState *state)
{
    JsonObject *object =
        mose_json_object("guest", "s", state->name, "side", "s", state->side, "accel",
                         "s", state->accel, "state", "s", state->run_state, NULL);

    if (state->pid)
        json_object_set_int_member(object, "pid", state->pid);
    if (state->guest && state->guest->fork_of)
        json_object_set_string_member(object, "fork-of", state->guest->fork_of);
    if (state->trouble)
        json_object_set_string_member(object, "trouble", state->trouble);
    return object;
}
