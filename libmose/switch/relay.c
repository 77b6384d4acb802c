/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's thread: two sockets, one rewriter. See relay.h. */
#include "switch/relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

#define PIECE (256 * 1024)

struct MoseRelay {
    GThread *thread;
    MoseFd source;
    MoseFd destination;
    MoseFd stop;   /* written by the owner: end now */
    MoseFd failed; /* written by the thread: it ended with an error */
    MoseRewriter *rewriter;
    guint8 *piece;
    GByteArray *out;
    gboolean source_open, destination_open;

    GMutex lock; /* the rest */
    GError *error;
    gboolean source_ended;
    guint64 bytes_in, bytes_out;
};

static gboolean
stopped(GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "the move was stopped");
    return FALSE;
}

/* Send all of it, unless told to stop. @what names the receiver. */
static gboolean
send_all(MoseRelay *relay, int to, const guint8 *data, gsize len, const char *what,
         GError **error)
{
    while (len > 0) {
        struct pollfd fds[2] = { { to, POLLOUT, 0 }, { relay->stop, POLLIN, 0 } };
        ssize_t n;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            return stopped(error);
        n = send(to, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                        "the %s closed the migration stream: %s", what,
                        g_strerror(errno));
            return FALSE;
        }
        data += n;
        len -= n;
    }
    return TRUE;
}

static void
count(MoseRelay *relay, gsize in, gsize out)
{
    g_mutex_lock(&relay->lock);
    relay->bytes_in += in;
    relay->bytes_out += out;
    g_mutex_unlock(&relay->lock);
}

/* The source sends no more. */
static gboolean
source_closed(MoseRelay *relay, GError **error)
{
    relay->source_open = FALSE;
    if (mose_rewriter_finish(relay->rewriter, error)) {
        shutdown(relay->destination, SHUT_WR);
        return TRUE;
    }
    g_mutex_lock(&relay->lock);
    relay->source_ended = TRUE;
    g_mutex_unlock(&relay->lock);
    return FALSE;
}

/* One piece of the stream: through the rewriter and on. */
static gboolean
forward(MoseRelay *relay, GError **error)
{
    ssize_t n = recv(relay->source, relay->piece, PIECE, 0);

    if (n < 0 && errno == EINTR)
        return TRUE;
    if (n <= 0)
        return source_closed(relay, error);
    /* Bytes behind the end are an error too: an end that a guest's memory only
     * imitated cannot pass for the real one. */
    g_byte_array_set_size(relay->out, 0);
    if (!mose_rewriter_push(relay->rewriter, relay->piece, n, relay->out, error))
        return FALSE;
    count(relay, n, relay->out->len);
    return send_all(relay, relay->destination, relay->out->data, relay->out->len,
                    "destination", error);
}

/* One piece of the return path. */
static gboolean
backward(MoseRelay *relay, GError **error)
{
    ssize_t n = recv(relay->destination, relay->piece, PIECE, 0);

    if (n < 0 && errno == EINTR)
        return TRUE;
    if (n <= 0) {
        relay->destination_open = FALSE;
        /* The source waits for as long as its socket is open. */
        shutdown(relay->source, SHUT_RDWR);
        if (mose_rewriter_done(relay->rewriter))
            return TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the destination closed the migration stream while it was loading");
        return FALSE;
    }
    return send_all(relay, relay->source, relay->piece, n, "source", error);
}

static gboolean
pump(MoseRelay *relay, GError **error)
{
    while (relay->source_open || relay->destination_open) {
        struct pollfd fds[3] = {
            { relay->source_open ? relay->source : -1, POLLIN, 0 },
            { relay->destination_open ? relay->destination : -1, POLLIN, 0 },
            { relay->stop, POLLIN, 0 },
        };

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[2].revents)
            return stopped(error);
        if (fds[1].revents && !backward(relay, error))
            return FALSE;
        if (fds[0].revents && !forward(relay, error))
            return FALSE;
    }
    return TRUE;
}

static gpointer
relay_main(gpointer data)
{
    MoseRelay *relay = data;
    GError *error = NULL;
    guint64 one = 1;

    if (!pump(relay, &error)) {
        g_mutex_lock(&relay->lock);
        relay->error = error;
        g_mutex_unlock(&relay->lock);
        if (write(relay->failed, &one, sizeof(one)) < 0)
            g_debug("cannot tell of the relay's end: %s", g_strerror(errno));
    }
    /* Both QEMUs learn of the end from this, whatever it was. */
    shutdown(relay->source, SHUT_RDWR);
    shutdown(relay->destination, SHUT_RDWR);
    return NULL;
}

MoseRelay *
mose_relay_start(int source, int destination, MoseRewriteFunc rewrite, gpointer data,
                 GError **error)
{
    MoseRelay *relay = g_new0(MoseRelay, 1);

    relay->source = source;
    relay->destination = destination;
    relay->source_open = relay->destination_open = TRUE;
    relay->stop = eventfd(0, EFD_CLOEXEC);
    relay->failed = eventfd(0, EFD_CLOEXEC);
    relay->rewriter = mose_rewriter_new(rewrite, data);
    relay->piece = g_malloc(PIECE);
    relay->out = g_byte_array_sized_new(PIECE);
    g_mutex_init(&relay->lock);
    if (relay->stop < 0 || relay->failed < 0) {
        mose_error_set_errno(error, errno, "cannot make an eventfd");
        mose_relay_free(relay);
        return NULL;
    }
    relay->thread = g_thread_new("mose-relay", relay_main, relay);
    return relay;
}

int
mose_relay_failure_fd(const MoseRelay *relay)
{
    return relay->failed;
}

gboolean
mose_relay_check(MoseRelay *relay, GError **error)
{
    gboolean good;

    g_mutex_lock(&relay->lock);
    good = relay->error == NULL;
    if (!good && error)
        *error = g_error_copy(relay->error);
    g_mutex_unlock(&relay->lock);
    return good;
}

gboolean
mose_relay_source_ended(MoseRelay *relay)
{
    gboolean ended;

    g_mutex_lock(&relay->lock);
    ended = relay->source_ended;
    g_mutex_unlock(&relay->lock);
    return ended;
}

void
mose_relay_progress(MoseRelay *relay, guint64 *ret_in, guint64 *ret_out)
{
    g_mutex_lock(&relay->lock);
    *ret_in = relay->bytes_in;
    *ret_out = relay->bytes_out;
    g_mutex_unlock(&relay->lock);
}

void
mose_relay_free(MoseRelay *relay)
{
    guint64 one = 1;

    if (!relay)
        return;
    if (relay->thread) {
        if (write(relay->stop, &one, sizeof(one)) < 0)
            shutdown(relay->source, SHUT_RDWR);
        g_thread_join(relay->thread);
    }
    mose_fd_close(relay->source);
    mose_fd_close(relay->destination);
    mose_fd_close(relay->stop);
    mose_fd_close(relay->failed);
    mose_rewriter_free(relay->rewriter);
    g_free(relay->piece);
    g_byte_array_unref(relay->out);
    g_mutex_clear(&relay->lock);
    g_clear_error(&relay->error);
    g_free(relay);
}
