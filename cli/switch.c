/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose emulate, mose virtualize: the switch, there and back. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/far.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/state.h"
#include "guest/disks.h"
#include "switch/fetch.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

static char *without_rule;
static gboolean in_place, copy, overcommit;
static int channels, downtime_ms;
static char *disks, *overlay_dir;

static const GOptionEntry entries[] = {
    { "in-place", 0, 0, G_OPTION_ARG_NONE, &in_place,
      "in the guest's own memory, without a copy (the default)", NULL },
    { "copy", 0, 0, G_OPTION_ARG_NONE, &copy,
      "copy the memory while the guest runs (the default for private memory)", NULL },
    { "channels", 0, 0, G_OPTION_ARG_INT, &channels,
      "by copy: so many for memory, from QEMU to QEMU (1: all through MOSE)", "N" },
    { "downtime-limit", 0, 0, G_OPTION_ARG_INT, &downtime_ms,
      "by copy: what a guest that writes fast may stand still at most (2000)", "MS" },
    { "overcommit", 0, 0, G_OPTION_ARG_NONE, &overcommit,
      "by copy: even if the host has less memory than the guest", NULL },
    { "disks", 0, 0, G_OPTION_ARG_STRING, &disks,
      "emulate: shared (the default); overlay: their images are only read; home: with "
      "--on, they stay here",
      "HOW" },
    { "overlay-dir", 0, 0, G_OPTION_ARG_FILENAME, &overlay_dir,
      "emulate: where overlays are made (each beside its image)", "DIR" },
    { "without-rule", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &without_rule,
      "leave one rule out", "RULE" },
    { NULL },
};

/* One object, also where something that had to follow did not: @trouble. */
static void
print_json(const MoseGuest *guest, const MoseSwitchReport *report,
           const GError *trouble)
{
    g_autoptr(JsonObject) object = mose_switch_report_to_json(report, guest->side);
    g_autofree char *text = NULL;

    json_object_set_string_member(object, "guest", guest->name);
    if (mose_guest_is_away(guest))
        json_object_set_string_member(object, "host", mose_far_label(guest->far));
    json_object_set_string_member(object, "state",
                                  report->run_state ? report->run_state : "running");
    if (trouble)
        json_object_set_string_member(object, "trouble", trouble->message);
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_copy(const MoseSwitchReport *report)
{
    printf("  its memory was copied: %" G_GUINT64_FORMAT " MB in %.1f s, %u round%s, "
           "while it ran\n",
           report->copied_bytes >> 20, report->copy_us / 1e6, report->rounds,
           report->rounds == 1 ? "" : "s");
    if (report->throttle)
        printf("  it writes fast: it was slowed down by %u %% at last\n",
               report->throttle);
    if (report->downtime_ms > MOSE_FIRST_DOWNTIME_MS)
        printf("  it writes fast: it was allowed to stand still for %u ms\n",
               report->downtime_ms);
}

static void
print_overlays(const MoseGuest *guest)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, NULL);

    if (overlays && overlays->len > 0)
        printf("  its images are only read; what it writes goes to %u overlay%s "
               "(`mose status %s`)\n",
               overlays->len, overlays->len == 1 ? "" : "s", guest->name);
}

static void
print_text(const MoseGuest *guest, const MoseSwitchReport *report)
{
    printf("guest %s is in the %s%s%s now (%s -> %s)\n", guest->name,
           mose_side_name(guest->side), mose_guest_is_away(guest) ? " on " : "",
           mose_guest_is_away(guest) ? mose_far_label(guest->far) : "",
           report->from_accel, report->to_accel);
    if (report->run_state)
        printf("  it did not run and does not: %s%s\n", report->run_state,
               mose_state_words(report->run_state));
    printf("  it stood still for %.1f ms; all took %.0f ms, of which %.0f ms to start "
           "the other QEMU\n",
           report->blackout_us / 1e3, report->total_us / 1e3, report->launch_us / 1e3);
    if (report->copied)
        print_copy(report);
    print_overlays(guest);
    printf("  rules that had something to do:");
    for (guint i = 0; i < report->rules->len; i++)
        printf(" %s", (char *)report->rules->pdata[i]);
    printf("%s\n", report->rules->len ? "" : " none");
}

