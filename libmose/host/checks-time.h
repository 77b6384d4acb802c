/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes of time and speed: rows of the table in checks.c, and like all of
 * them functions for a forked child.
 */
#pragma once

#include "host/probe.h"

void mose_check_speed(const void *data, MoseProbeOutcome *ret);
void mose_check_paging(const void *data, MoseProbeOutcome *ret);
void mose_check_tsc(const void *data, MoseProbeOutcome *ret);
void mose_check_clock(const void *data, MoseProbeOutcome *ret);

/*
 * The part of mose_check_tsc that only counts: is a TSC that advanced by
 * @ticks, while between @min_ns and @max_ns passed, one of @khz? Within 1 %.
 */
gboolean mose_tsc_rate_is(guint64 ticks, gint64 min_ns, gint64 max_ns, guint64 khz);
