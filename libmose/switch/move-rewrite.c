/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules at work in a switch, on the relay's thread. See move.h. */
#include <string.h>

#include "qemu/frozen.h"
#include "switch/move.h"
#include "util/json.h"

/*
 * From the rewritten stream to the guest's next instruction: the destination's
 * load, its answer, `cont`. What the guest's last switches needed is the best
 * guess, within these bounds; this much without one (bench/switch). A guess that
 * was too long makes the guest stand still longer; one that was too short makes
 * its clock late until the next switch.
 */
#define REST_GUESS_US 2500
#define REST_MIN_US 1000
#define REST_MAX_US 5000
#define REST_MEMORY 3 /* switches in one direction */
/*
 * A guest whose clocks are ahead of their line stands still until that has come up, for
 * so long at most. TCG's TSC gains on the host's where several vCPUs read it: each time
 * that one finds it lower than another just has, the difference stays
 * (system/cpu-timers.c:cpu_get_ticks_locked; 0.1 % and more of busy ones).
 */
#define AHEAD_MAX_US 5000
/* ... and where it would go back otherwise. */
#define AHEAD_BACK_MAX_US 1000000
/* How much later than the stream its STOP may be read on a busy host. */
#define STOP_LAG_US 100000

/* The least that one of the last switches in this direction needed from here on:
 * one that was held up by a busy host is not a guess for the next. */
static gint64
expected_rest_us(const MoseMove *move)
{
    JsonArray *timeline = move->guest->timeline;
    const char *side = mose_side_name(move->options->side);
    gint64 least = G_MAXINT64;
    guint seen = 0;

    for (guint i = json_array_get_length(timeline); i-- > 0 && seen < REST_MEMORY;) {
        JsonObject *event = mose_json_element(timeline, i);
        gint64 rest = mose_json_int(event, "rest-us", 0);

        if (rest <= 0 || strcmp(mose_json_string(event, "side", ""), side) != 0)
            continue;
        least = MIN(least, rest);
        seen++;
    }
    return seen ? CLAMP(least, REST_MIN_US, REST_MAX_US) : REST_GUESS_US;
}

/* Wait for the main thread to have read the source's STOP, which QEMU sent before
 * the stream that the rules work on. */
static gboolean
wait_for_stop(MoseMove *move)
{
    gint64 deadline = g_get_monotonic_time() + STOP_LAG_US;
    gboolean seen = TRUE;

    g_mutex_lock(&move->stop_lock);
    while (seen && !move->stopped_seen)
        seen = g_cond_wait_until(&move->stop_cond, &move->stop_lock, deadline);
    g_mutex_unlock(&move->stop_lock);
    return seen;
}

/* A KVM that does not let its guests' TSC be set shows them the host's (clock.c:
 * is_the_hosts), which would go back for a guest that is ahead of it. */
static gint64
ahead_max_us(const MoseMove *move)
{
    return mose_move_direction(move) & MOSE_TO_KVM && move->clock.known &&
                   move->clock.offset == 0
               ? AHEAD_BACK_MAX_US
               : AHEAD_MAX_US;
}

/* The guest's clocks are set for one moment, and it resumes then, not before. */
static gint64
stopped_ns(gpointer data, guint64 tsc)
{
    MoseMove *move = data;
    gint64 rest_us = expected_rest_us(move);
    MoseTscSample now;
    gint64 ns;
    guint64 khz;

    if (!move->was_running || move->own_state || !wait_for_stop(move))
        return 0;
    now = mose_tsc_sample();
    khz = mose_tsc_khz(&move->tsc, &now);
    move->rewritten_us = now.ns / 1000;
    move->due_us = move->rewritten_us + rest_us;
    ns = mose_clock_advance(&move->clock, tsc, now.tsc + rest_us * khz / 1000, khz,
                            (move->due_us - move->stop_us) * 1000);
    if (ns < 0)
        move->due_us += MIN(-ns / 1000 + 1, ahead_max_us(move));
    return MAX(ns, 0);
}

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len)
{
    const MoseMove *move = data;

    return mose_writes_peek(move->writes, move->ram, address, to, len);
}

static gboolean
write_memory(gpointer data, guint64 address, const void *from, gsize len)
{
    MoseMove *move = data;

    return mose_writes_plan(move->writes, move->ram, address, from, len);
}

/*
 * While its memory is copied a guest may stop of itself (a disk has failed, it has shut
 * itself down, ...). QEMU then keeps this state (migration/global_state.c): it must not
 * be let run at the destination.
 */
static gboolean
note_own_stop(MoseMove *move, MoseDoc *doc, GError **error)
{
    MoseSection *section = mose_doc_find(doc, "globalstate", 0);
    g_autofree char *state = NULL;
    const guint8 *bytes;
    gsize len;

    if (!section || !move->was_running)
        return TRUE;
    bytes = mose_section_bytes(section, "runstate", &len, error);
    if (!bytes)
        return FALSE;
    state = g_strndup((const char *)bytes, len);
    if (strcmp(state, "running") != 0 && strcmp(state, "suspended") != 0)
        move->own_state = g_steal_pointer(&state);
    return TRUE;
}

/* What the guest has written over frozen memory, which nobody else uses any more. It
 * stands still, all of its memory is written by now, and the destination has run
 * nothing: where the switch is undone the source still sees what it saw. */
static gboolean
merge(MoseMove *move, GError **error)
{
    gint64 since_us = g_get_monotonic_time();

    if (!move->frozen || move->copy)
        return TRUE;
    if (!mose_frozen_merge(move->source, move->ram_fd, &move->merged_bytes, error))
        return FALSE;
    move->merge_us = g_get_monotonic_time() - since_us;
    return TRUE;
}

gboolean
mose_move_rewrite(MoseDoc *doc, gpointer data, GError **error)
{
    MoseMove *move = data;
    MoseTscSample now = mose_tsc_sample();
    guint64 khz = mose_tsc_khz(&move->tsc, &now);
    MoseRuleContext context = { mose_move_direction(move),
                                move->far_tsc_khz ? move->far_tsc_khz : khz,
                                stopped_ns,
                                read_memory,
                                write_memory,
                                move,
                                move->facts ? move->facts->facts.lost_features : NULL,
                                khz };

    if (move->options->tamper &&
        !move->options->tamper(doc, move->options->data, error))
        return FALSE;
    if (!note_own_stop(move, doc, error) || !merge(move, error))
        return FALSE;
    return mose_rules_rewrite(&context, doc, move->options->without_rule, move->changed,
                              error);
}
