/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's lists, which may change under the reader. See object.h. */
#include "util/error.h"
#include "vmi/linux/linux.h"

#define MAX_TRIES 20
#define WAIT_US 25000

/* A node is two words: the first leads on, the second back (Linux
 * include/linux/types.h). */

static gboolean
has_changed(guint64 at, GError **error)
{
    g_set_error(
        error, MOSE_ERROR, MOSE_ERROR_AGAIN,
        "a list of the guest's changed while it was read, at 0x%" G_GINT64_MODIFIER "x",
        at);
    return FALSE;
}

static gboolean
is_too_long(guint64 head, guint max, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the guest's list at 0x%" G_GINT64_MODIFIER
                "x has more than %u entries",
                head, max);
    return FALSE;
}

/* The link at @at, whose second word must lead to @from. What cannot be read was
 * perhaps freed meanwhile. */
static gboolean
follow(MoseLinux *kernel, guint64 at, guint64 from, guint64 *ret, GError **error)
{
    guint64 link[2];

    if (!mose_space_read(kernel->space, at, link, sizeof(link), NULL, NULL) ||
        GUINT64_FROM_LE(link[1]) != from)
        return has_changed(at, error);
    *ret = GUINT64_FROM_LE(link[0]);
    return TRUE;
}

/* A list ends at its head; an hlist at 0, and an hlist_nulls at a number with bit 0 set
 * (include/linux/list_nulls.h). */
static gboolean
is_end(guint64 at, guint64 head, gboolean hlist)
{
    return hlist ? at == 0 || (at & 1) : at == head;
}

/* *@ret_end: what ended it, 0 if it was @func; *@ret_last: the last node, or the head.
 */
static gboolean
walk(MoseLinux *kernel, guint64 head, gboolean hlist, guint64 offset, guint max,
     MoseListFunc func, gpointer data, guint64 *ret_last, guint64 *ret_end,
     GError **error)
{
    guint64 at;

    *ret_last = head;
    *ret_end = 0;
    if (!mose_space_read_number(kernel->space, head, 8, &at, error))
        return FALSE;
    for (guint i = 0; !is_end(at, head, hlist); i++) {
        guint64 next;
        g_autoptr(GError) cause = NULL;

        if (i == max)
            return is_too_long(head, max, error);
        if (!follow(kernel, at, *ret_last, &next, error))
            return FALSE;
        if (!func(kernel, at - offset, data, &cause)) {
            if (!cause)
                return TRUE;
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        *ret_last = at;
        at = next;
    }
    *ret_end = at;
    return TRUE;
}

gboolean
mose_list_walk(MoseLinux *kernel, guint64 head, guint64 offset, guint max,
               MoseListFunc func, gpointer data, GError **error)
{
    guint64 last, end, first;

    if (!walk(kernel, head, FALSE, offset, max, func, data, &last, &end, error))
        return FALSE;
    /* It is the same list still. */
    return end == 0 || follow(kernel, head, last, &first, error);
}

gboolean
mose_hlist_walk(MoseLinux *kernel, guint64 head, guint64 offset, guint max,
                MoseListFunc func, gpointer data, GError **error)
{
    guint64 last, end;

    return walk(kernel, head, TRUE, offset, max, func, data, &last, &end, error);
}

/* An entry that was moved to another list meanwhile leads to that one's end
 * (Documentation/RCU/rculist_nulls.rst); and the last one may have gone. */
gboolean
mose_hlist_nulls_walk(MoseLinux *kernel, guint64 head, guint64 offset, guint64 nulls,
                      guint max, MoseListFunc func, gpointer data, GError **error)
{
    guint64 last, end, then;

    if (!walk(kernel, head, TRUE, offset, max, func, data, &last, &end, error))
        return FALSE;
    if (end == 0)
        return TRUE;
    if (end != (nulls << 1 | 1) ||
        !mose_space_read_number(kernel->space, last, 8, &then, NULL) || then != end)
        return has_changed(last, error);
    return TRUE;
}

gboolean
mose_linux_retry(MoseLinux *kernel, MoseRetryFunc func, gpointer data,
                 guint *ret_retries, GError **error)
{
    for (guint i = 0;; i++) {
        g_autoptr(GError) cause = NULL;

        if (ret_retries)
            *ret_retries = i;
        if (func(kernel, data, &cause))
            return TRUE;
        /* What stands still will not change. */
        if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN) ||
            !mose_memory_is_alive(kernel->memory) || i + 1 == MAX_TRIES) {
            g_propagate_error(error, g_steal_pointer(&cause));
            if (i > 0)
                g_prefix_error(error, "after %u tries: ", i + 1);
            return FALSE;
        }
        if (i > 0)
            g_usleep(WAIT_US);
        mose_linux_forget(kernel);
    }
}
