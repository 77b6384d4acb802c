/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay's process: one thread a connection, and one more for its other direction. See
 * tcp-relay.h. */
#include "net/tcp-relay-process.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/tcp-pipe.h"
#include "net/tcp-relay.h"
#include "util/detach.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

/* For the other side to say who it is. */
#define GREET_MS 10000
#define MAX_CONNECTIONS 512
/* After an accept(2) that failed: there are no descriptors left, say. */
#define ACCEPT_WAIT_MS 50

/* A TCP connection of the relay's. */
typedef struct {
    int fd;
    gint64 greet_by; /* monotonic microseconds; 0: it has greeted */
} Connection;

typedef struct {
    const MoseTcpSetup *setup;
    GMutex lock; /* of the next three */
    GCond changed;
    GArray *tcp; /* Connection, oldest first */
    guint n;     /* threads that serve one */
    gboolean ending;
} Relay;

typedef struct {
    Relay *relay;
    int fd; /* that was accepted */
} Work;

static void tell(const Relay *relay, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The first one counts. */
static void
tell(const Relay *relay, const char *format, ...)
{
    static gsize told;
    va_list args;

    if (!g_once_init_enter(&told))
        return;
    va_start(args, format);
    vsnprintf(relay->setup->report->text, sizeof(relay->setup->report->text), format,
              args);
    va_end(args);
    g_atomic_int_set(&relay->setup->report->told, 1);
    g_once_init_leave(&told, 1);
}

/* --- connections --- */

/* Whoever has not greeted in time, or whom there is no room for, goes. */
static void
drop(const Connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
}

/* Its last pieces are not kept back. */
static void
remember(Relay *relay, int tcp)
{
    const Connection connection = { tcp, g_get_monotonic_time() + GREET_MS * 1000 };
    const int on = 1;

    setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    g_mutex_lock(&relay->lock);
    g_array_append_val(relay->tcp, connection);
    if (relay->ending)
        drop(&connection);
    g_mutex_unlock(&relay->lock);
}

static gboolean
has_greeted(Relay *relay, int tcp)
{
    g_mutex_lock(&relay->lock);
    for (guint i = 0; i < relay->tcp->len; i++)
        if (g_array_index(relay->tcp, Connection, i).fd == tcp)
            g_array_index(relay->tcp, Connection, i).greet_by = 0;
    g_mutex_unlock(&relay->lock);
    return TRUE;
}

static void
forget(Relay *relay, int tcp)
{
    g_mutex_lock(&relay->lock);
    for (guint i = 0; i < relay->tcp->len; i++)
        if (g_array_index(relay->tcp, Connection, i).fd == tcp)
            g_array_remove_index(relay->tcp, i--);
    relay->n--;
    g_cond_signal(&relay->changed);
    g_mutex_unlock(&relay->lock);
}

/* Drop those whose time is over; milliseconds until the next one's is, -1: there is
 * none. Strangers may be many: where there is no @room, the oldest of them goes. */
static int
drop_late(Relay *relay, gboolean room)
{
    gint64 now = g_get_monotonic_time();
    int left_ms = -1;

    g_mutex_lock(&relay->lock);
    for (guint i = 0; i < relay->tcp->len; i++) {
        Connection *connection = &g_array_index(relay->tcp, Connection, i);

        if (connection->greet_by == 0)
            continue;
        if (!room || connection->greet_by <= now) {
            drop(connection);
            connection->greet_by = 0;
            room = TRUE;
        } else if (left_ms < 0) {
            left_ms = (int)((connection->greet_by - now) / 1000 + 1);
        }
    }
    g_mutex_unlock(&relay->lock);
    return left_ms;
}

/* --- greeting --- */

static gboolean
send_token(const MoseTcpPipe *pipe, const char *token)
{
    return pipe->tls
               ? mose_tls_write_all(pipe->tls, token, MOSE_TCP_TOKEN)
               : send(pipe->tcp, token, MOSE_TCP_TOKEN, MSG_NOSIGNAL) == MOSE_TCP_TOKEN;
}

/* Whether it is the one, found out in the same time whatever it is. */
static gboolean
read_token(const MoseTcpPipe *pipe, const char *token)
{
    char got[MOSE_TCP_TOKEN];
    gsize have = 0;
    guint8 wrong = 0;

    while (have < sizeof(got)) {
        gssize n = pipe->tls ? mose_tls_read(pipe->tls, got + have, sizeof(got) - have)
                             : recv(pipe->tcp, got + have, sizeof(got) - have, 0);

        if (n < 0 && !pipe->tls && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        have += (gsize)n;
    }
    for (gsize i = 0; i < sizeof(got); i++)
        wrong |= (guint8)(got[i] ^ token[i]);
    return wrong == 0;
}

static gboolean
greet(Relay *relay, MoseTcpPipe *pipe)
{
    const MoseTcpSetup *setup = relay->setup;
    g_autoptr(GError) error = NULL;
    gboolean good;

    if (setup->tls && !(pipe->tls = mose_tls_greet(setup->tls, pipe->tcp,
                                                   setup->address, GREET_MS, &error))) {
        tell(relay, "%s", error->message);
        return FALSE;
    }
    good = setup->accepts ? read_token(pipe, setup->token)
                          : send_token(pipe, setup->token);
    if (!good && !setup->accepts)
        tell(relay, "%s closed the connection", setup->address);
    return good && has_greeted(relay, pipe->tcp);
}

/* --- connecting --- */

static int
connect_tcp(const Relay *relay)
{
    const MoseTcpSetup *setup = relay->setup;
    const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    const struct timeval limit = { .tv_sec = GREET_MS / 1000 }, none = { 0 };
    g_autofree char *port = g_strdup_printf("%u", setup->port);
    struct addrinfo *found = NULL;
    int ret = getaddrinfo(setup->address, port, &hints, &found), fd;

    if (ret != 0) {
        tell(relay, "address %s: %s", setup->address, gai_strerror(ret));
        return MOSE_FD_NONE;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) /* else errno says why not */
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
        /* That is what the time limit gives (Linux net/ipv4/af_inet.c). */
        tell(relay, "cannot connect to %s port %u: %s", setup->address, setup->port,
             g_strerror(errno == EINPROGRESS ? ETIMEDOUT : errno));
        mose_fd_close(fd);
        fd = MOSE_FD_NONE;
    } else {
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
    }
    freeaddrinfo(found);
    return fd;
}

/* A stranger gets no word, and QEMU does not hear of it. */
static void
serve_tcp(Relay *relay, MoseTcpPipe *pipe)
{
    g_autoptr(GError) error = NULL;

    if (!greet(relay, pipe))
        return;
    pipe->qemu = mose_unix_connect(relay->setup->path, &error);
    if (pipe->qemu < 0)
        tell(relay, "%s", error->message);
    else if (!mose_tcp_pipe_run(pipe))
        tell(relay, "a TCP channel broke");
}

static void
serve_qemu(Relay *relay, MoseTcpPipe *pipe)
{
    pipe->tcp = connect_tcp(relay);
    if (pipe->tcp >= 0) {
        remember(relay, pipe->tcp);
        if (greet(relay, pipe)) {
            if (!mose_tcp_pipe_run(pipe))
                tell(relay, "a TCP channel to %s broke", relay->setup->address);
            return;
        }
    }
    mose_tcp_drain(pipe->qemu);
}

/* Thread. */
static gpointer
serve(gpointer data)
{
    g_autofree Work *work = data;
    Relay *relay = work->relay;
    gboolean accepts = relay->setup->accepts;
    MoseTcpPipe pipe = { accepts ? MOSE_FD_NONE : work->fd,
                         accepts ? work->fd : MOSE_FD_NONE, NULL, !accepts };

    if (accepts)
        remember(relay, pipe.tcp);
    (accepts ? serve_tcp : serve_qemu)(relay, &pipe);
    forget(relay, pipe.tcp);
    mose_tls_session_free(pipe.tls);
    mose_fd_close(pipe.tcp);
    mose_fd_close(pipe.qemu);
    return NULL;
}

/* --- the process --- */

static void
begin(Relay *relay, int fd)
{
    Work *work = g_new(Work, 1);

    *work = (Work){ relay, fd };
    g_mutex_lock(&relay->lock);
    relay->n++;
    g_mutex_unlock(&relay->lock);
    g_thread_unref(g_thread_new("mose-tcp", serve, work));
}

static void
end(Relay *relay)
{
    g_mutex_lock(&relay->lock);
    relay->ending = TRUE;
    for (guint i = 0; i < relay->tcp->len; i++)
        drop(&g_array_index(relay->tcp, Connection, i));
    while (relay->n > 0)
        g_cond_wait(&relay->changed, &relay->lock);
    g_mutex_unlock(&relay->lock);
}

/* A connection takes six. */
static void
allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void
leave_command(const MoseTcpSetup *setup)
{
    int keep[] = { setup->listener, setup->life };

    mose_detach("mose-tcp", keep, G_N_ELEMENTS(keep));
    /* The command waits for its child alone, not for what QEMU still sends. */
    if (fork() != 0)
        _exit(0);
}

static void
accept_one(Relay *relay)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int fd =
        accept4(relay->setup->listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
    guint n;

    if (fd < 0) {
        poll(NULL, 0, ACCEPT_WAIT_MS);
        return;
    }
    g_mutex_lock(&relay->lock);
    n = relay->n;
    g_mutex_unlock(&relay->lock);
    if (n >= MAX_CONNECTIONS)
        drop_late(relay, FALSE);
    begin(relay, fd);
}

void
mose_tcp_relay_main(const MoseTcpSetup *setup)
{
    Relay relay = { .setup = setup };

    leave_command(setup);
    allow_descriptors();
    relay.tcp = g_array_new(FALSE, FALSE, sizeof(Connection));
    for (;;) {
        struct pollfd fds[] = { { setup->life, POLLIN, 0 },
                                { setup->listener, POLLIN, 0 } };

        if (poll(fds, G_N_ELEMENTS(fds), drop_late(&relay, TRUE)) < 0)
            continue;
        if (fds[0].revents)
            break;
        if (fds[1].revents)
            accept_one(&relay);
    }
    mose_fd_close(setup->listener);
    end(&relay);
    _exit(0);
}
