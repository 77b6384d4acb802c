/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that outlive the command that started them, named so that a later
 * command cannot mistake another process for them.
 *
 * A process is named by pid and start time (field 22 of /proc/PID/stat, clock
 * ticks since boot); within one boot that pair is unique. It is held by pidfd.
 */
#pragma once

#include "util/surroundings.h"

typedef struct {
    pid_t pid;
    guint64 start_time;
    int pidfd;
} MoseProcess;

/* A descriptor that the child gets under a number of its own. */
typedef struct {
    int fd;     /* here; stays open here */
    int number; /* there */
} MoseInheritedFd;

/*
 * Start @argv (searched in PATH) in a session of its own, in directory @cwd
 * (NULL: here), standard input from /dev/null, standard output and error
 * appended to the file @log. Nothing but @fds is inherited.
 */
MoseProcess *mose_process_spawn(const char *const *argv, const char *cwd,
                                const char *log, const MoseInheritedFd *fds,
                                gsize n_fds, GError **error);

/* The same in @surroundings (surroundings.h; borrowed) instead of our own. */
MoseProcess *mose_process_spawn_in(const MoseSurroundings *surroundings,
                                   const char *const *argv, const char *cwd,
                                   const char *log, const MoseInheritedFd *fds,
                                   gsize n_fds, GError **error);

/* The process @pid if it still is the one that started at @start_time; NULL
 * with NOT_FOUND otherwise. */
MoseProcess *mose_process_open(pid_t pid, guint64 start_time, GError **error);

/* Forget it; the process itself goes on. */
void mose_process_free(MoseProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseProcess, mose_process_free)

/* Whether it still runs (a zombie does not). */
gboolean mose_process_alive(const MoseProcess *process);

/* Wait until it has ended; FALSE after @timeout_ms. */
gboolean mose_process_wait(const MoseProcess *process, int timeout_ms);

/* SIGSTOP, and wait until all its threads stand still (FALSE: not within a second, or
 * it has ended); let it go on again; whether it stands still. */
gboolean mose_process_freeze(const MoseProcess *process);
void mose_process_thaw(const MoseProcess *process);
gboolean mose_process_frozen(const MoseProcess *process);

/* SIGKILL: from here on it executes nothing more of its own. */
void mose_process_doom(const MoseProcess *process);

/* The same, and wait until it is gone (FALSE: it did not go within 10 s). */
gboolean mose_process_kill(const MoseProcess *process);

/* A copy here of descriptor @number there (pidfd_getfd(2), Linux 5.6). */
int mose_process_get_fd(const MoseProcess *process, int number, GError **error);

/* Start time of @pid, or 0 when there is no such process. */
guint64 mose_process_start_time(pid_t pid);

/* This boot's id (/proc/sys/kernel/random/boot_id). */
char *mose_boot_id(void);

/* CLOCK_BOOTTIME, microseconds: it goes on while the host sleeps. */
gint64 mose_boottime_us(void);

/* The last @max bytes of @log beyond @offset, as valid UTF-8 with white space
 * trimmed: what a process said before it ended. Never NULL. */
char *mose_log_tail(const char *log, goffset offset, gsize max);

/*
 * What matters of what a QEMU printed last, in one line: its last few lines
 * without its own name and without warnings, joined by "; ". Never NULL; "" if it
 * said nothing of the kind.
 */
char *mose_log_said(const char *log);

/* The size of @log, 0 when it is not there. */
goffset mose_log_size(const char *log);
