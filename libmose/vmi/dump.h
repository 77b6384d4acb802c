/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A core file of a guest, for crash, gdb and mose_memory_of_core().
 *
 * QEMU writes it (QMP dump-guest-memory), into a pipe that this process reads: so the
 * file is opened here alone, what QEMU does not know of the guest's kernel is put in on
 * the way, pages of zeros take no room, and an end of this process, wherever it comes,
 * is a write that fails in QEMU, which lets the guest run on by itself (dump/dump.c:
 * dump_cleanup). QEMU has no command to cancel a dump (10.2). While it writes, the
 * guest stands still.
 *
 * Or, live, this process writes it out of the guest's memory while the guest runs on:
 * then it is not of one moment.
 *
 * The file has no name, or another one, until it is whole.
 */
#pragma once

#include "guest/guest.h"
#include "switch/switch.h"

typedef struct {
    const char
        *format; /* QMP's DumpGuestMemoryFormat: "elf", "kdump-zlib", "kdump-lzo",
                    "kdump-snappy"; NULL: "elf", the only one that can be live */
    gboolean live;
    gboolean force;   /* a file that is there is replaced */
    int interrupt_fd; /* readable: no more of it; 0: none */
    /* Told again and again in phase "dump"; may be NULL. */
    void (*progress)(const MoseSwitchProgress *progress, gpointer data);
    gpointer data;
} MoseDumpOptions;

typedef struct {
    guint64 size, taken; /* of the file in bytes, and what it takes on its disk */
    guint64 memory;      /* bytes of the guest's memory in it */
    gint64 stood_us;     /* how long the guest stood still; 0: it did not, for this */
    char *release;       /* of the kernel that was found, or NULL */
    gboolean has_vmcoreinfo;
    char *lacks; /* why there is no VMCOREINFO, or no kernel; or NULL */
} MoseDumpReport;

void mose_dump_report_clear(MoseDumpReport *report);

/*
 * Dump @guest, which is locked and recovered, to @path. Call it while this process has
 * one thread (exact.h). INVALID where @path is there already, is no file, or for a
 * format that is none; UNSUPPORTED for one that this QEMU has not; RESOURCES for a full
 * disk; INTERRUPTED; ENDED; and what QEMU says. On failure nothing is left behind, and
 * the guest is as it was before.
 */
gboolean mose_dump(MoseGuest *guest, const char *path, const MoseDumpOptions *options,
                   MoseDumpReport *ret, GError **error);
