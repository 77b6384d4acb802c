/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two relays on this host, between what would be two QEMUs: what goes in comes out,
 * with TLS and without; strangers do not get through; and a source is never cut off.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/certificates.h"
#include "net/tcp-relay.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define HERE "127.0.0.1"
#define LIMIT_MS 10000
#define BIG (8u << 20)

typedef struct {
    char *dir, *source, *destination, *token;
    MoseFd qemu; /* the destination's, listening */
    MoseTcpRelay *accepts, *connects;
    guint16 port;
} Line;

static void
must(GError *error)
{
    g_assert_no_error(error);
}

static Line *
line_new(const char *server_dir, const char *client_dir)
{
    Line *line = g_new0(Line, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTls) server = NULL, client = NULL;

    line->dir = g_dir_make_tmp("mose-test-XXXXXX", &error);
    must(error);
    line->source = g_build_filename(line->dir, "source", NULL);
    line->destination = g_build_filename(line->dir, "destination", NULL);
    line->token = mose_tcp_token();
    line->qemu = mose_unix_listen(line->destination, &error);
    must(error);
    server = server_dir ? mose_tls_new(server_dir, TRUE, &error) : NULL;
    must(error);
    client = client_dir ? mose_tls_new(client_dir, FALSE, &error) : NULL;
    must(error);
    line->accepts = mose_tcp_relay_accept(HERE, line->token, line->destination, server,
                                          &line->port, &error);
    must(error);
    line->connects = mose_tcp_relay_connect(line->source, HERE, line->port, line->token,
                                            client, &error);
    must(error);
    return line;
}

static void
line_free(Line *line)
{
    mose_tcp_relay_free(line->connects);
    mose_tcp_relay_free(line->accepts);
    mose_fd_close(line->qemu);
    unlink(line->source);
    unlink(line->destination);
    rmdir(line->dir);
    g_free(line->dir);
    g_free(line->source);
    g_free(line->destination);
    g_free(line->token);
    g_free(line);
}

static int
connect_source(const Line *line)
{
    g_autoptr(GError) error = NULL;
    int fd = mose_unix_connect(line->source, &error);

    must(error);
    return fd;
}

/* The destination's QEMU gets a connection; -1: none within @ms. */
static int
accept_qemu(const Line *line, int ms)
{
    struct pollfd fd = { line->qemu, POLLIN, 0 };

    return poll(&fd, 1, ms) == 1 ? accept4(line->qemu, NULL, NULL, SOCK_CLOEXEC) : -1;
}

static guint8 *
random_bytes(void)
{
    guint32 *data = g_malloc(BIG);

    for (gsize i = 0; i < BIG / sizeof(*data); i++)
        data[i] = g_random_int();
    return (guint8 *)data;
}

typedef struct {
    int fd;
    const guint8 *data;
} Sender;

/* Thread: send all, and say that there is no more. */
static gpointer
send_all(gpointer data)
{
    Sender *sender = data;

    g_assert_true(mose_fd_write_all(sender->fd, sender->data, BIG, "test", NULL));
    shutdown(sender->fd, SHUT_WR);
    return NULL;
}

static void
expect_all(int fd, const guint8 *data)
{
    g_autofree guint8 *got = g_malloc(BIG);
    gsize have = 0;
    ssize_t n;

    while ((n = recv(fd, got + have, BIG - have, 0)) > 0)
        have += (gsize)n;
    g_assert_cmpuint(have, ==, BIG);
    g_assert_cmpmem(got, BIG, data, BIG);
    g_assert_cmpint(recv(fd, got, 1, 0), ==, 0);
}

static void
carry(const Line *line)
{
    g_autofree guint8 *there = random_bytes(), *back = random_bytes();
    g_auto(MoseFd) source = connect_source(line);
    g_auto(MoseFd) qemu = accept_qemu(line, LIMIT_MS);
    Sender senders[] = { { source, there }, { qemu, back } };
    GThread *threads[G_N_ELEMENTS(senders)];

    g_assert_cmpint(qemu, >=, 0);
    threads[0] = g_thread_new("there", send_all, &senders[0]);
    expect_all(qemu, there);
    threads[1] = g_thread_new("back", send_all, &senders[1]);
    expect_all(source, back);
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

static char *
make_certificates(const char *address)
{
    const char *const addresses[] = { address, NULL };
    char *dir = g_dir_make_tmp("mose-test-XXXXXX", NULL);

    certificates_make(dir, addresses);
    return dir;
}

static void
remove_certificates(char *dir)
{
    static const char *const names[] = { "ca-cert.pem", "server-cert.pem",
                                         "server-key.pem", "client-cert.pem",
                                         "client-key.pem" };

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(dir, names[i], NULL);

        unlink(path);
    }
    rmdir(dir);
    g_free(dir);
}

