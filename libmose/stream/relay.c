/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's thread: two ends, one rewriter. See relay.h. */
#include "stream/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stream/return-path.h"
#include "util/error.h"
#include "util/fd.h"

/* Read at once: what a wide source has ready, and the processor's caches can hold. */
#define PIECE (256 * 1024)
#define BACK_PIECE 4096

struct MoseRelay {
    GThread *thread;
    MoseRelayEnd source;
    MoseRelayEnd destination;
    MoseFd wake;   /* written by the owner: see the variables below the lock */
    MoseFd failed; /* written by the thread: it ended with an error */
    MoseRewriter *rewriter;
    guint8 *piece, *back_piece;
    GByteArray *rewritten;
    MoseRelayLoad forth, back;
    MoseReturnPath said; /* by the destination */
    gboolean source_open, destination_open;
    gint64 alive_us; /* when the destination last did something, or got work to do */

    GMutex lock; /* the rest */
    gboolean stop;
    gint64 patience_us, patience_since_us;
    int keep; /* where the stream is kept, or -1 */
    GError *error;
    gboolean source_ended;
    guint64 bytes_in, bytes_out;
};

/* --- the stream --- */

static gboolean
closed(GError **error, const char *how)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "the destination closed the migration stream %s", how);
    return FALSE;
}

static gboolean
send_forth(MoseRelay *relay, GError **error)
{
    gboolean some;

    if (!mose_relay_unload(&relay->forth, &relay->destination, &some))
        return closed(error, "while it was loading");
    if (some)
        relay->alive_us = g_get_monotonic_time();
    return TRUE;
}

/* The source sends no more. */
static gboolean
source_closed(MoseRelay *relay, GError **error)
{
    relay->source_open = FALSE;
    if (mose_rewriter_finish(relay->rewriter, error)) {
        mose_relay_end_finish(&relay->destination);
        return TRUE;
    }
    g_mutex_lock(&relay->lock);
    relay->source_ended = TRUE;
    g_mutex_unlock(&relay->lock);
    return FALSE;
}

/* Where somebody wants it again. */
static gboolean
keep_piece(MoseRelay *relay, gsize len, GError **error)
{
    int fd;

    g_mutex_lock(&relay->lock);
    fd = relay->keep;
    g_mutex_unlock(&relay->lock);
    return fd < 0 || mose_fd_write_all(fd, (const char *)relay->piece, len,
                                       "the kept stream", error);
}

/* One piece of the stream: through the rewriter and on. */
static gboolean
take_forth(MoseRelay *relay, GError **error)
{
    gssize n = mose_relay_end_read(&relay->source, relay->piece, PIECE);
    gsize pass;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return TRUE;
    if (n <= 0)
        return source_closed(relay, error);
    if (!keep_piece(relay, (gsize)n, error))
        return FALSE;
    /* Bytes behind the end are an error too: an end that a guest's memory only
     * imitated cannot pass for the real one. */
    g_byte_array_set_size(relay->rewritten, 0);
    if (!mose_rewriter_push(relay->rewriter, relay->piece, n, &pass, relay->rewritten,
                            error))
        return FALSE;
    g_mutex_lock(&relay->lock);
    relay->bytes_in += n;
    relay->bytes_out += pass + relay->rewritten->len;
    g_mutex_unlock(&relay->lock);
    mose_relay_load(&relay->forth, relay->piece, pass, relay->rewritten);
    relay->alive_us = g_get_monotonic_time();
    return send_forth(relay, error);
}

/* --- the return path --- */

/* Where the source does not listen any more, its stream's end says why. */
static void
send_back(MoseRelay *relay)
{
    gboolean some;

    if (!mose_relay_unload(&relay->back, &relay->source, &some))
        mose_relay_load(&relay->back, NULL, 0, NULL);
}

