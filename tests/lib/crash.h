/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crash(8) of a core file, with the kernel's debug information: another reader of the
 * same memory than MOSE, with types of its own. It is asked without a terminal, and is
 * never waited for without end.
 *
 * Environment: MOSE_CRASH (another crash than PATH's), MOSE_DEBUG_VMLINUX (a kernel
 * with debug information, or the directory that Debian's are unpacked to, which is
 * /usr/lib/debug if it is not given).
 */
#pragma once

#include <glib.h>

/* The usual business: g_test_skip() with the reason, and TRUE, where there is no crash
 * or nothing at all with debug information. */
gboolean crash_cannot_run(void);

/* The kernel of that release with debug information, to be freed; NULL: there is none.
 */
char *crash_vmlinux(const char *release);

/*
 * What crash prints of @core for each of these commands (NULL-terminated): command ->
 * text. One that crash did not come to the end of is not in it, and those behind it are
 * asked anew. All are missing where crash does not start on that
 * core; if it does so only without modules, it says nothing of them.
 */
GHashTable *crash_ask(const char *core, const char *vmlinux,
                      const char *const *commands);

/* Both accounts of @what, lines in whatever order, are the same, and not empty; fails
 * with the lines that only one of them has. They are sorted. */
void crash_compare(const char *what, GPtrArray *ours, GPtrArray *theirs);

/* Both have @line for each match of @pattern (with flags MULTILINE) in @text: the
 * groups of @format, as in g_match_info_expand_references(). To be freed with
 * g_ptr_array_unref(). */
GPtrArray *crash_lines(const char *text, const char *pattern, const char *format);
