/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of a guest's, shown: in hex, as text, as words, as instructions. */
#pragma once

#include <json-glib/json-glib.h>

#include "cli/target.h"
#include "vmi/page-path.h"

typedef enum {
    MOSE_SHOW_HEX,
    MOSE_SHOW_STRINGS,
    MOSE_SHOW_WORDS,
    MOSE_SHOW_CODE,
    MOSE_SHOW_RAW,
    MOSE_SHOW_PAGES,
} MoseShow;

/*
 * Each prints, or, with --json, adds to @object (which has the address already).
 * @bytes: @len of them, that are at @address.
 */
void mose_show_hex(guint64 address, const guint8 *bytes, gsize len, JsonObject *object);

/* Runs of at least @min printable ASCII characters. */
void mose_show_strings(guint64 address, const guint8 *bytes, gsize len, guint min,
                       JsonObject *object);

/* Little-endian words of 8 bytes, with the symbols that they point at. */
void mose_show_words(MoseTarget *target, guint64 address, const guint8 *bytes,
                     gsize len, JsonObject *object);

/* Instructions that begin in the first @wanted bytes. */
gboolean mose_show_code(MoseTarget *target, guint64 address, const guint8 *bytes,
                        gsize len, gsize wanted, JsonObject *object, GError **error);

/* How it translates. */
void mose_show_pages(MoseTarget *target, guint64 address, JsonObject *object);
