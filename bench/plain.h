/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU without MOSE, to compare with. Its command line is that of a QEMU which MOSE
 * has started, but for what is MOSE's: so both have the same machine.
 */
#pragma once

#include "qemu/qmp.h"
#include "util/process.h"

typedef enum {
    PLAIN_ALONE,       /* private anonymous RAM, no monitor; runs at once */
    PLAIN_SOURCE,      /* the process's kind of RAM, a monitor; waits for `cont` */
    PLAIN_DESTINATION, /* the same, waits for a migration */
} PlainRole;

typedef struct {
    MoseProcess *process;
    MoseQmp *qmp;  /* NULL for PLAIN_ALONE */
    pid_t janitor; /* ends it when we have ended, however that was */
} Plain;

/*
 * The command line of process @pid, for @role; in each argument @from is replaced by
 * @to (names of files and sockets). Free with g_ptr_array_unref().
 */
GPtrArray *plain_argv(pid_t pid, PlainRole role, const char *from, const char *to);

/* Start it. @ram_fd: the RAM to share; -1: it has its own. Aborts if it fails. */
Plain *plain_start(const GPtrArray *argv, PlainRole role, int ram_fd);

/* End it, wait until it is gone. */
void plain_free(Plain *plain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plain, plain_free)

/* QMP, which has to succeed: a command; an event, whose time is returned; the end of a
 * migration. */
void plain_command(MoseQmp *qmp, const char *command, JsonObject *arguments);
gint64 plain_wait_event(MoseQmp *qmp, const char *name);
void plain_wait_completed(MoseQmp *qmp);
void plain_set_capability(MoseQmp *qmp, const char *name, gboolean on);

/* Seconds of processor time that process @pid has used until now. */
double cpu_seconds(pid_t pid);

/* The process that guest @name is in, as `mose status` says. */
pid_t guest_pid(const char *name);
