/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where code comes from: source files, lines, and functions that were inlined, out of
 * the DWARF of a file of the host's (libdw).
 */
#pragma once

#include <glib.h>

typedef struct MoseDebugInfo MoseDebugInfo;

/*
 * Open the ELF file @path. @build_id (hexadecimal; may be NULL) is what it must have:
 * INVALID where it has another, or has no DWARF; what the system says where it cannot
 * be read.
 */
MoseDebugInfo *mose_debug_info_open(const char *path, const char *build_id,
                                    GError **error);
void mose_debug_info_free(MoseDebugInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDebugInfo, mose_debug_info_free)

/*
 * That of the kernel @release with @build_id where Debian's and others' packages have
 * it
 * (/usr/lib/debug); NULL: it is not there.
 */
MoseDebugInfo *mose_debug_info_of_kernel(const char *release, const char *build_id);

/* The address that @symbol has in the file; FALSE: it has none of that name. */
gboolean mose_debug_info_symbol(const MoseDebugInfo *info, const char *symbol,
                                guint64 *ret);

/* One function at a place. */
typedef struct {
    char *function; /* or NULL */
    char *file;     /* as the compiler wrote it, or NULL */
    int line;       /* 0: not known */
} MoseDebugPlace;

/*
 * What is at @address (as the file has it): of MoseDebugPlace, the innermost function
 * first, which was inlined into the next one, and so on; the last one is no inlined
 * one. Empty where nothing is known. Free with g_ptr_array_unref().
 */
GPtrArray *mose_debug_info_at(const MoseDebugInfo *info, guint64 address);
