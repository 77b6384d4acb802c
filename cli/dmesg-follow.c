/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel log that grows: looked at some times a second, since nothing tells when
 * memory changes. A guest that is switched meanwhile is followed, and so is one that
 * reboots.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/dmesg.h"
#include "cli/interrupt.h"
#include "util/error.h"

#define POLL_MS 100

/* How often in a row a record may be missing between others before it counts as lost:
 * where one is just being written, and where not. */
#define PATIENCE_WRITTEN 10
#define PATIENCE 1

/* How often in a row nothing could be read: while it boots, or is switched. */
#define MAX_FAILURES 300

typedef struct {
    const char *name;
    MoseLook look;
    pid_t pid; /* of the process that look is of */
    guint generation;
    guint64 next;      /* the number of the record that is waited for */
    guint64 last_nsec; /* when the one before it was written */
    gboolean has_last;
    guint waited, failures;
} Follow;

/* Where the guest is now in another process, its memory may be elsewhere. */
static gboolean
open_again(Follow *follow, GError **error)
{
    MoseLook *look = &follow->look;
    g_autoptr(MoseProcess) process = NULL;

    if (look->kernel) {
        if (!mose_guest_reload(look->guest, error))
            return FALSE;
        if (look->guest->pid != follow->pid ||
            look->guest->generation != follow->generation)
            mose_look_clear(look);
        else
            process = mose_guest_process(look->guest, error);
        if (look->kernel)
            return process != NULL;
    }
    mose_look_clear(look);
    if (!mose_look_open_linux(look, follow->name, error))
        return FALSE;
    follow->pid = look->guest->pid;
    follow->generation = look->guest->generation;
    return TRUE;
}

/* The record that was shown last is in the log still, or has been overwritten by later
 * ones; else it is the log of another boot. */
static gboolean
is_another_boot(const Follow *follow, const MosePrintkLog *log)
{
    const MosePrintkRecord *record = log->records->len ? log->records->pdata[0] : NULL;
    g_autoptr(MosePrintkLog) whole = NULL;

    if (!follow->has_last)
        return FALSE;
    if (record)
        return record->seq == follow->next - 1 && record->ts_nsec != follow->last_nsec;
    whole = mose_printk_read(follow->look.kernel, 0, NULL, NULL);
    if (!whole || whole->records->len == 0)
        return FALSE;
    record = whole->records->pdata[whole->records->len - 1];
    return record->seq + 1 < follow->next;
}

/* Whether to go on with @record though some before it are missing. */
static gboolean
give_up_missing(Follow *follow, const MosePrintkLog *log)
{
    if (follow->waited++ < (log->unfinished ? PATIENCE_WRITTEN : PATIENCE))
        return FALSE;
    follow->waited = 0;
    return TRUE;
}

static void
show_new(Follow *follow, const MosePrintkLog *log)
{
    for (guint i = 0; i < log->records->len; i++) {
        const MosePrintkRecord *record = log->records->pdata[i];

        if (record->seq < follow->next)
            continue;
        if (record->partial || (record->seq > follow->next && follow->has_last &&
                                !give_up_missing(follow, log)))
            break;
        mose_dmesg_show(record);
        follow->waited = 0;
        follow->next = record->seq + 1;
        follow->last_nsec = record->ts_nsec;
        follow->has_last = TRUE;
    }
    fflush(stdout);
}

static gboolean
look_once(Follow *follow, GError **error)
{
    g_autoptr(MosePrintkLog) log = NULL;

    if (!open_again(follow, error))
        return FALSE;
    mose_linux_forget(follow->look.kernel);
    log = mose_printk_read(follow->look.kernel, follow->next - follow->has_last, NULL,
                           error);
    if (!log || is_another_boot(follow, log)) {
        /* Its kernel is somewhere else, perhaps. */
        mose_look_clear(&follow->look);
        if (log)
            follow->next = follow->has_last = 0;
        return log != NULL;
    }
    show_new(follow, log);
    return TRUE;
}

/* Whether it may pass: what cannot be read now is perhaps a kernel that boots. */
static gboolean
may_pass(Follow *follow, const GError *error)
{
    return follow->has_last && error->code != MOSE_ERROR_ENDED &&
           error->code != MOSE_ERROR_AWAY && ++follow->failures < MAX_FAILURES;
}

int
mose_dmesg_follow(const char *name, guint64 from)
{
    Follow follow = { .name = name, .next = from };
    int interrupted = mose_cli_catch_interrupts(), ret = MOSE_EXIT_DONE;
    GPollFD wait = { .fd = interrupted, .events = G_IO_IN };

    for (;;) {
        g_autoptr(GError) error = NULL;

        if (look_once(&follow, &error)) {
            follow.failures = 0;
        } else if (!may_pass(&follow, error)) {
            ret = mose_look_fail(&follow.look, error);
            break;
        }
        if (ferror(stdout) ||
            (g_poll(&wait, interrupted ? 1 : 0, POLL_MS), wait.revents))
            break;
    }
    mose_look_clear(&follow.look);
    return ret;
}