static gboolean
destination_closed(MoseRelay *relay, GError **error)
{
    relay->destination_open = FALSE;
    /* The source waits for as long as it has somebody to listen to. */
    mose_relay_end_shutdown(&relay->source);
    if (relay->said.trouble)
        return closed(error, "and said that it could not load");
    if (!mose_rewriter_done(relay->rewriter) || mose_relay_is_loaded(&relay->forth))
        return closed(error, "while it was loading");
    if (mose_rewriter_info(relay->rewriter)->return_path && !relay->said.shut)
        return closed(error, "when it had got all of it, without a word that it has "
                             "loaded it");
    return TRUE;
}

/* One piece of the return path. */
static gboolean
take_back(MoseRelay *relay, GError **error)
{
    gssize n = mose_relay_end_read(&relay->destination, relay->back_piece, BACK_PIECE);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return TRUE;
    if (n <= 0)
        return destination_closed(relay, error);
    relay->alive_us = g_get_monotonic_time();
    mose_return_path_push(&relay->said, relay->back_piece, n);
    mose_relay_load(&relay->back, relay->back_piece, n, NULL);
    send_back(relay);
    return TRUE;
}

/* --- the thread --- */

static gboolean
told_to_stop(MoseRelay *relay, GError **error)
{
    guint64 count;
    gboolean stop;

    if (read(relay->wake, &count, sizeof(count)) < 0)
        return FALSE;
    g_mutex_lock(&relay->lock);
    stop = relay->stop;
    g_mutex_unlock(&relay->lock);
    if (stop)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "the move was stopped");
    return stop;
}

/* Whether it is the destination's turn to do something. */
static gboolean
waits_for_destination(const MoseRelay *relay)
{
    return mose_relay_is_loaded(&relay->forth) ||
           (relay->destination_open && !relay->said.shut &&
            mose_rewriter_done(relay->rewriter));
}

/* Milliseconds until the destination has kept us waiting for too long; -1: never. */
static int
patience_left(MoseRelay *relay)
{
    gint64 since, limit, left;

    g_mutex_lock(&relay->lock);
    since = MAX(relay->alive_us, relay->patience_since_us);
    limit = relay->patience_us;
    g_mutex_unlock(&relay->lock);
    if (limit == 0 || !waits_for_destination(relay))
        return -1;
    left = since + limit - g_get_monotonic_time();
    return (int)CLAMP((left + 999) / 1000, 0, G_MAXINT);
}

static gboolean
stalled(MoseRelay *relay, GError **error)
{
    gint64 limit;

    g_mutex_lock(&relay->lock);
    limit = relay->patience_us;
    g_mutex_unlock(&relay->lock);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                "the destination hangs: for %.1f s it has %s", (double)limit / 1e6,
                mose_relay_is_loaded(&relay->forth)
                    ? "taken nothing of the migration stream"
                    : "had all of the migration stream and has not loaded it");
    return FALSE;
}

static int
when(gboolean wanted, int fd)
{
    return wanted ? fd : -1;
}

static gboolean
pump(MoseRelay *relay, GError **error)
{
    while (relay->source_open || relay->destination_open) {
        gboolean forth = mose_relay_is_loaded(&relay->forth),
                 back = mose_relay_is_loaded(&relay->back);
        struct pollfd fds[] = {
            { when(relay->source_open && !forth, relay->source.in), POLLIN, 0 },
            { when(relay->destination_open && !back, relay->destination.in), POLLIN,
              0 },
            { when(forth, relay->destination.out), POLLOUT, 0 },
            { when(back, relay->source.out), POLLOUT, 0 },
            { relay->wake, POLLIN, 0 },
        };
        int left = patience_left(relay);
        int n = poll(fds, G_N_ELEMENTS(fds), left);

        if (n == 0 && patience_left(relay) == 0)
            return stalled(relay, error);
        if (fds[4].revents && told_to_stop(relay, error))
            return FALSE;
        if (fds[3].revents)
            send_back(relay);
        if (fds[1].revents && !take_back(relay, error))
            return FALSE;
        if (fds[2].revents && !send_forth(relay, error))
            return FALSE;
        if (fds[0].revents && !take_forth(relay, error))
            return FALSE;
    }
    return TRUE;
}