static void
test_plain(void)
{
    Line *line = line_new(NULL, NULL);

    for (int i = 0; i < 3; i++)
        carry(line);
    g_assert_null(mose_tcp_relay_trouble(line->connects));
    line_free(line);
}

static void
test_tls(void)
{
    char *dir = make_certificates(HERE);
    Line *line = line_new(dir, dir);

    for (int i = 0; i < 3; i++)
        carry(line);
    line_free(line);
    remove_certificates(dir);
}

/* QEMU hears nothing of it, and the source is read until it closes. */
static void
expect_refused(const Line *line)
{
    g_autofree guint8 *data = random_bytes();
    g_auto(MoseFd) source = connect_source(line);
    Sender sender = { source, data };
    g_autofree char *trouble = NULL;

    g_assert_cmpint(accept_qemu(line, 300), ==, -1);
    send_all(&sender);
    for (int i = 0; i < 100 && !trouble; i++) {
        trouble = mose_tcp_relay_trouble(line->connects);
        g_usleep(50000);
    }
    g_test_message("%s", trouble);
    g_assert_nonnull(trouble);
}

/* Another authority's certificates; those for another address; none. */
static void
test_tls_refused(void)
{
    char *ours = make_certificates(HERE), *others = make_certificates(HERE),
         *elsewhere = make_certificates("10.0.0.1");
    const char *const cases[][2] = { { ours, others },
                                     { elsewhere, elsewhere },
                                     { ours, NULL } };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Line *line = line_new(cases[i][0], cases[i][1]);

        if (cases[i][1]) {
            expect_refused(line);
        } else {
            G_GNUC_UNUSED g_auto(MoseFd) source = connect_source(line);

            g_assert_cmpint(accept_qemu(line, 300), ==, -1);
        }
        line_free(line);
    }
    remove_certificates(ours);
    remove_certificates(others);
    remove_certificates(elsewhere);
}

static void
test_tls_files(void)
{
    char *dir = make_certificates(HERE);
    g_autofree char *key = g_build_filename(dir, "server-key.pem", NULL);
    g_autoptr(GError) bad = NULL, missing = NULL;

    g_assert_true(g_file_set_contents(key, "no key", -1, NULL));
    g_assert_null(mose_tls_new(dir, TRUE, &bad));
    g_assert_error(bad, MOSE_ERROR, MOSE_ERROR_INVALID);
    unlink(key);
    g_assert_null(mose_tls_new(dir, TRUE, &missing));
    g_assert_error(missing, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(missing->message, "server-key.pem"));
    remove_certificates(dir);
}

/* Who has not got the token. */
static void
test_stranger(void)
{
    Line *line = line_new(NULL, NULL);
    g_auto(MoseFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(line->port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    char word[MOSE_TCP_TOKEN] = "let me in, I am your neighbour";

    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(send(fd, word, sizeof(word), 0), ==, sizeof(word));
    g_assert_cmpint(recv(fd, word, 1, 0), ==, 0);
    g_assert_cmpint(accept_qemu(line, 100), ==, -1);
    carry(line);
    line_free(line);
}

/* The destination's relay ends, or is not there: the source's takes all all the same.
 */
static void
test_broken(void)
{
    Line *line = line_new(NULL, NULL);
    g_autofree guint8 *data = random_bytes();
    g_auto(MoseFd) source = connect_source(line);
    g_auto(MoseFd) qemu = accept_qemu(line, LIMIT_MS);
    Sender sender = { source, data };
    char byte;

    mose_tcp_relay_free(g_steal_pointer(&line->accepts));
    g_assert_cmpint(recv(qemu, &byte, 1, 0), <=, 0);
    send_all(&sender);
    expect_refused(line);
    line_free(line);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tcp-relay/plain", test_plain);
    g_test_add_func("/tcp-relay/tls", test_tls);
    g_test_add_func("/tcp-relay/tls/refused", test_tls_refused);
    g_test_add_func("/tcp-relay/tls/files", test_tls_files);
    g_test_add_func("/tcp-relay/stranger", test_stranger);
    g_test_add_func("/tcp-relay/broken", test_broken);
    return g_test_run();
}
