/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See tcp-pipe.h. */
#include "net/tcp-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

#define PIPE_SIZE (1 << 20)
#define BUFFER_SIZE (256 * 1024)

/* --- one direction --- */

static gboolean
write_all(int fd, const char *data, gsize len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        data += n;
        len -= (gsize)n;
    }
    return TRUE;
}

/* Move @len bytes of the pipe on. */
static gboolean
flush_pipe(int from, int to, gsize len)
{
    while (len > 0) {
        ssize_t n = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        len -= (gsize)n;
    }
    return TRUE;
}

/* By way of a pipe, without looking; TRUE at the end of @from. */
static gboolean
splice_all(int from, int to)
{
    g_auto(MoseFd) out = MOSE_FD_NONE, in = MOSE_FD_NONE;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return FALSE;
    out = ends[0];
    in = ends[1];
    fcntl(in, F_SETPIPE_SZ, PIPE_SIZE); /* as much as this user may have */
    for (;;) {
        ssize_t n = splice(from, NULL, in, NULL, PIPE_SIZE, SPLICE_F_MOVE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        if (!flush_pipe(out, to, (gsize)n))
            return FALSE;
    }
}

static gboolean
seal_all(int from, MoseTlsSession *tls)
{
    g_autofree char *buffer = g_malloc(BUFFER_SIZE);

    for (;;) {
        ssize_t n = read(from, buffer, BUFFER_SIZE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        if (!mose_tls_write_all(tls, buffer, (gsize)n))
            return FALSE;
    }
}

static gboolean
open_all(MoseTlsSession *tls, int to)
{
    g_autofree char *buffer = g_malloc(BUFFER_SIZE);
    gssize n;

    while ((n = mose_tls_read(tls, buffer, BUFFER_SIZE)) > 0)
        if (!write_all(to, buffer, (gsize)n))
            return FALSE;
    return n == 0;
}

void
mose_tcp_drain(int qemu)
{
    g_autofree char *buffer = g_malloc(BUFFER_SIZE);
    ssize_t n;

    while ((n = read(qemu, buffer, BUFFER_SIZE)) > 0 || (n < 0 && errno == EINTR))
        ;
}

/* --- both --- */

/* Thread: what comes from the other host. A source's socket is left as it is. */
static gpointer
bring(gpointer data)
{
    MoseTcpPipe *pipe = data;
    gboolean good =
        pipe->tls ? open_all(pipe->tls, pipe->qemu) : splice_all(pipe->tcp, pipe->qemu);

    if (!pipe->drains)
        shutdown(pipe->qemu, good ? SHUT_WR : SHUT_RDWR);
    return GINT_TO_POINTER(good);
}

gboolean
mose_tcp_pipe_run(MoseTcpPipe *pipe)
{
    GThread *thread = g_thread_new("mose-tcp", bring, pipe);
    gboolean good =
        pipe->tls ? seal_all(pipe->qemu, pipe->tls) : splice_all(pipe->qemu, pipe->tcp);

    if (good && pipe->tls)
        mose_tls_end(pipe->tls);
    shutdown(pipe->tcp, good ? SHUT_WR : SHUT_RDWR);
    if (!good && pipe->drains)
        mose_tcp_drain(pipe->qemu);
    return GPOINTER_TO_INT(g_thread_join(thread)) && good;
}
