/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the state in two streams: machine type, capabilities, RAM
 * blocks, and each field of the device part. The contents of RAM are not compared.
 */
#pragma once

#include "stream/reader.h"

/* Strings are owned; what does not apply is NULL. */
typedef struct {
    char *section; /* "cpu"; NULL: machine, capabilities or a RAM block */
    guint32 instance;
    char *subsection; /* "cpu/tsc_khz" */
    char *field;      /* path; NULL: a whole section or subsection; else what it is */
    char *a;          /* its value in the first stream; NULL: it is not there */
    char *b;
} MoseDifference;

/* MoseDifference in the order of the first stream, then what only the second has.
 * Both readers must have their documents. */
GPtrArray *mose_stream_compare(const MoseReader *a, const MoseReader *b);
