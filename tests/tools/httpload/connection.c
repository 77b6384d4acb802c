/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP as far as a load client needs it: status 200, Content-Length, no chunks. */
#include "connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REPLY_MAX = 1 << 20, /* more than that is no reply of the demo guest */
    RETRY_NS = 50000000,
};

typedef enum { CONNECTING, WAITING, BROKEN, GONE } State;

struct Connection {
    Load *load;
    guint index;
    State state;
    int fd;
    gint64 since; /* when the state began: connecting, request sent, broken */
    GByteArray *reply;
};

static void
fail(Connection *connection, const char *reason, gint64 now)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    connection->since = now;
    g_byte_array_set_size(connection->reply, 0);
    if (connection->load->reconnect) {
        connection->state = BROKEN;
        tally_reconnect(connection->load->tally);
    } else {
        connection->state = GONE;
        tally_error(connection->load->tally, reason, now);
    }
}

static void
fail_errno(Connection *connection, const char *what, int saved_errno, gint64 now)
{
    g_autofree char *reason = g_strdup_printf(
        "connection %u: %s: %s", connection->index, what, g_strerror(saved_errno));

    fail(connection, reason, now);
}

/* A request fits into an empty socket buffer: a short write is a failure. */
static void
send_request(Connection *connection, gint64 now)
{
    const size_t length = strlen(connection->load->request);

    connection->state = WAITING;
    connection->since = now;
    g_byte_array_set_size(connection->reply, 0);
    if (send(connection->fd, connection->load->request, length, MSG_NOSIGNAL) !=
        (ssize_t)length)
        fail_errno(connection, "send", errno, now);
}

static void
start_connecting(Connection *connection, gint64 now)
{
    const struct sockaddr_in *address = &connection->load->address;
    const int on = 1;

    connection->state = CONNECTING;
    connection->since = now;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        fail_errno(connection, "socket", errno, now);
        return;
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(connection->fd, (const struct sockaddr *)address, sizeof(*address)) !=
            0 &&
        errno != EINPROGRESS)
        fail_errno(connection, "connect", errno, now);
}

static void
finish_connecting(Connection *connection, gint64 now)
{
    int failure = 0;
    socklen_t size = sizeof(failure);

    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure)
        fail_errno(connection, "connect", failure, now);
    else
        send_request(connection, now);
}

Connection *
connection_new(Load *load, guint index, gint64 now)
{
    Connection *connection = g_new0(Connection, 1);

    connection->load = load;
    connection->index = index;
    connection->reply = g_byte_array_new();
    start_connecting(connection, now);
    return connection;
}

void
connection_free(Connection *connection)
{
    if (!connection)
        return;
    if (connection->fd >= 0)
        close(connection->fd);
    g_byte_array_unref(connection->reply);
    g_free(connection);
}

int
connection_fd(const Connection *connection)
{
    return connection->fd;
}

short
connection_events(const Connection *connection)
{
    return connection->state == CONNECTING ? POLLOUT : POLLIN;
}

gint64
connection_deadline(const Connection *connection)
{
    if (connection->state == BROKEN)
        return connection->since + RETRY_NS;
    if (connection->state == GONE || connection->load->reply_limit == 0)
        return G_MAXINT64;
    return connection->since + connection->load->reply_limit;
}

gboolean
connection_is_alive(const Connection *connection)
{
    return connection->state != GONE;
}

/* The length of the body that the header announces, or -1. */
static gint64
content_length(const char *header)
{
    static const char name[] = "\r\nContent-Length:";
    const char *field = strcasestr(header, name);
    char *end;
    guint64 length;

    if (!field)
        return -1;
    length = g_ascii_strtoull(field + strlen(name), &end, 10);
    return *end == '\r' && length < REPLY_MAX ? (gint64)length : -1;
}

static const char *
check_body(Load *load, const guint8 *body, guint length)
{
    if (!load->same_body)
        return NULL;
    if (!load->body) {
        load->body = g_byte_array_append(g_byte_array_new(), body, length);
        return NULL;
    }
    if (load->body->len != length || memcmp(load->body->data, body, length) != 0)
        return "the reply's body is not that of the first one";
    return NULL;
}

/*
 * Whether the reply is whole; @reason tells what is wrong with it. After a wrong
 * one the connection cannot be trusted, and is given up.
 */
static gboolean
is_whole(Connection *connection, const char **reason)
{
    GByteArray *reply = connection->reply;
    const guint8 *end = memmem(reply->data, reply->len, "\r\n\r\n", 4);
    g_autofree char *header = NULL;
    gint64 body_length;
    guint header_length;

    *reason = NULL;
    if (!end) {
        *reason = reply->len > REPLY_MAX ? "the reply's header never ends" : NULL;
        return FALSE;
    }
    header_length = (guint)(end - reply->data) + 4;
    header = g_strndup((const char *)reply->data, header_length);
    body_length = content_length(header);
    if (!g_str_has_prefix(header, "HTTP/1.1 200 "))
        *reason = "the reply's status is not 200";
    else if (body_length < 0)
        *reason = "the reply has no usable Content-Length";
    else if (reply->len > header_length + body_length)
        *reason = "more came than the reply";
    if (*reason || reply->len < header_length + body_length)
        return FALSE;
    *reason = check_body(connection->load, end + 4, (guint)body_length);
    return *reason == NULL;
}

static void
receive(Connection *connection, gint64 now)
{
    guint8 buffer[16384];
    const ssize_t got = recv(connection->fd, buffer, sizeof(buffer), 0);
    const char *reason;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        fail_errno(connection, "receive", errno, now);
        return;
    }
    if (got == 0) {
        fail(connection, "the server closed a connection", now);
        return;
    }
    g_byte_array_append(connection->reply, buffer, (guint)got);
    if (is_whole(connection, &reason)) {
        tally_reply(connection->load->tally, connection->index, connection->since, now);
        send_request(connection, now);
    } else if (reason) {
        if (connection->load->reconnect) /* allowed to break, not to lie */
            tally_error(connection->load->tally, reason, now);
        fail(connection, reason, now);
    }
}

void
connection_step(Connection *connection, short revents, gint64 now)
{
    if (connection->state == CONNECTING && revents)
        finish_connecting(connection, now);
    else if (connection->state == WAITING && revents)
        receive(connection, now);
    else if (connection->state == BROKEN && now >= connection_deadline(connection))
        start_connecting(connection, now);
    else if (now >= connection_deadline(connection))
        fail_errno(connection, "no reply in time", ETIMEDOUT, now);
}
