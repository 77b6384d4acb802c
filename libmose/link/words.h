/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of two commands: JSON objects, one a line, in both directions over one
 * stream socket. What they mean is their users' affair.
 */
#pragma once

#include <json-glib/json-glib.h>

/* The longest line, with its newline. */
#define MOSE_WORDS_MAX (1024 * 1024)

typedef struct MoseWords MoseWords;

/* Over the socket @fd (borrowed, blocking or not). */
MoseWords *mose_words_new(int fd);
void mose_words_free(MoseWords *words);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseWords, mose_words_free)

/* Send @take, which is taken over. CLOSED: nobody hears it. TIMEOUT: the other side has
 * taken nothing for 10 s. INVALID: it is too long; nothing has been sent. */
gboolean mose_words_send(MoseWords *words, JsonObject *take, GError **error);

/*
 * The next message, the caller's. Waits for @timeout_ms (-1: without limit), or until
 * @wake_fd (ignored below 0) is readable and no message is there.
 * TIMEOUT; CLOSED: the other side has ended; INTERRUPTED: @wake_fd; INVALID: not JSON
 * or too long, after which nothing more is to be received. After TIMEOUT and
 * INTERRUPTED it can be called again: a line that has come in part is kept.
 */
JsonObject *mose_words_receive(MoseWords *words, int timeout_ms, int wake_fd,
                               GError **error);
