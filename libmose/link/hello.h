/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first line in each direction of a link:
 *
 *   MOSE-LINK 1 near        of the side that was started by the user
 *   MOSE-LINK 1 far         of the other
 *
 * Remote shells may say something of their own before (a "Welcome!" in a .bashrc): that
 * is read over, up to a limit, and is told where no hello follows.
 */
#pragma once

#include <glib.h>

/* What a hello may be preceded by. */
#define MOSE_HELLO_NOISE_MAX (16 * 1024)

typedef enum {
    MOSE_HELLO_MORE,    /* nothing to say yet */
    MOSE_HELLO_GOOD,    /* the line has ended, and is what it should be */
    MOSE_HELLO_VERSION, /* it is of a link, but of another version */
    MOSE_HELLO_ECHO,    /* it is our own */
    MOSE_HELLO_NOISE,   /* too much of something else */
} MoseHelloHeard;

/* What is listened to, byte by byte, so that nothing is taken of what follows. */
typedef struct {
    GString *line;  /* the present one */
    GString *noise; /* the first line before that with something in it */
    gsize bytes;
    gboolean near; /* who listens */
} MoseHello;

void mose_hello_init(MoseHello *hello, gboolean near);
void mose_hello_clear(MoseHello *hello);
MoseHelloHeard mose_hello_push(MoseHello *hello, char byte);

/* What was heard that is not a hello, for an error: one line, valid UTF-8; "" for
 * nothing. */
char *mose_hello_noise(const MoseHello *hello);

/*
 * Greet over @in and @out (not blocking) within @timeout_ms. @words, if not negative,
 * is the transport's standard error: what comes there is appended to @said (bounded).
 * Errors as of mose_link_open(); CLOSED says no more than that nothing follows.
 */
gboolean mose_hello_exchange(int in, int out, gboolean near, guint timeout_ms,
                             int interrupt_fd, int words, GString *said,
                             GError **error);

/* Append the @len bytes at @data to @said, and let go of its beginning where it gets
 * too long. */
void mose_said_append(GString *said, const char *data, gsize len);

/* Read what is there on @fd (not blocking) to @said; FALSE at its end. */
gboolean mose_said_read(GString *said, int fd);

/* @said as one line, valid UTF-8, for people. */
char *mose_said_line(const GString *said);
