/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose dump: a core file of a guest. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "switch/recover.h"
#include "util/json.h"
#include "vmi/dump.h"

static gboolean live, force;
static char *format;

static const GOptionEntry entries[] = {
    { "format", 0, 0, G_OPTION_ARG_STRING, &format,
      "elf (the default), kdump-zlib, kdump-lzo or kdump-snappy", "FORMAT" },
    { "live", 0, 0, G_OPTION_ARG_NONE, &live,
      "while the guest runs on: the file is not of one moment", NULL },
    { "force", 0, 0, G_OPTION_ARG_NONE, &force, "replace a file that is there", NULL },
    { NULL },
};

static void
print_json(const MoseGuest *guest, const char *path, const MoseDumpReport *report)
{
    g_autoptr(JsonObject) object = mose_json_object(
        "guest", "s", guest->name, "file", "s", path, "format", "s",
        format ? format : "elf", "live", "b", live, "memory-bytes", "i",
        (gint64)report->memory, "file-bytes", "i", (gint64)report->size, "disk-bytes",
        "i", (gint64)report->taken, "stood-us", "i", report->stood_us, "vmcoreinfo",
        "b", report->has_vmcoreinfo, NULL);
    g_autofree char *text = NULL;

    if (report->release)
        json_object_set_string_member(object, "kernel", report->release);
    if (report->lacks)
        json_object_set_string_member(object, "lacks", report->lacks);
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_text(const MoseGuest *guest, const char *path, const MoseDumpReport *report)
{
    printf("guest %s is in %s: %" G_GUINT64_FORMAT " MB of memory, %" G_GUINT64_FORMAT
           " MB on disk\n",
           guest->name, path, report->memory >> 20, report->taken >> 20);
    if (live)
        printf("  it is not of one moment: the guest ran on\n");
    if (report->stood_us)
        printf("  the guest stood still for %.1f ms\n", report->stood_us / 1e3);
    if (report->release)
        printf("  Linux %s\n", report->release);
    if (!report->has_vmcoreinfo)
        printf("  it has no VMCOREINFO, without which crash may not find its way: %s\n",
               report->lacks ? report->lacks : "nothing is known of a kernel");
}

int
mose_cmd_dump(int argc, char **argv)
{
    MoseDumpOptions options = { 0 };
    MoseDumpReport report;
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    gboolean terminal = isatty(STDERR_FILENO), good;
    MoseRecovered recovered;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 2, &ret))
        return ret;
    options.format = format;
    options.live = live;
    options.force = force;
    options.progress = terminal ? mose_cli_show_progress : NULL;
    options.interrupt_fd = mose_cli_catch_interrupts();
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest || !mose_recover(guest, &recovered, &error))
        return mose_cli_fail_guest(error, argv[1], NULL);
    good = mose_dump(guest, argv[2], &options, &report, &error);
    if (terminal)
        mose_cli_hide_progress();
    if (!good)
        return mose_cli_fail_guest(error, guest->name, NULL);
    (mose_cli_json() ? print_json : print_text)(guest, argv[2], &report);
    mose_dump_report_clear(&report);
    return MOSE_EXIT_DONE;
}
