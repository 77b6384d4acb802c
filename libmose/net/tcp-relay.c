/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay as its command has it; its process: tcp-relay-process.c. See tcp-relay.h. */
#include "net/tcp-relay.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tcp-relay-process.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define BACKLOG 64

struct MoseTcpRelay {
    pid_t pid;
    MoseFd life; /* its end is the relay's */
    MoseTcpReport *report;
};

char *
mose_tcp_token(void)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);

    return g_strjoinv("", parts); /* 32 hexadecimal digits */
}

static MoseTcpRelay *
start(MoseTcpSetup *setup, GError **error)
{
    g_autofree MoseTcpRelay *relay = g_new0(MoseTcpRelay, 1);
    g_auto(MoseFd) ours = MOSE_FD_NONE, theirs = MOSE_FD_NONE;
    int ends[2];

    relay->report = mmap(NULL, sizeof(*relay->report), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (relay->report == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        mose_error_set_errno(error, errno, "cannot start a relay");
        return NULL;
    }
    ours = ends[0];
    theirs = ends[1];
    setup->life = theirs;
    setup->report = relay->report;
    relay->pid = fork();
    if (relay->pid == 0)
        mose_tcp_relay_main(setup);
    if (relay->pid < 0) {
        mose_error_set_errno(error, errno, "cannot start a relay");
        return NULL;
    }
    relay->life = mose_fd_steal(&ours);
    return g_steal_pointer(&relay);
}

/* --- the destination's --- */

/* @found, of which IPv6 stands for IPv4 as well where it is any address. */
static int
listen_there(const struct addrinfo *found)
{
    g_auto(MoseFd) fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int off = 0;

    if (fd >= 0 && found->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    return fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                   listen(fd, BACKLOG) == 0
               ? mose_fd_steal(&fd)
               : MOSE_FD_NONE;
}

static int
listen_at(const char *address, GError **error)
{
    const int families[] = { address ? AF_UNSPEC : AF_INET6, AF_INET };
    int ret = 0;

    for (gsize i = 0; i < (address ? 1 : G_N_ELEMENTS(families)); i++) {
        const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                        .ai_family = families[i],
                                        .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;
        int fd, saved;

        ret = getaddrinfo(address, "0", &hints, &found);
        if (ret != 0)
            continue;
        fd = listen_there(found);
        saved = errno;
        freeaddrinfo(found);
        errno = saved;
        if (fd >= 0)
            return fd;
    }
    if (ret != 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "address %s: %s",
                    address ? address : "any", gai_strerror(ret));
    else
        mose_error_set_errno(error, errno, "cannot listen at %s",
                             address ? address : "any address");
    return MOSE_FD_NONE;
}

static guint16
port_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);

    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)&address)->sin6_port
                     : ((struct sockaddr_in *)&address)->sin_port);
}

MoseTcpRelay *
mose_tcp_relay_accept(const char *address, const char *token, const char *path,
                      const MoseTls *tls, guint16 *ret_port, GError **error)
{
    g_auto(MoseFd) listener = listen_at(address, error);
    MoseTcpSetup setup = {
        .listener = listener, .accepts = TRUE, .token = token, .path = path, .tls = tls
    };

    if (listener < 0)
        return NULL;
    *ret_port = port_of(listener);
    return start(&setup, error);
}

/* --- the source's --- */

MoseTcpRelay *
mose_tcp_relay_connect(const char *path, const char *address, guint16 port,
                       const char *token, const MoseTls *tls, GError **error)
{
    g_auto(MoseFd) listener = mose_unix_listen(path, error);
    MoseTcpSetup setup = { .listener = listener,
                           .token = token,
                           .address = address,
                           .port = port,
                           .tls = tls };

    return listener < 0 ? NULL : start(&setup, error);
}

/* --- both --- */

char *
mose_tcp_relay_trouble(const MoseTcpRelay *relay)
{
    return g_atomic_int_get(&relay->report->told)
               ? g_strndup(relay->report->text, sizeof(relay->report->text) - 1)
               : NULL;
}

void
mose_tcp_relay_free(MoseTcpRelay *relay)
{
    if (!relay)
        return;
    mose_fd_close(relay->life);
    waitpid(relay->pid, NULL, 0); /* the process behind it has gone on alone */
    munmap(relay->report, sizeof(*relay->report));
    g_free(relay);
}
