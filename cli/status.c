/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose status: one guest, where it runs, and what has happened to it. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/consoles.h"
#include "cli/state.h"
#include "guest/disks.h"
#include "guest/forks.h"
#include "qemu/frozen.h"
#include "util/error.h"
#include "util/json.h"

static void
print_event(JsonObject *event)
{
    gint64 time_us = mose_json_int(event, "time-us", 0);
    g_autoptr(GDateTime) utc =
        g_date_time_new_from_unix_local(time_us / G_USEC_PER_SEC);
    g_autofree char *when = g_date_time_format(utc, "%F %T");

    printf("  %s.%03d  %-10s ", when, (int)(time_us / 1000 % 1000),
           mose_json_string(event, "event", "?"));
    if (json_object_has_member(event, "operation"))
        printf("%s: ", mose_json_string(event, "operation", "?"));
    printf("%s",
           mose_json_string(event, "reason", mose_json_string(event, "side", "")));
    if (json_object_has_member(event, "from-accel"))
        printf(" (%s -> %s), stood still %.1f ms",
               mose_json_string(event, "from-accel", "?"),
               mose_json_string(event, "accel", "?"),
               mose_json_int(event, "blackout-us", 0) / 1e3);
    else if (json_object_has_member(event, "accel"))
        printf(" (%s)", mose_json_string(event, "accel", "?"));
    else if (json_object_has_member(event, "names"))
        printf(": %s", mose_json_string(event, "names", "?"));
    printf("\n");
}

static void
print_overlays(const MoseGuest *guest)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, NULL);

    for (guint i = 0; overlays && i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];
        g_autofree char *text = mose_disks_describe(overlay);

        printf("  overlay of %s%s\n", text,
               overlay->state == MOSE_OVERLAY_COMMITTING
                   ? ", a part of which is in the image: only both are a disk"
                   : "");
    }
}

/* --- forks --- */

/* What @state's process has written over frozen memory. */
static MoseFrozen
memory_of(const MoseState *state)
{
    g_autoptr(MoseProcess) process = mose_guest_process(state->guest, NULL);
    MoseFrozen memory = { 0 };

    if (process)
        mose_frozen_look(process, TRUE, &memory, NULL);
    return memory;
}

static void
print_forks(const MoseState *state)
{
    const MoseGuest *guest = state->guest;
    const MoseFrozen memory = memory_of(state);
    g_auto(GStrv) forks = mose_guest_forks(guest->name, NULL);
    g_autofree char *names = forks ? g_strjoinv(" ", forks) : NULL;

    if (guest->fork_of)
        printf("  it is a fork of guest %s\n", guest->fork_of);
    mose_cli_print_consoles(guest);
    if (guest->files)
        printf("  its files are in %s, and go with it\n", guest->files);
    if (guest->owner)
        printf("  it ends with process %d\n", (int)guest->owner);
    if (names && *names)
        printf("  it has forks, and cannot be switched: %s\n", names);
    if (memory.frozen)
        printf("  it has written %.1f MB of memory since it was forked\n",
               memory.own_bytes / 1048576.0);
}

static void
add_forks(const MoseState *state, JsonObject *object)
{
    const MoseFrozen memory = memory_of(state);
    g_auto(GStrv) forks = mose_guest_forks(state->guest->name, NULL);
    JsonArray *names = json_array_new();

    for (char **name = forks; name && *name; name++)
        json_array_add_string_element(names, *name);
    json_object_set_array_member(object, "forks", names);
    mose_cli_add_consoles(state->guest, object);
    if (state->guest->files)
        json_object_set_string_member(object, "files-dir", state->guest->files);
    json_object_set_boolean_member(object, "frozen", memory.frozen);
    if (memory.frozen)
        json_object_set_int_member(object, "written-bytes", (gint64)memory.own_bytes);
    if (state->guest->owner)
        json_object_set_int_member(object, "owner", state->guest->owner);
}

static void
print_text(const MoseState *state)
{
    const MoseGuest *guest = state->guest;

    if (state->pid)
        printf("guest %s: %s, in the %s (%s), pid %d\n", state->name, state->run_state,
               state->side, state->accel, (int)state->pid);
    else if (mose_guest_is_away(guest))
        printf("%s\n  it is in the %s (%s) there\n", state->trouble, state->side,
               state->accel);
    else
        printf("%s\n  it was in the %s (%s); `mose stop %s` clears away what is left\n",
               state->trouble, state->side, state->accel, state->name);
    if (state->pid && state->trouble)
        printf("  %s\n", state->trouble);
    else if (*mose_state_words(state->run_state))
        printf("  %s%s\n", state->run_state, mose_state_words(state->run_state));
    printf("  machine %s, %" G_GUINT64_FORMAT " MB%s\n",
           guest->machine_type ? guest->machine_type : "?", guest->spec->ram_size >> 20,
           guest->spec->ram_private ? ", private" : "");
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++)
        printf("  %-11s %s, -cpu %s\n", mose_side_name(side), guest->spec->accel[side],
               guest->spec->portable_cpu ? "portable" : guest->spec->cpu[side]);
    print_forks(state);
    print_overlays(guest);
    printf("timeline:\n");
    for (guint i = 0; i < json_array_get_length(guest->timeline); i++)
        print_event(json_array_get_object_element(guest->timeline, i));
}

static JsonArray *
overlays_json(const MoseGuest *guest)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, NULL);
    JsonArray *array = json_array_new();

    for (guint i = 0; overlays && i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        json_array_add_object_element(
            array,
            mose_json_object("image", "s", overlay->image, "file", "s", overlay->file,
                             "state", "s", mose_overlay_state_name(overlay->state),
                             "bytes", "i", (gint64)mose_disks_used(overlay), NULL));
    }
    return array;
}

static void
print_json(const MoseState *state)
{
    g_autoptr(JsonObject) object = mose_state_to_json(state);
    g_autofree char *text = NULL;

    json_object_set_object_member(object, "description",
                                  mose_spec_to_json(state->guest->spec));
    json_object_set_array_member(object, "overlays", overlays_json(state->guest));
    add_forks(state, object);
    json_object_set_string_member(object, "machine-type", state->guest->machine_type);
    json_object_set_array_member(object, "timeline",
                                 json_array_ref(state->guest->timeline));
    text = mose_json_text(object, TRUE);
    puts(text);
}

int
mose_cmd_status(int argc, char **argv)
{
    g_autoptr(MoseState) state = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, 1, &ret))
        return ret;
    mose_state_tidy(argv[1]);
    state = mose_state_read(argv[1]);
    if (!state->guest) {
        g_autoptr(GError) error =
            g_error_new_literal(MOSE_ERROR, MOSE_ERROR_NOT_FOUND, state->trouble);

        return mose_cli_fail(error, "`mose list` shows the guests there are.");
    }
    (mose_cli_json() ? print_json : print_text)(state);
    return MOSE_EXIT_DONE;
}
