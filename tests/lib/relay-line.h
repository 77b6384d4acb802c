/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay, and a test at both of its ends: as source and as destination. */
#pragma once

#include "stream/relay.h"
#include "util/error.h"

/* Long enough for anything that will come. */
#define LINE_LONG_MS 20000

typedef struct {
    MoseRelay *relay;
    MoseRelayEnd source, destination; /* our ends */
} Line;

/* What is at the ends. */
typedef enum {
    LINE_SOCKETS,
    LINE_PIPES, /* two a side */
} LineKind;

Line line_begin(LineKind kind, MoseRewriteFunc rewrite, gpointer data);
/* It may have been freed or closed in parts before. */
void line_end(Line *line);

/* Close our end altogether; only what we write to. */
void line_close(MoseRelayEnd *end);
void line_finish(MoseRelayEnd *end);

void line_send(const MoseRelayEnd *end, const void *data, gsize len);
void line_expect(const MoseRelayEnd *end, const void *data, gsize len);
/* Nothing more comes. */
void line_expect_end(const MoseRelayEnd *end);
/* Something is there to be read. */
void line_wait(const MoseRelayEnd *end);

/* Send @stream from a thread in pieces of @piece bytes (0: all at once), until nobody
 * takes it; line_sent() waits for its end and returns how much went. */
typedef struct {
    GThread *thread;
    const MoseRelayEnd *end;
    const GByteArray *stream;
    gsize piece;
} LineSender;

void line_send_from_thread(LineSender *sender, const MoseRelayEnd *end,
                           const GByteArray *stream, gsize piece);
gsize line_sent(LineSender *sender);

/* Wait until it fails with that. */
void line_expect_failure(const Line *line, MoseErrorCode code, const char *text);
void line_expect_good(const Line *line);

/* SHUT on the return path: the guest is loaded; it could not be. */
extern const guint8 line_shut[8], line_shut_trouble[8];