/* A pipe without a reader is an error here, not the end of the program. */
static void
block_sigpipe(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static gpointer
relay_main(gpointer data)
{
    MoseRelay *relay = data;
    GError *error = NULL;
    guint64 one = 1;

    block_sigpipe();
    if (!pump(relay, &error)) {
        g_mutex_lock(&relay->lock);
        relay->error = error;
        g_mutex_unlock(&relay->lock);
        if (write(relay->failed, &one, sizeof(one)) < 0)
            g_debug("cannot tell of the relay's end: %s", g_strerror(errno));
    }
    /* Both QEMUs learn of the end from this, whatever it was. */
    mose_relay_end_close(&relay->source);
    mose_relay_end_close(&relay->destination);
    return NULL;
}

static gboolean
prepare(MoseRelay *relay, GError **error)
{
    if (relay->wake < 0 || relay->failed < 0) {
        mose_error_set_errno(error, errno, "cannot make an eventfd");
        return FALSE;
    }
    return mose_relay_end_open(&relay->source, error) &&
           mose_relay_end_open(&relay->destination, error);
}

MoseRelay *
mose_relay_start_between(MoseRelayEnd source, MoseRelayEnd destination,
                         MoseRewriteFunc rewrite, gpointer data, GError **error)
{
    MoseRelay *relay = g_new0(MoseRelay, 1);

    relay->source = source;
    relay->destination = destination;
    relay->source_open = relay->destination_open = TRUE;
    relay->keep = MOSE_FD_NONE;
    relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->failed = eventfd(0, EFD_CLOEXEC);
    relay->rewriter = mose_rewriter_new(rewrite, data);
    relay->piece = g_malloc(PIECE);
    relay->back_piece = g_malloc(BACK_PIECE);
    relay->rewritten = g_byte_array_new();
    mose_relay_load(&relay->forth, NULL, 0, NULL);
    mose_relay_load(&relay->back, NULL, 0, NULL);
    g_mutex_init(&relay->lock);
    if (!prepare(relay, error)) {
        mose_relay_free(relay);
        return NULL;
    }
    relay->thread = g_thread_new("mose-relay", relay_main, relay);
    return relay;
}

MoseRelay *
mose_relay_start(int source, int destination, MoseRewriteFunc rewrite, gpointer data,
                 GError **error)
{
    return mose_relay_start_between((MoseRelayEnd){ source, source },
                                    (MoseRelayEnd){ destination, destination }, rewrite,
                                    data, error);
}

static void
wake(MoseRelay *relay)
{
    guint64 one = 1;

    if (write(relay->wake, &one, sizeof(one)) < 0)
        g_debug("cannot wake the relay: %s", g_strerror(errno));
}

void
mose_relay_set_patience(MoseRelay *relay, int ms)
{
    g_mutex_lock(&relay->lock);
    relay->patience_us = ms * (gint64)1000;
    relay->patience_since_us = g_get_monotonic_time();
    g_mutex_unlock(&relay->lock);
    wake(relay);
}

void
mose_relay_keep(MoseRelay *relay, int fd)
{
    g_mutex_lock(&relay->lock);
    relay->keep = fd;
    g_mutex_unlock(&relay->lock);
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
    if (!relay)
        return;
    if (relay->thread) {
        g_mutex_lock(&relay->lock);
        relay->stop = TRUE;
        g_mutex_unlock(&relay->lock);
        wake(relay);
        g_thread_join(relay->thread);
    }
    mose_relay_end_close(&relay->source);
    mose_relay_end_close(&relay->destination);
    mose_fd_close(relay->wake);
    mose_fd_close(relay->failed);
    mose_rewriter_free(relay->rewriter);
    g_free(relay->piece);
    g_free(relay->back_piece);
    g_byte_array_unref(relay->rewritten);
    g_mutex_clear(&relay->lock);
    g_clear_error(&relay->error);
    g_free(relay);
}
