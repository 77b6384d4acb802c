/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing a process's memory. See task-write.h. */
#include "vmi/linux/task-write.h"

#include "util/error.h"

#define PAGE 4096

typedef struct {
    MoseLinux *kernel;
    const MoseTask *task;
    MoseSpace *space;
    gboolean shared;
    guint64 zeros, huge_zeros; /* physical; 0: not known */
} Check;

static gboolean
same_memory(gpointer data, GError **error)
{
    Check *check = data;
    guint64 pid = 0, mm = 0, pgd = 0, tables = 0;

    mose_linux_forget(check->kernel);
    if (mose_object_peek(check->kernel, "task_struct", check->task->address, "pid",
                         &pid, NULL) &&
        mose_object_peek(check->kernel, "task_struct", check->task->address, "mm", &mm,
                         NULL) &&
        (gint)pid == check->task->pid && mm == check->task->mm &&
        mose_object_peek(check->kernel, "mm_struct", mm, "pgd", &pgd, NULL) &&
        mose_space_translate(check->kernel->space, pgd, &tables, NULL) &&
        tables == mose_space_paging(check->space)->cr3)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "task %d (%s) has ended, or runs another program, since it was looked "
                "up",
                check->task->pid, check->task->comm);
    return FALSE;
}

static gboolean
refuse(const Check *check, guint64 address, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "0x%" G_GINT64_MODIFIER "x of task %d (%s) is not written: %s", address,
                check->task->pid, check->task->comm, why);
    return FALSE;
}

static gboolean
may_write(const MosePageWalk *walk, guint64 address, gpointer data, GError **error)
{
    Check *check = data;
    guint64 page = walk->physical & ~(guint64)(PAGE - 1);

    if ((check->zeros && page == check->zeros) ||
        (check->huge_zeros && page >= check->huge_zeros &&
         page - check->huge_zeros < 512 * PAGE))
        return refuse(check, address,
                      "it has not been written before, and is the page of zeros that "
                      "all processes share",
                      error);
    return walk->writable || check->shared ||
           refuse(check, address,
                  "the process may only read it, so the page may be other processes' "
                  "as well, or a file's in the cache",
                  error);
}

/* Linux arch/x86/kernel/head_64.S: empty_zero_page; mm/huge_memory.c: huge_zero_pfn. */
static void
find_zeros(Check *check)
{
    guint64 at, pfn;

    if (mose_linux_symbol(check->kernel, "empty_zero_page", &at, NULL))
        mose_space_translate(check->kernel->space, at, &check->zeros, NULL);
    if (mose_linux_symbol(check->kernel, "huge_zero_pfn", &at, NULL) &&
        mose_space_read_number(check->kernel->space, at, 8, &pfn, NULL) &&
        pfn < G_MAXUINT64 / PAGE)
        check->huge_zeros = pfn * PAGE;
}

gboolean
mose_task_write(MoseGuest *guest, MoseLinux *kernel, const MoseTask *task,
                MoseSpace *space, guint64 address, const guint8 *bytes, gsize len,
                const guint8 *expect, gsize expect_len, gboolean shared,
                MoseWritten *ret, GError **error)
{
    Check check = { .kernel = kernel, .task = task, .space = space, .shared = shared };
    MoseWrite write = { .space = space,
                        .address = address,
                        .bytes = bytes,
                        .len = len,
                        .expect = expect,
                        .expect_len = expect_len,
                        .check = same_memory,
                        .page = may_write,
                        .data = &check };

    find_zeros(&check);
    return mose_vmi_write(guest, kernel->memory, &write, ret, error);
}
