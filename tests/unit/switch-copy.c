/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done about a guest that writes faster than it can be copied, between two
 * processes that only look like QEMU.
 */
#include <string.h>

#include "lib/stage.h"

typedef struct {
    const char *path;
    const char *copy; /* of the source's script */
    guint max_downtime_ms;
    const char *const *granted; /* what the source is told, in this order */
    guint rounds;
} Case;

static const char *const by_need[] = { "30",  "60",  "120",  "240",
                                       "480", "960", "1920", NULL };
static const char *const up_to[] = { "30", "60", "120", "240", "300", NULL };
static const char *const less[] = { "20", NULL };
static const char *const not_needed[] = { "30", NULL };

static const Case cases[] = {
    { "/fake-copy/downtime/by-need", "copy 10 5000", 0, by_need, 10 },
    { "/fake-copy/downtime/up-to", "copy 8 5000", 300, up_to, 8 },
    { "/fake-copy/downtime/less", "copy 6 5000", 20, less, 6 },
    { "/fake-copy/downtime/not-needed", "copy 6 20", 0, not_needed, 6 },
};

/* "100 200 ...": the limits that the source was told. */
static char *
limits_of(const Stage *stage)
{
    g_autofree char *text = stage_read(stage, 1, "seen", NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) limits = g_string_new(NULL);

    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "downtime-limit "))
            g_string_append_printf(limits, "%s%s", limits->len ? " " : "",
                                   *line + strlen("downtime-limit "));
    return g_string_free(g_steal_pointer(&limits), FALSE);
}

typedef struct {
    guint times;
    MoseSwitchProgress last;
} Told;

static void
keep(const MoseSwitchProgress *progress, gpointer data)
{
    Told *told = data;

    if (progress->total == 0)
        return;
    told->times++;
    told->last = *progress;
}

static void
test_copy(gconstpointer data)
{
    const Case *c = data;
    Told told = { 0 };
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .way = MOSE_WAY_COPY,
                                  .channels = 1,
                                  .max_downtime_ms = c->max_downtime_ms,
                                  .progress = keep,
                                  .data = &told };
    g_autofree char *granted = g_strjoinv(" ", (char **)c->granted);
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    g_autofree char *limits = NULL;
    Stage stage;

    stage_begin(&stage, c->copy);
    mose_switch(stage.guest, &options, &report, &error);
    g_assert_no_error(error);
    limits = limits_of(&stage);
    g_assert_cmpstr(limits, ==, granted);
    g_assert_cmpuint(told.times, ==, c->rounds);
    g_assert_cmpuint(told.last.total, ==, stage.guest->spec->ram_size);
    g_assert_cmpuint(told.last.left, ==, told.last.total / 2);
    g_assert_true(report.copied);
    g_assert_cmpuint(report.throttle, ==, c->rounds);
    g_assert_cmpuint(report.downtime_ms, ==, told.last.downtime_ms);
    g_assert_true(stage_guest_runs(&stage));
    stage_assert_no_journal(&stage);
    mose_switch_report_clear(&report);
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], test_copy);
    return g_test_run();
}
