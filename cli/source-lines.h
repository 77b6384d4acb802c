/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where kernel code comes from, for `mose bt` and `mose sym`. */
#pragma once

#include <json-glib/json-glib.h>

#include "vmi/debug-info.h"
#include "vmi/linux/linux.h"

/*
 * Debug information of @kernel: of the file @path, which must be of the same build; or
 * (NULL) of one that the system has, *@ret NULL where it has none. *@ret_moved: what is
 * to be taken from the guest's addresses.
 */
gboolean mose_source_lines_open(const MoseLinux *kernel, const char *path,
                                MoseDebugInfo **ret, guint64 *ret_moved,
                                GError **error);

/* Add to @object what is at @address: "source" ([{function, file, line}, ...], the
 * innermost first), if anything is known. */
void mose_source_lines_add(const MoseDebugInfo *info, guint64 address,
                           JsonObject *object);

/* Print that, each in a line behind @indent. */
void mose_source_lines_print(JsonObject *object, const char *indent);
