/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a migration stream as it comes, in pieces of any size, without I/O.
 *
 * RAM and what surrounds it is checked record by record and left to the caller,
 * who may pass it on at once; the device part is kept until its description is
 * complete, and then becomes a document. The bytes of RAM are never looked at.
 *
 * Refused by name, with MOSE_ERROR_UNSUPPORTED: what QEMU can send but MOSE does
 * not move: sections before RAM (virtio-mem), iterable sections other than RAM
 * (dirty-bitmap, vfio), postcopy beyond its announcement, packaged and COLO
 * commands, RDMA's and compressed pages. All other errors are STREAM. Each gives
 * the stream offset.
 */
#pragma once

#include <glib.h>

#include "stream/doc.h"

typedef struct MoseReader MoseReader;

typedef struct {
    char *name;
    guint64 length;    /* bytes */
    guint64 page_size; /* bytes; 0: the host's, or postcopy was not announced */
    guint64 address;   /* guest physical, with x-ignore-shared; else 0 */
} MoseRamBlock;

/* How many of each record there were. */
typedef struct {
    guint64 zero;
    guint64 page;
    guint64 xbzrle;
    guint64 xbzrle_bytes;
    guint64 multifd_flush;
    guint64 eos; /* ram sections: START, PART and END */
    guint64 mapped_bytes;
} MoseRamCount;

typedef struct {
    char *machine;           /* machine type, "pc-i440fx-10.0" */
    GPtrArray *capabilities; /* char *: those that change the format */
    char *uuid;              /* or NULL */
    guint32 page_bits;
    gboolean return_path;
    gboolean postcopy_advised;
    gboolean multifd;  /* seen by its flush records; the pages go elsewhere */
    GPtrArray *blocks; /* MoseRamBlock */
    guint64 ram_total; /* bytes of all blocks */
    MoseRamCount count;
    guint64 device_offset; /* in the stream of the device part; 0: not yet there */
    guint64 length;        /* bytes read so far */
} MoseStreamInfo;

MoseReader *mose_reader_new(void);
void mose_reader_free(MoseReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseReader, mose_reader_free)

/*
 * Read @len bytes. The first *@ret_pass of them belong to what comes before the
 * device part; the rest is kept in the reader. After an error it takes no more.
 */
gboolean mose_reader_push(MoseReader *reader, const guint8 *data, gsize len,
                          gsize *ret_pass, GError **error);

/* The device part once its description is complete, else NULL; the reader's own. */
MoseDoc *mose_reader_doc(const MoseReader *reader);

/* The stream has ended: an error (STREAM, "truncated ...") unless there is a
 * document. */
gboolean mose_reader_finish(MoseReader *reader, GError **error);

const MoseStreamInfo *mose_reader_info(const MoseReader *reader);
