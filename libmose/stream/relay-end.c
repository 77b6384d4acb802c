/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets and pipes as ends of a relay; see relay-end.h. */
#include "stream/relay-end.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

/* A few of the largest pieces that QEMU sends at once (migration/qemu-file.c: 64 parts
 * of up to 4 KiB); what the processor's caches hold is still better than more. */
#define WIDTH (1 << 20)

void
mose_relay_widen(int fd)
{
    int width = WIDTH;

    /* Both may refuse, beyond a limit of the host's: then it stays as it is. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &width, sizeof(width)) < 0)
        fcntl(fd, F_SETPIPE_SZ, width);
}

static gboolean
is_kind(int fd, mode_t kind)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* A descriptor of the same pipe with flags of its own; -1 where that cannot be. */
static int
open_anew(int fd, int mode)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    return is_kind(fd, S_IFIFO) ? open(path, mode | O_NONBLOCK | O_CLOEXEC) : -1;
}

static gboolean
make_ready(int *fd, int mode, GError **error)
{
    int anew, flags;

    if (is_kind(*fd, S_IFSOCK)) {
        mose_relay_widen(*fd);
        return TRUE;
    }
    anew = open_anew(*fd, mode);
    if (anew >= 0) {
        mose_fd_close(*fd);
        *fd = anew;
        mose_relay_widen(*fd);
        return TRUE;
    }
    flags = fcntl(*fd, F_GETFL);
    if (flags >= 0 && fcntl(*fd, F_SETFL, flags | O_NONBLOCK) == 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot use descriptor %d for the stream", *fd);
    return FALSE;
}

gboolean
mose_relay_end_open(MoseRelayEnd *end, GError **error)
{
    gboolean one = end->in == end->out;

    if (!make_ready(&end->in, O_RDONLY, error))
        return FALSE;
    if (one)
        end->out = end->in;
    return one || make_ready(&end->out, O_WRONLY, error);
}

gssize
mose_relay_end_read(const MoseRelayEnd *end, void *data, gsize len)
{
    ssize_t n = recv(end->in, data, len, MSG_DONTWAIT);

    return n < 0 && errno == ENOTSOCK ? read(end->in, data, len) : n;
}

static gssize
write_parts(const MoseRelayEnd *end, struct iovec *parts, gsize n_parts)
{
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = n_parts };
    ssize_t n = sendmsg(end->out, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n < 0 && errno == ENOTSOCK ? writev(end->out, parts, (int)n_parts) : n;
}

/* The first @n bytes have gone. */
static void
lighten(MoseRelayLoad *load, gsize n)
{
    struct iovec *part = load->parts + load->at;

    while (mose_relay_is_loaded(load) && n >= part->iov_len) {
        n -= part->iov_len;
        part++;
        load->at++;
    }
    if (mose_relay_is_loaded(load)) {
        part->iov_base = (guint8 *)part->iov_base + n;
        part->iov_len -= n;
    }
}

void
mose_relay_load(MoseRelayLoad *load, void *data, gsize len, GByteArray *more)
{
    load->parts[0] = (struct iovec){ data, len };
    load->parts[1] =
        more ? (struct iovec){ more->data, more->len } : (struct iovec){ 0 };
    load->at = 0;
    lighten(load, 0);
}

gboolean
mose_relay_unload(MoseRelayLoad *load, const MoseRelayEnd *end, gboolean *ret_some)
{
    *ret_some = FALSE;
    while (mose_relay_is_loaded(load)) {
        gssize n = write_parts(end, load->parts + load->at,
                               G_N_ELEMENTS(load->parts) - load->at);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        *ret_some = TRUE;
        lighten(load, (gsize)n);
    }
    return TRUE;
}

void
mose_relay_end_finish(MoseRelayEnd *end)
{
    shutdown(end->out, SHUT_WR);
    /* To a pipe's reader only its last writer's close says so. */
    if (end->out != end->in)
        mose_fd_close(mose_fd_steal(&end->out));
}

void
mose_relay_end_shutdown(MoseRelayEnd *end)
{
    shutdown(end->in, SHUT_RDWR);
    mose_relay_end_finish(end);
}

void
mose_relay_end_close(MoseRelayEnd *end)
{
    mose_relay_end_shutdown(end);
    mose_fd_close(end->in);
    end->in = end->out = MOSE_FD_NONE;
}
