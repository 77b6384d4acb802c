/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small migration streams made by hand, for tests of their reader. Written from
 * the format (libmose/stream/format.h) and without the library's help, so that a
 * mistake is not made twice.
 */
#pragma once

#include <glib.h>

#include "stream/rewriter.h"

/*
 * Append by @format, one letter an argument (all of them of type int, but q guint64
 * and s, t const char *): b 1 byte, h 2, w 4, q 8 bytes, s one byte of length and the
 * string, t the string alone, z so many zero bytes.
 */
void mk(GByteArray *out, const char *format, ...);

/* Header and configuration of machine "pc". */
void mk_begin(GByteArray *out);

/* The same with one capability. */
void mk_begin_with(GByteArray *out, const char *capability);

/* Section START of RAM (id 2) up to its records, and a RAM section's end: EOS, footer.
 * mk_ram_begin() is for PART (2) and END (3). */
void mk_ram_start(GByteArray *out);
void mk_ram_begin(GByteArray *out, int kind);
void mk_ram_end(GByteArray *out);

/* START with block "a" of 4 pages, and END with nothing in it. */
void mk_ram(GByteArray *out);

/* A FULL section's header and footer. */
void mk_section_begin(GByteArray *out, int id, const char *name, int instance,
                      int version);
void mk_section_end(GByteArray *out, int id);

/* EOF and the description whose "devices" are @devices (JSON). */
void mk_end(GByteArray *out, const char *devices);

/*
 * A whole stream: RAM with a zero, a normal and an xbzrle page, and the sections
 *   dev 0: u32 a = 0x11223344, u16 b[3] = 1, 2, 3, struct t { u8 x = 7, u64 y = 9 },
 *          subsection dev/more { u32 m = 0x55 }
 *   old 1: 5 bytes, old style
 */
GByteArray *mk_small_stream(void);

/* One of 16 MB in PAGE records: more than what lies between two processes can hold. */
GByteArray *mk_big_stream(void);

/* Append the mapped-ram header of a block of @pages pages, its bitmap and the pages,
 * as a file that begins @base bytes before the stream would have them. */
void mk_mapped(GByteArray *out, guint64 base, int pages);

/* Push @stream in pieces of @chunk bytes; the sum of what could pass, or -1. */
gint64 mk_push_all(MoseReader *reader, const GByteArray *stream, gsize chunk,
                   GError **error);

/* mose_rewriter_push() with all that can go on appended to @out. */
gboolean mk_rewrite(MoseRewriter *rewriter, const guint8 *data, gsize len,
                    GByteArray *out, GError **error);

/* The "devices" of that stream. */
extern const char mk_small_devices[];
