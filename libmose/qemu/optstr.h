/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's option strings: "backend,key=value,flag", where ",," is a comma in a
 * value (QEMU util/keyval.c, util/qemu-option.c). A string is taken apart into
 * its parts, changed, and put together again; parts nobody touches stay as they
 * were written.
 */
#pragma once

#include <glib.h>

/* The parts of @text, unescaped: "tap", "id=n", "ifname=a,b". Free with
 * g_ptr_array_unref(). */
GPtrArray *mose_optstr_split(const char *text);

/* Put @parts together, commas escaped. */
char *mose_optstr_join(const GPtrArray *parts);

/* The value of @key, or NULL. The last one counts, as in QEMU. Borrowed. */
const char *mose_optstr_get(const GPtrArray *parts, const char *key);

/* Whether @key is on ("key=on", "key", "key=yes"); @fallback where absent. */
gboolean mose_optstr_is_on(const GPtrArray *parts, const char *key, gboolean fallback);

/* Set @key to @value, in its place or at the end. */
void mose_optstr_set(GPtrArray *parts, const char *key, const char *value);

/* Take every @key (also "nokey" flags) out. */
void mose_optstr_drop(GPtrArray *parts, const char *key);

/*
 * A size as QEMU's -m takes it: digits and an optional suffix K, M, G, T;
 * without a suffix @unit bytes (1 << 20 for -m). FALSE where it is none or
 * does not fit.
 */
gboolean mose_optstr_size(const char *text, guint64 unit, guint64 *ret);
