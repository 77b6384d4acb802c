/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets of each sort, on loopback, which must be up: listening, connected with bytes
 * not read yet, bound; addresses are told as ADDRESS:PORT, of a unix socket its name.
 */
#include "witness.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TCP4 = 7001, TCP6 = 7002, UDP4 = 7003, UDP6 = 7004 };

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} Address;

static socklen_t
set_loopback(Address *address, int family, int port)
{
    memset(address, 0, sizeof(*address));
    address->any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        address->v4.sin_port = htons((uint16_t)port);
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(address->v4);
    }
    address->v6.sin6_port = htons((uint16_t)port);
    address->v6.sin6_addr = in6addr_loopback;
    return sizeof(address->v6);
}

static void
show_address(const char *name, const Address *address)
{
    char text[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET)
        printf(" %s=%s:%d", name,
               inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof(text)),
               ntohs(address->v4.sin_port));
    else
        printf(" %s=[%s]:%d", name,
               inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof(text)),
               ntohs(address->v6.sin6_port));
}

/* Begin a line; the caller ends it. */
static void
begin(const char *kind, int fd)
{
    struct stat st;

    witness_check(fd >= 0 && fstat(fd, &st) == 0, kind);
    printf("socket kind=%s fd=%d inode=%" PRIu64, kind, fd, (uint64_t)st.st_ino);
}

/* A line of an Internet socket, with the @unread bytes that wait in it. */
static void
tell(const char *kind, int fd, int unread)
{
    Address address;
    socklen_t len = sizeof(address);

    begin(kind, fd);
    witness_check(getsockname(fd, &address.any, &len) == 0, kind);
    show_address("local", &address);
    len = sizeof(address);
    if (getpeername(fd, &address.any, &len) == 0)
        show_address("remote", &address);
    printf(" unread=%d\n", unread);
}

static int
bound(int family, int type, int port)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    const int on = 1;
    Address address;
    socklen_t len = set_loopback(&address, family, port);

    witness_check(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    witness_check(bind(fd, &address.any, len) == 0, "bind");
    return fd;
}

/* The listener, one side of a connection with five bytes not read yet, the other. */
static void
make_tcp(int family, int port, const char *listener, const char *side)
{
    int listening = bound(family, SOCK_STREAM, port);
    int one = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
    Address address;
    socklen_t len = set_loopback(&address, family, port);

    witness_check(listen(listening, 5) == 0, "listen");
    witness_check(one >= 0 && connect(one, &address.any, len) == 0, "connect");
    other = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    witness_check(other >= 0 && send(one, "hello", 5, 0) == 5, "accept");
    tell(listener, listening, 0);
    tell(side, one, 0);
    tell(side, other, 5);
}

static void
make_udp(void)
{
    int v4 = bound(AF_INET, SOCK_DGRAM, UDP4), v6 = bound(AF_INET6, SOCK_DGRAM, UDP6);
    Address address;
    socklen_t len = set_loopback(&address, AF_INET6, UDP6 + 1);

    tell("udp", v4, 0);
    witness_check(connect(v6, &address.any, len) == 0, "connect");
    tell("udp6", v6, 0);
}

/* Named by a path; by an abstract name, which @ stands before; a nameless pair. */
static void
make_unix(void)
{
    Address address = { .local.sun_family = AF_UNIX };
    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), pair[2];
    static const char abstract[] = "wit-abstract";

    snprintf(address.local.sun_path, sizeof(address.local.sun_path), "%s",
             witness_path("socket"));
    unlink(address.local.sun_path);
    witness_check(bind(stream, &address.any, sizeof(address.local)) == 0 &&
                      listen(stream, 5) == 0,
                  address.local.sun_path);
    begin("unix-listen", stream);
    printf(" name=%s\n", address.local.sun_path);
    memset(address.local.sun_path, 0, sizeof(address.local.sun_path));
    memcpy(address.local.sun_path + 1, abstract, sizeof(abstract) - 1);
    witness_check(bind(datagram, &address.any,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                   sizeof(abstract))) == 0,
                  abstract);
    begin("unix-datagram", datagram);
    printf(" name=@%s\n", abstract);
    witness_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0,
                  "pair");
    for (int i = 0; i < 2; i++) {
        begin("unix-pair", pair[i]);
        putchar('\n');
    }
}

void
witness_make_sockets(void)
{
    make_tcp(AF_INET, TCP4, "tcp-listen", "tcp");
    make_tcp(AF_INET6, TCP6, "tcp6-listen", "tcp6");
    make_udp();
    make_unix();
}
