/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks to files and back; see transfer.h. */
#include "cli/transfer.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/json.h"

static void
print_json(const char *name, const MoseTransfer *how, const MoseTransferReport *report)
{
    g_autoptr(JsonObject) object =
        mose_json_object("guest", "s", name, "file", "s", how->file, "ram-bytes", "i",
                         (gint64)report->ram_bytes, "files", "i", (gint64)report->files,
                         "total-us", "i", report->total_us, NULL);
    g_autofree char *text = NULL;

    if (report->file_bytes)
        json_object_set_int_member(object, "file-bytes", (gint64)report->file_bytes);
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_files(const MoseTransferReport *report)
{
    if (report->files)
        printf(", and %u file%s (disks, kernel)", report->files,
               report->files == 1 ? "" : "s");
    printf("; %.1f s\n", report->total_us / 1e6);
}

static MoseGuest *
open_guest(const char *name, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    MoseRecovered recovered;

    return guest && mose_recover(guest, &recovered, error) ? g_steal_pointer(&guest)
                                                           : NULL;
}

/* --- export --- */

static gboolean
export_fork(const char *name, const MoseTransfer *how, MoseTransferReport *report,
            GError **error)
{
    g_autoptr(MoseGuest) fork = open_guest(name, error);

    return fork && mose_fork_export(fork, how, report, error);
}

static gboolean
end_fork(const char *name, GError **error)
{
    g_autoptr(MoseGuest) fork = open_guest(name, error);

    return fork && mose_fork_end(fork, error);
}

/* A guest goes on while its fork is written; the fork ends with us. */
static gboolean
export_guest(MoseGuest *guest, const MoseForkOptions *options, const MoseTransfer *how,
             MoseTransferReport *report, GError **error)
{
    g_autofree char *name = g_strdup_printf("export-%d", (int)getpid());
    const char *const names[] = { name, NULL };
    MoseForkOptions own = *options;
    MoseForkReport made = { 0 };
    g_autoptr(GError) trouble = NULL;
    gboolean good;

    own.paused = TRUE;
    own.owner = getpid();
    good = mose_fork(guest, names, &own, &made, error);
    mose_fork_report_clear(&made);
    if (!good)
        return FALSE;
    good = export_fork(name, how, report, error);
    if (end_fork(name, &trouble) &&
        mose_fork_thaw(guest, options->interrupt_fd, NULL, &trouble))
        return good;
    if (good)
        g_propagate_prefixed_error(error, g_steal_pointer(&trouble),
                                   "%s is written, but: ", how->file);
    return FALSE;
}

int
mose_cli_export(const char *name, const MoseForkOptions *options,
                const MoseTransfer *how)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = open_guest(name, &error);
    MoseTransferReport report = { 0 };
    gboolean good;

    if (!guest)
        return mose_cli_fail_guest(error, name, NULL);
    /* What stands alone is written as it is. */
    if (guest->fork_of || guest->files)
        good = mose_fork_export(guest, how, &report, &error);
    else
        good = export_guest(guest, options, how, &report, &error);
    if (how->progress)
        mose_cli_hide_progress();
    if (!good)
        return mose_cli_fail(error, NULL);
    if (mose_cli_json()) {
        print_json(name, how, &report);
        return MOSE_EXIT_DONE;
    }
    printf("%s of %s: %.1f MB, of %" G_GUINT64_FORMAT " MB of memory", how->file, name,
           report.file_bytes / 1048576.0, report.ram_bytes >> 20);
    print_files(&report);
    return MOSE_EXIT_DONE;
}

/* --- import --- */

int
mose_cli_import(const char *name, const MoseTransfer *how)
{
    g_autoptr(GError) error = NULL;
    MoseTransferReport report = { 0 };
    g_autoptr(MoseGuest) guest = mose_fork_import(name, how, &report, &error);

    if (how->progress)
        mose_cli_hide_progress();
    if (!guest)
        return mose_cli_fail(error, NULL);
    if (mose_cli_json()) {
        print_json(name, how, &report);
        return MOSE_EXIT_DONE;
    }
    printf("guest %s %s in the emulator (%s)\n  %" G_GUINT64_FORMAT " MB of memory",
           name, how->paused ? "stands" : "runs", guest->spec->accel[guest->side],
           report.ram_bytes >> 20);
    print_files(&report);
    if (guest->files)
        printf("  its files are in %s, and go with it (`mose stop %s`)\n", guest->files,
               name);
    return MOSE_EXIT_DONE;
}
