/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core file of a guest, from the search for its kernel to the file's name. See
 * dump.h. */
#include "vmi/dump.h"

#include <string.h>

#include "qemu/command.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/dump-live.h"
#include "vmi/dump-qemu.h"
#include "vmi/exact.h"

#define ELF_FORMAT "elf"

typedef struct {
    MoseGuest *guest;
    const MoseDumpOptions *options;
    const char *format;
    MoseQmp *qmp;
    MoseMemory *memory;
    MoseDumpKernel kernel;
    MoseDumpFile *file;
} Dump;

static void
dump_clear(Dump *dump)
{
    mose_dump_file_free(dump->file);
    mose_dump_kernel_clear(&dump->kernel);
    mose_memory_free(dump->memory);
    mose_qmp_free(dump->qmp);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Dump, dump_clear)

void
mose_dump_report_clear(MoseDumpReport *report)
{
    g_clear_pointer(&report->release, g_free);
    g_clear_pointer(&report->lacks, g_free);
}

void
mose_dump_tell(const MoseDumpOptions *options, guint64 done, guint64 total)
{
    const MoseSwitchProgress progress = { .phase = "dump",
                                          .left = total - MIN(done, total),
                                          .total = total };

    if (options->progress)
        options->progress(&progress, options->data);
}

static gboolean
check_format(const Dump *dump, GError **error)
{
    static const char *const formats[] = { ELF_FORMAT, "kdump-zlib", "kdump-lzo",
                                           "kdump-snappy", NULL };

    if (!g_strv_contains(formats, dump->format))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "no format '%s': there are elf, kdump-zlib, kdump-lzo and "
                    "kdump-snappy",
                    dump->format);
    else if (dump->options->live && strcmp(dump->format, ELF_FORMAT) != 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "of a guest that runs on only format elf can be written");
    else
        return TRUE;
    return FALSE;
}

static gboolean
dump_by_qemu(Dump *dump, MoseDumpReport *report, GError **error)
{
    g_autoptr(MoseDumpSink) sink =
        strcmp(dump->format, ELF_FORMAT) == 0
            ? mose_dump_elf_sink(dump->file, &dump->kernel)
            : mose_dump_kdump_sink(dump->file, &dump->kernel);
    g_autoptr(JsonObject) answer = NULL;

    if (!mose_dump_qemu_can(dump->qmp, dump->format, error) ||
        !mose_dump_qemu(dump->qmp, sink, dump->options, dump->format, &report->stood_us,
                        error))
        return FALSE;
    answer = mose_qmp_query(dump->qmp, "query-dump", NULL, error);
    if (!answer)
        return FALSE;
    report->memory = mose_json_int(answer, "total", 0);
    report->has_vmcoreinfo = sink->has_vmcoreinfo;
    return TRUE;
}

static gboolean
dump_live(Dump *dump, MoseDumpReport *report, GError **error)
{
    if (!mose_dump_live(dump->memory, &dump->kernel, dump->file, dump->options, error))
        return FALSE;
    report->stood_us = mose_exact_stop_us();
    report->memory = mose_memory_size(dump->memory);
    report->has_vmcoreinfo = dump->kernel.vmcoreinfo != NULL;
    return TRUE;
}

/* Memory that cannot be read by us keeps nobody from a dump, but from a live one. */
static gboolean
look_for_kernel(Dump *dump, GError **error)
{
    g_autoptr(GError) cause = NULL;

    dump->memory = mose_memory_of_guest(dump->guest, &cause);
    if (dump->memory) {
        mose_dump_kernel_find(&dump->kernel, dump->memory);
        return TRUE;
    }
    if (dump->options->live) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    dump->kernel.lacks = g_strdup(cause->message);
    return TRUE;
}

static void
report_kernel(Dump *dump, MoseDumpReport *report)
{
    report->release = g_steal_pointer(&dump->kernel.release);
    if (!report->has_vmcoreinfo)
        report->lacks = g_steal_pointer(&dump->kernel.lacks);
}

/* All but the file's name. */
static gboolean
write_dump(Dump *dump, MoseDumpReport *report, GError **error)
{
    if (!look_for_kernel(dump, error))
        return FALSE;
    if (mose_fd_is_readable(dump->options->interrupt_fd)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED, "interrupted");
        return FALSE;
    }
    if (!(dump->options->live ? dump_live : dump_by_qemu)(dump, report, error))
        return FALSE;
    report_kernel(dump, report);
    return TRUE;
}

gboolean
mose_dump(MoseGuest *guest, const char *path, const MoseDumpOptions *options,
          MoseDumpReport *ret, GError **error)
{
    g_auto(Dump) dump = { .guest = guest,
                          .options = options,
                          .format = options->format ? options->format : ELF_FORMAT };

    *ret = (MoseDumpReport){ 0 };
    if (!check_format(&dump, error))
        return FALSE;
    dump.qmp = mose_guest_connect(guest, MOSE_MONITOR_SWITCH, error);
    if (!dump.qmp)
        return FALSE;
    dump.file = mose_dump_file_new(path, options->force, error);
    if (!dump.file || !write_dump(&dump, ret, error) ||
        !mose_dump_file_keep(dump.file, &ret->taken, error)) {
        mose_dump_report_clear(ret);
        return FALSE;
    }
    ret->size = mose_dump_file_end(dump.file);
    mose_guest_note(guest, "dumped",
                    mose_json_object("live", "b", options->live, "stood-us", "i",
                                     ret->stood_us, NULL));
    mose_guest_save(guest, NULL);
    return TRUE;
}
