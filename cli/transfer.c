/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks to files and back; see transfer.h. */
#include "cli/transfer.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/consoles.h"
#include "cli/progress.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/json.h"

static void
print_json(const MoseGuest *guest, const MoseTransfer *how,
           const MoseTransferReport *report, gint64 still_us)
{
    g_autoptr(JsonObject) object = mose_json_object(
        "guest", "s", guest->name, "file", "s", how->file, "ram-bytes", "i",
        (gint64)report->ram_bytes, "files", "i", (gint64)report->files, "total-us", "i",
        report->total_us, NULL);
    g_autofree char *text = NULL;

    if (report->file_bytes)
        json_object_set_int_member(object, "file-bytes", (gint64)report->file_bytes);
    if (still_us)
        json_object_set_int_member(object, "blackout-us", still_us);
    if (guest->files)
        json_object_set_string_member(object, "files-dir", guest->files);
    mose_cli_add_consoles(guest, object);
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
export_fork(const char *name, MoseArchiveWriter *writer, const MoseTransfer *how,
            MoseTransferReport *report, GError **error)
{
    g_autoptr(MoseGuest) fork = open_guest(name, error);

    return fork && mose_fork_export(fork, writer, how, report, error);
}

static gboolean
end_fork(const char *name, GError **error)
{
    g_autoptr(MoseGuest) fork = open_guest(name, error);

    return fork && mose_fork_end(fork, error);
}

/* Add to what went wrong, if anything did, what went wrong in the end. */
static void
add_trouble(GError **error, GError *take)
{
    g_autofree char *before = *error ? g_strdup((*error)->message) : NULL;

    if (before) {
        g_prefix_error(&take, "%s; and ", before);
        g_clear_error(error);
    }
    *error = take;
}

/* A guest goes on while its fork is written; the fork ends with us. */
static void
export_guest(MoseGuest *guest, const MoseForkOptions *options,
             MoseArchiveWriter *writer, const MoseTransfer *how,
             MoseTransferReport *report, gint64 *ret_still_us, GError **error)
{
    g_autofree char *name = g_strdup_printf("export-%d", (int)getpid());
    const char *const names[] = { name, NULL };
    MoseForkOptions own = *options;
    MoseForkReport made = { 0 };
    GError *trouble = NULL;
    gboolean good;

    own.paused = TRUE;
    own.owner = getpid();
    good = mose_fork(guest, names, &own, &made, error);
    *ret_still_us = made.freeze.blackout_us;
    mose_fork_report_clear(&made);
    if (!good)
        return;
    export_fork(name, writer, how, report, error);
    /* Whoever wants no more of it wants this all the same. */
    if (!end_fork(name, &trouble) || !mose_fork_thaw(guest, 0, NULL, NULL, &trouble))
        add_trouble(error, trouble);
}

int
mose_cli_export(const char *name, const MoseForkOptions *options, int level,
                const MoseTransfer *how)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = open_guest(name, &error);
    g_autoptr(MoseArchiveWriter) writer = NULL;
    MoseTransferReport report = { 0 };
    gint64 still_us = 0;

    if (!guest)
        return mose_cli_fail_guest(error, name, NULL);
    writer = mose_archive_create(how->file, level, &error);
    if (!writer)
        return mose_cli_fail(error, NULL);
    if (guest->fork_of)
        mose_fork_export(guest, writer, how, &report, &error);
    else
        export_guest(guest, options, writer, how, &report, &still_us, &error);
    if (how->progress)
        mose_cli_hide_progress();
    if (error)
        return mose_cli_fail(error, NULL);
    if (mose_cli_json()) {
        print_json(guest, how, &report, still_us);
        return MOSE_EXIT_DONE;
    }
    printf("%s of %s: %.1f MB, of %" G_GUINT64_FORMAT " MB of memory", how->file, name,
           report.file_bytes / 1048576.0, report.ram_bytes >> 20);
    print_files(&report);
    if (still_us)
        printf("  the guest stood still for %.1f ms\n", still_us / 1e3);
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
        print_json(guest, how, &report, 0);
        return MOSE_EXIT_DONE;
    }
    printf("guest %s %s in the emulator (%s)\n  %" G_GUINT64_FORMAT " MB of memory",
           name, how->paused ? "stands" : "runs", guest->spec->accel[guest->side],
           report.ram_bytes >> 20);
    print_files(&report);
    if (guest->files)
        printf("  its files are in %s, and go with it (`mose stop %s`)\n", guest->files,
               name);
    mose_cli_print_consoles(guest);
    return MOSE_EXIT_DONE;
}