/* What became of it; the exit status. */
static int
tell(const MoseGuest *guest, const MoseSwitchReport *report, const GError *error)
{
    static const char hint[] = "`mose status` tells where the guest is.";

    /* The guest was given over, whatever came after. */
    if (report->rules && mose_cli_json())
        print_json(guest, report, error);
    else if (report->rules)
        print_text(guest, report);
    if (!error)
        return MOSE_EXIT_DONE;
    if (report->rules && mose_cli_json())
        return MOSE_EXIT_FAILED;
    return mose_cli_fail_guest(
        error, guest->name,
        g_error_matches(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED) ? NULL : hint);
}

/* FALSE, and words, for options that contradict each other. */
static gboolean
read_way(MoseSwitchOptions *options)
{
    const char *wrong = NULL;

    if (copy && in_place)
        wrong = "--copy and --in-place: give one of them";
    else if (channels < 0 || channels > MOSE_MAX_CHANNELS)
        wrong = "--channels: 1 to 255";
    else if (downtime_ms < 0 || downtime_ms > MOSE_MAX_DOWNTIME_MS)
        wrong = "--downtime-limit: 1 to 60000 ms";
    else if (in_place && (channels || downtime_ms || overcommit))
        wrong = "--channels, --downtime-limit and --overcommit are for a copy";
    if (wrong) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), wrong);
        return FALSE;
    }
    options->way = copy ? MOSE_WAY_COPY : in_place ? MOSE_WAY_IN_PLACE : MOSE_WAY_AUTO;
    options->channels = channels;
    options->max_downtime_ms = downtime_ms;
    options->overcommit = overcommit;
    return TRUE;
}

/* The same for the disks. */
static gboolean
read_disks(MoseSwitchOptions *options)
{
    const char *wrong = NULL;

    static const char *const words[] = { "shared", "overlay", "home", NULL };
    gboolean home = g_strcmp0(disks, "home") == 0;

    if (home && !mose_cli_far_wanted())
        wrong = "--disks home goes with --on";
    else if (options->side == MOSE_SIDE_VIRTUALIZER &&
             ((disks && !home) || overlay_dir))
        wrong = "--disks and --overlay-dir are for `mose emulate`";
    else if (disks && !g_strv_contains(words, disks))
        wrong = "--disks: shared, overlay or home";
    else if (overlay_dir && g_strcmp0(disks, "overlay") != 0)
        wrong = "--overlay-dir is for --disks overlay";
    if (wrong) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), wrong);
        return FALSE;
    }
    options->disks = home                               ? MOSE_DISKS_HOME
                     : g_strcmp0(disks, "overlay") == 0 ? MOSE_DISKS_OVERLAY
                                                        : MOSE_DISKS_SHARED;
    if (overlay_dir)
        options->overlay_dir = g_canonicalize_filename(overlay_dir, NULL);
    return TRUE;
}

/* --- where to --- */

/* To another host, or within this one. */
static gboolean
move(MoseGuest *guest, MoseSwitchOptions *options, MoseSwitchReport *report,
     GError **error)
{
    g_autoptr(MoseFar) record = NULL;
    g_autoptr(MoseFarEnd) far = NULL;
    gboolean good;

    if (mose_cli_far_wanted()) {
        record = mose_cli_far_record();
        far = mose_cli_far_open(record, options->interrupt_fd, error);
        if (!far)
            return FALSE;
        options->far = far;
        options->far_record = record;
        options->home_net = mose_cli_far_home_net();
        options->tcp = mose_cli_far_tcp();
        options->bytes_per_second = mose_cli_far_bytes_per_second();
    } else if (mose_cli_far_tcp().address) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s is here, and goes to no other host: --tcp goes with --on",
                    guest->name);
        return FALSE;
    }
    good = mose_switch(guest, options, report, error);
    /* Its tether has taken the link over. */
    if (mose_tether_is_needed(guest))
        g_steal_pointer(&far);
    return good;
}

