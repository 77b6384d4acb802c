/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose fork: throw-away copies of a guest. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/consoles.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/transfer.h"
#include "fork/fork.h"
#include "qemu/optstr.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/json.h"

#define MAX_LEVEL 19

static gboolean same_moment, paused, overcommit;
static char *room, *overlay_dir, *export_file, *import_file, *without_rule;
static int owner, level;

static const GOptionEntry entries[] = {
    { "same-moment", 0, 0, G_OPTION_ARG_NONE, &same_moment,
      "of the moment for which the guest's other forks were made", NULL },
    { "paused", 0, 0, G_OPTION_ARG_NONE, &paused, "they do not run yet", NULL },
    { "room", 0, 0, G_OPTION_ARG_STRING, &room,
      "what the host must have left for each of them to write (256M)", "SIZE" },
    { "overcommit", 0, 0, G_OPTION_ARG_NONE, &overcommit,
      "even if the host has less memory left", NULL },
    { "overlay-dir", 0, 0, G_OPTION_ARG_FILENAME, &overlay_dir,
      "where overlays of the disks are made (each beside its image); --import: where "
      "NAME.files is made (beside FILE)",
      "DIR" },
    { "export", 0, 0, G_OPTION_ARG_FILENAME, &export_file,
      "write NAME, a fork or a fork that is made for it, to a file", "FILE" },
    { "compress", 0, 0, G_OPTION_ARG_INT, &level, "--export: by zstd, how much (3)",
      "1..19" },
    { "import", 0, 0, G_OPTION_ARG_FILENAME, &import_file,
      "make guest NAME of such a file", "FILE" },
    { "without-rule", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &without_rule,
      "leave one rule out", "RULE" },
    { "owner", 0, 0, G_OPTION_ARG_INT, &owner, "they end when this process does",
      "PID" },
    { NULL },
};

static gboolean
read_options(MoseForkOptions *options, int n_names)
{
    const char *wrong = NULL;

    if (room && !mose_optstr_size(room, 1 << 20, &options->room))
        wrong = "--room: a size, as QEMU's -m takes it";
    else if (owner < 0)
        wrong = "--owner: a process id";
    else if (owner > 0 && mose_process_start_time(owner) == 0)
        wrong = "--owner: there is no such process";
    else if (export_file && import_file)
        wrong = "--export and --import: give one of them";
    else if (level < 0 || level > MAX_LEVEL)
        wrong = "--compress: 1 to 19";
    else if (level && !export_file)
        wrong = "--compress goes with --export";
    else if (import_file && (owner || room || same_moment))
        wrong = "--owner, --room and --same-moment are for forks, not for --import";
    else if (export_file && (owner || paused))
        wrong = "--owner and --paused are not for --export";
    else if ((export_file || import_file) && n_names != 1)
        wrong = "--export and --import: name one guest";
    else if (!export_file && !import_file && n_names < 2)
        wrong = "name the guest, and then each fork it shall have";
    if (wrong) {
        fprintf(stderr, "mose fork: %s\n", wrong);
        return FALSE;
    }
    options->same_moment = same_moment;
    options->paused = paused;
    options->overcommit = overcommit;
    options->owner = owner;
    options->without_rule = without_rule;
    if (overlay_dir)
        options->overlay_dir = g_canonicalize_filename(overlay_dir, NULL);
    return TRUE;
}

static void
print_json(const MoseGuest *guest, char **names, const MoseForkReport *report)
{
    JsonArray *forks = json_array_new();
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *text = NULL;

    for (char **name = names; *name; name++)
        json_array_add_string_element(forks, *name);
    object =
        mose_json_object("guest", "s", guest->name, "forks", "a", forks, "ran-us", "i",
                         report->ran_us, "total-us", "i", report->total_us, NULL);
    if (report->share.rules)
        json_object_set_object_member(
            object, "share", mose_switch_report_to_json(&report->share, guest->side));
    if (report->freeze.rules)
        json_object_set_object_member(
            object, "freeze", mose_switch_report_to_json(&report->freeze, guest->side));
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_text(const MoseGuest *guest, char **names, const MoseForkReport *report)
{
    const MoseSwitchReport *freeze = &report->freeze;
    const char *does = paused ? "is there" : "runs";

    for (char **name = names; *name; name++) {
        g_autoptr(MoseGuest) fork = mose_guest_open(*name, MOSE_GUEST_LOOK, NULL);

        printf("fork %s of guest %s %s\n", *name, guest->name, does);
        if (fork)
            mose_cli_print_consoles(fork);
    }
    printf("  all took %.0f ms, %.0f ms until the first one\n", report->total_us / 1e3,
           report->ran_us / 1e3);
    if (report->share.rules)
        printf("  the guest's private memory was copied first: %" G_GUINT64_FORMAT
               " MB while it ran, and it\n  stood still for %.1f ms\n",
               report->share.copied_bytes >> 20, report->share.blackout_us / 1e3);
    if (freeze->rules && freeze->blackout_us)
        printf("  the guest stood still for %.1f ms, and goes on apart\n",
               freeze->blackout_us / 1e3);
    printf("  until `mose discard` has ended its forks it cannot be switched, and what "
           "it writes\n  takes memory, and room on its disks' file systems, a second "
           "time\n");
}

static int
transfer(const char *name, const MoseForkOptions *options)
{
    g_autofree char *file =
        g_canonicalize_filename(export_file ? export_file : import_file, NULL);
    const MoseTransfer how = { .file = file,
                               .dir = options->overlay_dir,
                               .paused = options->paused,
                               .overcommit = options->overcommit,
                               .progress = options->progress,
                               .interrupt_fd = options->interrupt_fd };

    return export_file
               ? mose_cli_export(name, options, level ? level : MOSE_EXPORT_LEVEL, &how)
               : mose_cli_import(name, &how);
}

int
mose_cmd_fork(int argc, char **argv)
{
    MoseForkOptions options = { 0 };
    MoseForkReport report = { 0 };
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    gboolean terminal = isatty(STDERR_FILENO);
    MoseRecovered recovered;
    gboolean good;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, -1, &ret))
        return ret;
    if (!read_options(&options, argc - 1))
        return MOSE_EXIT_USAGE;
    options.progress = terminal ? mose_cli_show_progress : NULL;
    options.interrupt_fd = mose_cli_catch_interrupts();
    if (export_file || import_file)
        return transfer(argv[1], &options);
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest || !mose_recover(guest, &recovered, &error))
        return mose_cli_fail_guest(error, argv[1], NULL);
    good = mose_fork(guest, (const char *const *)argv + 2, &options, &report, &error);
    if (terminal)
        mose_cli_hide_progress();
    if (good)
        (mose_cli_json() ? print_json : print_text)(guest, argv + 2, &report);
    mose_fork_report_clear(&report);
    return good ? MOSE_EXIT_DONE : mose_cli_fail_guest(error, guest->name, NULL);
}
