/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channels of a copy between two hosts over TCP, for networks that are faster than
 * ssh: each has a process that relays between its QEMU's unix sockets (0600, in the
 * guest's directory) and the other host, uninterpreted, by splice(2) or through TLS.
 *
 *   source QEMU -- unix -- relay ==== TCP ==== relay -- unix -- destination QEMU
 *
 * Who connects sends a token first, which came by another way (the link), so that
 * nobody else's connection reaches QEMU.
 *
 * The source's relay never closes a connection of its QEMU's: where the way breaks, it
 * takes what comes and throws it away until QEMU closes. (A multifd channel that breaks
 * can leave QEMU's migration thread waiting for ever: switch/resume.h.)
 */
#pragma once

#include <glib.h>

#include "net/tls.h"

#define MOSE_TCP_TOKEN 32

typedef struct MoseTcpRelay MoseTcpRelay;

/*
 * The destination's: listen at @address (numeric; NULL: any), at a port that the kernel
 * chooses, and connect each that sends @token to the unix socket @path. @tls may be
 * NULL; it is borrowed until the return. The caller has no second thread.
 */
MoseTcpRelay *mose_tcp_relay_accept(const char *address, const char *token,
                                    const char *path, const MoseTls *tls,
                                    guint16 *ret_port, GError **error);

/* The source's: listen at the unix socket @path, and connect each to @address, @port.
 */
MoseTcpRelay *mose_tcp_relay_connect(const char *path, const char *address,
                                     guint16 port, const char *token,
                                     const MoseTls *tls, GError **error);

/* What has gone wrong first, as one line; NULL: nothing. Free with g_free(). */
char *mose_tcp_relay_trouble(const MoseTcpRelay *relay);

/* No connection is to go on: the destination's QEMU sees the end, the source's relay
 * stays until its QEMU has closed. */
void mose_tcp_relay_free(MoseTcpRelay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTcpRelay, mose_tcp_relay_free)

/* A new token; free with g_free(). */
char *mose_tcp_token(void);