/* Home from another host. */
static gboolean
fetch(MoseGuest *guest, const MoseSwitchOptions *options, MoseSwitchReport *report,
      GError **error)
{
    const MoseFetchOptions how = { .side = options->side,
                                   .max_downtime_ms = options->max_downtime_ms,
                                   .bytes_per_second = mose_cli_far_bytes_per_second(),
                                   .channels = options->channels,
                                   .tcp = mose_cli_far_tcp(),
                                   .overcommit = options->overcommit,
                                   .without_rule = options->without_rule,
                                   .progress = options->progress,
                                   .interrupt_fd = options->interrupt_fd };
    g_autoptr(MoseFarEnd) end = NULL;
    g_autoptr(JsonObject) told = NULL;
    gboolean good;

    if (mose_cli_far_wanted()) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AWAY,
                    "guest %s is on %s; bring it home first (without --on)",
                    guest->name, mose_far_label(guest->far));
        return FALSE;
    }
    if (options->way == MOSE_WAY_IN_PLACE ||
        (options->channels && !mose_cli_far_tcp().address) ||
        options->disks != MOSE_DISKS_SHARED) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_INVALID,
            "guest %s comes from %s, by copy, through one channel (or --tcp), with its "
            "own disks: leave --in-place, --channels and --disks out",
            guest->name, mose_far_label(guest->far));
        return FALSE;
    }
    end = mose_cli_far_open(guest->far, options->interrupt_fd, error);
    if (!end)
        return FALSE;
    good = mose_fetch(guest, end, &how, &told, error);
    /* Also where something that had to follow did not. */
    if (!mose_guest_is_away(guest))
        mose_switch_report_read(told, report);
    return good;
}

/* The options of all switches, and those of switches between hosts. */
static const GOptionEntry *
all_entries(void)
{
    static GOptionEntry all[32];
    guint n = 0;

    for (const GOptionEntry *e = entries; e->long_name; e++)
        all[n++] = *e;
    for (const GOptionEntry *e = mose_cli_far_entries; e->long_name; e++)
        all[n++] = *e;
    g_assert(n < G_N_ELEMENTS(all));
    return all;
}

static int
switch_to(MoseSide side, int argc, char **argv)
{
    MoseSwitchOptions options = { .side = side };
    MoseSwitchReport report = { 0 };
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    gboolean terminal = isatty(STDERR_FILENO);
    MoseRecovered recovered;
    int ret;

    if (!mose_cli_parse(&argc, &argv, all_entries(), 1, 1, &ret))
        return ret;
    if (!read_way(&options) || !read_disks(&options) || !mose_cli_far_check())
        return MOSE_EXIT_USAGE;
    options.without_rule = without_rule;
    options.progress = terminal ? mose_cli_show_progress : NULL;
    options.interrupt_fd = mose_cli_catch_interrupts();
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest || !mose_recover(guest, &recovered, &error))
        return mose_cli_fail_guest(error, argv[1], NULL);
    if (mose_guest_is_away(guest))
        fetch(guest, &options, &report, &error);
    else
        move(guest, &options, &report, &error);
    if (terminal)
        mose_cli_hide_progress();
    ret = tell(guest, &report, error);
    mose_switch_report_clear(&report);
    return ret;
}

int
mose_cmd_emulate(int argc, char **argv)
{
    return switch_to(MOSE_SIDE_EMULATOR, argc, argv);
}

int
mose_cmd_virtualize(int argc, char **argv)
{
    return switch_to(MOSE_SIDE_VIRTUALIZER, argc, argv);
}
