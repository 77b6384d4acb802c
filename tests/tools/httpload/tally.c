/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting. Who sends, receives and judges replies is connection.c. */
#include "tally.h"

/*
 * A gap is the time between a reply and the next one on whatever connection. It
 * belongs to the phase in which it ends; one that is open when a phase ends
 * counts for that phase too, as far as it has come.
 */
typedef struct {
    char *name;
    gint64 begin;
    gint64 end;
    guint64 replies;
    guint64 errors;
    guint64 reconnects;
    gint64 largest_gap;
    gint64 largest_gap_begin;
    gint64 longest_request;
    GHashTable *connections; /* those that were answered, by index */
} Phase;

struct Tally {
    gint64 begin;
    gint64 last_reply;
    char *first_error;
    gint64 first_error_at;
    GPtrArray *phases;
};

static Phase *
phase_new(const char *name, gint64 now)
{
    Phase *phase = g_new0(Phase, 1);

    phase->name = g_strdup(name);
    phase->begin = phase->end = phase->largest_gap_begin = now;
    phase->connections = g_hash_table_new(NULL, NULL);
    return phase;
}

static void
phase_free(gpointer data)
{
    Phase *phase = data;

    g_hash_table_unref(phase->connections);
    g_free(phase->name);
    g_free(phase);
}

static Phase *
current(const Tally *tally)
{
    return g_ptr_array_index(tally->phases, tally->phases->len - 1);
}

Tally *
tally_new(gint64 now)
{
    Tally *tally = g_new0(Tally, 1);

    tally->begin = tally->last_reply = now;
    tally->phases = g_ptr_array_new_with_free_func(phase_free);
    g_ptr_array_add(tally->phases, phase_new("start", now));
    return tally;
}

void
tally_free(Tally *tally)
{
    if (!tally)
        return;
    g_ptr_array_unref(tally->phases);
    g_free(tally->first_error);
    g_free(tally);
}

static void
note_gap(Tally *tally, gint64 now)
{
    Phase *phase = current(tally);
    const gint64 gap = now - tally->last_reply;

    if (gap > phase->largest_gap) {
        phase->largest_gap = gap;
        phase->largest_gap_begin = tally->last_reply;
    }
}

void
tally_end(Tally *tally, gint64 now)
{
    note_gap(tally, now);
    current(tally)->end = now;
}

void
tally_begin_phase(Tally *tally, const char *name, gint64 now)
{
    tally_end(tally, now);
    g_ptr_array_add(tally->phases, phase_new(name, now));
}

void
tally_reply(Tally *tally, guint index, gint64 sent, gint64 now)
{
    Phase *phase = current(tally);

    note_gap(tally, now);
    tally->last_reply = now;
    phase->replies++;
    phase->longest_request = MAX(phase->longest_request, now - sent);
    g_hash_table_add(phase->connections, GUINT_TO_POINTER(index + 1));
}

void
tally_error(Tally *tally, const char *reason, gint64 now)
{
    current(tally)->errors++;
    if (!tally->first_error) {
        tally->first_error = g_strdup(reason);
        tally->first_error_at = now;
    }
}

void
tally_reconnect(Tally *tally)
{
    current(tally)->reconnects++;
}

gboolean
tally_is_clean(const Tally *tally)
{
    guint64 replies = 0;

    for (guint i = 0; i < tally->phases->len; i++)
        replies += ((const Phase *)g_ptr_array_index(tally->phases, i))->replies;
    return replies > 0 && !tally->first_error;
}

static double
ms(gint64 ns)
{
    return (double)ns / 1e6;
}

/* Phase names come from the command that drives us; still, JSON is JSON. */
static void
print_string(const char *text, FILE *to)
{
    fputc('"', to);
    for (; *text; text++) {
        if ((guchar)*text < ' ')
            fprintf(to, "\\u%04x", *text);
        else
            fprintf(to, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    fputc('"', to);
}

static void
print_counts(const Tally *tally, const Phase *phase, FILE *to)
{
    fprintf(
        to,
        "\"begin_ms\": %.3f, \"duration_ms\": %.3f, \"requests\": %" G_GUINT64_FORMAT
        ", \"errors\": %" G_GUINT64_FORMAT ", \"reconnects\": %" G_GUINT64_FORMAT
        ", \"connections_answered\": %u, \"largest_gap_ms\": %.3f, "
        "\"largest_gap_at_ms\": %.3f, \"longest_request_ms\": %.3f",
        ms(phase->begin - tally->begin), ms(phase->end - phase->begin), phase->replies,
        phase->errors, phase->reconnects, g_hash_table_size(phase->connections),
        ms(phase->largest_gap), ms(phase->largest_gap_begin - tally->begin),
        ms(phase->longest_request));
}

static void
add_phase(Phase *sum, const Phase *phase)
{
    GHashTableIter iter;
    gpointer key;

    sum->end = phase->end;
    sum->replies += phase->replies;
    sum->errors += phase->errors;
    sum->reconnects += phase->reconnects;
    sum->longest_request = MAX(sum->longest_request, phase->longest_request);
    if (phase->largest_gap > sum->largest_gap) {
        sum->largest_gap = phase->largest_gap;
        sum->largest_gap_begin = phase->largest_gap_begin;
    }
    g_hash_table_iter_init(&iter, phase->connections);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_hash_table_add(sum->connections, key);
}

static void
print_phases(const Tally *tally, FILE *to)
{
    for (guint i = 0; i < tally->phases->len; i++) {
        const Phase *phase = g_ptr_array_index(tally->phases, i);

        fputs(i == 0 ? "\n    {\"name\": " : ",\n    {\"name\": ", to);
        print_string(phase->name, to);
        fputs(", ", to);
        print_counts(tally, phase, to);
        fputc('}', to);
    }
}

void
tally_print(const Tally *tally, FILE *to)
{
    Phase *sum = phase_new("", tally->begin);

    for (guint i = 0; i < tally->phases->len; i++)
        add_phase(sum, g_ptr_array_index(tally->phases, i));
    fprintf(to, "  \"begin_monotonic_ns\": %" G_GINT64_FORMAT ",\n  ", tally->begin);
    print_counts(tally, sum, to);
    phase_free(sum);
    if (tally->first_error) {
        fputs(",\n  \"first_error\": ", to);
        print_string(tally->first_error, to);
        fprintf(to, ", \"first_error_at_ms\": %.3f",
                ms(tally->first_error_at - tally->begin));
    }
    fputs(",\n  \"phases\": [", to);
    print_phases(tally, to);
    fputs("\n  ]", to);
}
