/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source lines and inlined functions, of this program itself. */
#include <string.h>

#include "util/error.h"
#include "vmi/debug-info.h"

static volatile int number;

__attribute__((always_inline)) static inline void
inner(void)
{
    number += 4711;
}

enum { OUTER_LINE = __LINE__ + 6 };
/* Its name is a symbol's, too. */
void debug_info_outer(void);
__attribute__((noinline)) void
debug_info_outer(void)
{
    inner();
}

static MoseDebugInfo *
open_self(void)
{
    g_autoptr(GError) error = NULL;
    MoseDebugInfo *info = mose_debug_info_open("/proc/self/exe", NULL, &error);

    if (!info)
        g_test_skip(error->message);
    return info;
}

/* Somewhere in the function there is the inlined one, in the line that calls it. */
static void
test_places(void)
{
    g_autoptr(MoseDebugInfo) info = open_self();
    gboolean found = FALSE;
    guint64 begin;

    if (!info)
        return;
    g_assert_true(mose_debug_info_symbol(info, "debug_info_outer", &begin));
    for (guint i = 0; i < 32; i++) {
        g_autoptr(GPtrArray) places = mose_debug_info_at(info, begin + i);
        const MoseDebugPlace *one, *outer;

        if (places->len != 2)
            continue;
        one = places->pdata[0];
        outer = places->pdata[1];
        g_assert_cmpstr(one->function, ==, "inner");
        g_assert_cmpstr(outer->function, ==, "debug_info_outer");
        g_assert_cmpint(outer->line, ==, OUTER_LINE);
        g_assert_true(g_str_has_suffix(outer->file, "debug-info.c"));
        found = TRUE;
    }
    g_assert_true(found);
}

static void
test_wrong(void)
{
    g_autoptr(MoseDebugInfo) info = open_self();
    g_autoptr(GPtrArray) none = NULL;
    g_autoptr(GError) missing = NULL, other = NULL, text = NULL;
    guint64 at;

    if (!info)
        return;
    none = mose_debug_info_at(info, G_MAXUINT64 - 1);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_false(mose_debug_info_symbol(info, "no_such_symbol", &at));
    g_assert_null(mose_debug_info_open("/proc/self/exe", "0011", &other));
    g_assert_error(other, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(other->message, "another build"));
    g_assert_null(mose_debug_info_open("/proc/self/status", NULL, &text));
    g_assert_error(text, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_null(mose_debug_info_open("/nonexistent/vmlinux", NULL, &missing));
    g_assert_nonnull(missing);
    g_assert_null(mose_debug_info_of_kernel("../../x", "00112233"));
}

int
main(int argc, char **argv)
{
    debug_info_outer();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/debug-info/places", test_places);
    g_test_add_func("/debug-info/wrong", test_wrong);
    return g_test_run();
}
