/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trials counted by victim and phase; see tally.h and trial.h. */
#include "faults/tally.h"

#include <string.h>

static const char *const phases[] = { TRIAL_PHASES, TRIAL_ANY };

typedef struct {
    guint n, gone;
    gint64 longest_us;
} Cell;

static Cell cells[2][N_VICTIMS][G_N_ELEMENTS(phases)];

static void
add(Cell *cell, guint n, guint gone, gint64 took_us)
{
    cell->n += n;
    cell->gone += gone;
    cell->longest_us = MAX(cell->longest_us, took_us);
}

void
tally_add(const Trial *trial, gboolean gone, gint64 took_us)
{
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++)
        if (strcmp(phases[i], trial->phase) == 0)
            add(&cells[trial->channels > 0][trial->victim][i], 1, gone,
                gone ? 0 : took_us);
}

/* "20 (3) 120": faults, of which the guest ended with its QEMU, longest in ms. */
static void
print_row(const char *name, const Cell *row)
{
    g_autoptr(GString) line = g_string_new("");
    Cell all = { 0 };

    g_string_append_printf(line, "| %-30s |", name);
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        g_autofree char *gone =
            row[i].gone ? g_strdup_printf("-%u", row[i].gone) : g_strdup("");

        add(&all, row[i].n, row[i].gone, row[i].longest_us);
        if (row[i].n)
            g_string_append_printf(line, " %4u%-4s %5.0f |", row[i].n, gone,
                                   row[i].longest_us / 1e3);
        else
            g_string_append_printf(line, " %14s |", "");
    }
    g_string_append_printf(line, " %4u-%-4u %5.0f |", all.n, all.gone,
                           all.longest_us / 1e3);
    if (all.n)
        g_test_message("%s", line->str);
}

static void
print_way(const char *way, Cell (*rows)[G_N_ELEMENTS(phases)])
{
    g_autoptr(GString) line = g_string_new("");
    Cell sums[G_N_ELEMENTS(phases)] = { { 0 } };
    guint n = 0;

    for (guint victim = 0; victim < N_VICTIMS; victim++)
        for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
            const Cell *cell = &rows[victim][i];

            add(&sums[i], cell->n, cell->gone, cell->longest_us);
            n += cell->n;
        }
    if (n == 0)
        return;
    g_test_message("faults, -those that ended the guest with its QEMU, longest ms to "
                   "running; %s",
                   way);
    g_string_append_printf(line, "| %-30s |", "hit");
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++)
        g_string_append_printf(line, " %-14s |", *phases[i] ? phases[i] : "any moment");
    g_test_message("%s %-15s |", line->str, "all");
    for (guint victim = 0; victim < N_VICTIMS; victim++)
        print_row(victim_name(victim), rows[victim]);
    print_row("all", sums);
}

void
trial_print_table(void)
{
    print_way("in place", cells[0]);
    print_way("by copy", cells[1]);
}
