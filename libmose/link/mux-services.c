/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels that are opened later: what the command offers and wants, what the other
 * side asks for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "link/mux-private.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

/* Numbers are used once. */
#define NUMBER_MAX G_MAXUINT16

static guint
count_of(const Mux *mux, guint32 parity)
{
    guint n = 0;

    for (guint i = MOSE_LINK_N_CHANNELS; i < mux->channels->len; i++) {
        const MoseChannel *channel = mux->channels->pdata[i];

        n += (channel->number & 1) == parity;
    }
    return n;
}

gboolean
mux_has_room(const Mux *mux)
{
    return mux->next_own <= NUMBER_MAX &&
           count_of(mux, mux->next_own & 1) < MOSE_LINK_MAX_OPENED;
}

/* A channel over there for @fd, which is taken over. */
static void
open_there(Mux *mux, guint16 service, int fd)
{
    MoseChannel *channel = mose_channel_new((guint16)mux->next_own, fd);

    channel->open_service = service;
    g_ptr_array_add(mux->channels, channel);
    mux->next_own += 2;
}

void
mux_accept(Mux *mux, const MuxListener *listener)
{
    struct sockaddr_un peer;
    socklen_t len = sizeof(peer);
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0)
        open_there(mux, listener->service, fd);
}

/* One that the other side has not yet seen end may still be here beside its next ones:
 * twice the number is for that. */
void
mux_open_here(Mux *mux, guint16 number, guint16 service)
{
    const char *path = g_hash_table_lookup(mux->offers, GUINT_TO_POINTER(service));
    int fd = -1;

    if (path && count_of(mux, number & 1) < 2 * MOSE_LINK_MAX_OPENED)
        fd = mose_unix_connect_at_once(path, NULL);
    mux->next_other += 2;
    if (fd >= 0) {
        g_ptr_array_add(mux->channels, mose_channel_new(number, fd));
    } else if (mux->refusals->len < MUX_MAX_REFUSALS) {
        g_array_append_val(mux->refusals, number);
    } else if (!mux->error) {
        g_set_error(&mux->error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other side of the link opens too many channels");
    }
}

/* --- requests of the command --- */

static void
offer(Mux *mux, const MoseMuxRequest *request)
{
    if (g_hash_table_size(mux->offers) < MUX_MAX_OFFERS ||
        g_hash_table_contains(mux->offers, GUINT_TO_POINTER(request->service)))
        g_hash_table_insert(mux->offers, GUINT_TO_POINTER(request->service),
                            g_strdup(request->path));
}

static void
obey(Mux *mux, const MoseMuxRequest *request, MoseFd *fd)
{
    if (request->kind == MOSE_MUX_OFFER) {
        offer(mux, request);
    } else if (request->kind == MOSE_MUX_LISTEN && *fd >= 0 &&
               mux->listeners->len < MUX_MAX_LISTENERS) {
        MuxListener listener = { request->service, mose_fd_steal(fd) };

        g_array_append_val(mux->listeners, listener);
    } else if (request->kind == MOSE_MUX_CONNECT && *fd >= 0 && mux_has_room(mux)) {
        open_there(mux, request->service, mose_fd_steal(fd));
    }
}

/* The descriptor that came with @msg; -1: none. */
static int
descriptor_of(struct msghdr *msg)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

gboolean
mux_take_requests(Mux *mux)
{
    for (;;) {
        MoseMuxRequest request = { 0 };
        struct iovec part = { &request, sizeof(request) - 1 };
        char control[CMSG_SPACE(sizeof(int))] = { 0 };
        struct msghdr msg = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(mux->life, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        g_auto(MoseFd) fd = MOSE_FD_NONE;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return TRUE;
        if (n <= 0)
            return FALSE;
        fd = descriptor_of(&msg);
        obey(mux, &request, &fd);
    }
}
