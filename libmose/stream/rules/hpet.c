/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tick of the HPET that is due when the guest is stopped.
 *
 * QEMU makes a periodic timer's next 64-bit comparator when it loads, from the 32 bits
 * that the guest sees: the next value of the counter that matches them
 * (hw/timer/hpet.c:hpet_post_load, hpet_calculate_cmp64). Where the counter has gone
 * past them, since the main loop was late for the tick, that is a whole round of 32
 * bits away: 43 seconds without a tick, on each accelerator, since QEMU has the HPET on
 * both.
 *
 * The comparator goes on by as many periods as hpet_timer would have added. The tick
 * that is due comes at once: its QEMU timer is in the stream as well, and has expired.
 */
#include "stream/rules/list.h"

enum { ENABLED = 1, PERIODIC = 1 << 3, ONLY_32BIT = 1 << 8 };

static gboolean
get(MoseSection *hpet, guint timer, const char *field, guint64 *ret, GError **error)
{
    g_autofree char *path = g_strdup_printf("timer[%u].%s", timer, field);

    return mose_section_get(hpet, path, ret, error);
}

static gboolean
rewrite_timer(MoseSection *hpet, guint timer, guint32 counter, gboolean *changed,
              GError **error)
{
    g_autofree char *path = g_strdup_printf("timer[%u].cmp", timer);
    guint64 config, cmp, period;
    guint32 late;

    if (!get(hpet, timer, "config", &config, error) ||
        !get(hpet, timer, "cmp", &cmp, error) ||
        !get(hpet, timer, "period", &period, error))
        return FALSE;
    late = counter - (guint32)cmp;
    period = (guint32)period;
    if (!(config & PERIODIC) || !(config & ONLY_32BIT) || period == 0 ||
        (gint32)late <= 0)
        return TRUE;
    cmp += (late + period - 1) / period * period;
    return mose_rule_change(hpet, path, (guint32)cmp, changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *hpet = mose_doc_find(doc, "hpet", 0);
    guint64 config, counter, n;

    if (!hpet)
        return TRUE;
    if (!mose_section_get(hpet, "config", &config, error) ||
        !mose_section_get(hpet, "hpet_counter", &counter, error) ||
        !mose_section_get(hpet, "num_timers_save", &n, error))
        return FALSE;
    for (guint i = 0; i < n && (config & ENABLED); i++)
        if (!rewrite_timer(hpet, i, (guint32)counter, ret_changed, error))
            return FALSE;
    return TRUE;
}

const MoseRule mose_rule_hpet = {
    .name = "hpet",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_ANY_WAY,
    .title = "a tick of the HPET that is due: QEMU loads its comparator a round ahead",
    .effect = "the HPET ticks no more for 43 seconds: a guest whose clock it is stands "
              "still",
    .fix = "timer[].cmp += as many periods as the counter is past it",
    .source = "QEMU hw/timer/hpet.c:hpet_post_load, hpet_calculate_cmp64, hpet_timer",
    .evidence = 'a',
    .test = "vm/rules-irq: hpet",
    .rewrite = rewrite,
};
