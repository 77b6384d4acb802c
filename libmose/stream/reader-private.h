/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine inside the reader, for its three files: reader.c (the machine,
 * sections, commands), reader-config.c, reader-ram.c.
 *
 * A step is called with exactly the bytes that were expected for it, and says
 * what is expected next. Payload that nobody looks at is skipped in one go.
 */
#pragma once

#include "stream/reader.h"
#include "stream/tail.h"
#include "util/error.h"

typedef gboolean (*MoseReaderStep)(MoseReader *reader, const guint8 *bytes,
                                   GError **error);

struct MoseReader {
    MoseStreamInfo info;
    gboolean failed;

    /* The machine. */
    MoseReaderStep step;
    gsize want; /* bytes for the step, 1 to sizeof(partial) */
    guint8 partial[512];
    gsize n_partial;
    guint64 skip;      /* bytes to pass over before the step's */
    guint64 offset;    /* in the stream of the step's first byte, or of the next byte */
    const char *where; /* "header", "section 'ram'": for errors */

    /* Top level. */
    gboolean in_configuration; /* its subsections may follow */
    guint8 kind;
    guint16 command;
    guint32 ram_id;
    gboolean ram_started;
    gboolean ram_ended;
    MoseTail *tail; /* once the device part has begun */
    MoseDoc *doc;

    /* Configuration. */
    guint32 n_capabilities; /* still to come */
    gboolean ignore_shared;
    gboolean mapped_ram;
    guint64 postcopy_sizes; /* page sizes of all blocks, or'ed; 0: none announced */

    /* RAM. */
    GHashTable *blocks_by_name;
    MoseRamBlock *current;       /* of the last page record */
    guint64 ram_left;            /* bytes of blocks not yet listed */
    gboolean blocks_just_listed; /* a page size of the last block may follow */
    guint64 mapped_delta;        /* file offsets minus stream offsets */
    guint64 record;              /* the page record being read: offset | flags */
};

/* Expect @want bytes for @step. */
static inline gboolean
mose_reader_expect(MoseReader *reader, gsize want, MoseReaderStep step)
{
    reader->want = want;
    reader->step = step;
    return TRUE;
}

/* "WHERE, stream offset N: ..."; always FALSE. */
gboolean mose_reader_fail(MoseReader *reader, MoseErrorCode code, GError **error,
                          const char *format, ...) G_GNUC_PRINTF(4, 5);

/* A string of the stream for an error: printable, in quotes. */
char *mose_reader_quote(const guint8 *bytes, gsize len);

/* Steps that another file goes on with: the byte that says what comes next, the
 * length of the machine type, the length of a configuration subsection's name, a
 * RAM record, a RAM section's footer. */
gboolean mose_reader_step_kind(MoseReader *reader, const guint8 *bytes, GError **error);
gboolean mose_reader_step_machine_length(MoseReader *reader, const guint8 *bytes,
                                         GError **error);
gboolean mose_reader_step_subsection(MoseReader *reader, const guint8 *bytes,
                                     GError **error);
gboolean mose_reader_step_record(MoseReader *reader, const guint8 *bytes,
                                 GError **error);
gboolean mose_reader_step_footer(MoseReader *reader, const guint8 *bytes,
                                 GError **error);
