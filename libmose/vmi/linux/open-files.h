/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process has open: its file descriptors, as /proc/PID/fd and fdinfo show them,
 * its working directory, its root and its program.
 */
#pragma once

#include "vmi/linux/file.h"
#include "vmi/linux/tasks.h"

typedef enum {
    MOSE_OPEN_FD,
    MOSE_OPEN_CWD,
    MOSE_OPEN_ROOT,
    MOSE_OPEN_EXE,
} MoseOpenKind;

typedef struct {
    MoseOpenKind kind;
    guint fd;         /* FD alone */
    guint64 flags;    /* O_* of x86-64, with O_CLOEXEC, as fdinfo has them */
    gboolean is_file; /* FALSE of a cwd and a root: `file` has path and inode */
    MoseFile file;
    gint64 mount_id;
    char *path;   /* printable */
    char *socket; /* "inet6 stream"; NULL: it is none */
} MoseOpenFile;

void mose_open_file_free(MoseOpenFile *file);

/* Descriptors of one process; sysctl fs.nr_open is 1,048,576 by default. */
#define MOSE_OPEN_FILES_MAX (1u << 22)

/*
 * All of @task, of MoseOpenFile: cwd, root and exe first, then descriptors in ascending
 * order. Paths are told from the first process's root on. A task that has ended has
 * none. Each descriptor is of a moment of its own. *@ret_retries (may be NULL): see
 * mose_linux_retry(). Free with g_ptr_array_unref().
 */
GPtrArray *mose_open_files_read(MoseLinux *kernel, const MoseTask *task,
                                guint *ret_retries, GError **error);

/* Whether @task is no more what it was, or has closed all: then it is no wonder that it
 * cannot be read. */
gboolean mose_open_files_are_gone(MoseLinux *kernel, const MoseTask *task);

/* "REG", "DIR", "CHR", "BLK", "FIFO", "SOCK", "LNK"; "-" for what has no type. */
const char *mose_open_file_type(const MoseOpenFile *file);

/* "rw,append,cloexec"; free with g_free(). */
char *mose_open_flags_text(guint64 flags);
