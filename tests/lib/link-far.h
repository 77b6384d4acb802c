/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The far end of a link for tests: the test program itself, started again as the
 * transport. What it does is named by a word and its arguments:
 *
 *   echo              gives back what comes on control, monitor and stream
 *   control           gives back control alone; reads nothing else
 *   source N          sends N bytes of link_far_byte() on stream, then ends it
 *   offer PATH        offers PATH as service 7; else like echo
 *   listen PATH       makes connections to PATH channels to service 9 here; else like
 * echo words N           sends N bytes of 'w' on control and exits die kills its link
 * process raw HEX SECONDS   says hello, sends those bytes and takes what comes, for so
 * long
 */
#pragma once

#include "link/link.h"

/* In main(), before anything else: does not return where @argv is of a far end. */
void link_far_main(int argc, char **argv);

/* A link to a far end of that kind; @error as of mose_link_open(). The options are this
 * end's; the far end has the same. */
MoseLink *link_far_try(const MoseLinkOptions *options, const char *kind,
                       const char *first, const char *second, GError **error);

/* The same, which must succeed. */
MoseLink *link_far_open(const MoseLinkOptions *options, const char *kind,
                        const char *first);

/* Byte @offset of what "source" sends: half of it can be compressed. */
static inline guint8
link_far_byte(guint64 offset)
{
    guint64 block = offset / 4096;

    return block & 1 ? (guint8)block : (guint8)((offset * 0x9e3779b97f4a7c15u) >> 56);
}

/* Wait for the end of @link, which must come within 20 s, and give its error. */
GError *link_far_wait_end(const MoseLink *link);

/* Read until @len bytes are there or the end: how many. Within 30 s. */
gsize link_far_read(int fd, guint8 *buffer, gsize len);

/* Write all; @text a string, and the same coming back. */
void link_far_write(int fd, const void *data, gsize len);
void link_far_expect_echo(int fd, const char *text);
