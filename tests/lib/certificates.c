/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See certificates.h. */
#include "lib/certificates.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#define DAY (24 * 60 * 60)

static void
must(int ret)
{
    if (ret < 0)
        g_error("certificates: %s", gnutls_strerror(ret));
}

static void
save(const char *dir, const char *name, gnutls_datum_t *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    g_assert_true(g_file_set_contents(path, (char *)text->data, text->size, NULL));
    gnutls_free(text->data);
}

static void
save_key(const char *dir, const char *who, gnutls_x509_privkey_t key)
{
    g_autofree char *name = g_strconcat(who, "-key.pem", NULL);
    gnutls_datum_t text;

    must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text));
    save(dir, name, &text);
}

static gnutls_x509_privkey_t
make_key(void)
{
    gnutls_x509_privkey_t key;

    must(gnutls_x509_privkey_init(&key));
    must(gnutls_x509_privkey_generate(
        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    return key;
}

static gnutls_x509_crt_t
begin(const char *who, gnutls_x509_privkey_t key)
{
    gnutls_x509_crt_t cert;
    guint8 serial[8];

    for (gsize i = 0; i < sizeof(serial); i++)
        serial[i] = (guint8)g_random_int_range(1, 127);
    must(gnutls_x509_crt_init(&cert));
    must(gnutls_x509_crt_set_version(cert, 3));
    must(gnutls_x509_crt_set_key(cert, key));
    must(gnutls_x509_crt_set_serial(cert, serial, sizeof(serial)));
    must(gnutls_x509_crt_set_activation_time(cert, time(NULL) - DAY));
    must(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + DAY));
    must(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, who,
                                       (unsigned)strlen(who)));
    return cert;
}

static void
finish(const char *dir, const char *who, gnutls_x509_crt_t cert,
       gnutls_x509_crt_t issuer, gnutls_x509_privkey_t key)
{
    g_autofree char *name = g_strconcat(who, "-cert.pem", NULL);
    gnutls_datum_t text;

    must(gnutls_x509_crt_sign2(cert, issuer, key, GNUTLS_DIG_SHA256, 0));
    must(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &text));
    save(dir, name, &text);
}

static void
add_addresses(gnutls_x509_crt_t cert, const char *const *addresses)
{
    for (; *addresses; addresses++) {
        struct in_addr address;

        g_assert_cmpint(inet_pton(AF_INET, *addresses, &address), ==, 1);
        must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, &address,
                                                  sizeof(address), GNUTLS_FSAN_APPEND));
    }
}

/* One that the authority signs. */
static void
make_one(const char *dir, const char *who, const char *purpose,
         const char *const *addresses, gnutls_x509_crt_t ca,
         gnutls_x509_privkey_t ca_key)
{
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t cert = begin(who, key);

    must(gnutls_x509_crt_set_key_purpose_oid(cert, purpose, 0));
    must(gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE));
    add_addresses(cert, addresses);
    finish(dir, who, cert, ca, ca_key);
    save_key(dir, who, key);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

void
certificates_make(const char *dir, const char *const *addresses)
{
    static const char *const none[] = { NULL };
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t ca = begin("ca", key);

    must(gnutls_x509_crt_set_ca_status(ca, 1));
    must(gnutls_x509_crt_set_key_usage(ca, GNUTLS_KEY_KEY_CERT_SIGN));
    finish(dir, "ca", ca, ca, key);
    make_one(dir, "server", GNUTLS_KP_TLS_WWW_SERVER, addresses, ca, key);
    make_one(dir, "client", GNUTLS_KP_TLS_WWW_CLIENT, none, ca, key);
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_privkey_deinit(key);
}
