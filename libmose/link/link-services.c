/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command asks of its link process: services offered, wanted and used. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "link/link.h"
#include "link/mux.h"
#include "util/error.h"
#include "util/fd.h"

/* Of a socket: as much as goes through it at once. */
#define SOCKET_BUFFER (1024 * 1024)

void
mose_link_enlarge(int fd)
{
    const int size = SOCKET_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Send @request, and @fd with it if it is one. */
static gboolean
ask(MoseLink *link, const MoseMuxRequest *request, int fd, GError **error)
{
    struct iovec part = { (void *)request, G_STRUCT_OFFSET(MoseMuxRequest, path) +
                                               strlen(request->path) + 1 };
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

    /* Its process may still be there, to give away what has come. */
    if (!mose_link_check(link, error))
        return FALSE;
    if (fd >= 0) {
        struct cmsghdr *header;

        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);
        header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    if (sendmsg(mose_link_fd(link), &msg, MSG_NOSIGNAL) >= 0)
        return TRUE;
    if (errno == EPIPE || errno == ECONNRESET)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "the link has ended");
    else
        mose_error_set_errno(error, errno, "cannot ask the link process");
    return FALSE;
}

gboolean
mose_link_offer(MoseLink *link, guint service, const char *path, GError **error)
{
    MoseMuxRequest request = { MOSE_MUX_OFFER, (guint16)service, "" };

    if (g_strlcpy(request.path, path, sizeof(request.path) - 1) >=
        sizeof(request.path) - 1) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "the path %s is too long",
                    path);
        return FALSE;
    }
    return ask(link, &request, -1, error);
}

gboolean
mose_link_listen(MoseLink *link, guint service, int fd, GError **error)
{
    const MoseMuxRequest request = { MOSE_MUX_LISTEN, (guint16)service, "" };

    /* Somebody else who listens there may be quicker. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return ask(link, &request, fd, error);
}

int
mose_link_connect(MoseLink *link, guint service, GError **error)
{
    const MoseMuxRequest request = { MOSE_MUX_CONNECT, (guint16)service, "" };
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        mose_error_set_errno(error, errno, "cannot open a channel");
        return -1;
    }
    ours = ends[0];
    theirs = ends[1];
    mose_link_enlarge(ours);
    mose_link_enlarge(theirs);
    return ask(link, &request, theirs, error) ? mose_fd_steal(&ours) : -1;
}
