/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See tls.h. */
#include "net/tls.h"

#include <gnutls/gnutls.h>
#include <string.h>

#include "util/error.h"

struct MoseTls {
    gnutls_certificate_credentials_t credentials;
    gboolean server;
};

struct MoseTlsSession {
    gnutls_session_t session;
};

static char *
file_of(const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return g_steal_pointer(&path);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "TLS: there is no file %s",
                path);
    return NULL;
}

static gboolean
load(MoseTls *tls, const char *dir, GError **error)
{
    g_autofree char *ca = file_of(dir, "ca-cert.pem", error);
    g_autofree char *cert =
        ca ? file_of(dir, tls->server ? "server-cert.pem" : "client-cert.pem", error)
           : NULL;
    g_autofree char *key =
        cert ? file_of(dir, tls->server ? "server-key.pem" : "client-key.pem", error)
             : NULL;
    int ret;

    if (!key)
        return FALSE;
    ret = gnutls_certificate_set_x509_trust_file(tls->credentials, ca,
                                                 GNUTLS_X509_FMT_PEM);
    if (ret <= 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "TLS: %s has no certificate: %s", ca,
                    ret < 0 ? gnutls_strerror(ret) : "it is empty");
        return FALSE;
    }
    ret = gnutls_certificate_set_x509_key_file(tls->credentials, cert, key,
                                               GNUTLS_X509_FMT_PEM);
    if (ret < 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "TLS: %s and %s are no good: %s", cert, key, gnutls_strerror(ret));
    return ret >= 0;
}

MoseTls *
mose_tls_new(const char *dir, gboolean server, GError **error)
{
    g_autoptr(MoseTls) tls = g_new0(MoseTls, 1);

    tls->server = server;
    gnutls_certificate_allocate_credentials(&tls->credentials);
    return load(tls, dir, error) ? g_steal_pointer(&tls) : NULL;
}

void
mose_tls_free(MoseTls *tls)
{
    if (!tls)
        return;
    gnutls_certificate_free_credentials(tls->credentials);
    g_free(tls);
}

static void
set_up(const MoseTls *tls, gnutls_session_t session, int fd, const char *peer,
       guint timeout_ms)
{
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    if (tls->server)
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    else if (!g_hostname_is_ip_address(peer))
        gnutls_server_name_set(session, GNUTLS_NAME_DNS, peer, strlen(peer));
    gnutls_session_set_verify_cert(session, tls->server ? NULL : peer, 0);
    gnutls_transport_set_int(session, fd);
    gnutls_handshake_set_timeout(session, timeout_ms);
}

/* What is wrong with the other one's certificate, or with the greeting. */
static void
explain(gnutls_session_t session, int ret, GError **error)
{
    gnutls_datum_t text = { 0 };
    unsigned status = gnutls_session_get_verify_cert_status(session);

    if (ret == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(
            status, gnutls_certificate_type_get(session), &text, 0) >= 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "TLS: %s", text.data);
        gnutls_free(text.data);
        return;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "TLS: %s", gnutls_strerror(ret));
}

MoseTlsSession *
mose_tls_greet(const MoseTls *tls, int fd, const char *peer, guint timeout_ms,
               GError **error)
{
    g_autoptr(MoseTlsSession) session = g_new0(MoseTlsSession, 1);
    int ret;

    gnutls_init(&session->session, tls->server ? GNUTLS_SERVER : GNUTLS_CLIENT);
    set_up(tls, session->session, fd, peer, timeout_ms);
    do
        ret = gnutls_handshake(session->session);
    while (ret < 0 && !gnutls_error_is_fatal(ret));
    if (ret >= 0)
        return g_steal_pointer(&session);
    explain(session->session, ret, error);
    return NULL;
}

void
mose_tls_session_free(MoseTlsSession *session)
{
    if (!session)
        return;
    gnutls_deinit(session->session);
    g_free(session);
}

gssize
mose_tls_read(MoseTlsSession *session, void *to, gsize len)
{
    gssize n;

    do
        n = gnutls_record_recv(session->session, to, len);
    while (n < 0 && !gnutls_error_is_fatal((int)n));
    return n;
}

gboolean
mose_tls_write_all(MoseTlsSession *session, const void *from, gsize len)
{
    const char *at = from;

    while (len > 0) {
        gssize n = gnutls_record_send(session->session, at, len);

        if (n < 0 && !gnutls_error_is_fatal((int)n))
            continue;
        if (n <= 0)
            return FALSE;
        at += n;
        len -= (gsize)n;
    }
    return TRUE;
}

void
mose_tls_end(MoseTlsSession *session)
{
    gnutls_bye(session->session, GNUTLS_SHUT_WR);
}
