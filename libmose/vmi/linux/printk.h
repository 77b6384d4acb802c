/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's log: the records of printk's ring buffer, as dmesg shows them. */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    guint64 seq;      /* their number since the boot */
    guint64 ts_nsec;  /* local_clock() */
    guint facility;   /* 0: the kernel */
    guint level;      /* 0 (emergency) to 7 (debug) */
    gint64 caller_id; /* a thread's pid; with bit 31 a CPU; -1: not told */
    gboolean partial; /* its line is not over: more may be appended */
    char *text;       /* printable, but with line feeds between its lines, tabs, and
                       * backslashes as they are */
    char *
        *dictionary; /* "SUBSYSTEM=pci", "DEVICE=+pci:...", as in /dev/kmsg, or NULL */
    char *comm;      /* printable: the thread's name, where the kernel keeps it */
} MosePrintkRecord;

typedef struct {
    GPtrArray *records; /* of MosePrintkRecord, in ascending order of seq */
    guint unfinished;   /* further ones that were being written at that moment */
    guint lost;         /* ones whose text did not fit in, or is damaged */
} MosePrintkLog;

void mose_printk_log_free(MosePrintkLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MosePrintkLog, mose_printk_log_free)

/*
 * The records with number @since and above that the guest has. Each is whole: what was
 * overwritten or appended to while it was read is not among them. Ring buffers of 5.10
 * and later, and those of 3.11 to 5.9, are known; UNSUPPORTED else. INVALID for one
 * whose sizes make no sense. *@ret_retries as in mose_linux_retry().
 */
MosePrintkLog *mose_printk_read(MoseLinux *kernel, guint64 since, guint *ret_retries,
                                GError **error);
