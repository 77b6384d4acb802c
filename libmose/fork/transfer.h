/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forks in files (archive.h), to be studied elsewhere and later: device state, memory,
 * the disks, and the files that QEMU reads at its start (a kernel, an initrd).
 */
#pragma once

#include "fork/archive.h"
#include "switch/switch.h"

/* Where such files are, in the description that is stored: they go to another place
 * on the host that takes them. */
#define MOSE_TRANSFER_FILES "/mose-fork-files"

typedef struct {
    const char *file; /* the archive, absolute */
    const char *dir;  /* import: where the guest's files go, absolute; NULL: FILE's */
    gboolean paused;  /* import: it does not run yet */
    gboolean overcommit;
    void (*progress)(const MoseSwitchProgress *progress, gpointer data); /* or NULL */
    gpointer data;
    int interrupt_fd; /* readable when the user wants no more of it; 0: none */
} MoseTransfer;

#define MOSE_EXPORT_LEVEL 3

typedef struct {
    guint64 ram_bytes;  /* of the guest's memory */
    guint64 file_bytes; /* of the archive */
    guint files;        /* disks and others in it */
    gint64 total_us;
} MoseTransferReport;

/*
 * Write @fork (locked, recovered) to @writer, and finish that. It stands still
 * meanwhile, and goes on then, if it did before; nothing of it changes. Disks need room
 * for a copy, one at a time, beside the file. UNSUPPORTED (a disk that cannot be
 * stored), RESOURCES, INTERRUPTED.
 */
gboolean mose_fork_export(MoseGuest *fork, MoseArchiveWriter *writer,
                          const MoseTransfer *how, MoseTransferReport *ret,
                          GError **error);

/*
 * Make guest @name of the archive: an emulator as isolated as the fork was, whose disks
 * are files of its own in how->dir (NAME.files), which go with it. It is a guest like
 * others: it can be forked, and ends with mose_stop(). Returned locked. INVALID (a
 * name, a damaged file), UNSUPPORTED (of another MOSE), RESOURCES, INTERRUPTED.
 */
MoseGuest *mose_fork_import(const char *name, const MoseTransfer *how,
                            MoseTransferReport *ret, GError **error);
