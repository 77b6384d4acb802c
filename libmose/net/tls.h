/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS between the relays of two hosts (tcp-relay.h), by GnuTLS: each shows a
 * certificate that the other one's authority has signed. The files are called as QEMU's
 * tls-creds-x509 calls them (docs/system/tls.rst): ca-cert.pem; server-cert.pem and
 * server-key.pem of who is connected to; client-cert.pem and client-key.pem of who
 * connects.
 */
#pragma once

#include <glib.h>

/* What a process has to show, and whom it believes. */
typedef struct MoseTls MoseTls;

/* NOT_FOUND, INVALID: a file of @dir is not there, is no good. */
MoseTls *mose_tls_new(const char *dir, gboolean server, GError **error);
void mose_tls_free(MoseTls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTls, mose_tls_free)

/* One connection. One thread may read while another one writes. */
typedef struct MoseTlsSession MoseTlsSession;

/*
 * Greet over @fd, a connected socket that blocks and stays the caller's, within
 * @timeout_ms. A client wants the server's certificate to be for @peer, a host's name
 * or address. REFUSED where one does not believe the other.
 */
MoseTlsSession *mose_tls_greet(const MoseTls *tls, int fd, const char *peer,
                               guint timeout_ms, GError **error);
void mose_tls_session_free(MoseTlsSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTlsSession, mose_tls_session_free)

/* As read(2): 0 at the end that the other one has told, below 0 at any other. */
gssize mose_tls_read(MoseTlsSession *session, void *to, gsize len);
gboolean mose_tls_write_all(MoseTlsSession *session, const void *from, gsize len);

/* No more will be written. */
void mose_tls_end(MoseTlsSession *session);
