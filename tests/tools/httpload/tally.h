/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What came back when: replies, errors and the longest silence, for the whole
 * run and for each of its phases. All times are CLOCK_MONOTONIC in ns.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

typedef struct Tally Tally;

/* Begins the first phase, "start". */
Tally *tally_new(gint64 now);
void tally_free(Tally *tally);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tally, tally_free)

/* From now on, everything counts for a new phase of this name. */
void tally_begin_phase(Tally *tally, const char *name, gint64 now);

/* Connection @index (from 0) got the whole reply to a request sent at @sent. */
void tally_reply(Tally *tally, guint index, gint64 sent, gint64 now);
/* Something went wrong; @reason is kept if it is the run's first. */
void tally_error(Tally *tally, const char *reason, gint64 now);
/* A connection broke and will be made anew, as the user allowed. */
void tally_reconnect(Tally *tally);

/* Nothing comes any more; silence up to @now counts for the last phase. */
void tally_end(Tally *tally, gint64 now);
gboolean tally_is_clean(const Tally *tally);
/* Print the members of a JSON object, without its braces. */
void tally_print(const Tally *tally, FILE *to);
