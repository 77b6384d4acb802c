/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop itself: what is waited for, and how it ends. See mux.h. */
#include "link/mux.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/hello.h"
#include "link/mux-private.h"
#include "util/error.h"
#include "util/fd.h"

/* When the command has gone: for its last words to go out. */
#define CLOSE_MS 1000
/* For the transport to end by itself after that, and to say why when it ended first. */
#define TRANSPORT_MS 2000
#define SAID_MS 500

/* In the array for poll(2): these, then channels, then listeners. */
enum { LIFE, IN, OUT, WORDS, N_FIXED };
#define MAX_POLLED                                                                     \
    (N_FIXED + MOSE_LINK_N_CHANNELS + 3 * MOSE_LINK_MAX_OPENED + MUX_MAX_LISTENERS)

MoseChannel *
mux_find(const Mux *mux, guint16 number)
{
    for (guint i = 0; i < mux->channels->len; i++) {
        MoseChannel *channel = mux->channels->pdata[i];

        if (channel->number == number)
            return channel;
    }
    return NULL;
}

static void
mux_init(Mux *mux, const MoseMuxSetup *setup)
{
    gint64 now = g_get_monotonic_time();

    *mux = (Mux){ .in = setup->in,
                  .out = setup->out,
                  .words = setup->words,
                  .transport = setup->transport,
                  .life = setup->life,
                  .options = setup->options,
                  .report = setup->report,
                  .said = g_string_new(setup->report->said),
                  .input = g_malloc(MUX_INPUT_SIZE),
                  .output = g_malloc(MUX_OUTPUT_SIZE),
                  .scratch = g_malloc(MOSE_SQUEEZE_PIECE),
                  .refusals = g_array_new(FALSE, FALSE, sizeof(guint16)),
                  .offers = g_hash_table_new_full(NULL, NULL, NULL, g_free),
                  .listeners = g_array_new(FALSE, FALSE, sizeof(MuxListener)),
                  .next_own = MOSE_LINK_N_CHANNELS + (setup->near ? 0 : 1),
                  .next_other = MOSE_LINK_N_CHANNELS + (setup->near ? 1 : 0),
                  .heard_at = now,
                  .sent_at = now,
                  .tokens_at = now };
    mux->channels = g_ptr_array_new_with_free_func((GDestroyNotify)mose_channel_free);
    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        g_ptr_array_add(mux->channels,
                        mose_channel_new((guint16)i, setup->channels[i]));
    if (mux->said->len > 0)
        g_string_append_c(mux->said, '\n');
    mose_frame_reader_init(&mux->reader);
}

static void
mux_clear(Mux *mux)
{
    g_ptr_array_unref(mux->channels);
    mose_frame_reader_clear(&mux->reader);
    g_string_free(mux->said, TRUE);
    g_free(mux->input);
    g_free(mux->output);
    g_free(mux->scratch);
    g_array_unref(mux->refusals);
    g_hash_table_unref(mux->offers);
    g_array_unref(mux->listeners);
    g_clear_error(&mux->error);
}

/* --- waiting --- */

static void
poll_channel(const Mux *mux, const MoseChannel *channel, gboolean bulk,
             struct pollfd *fd)
{
    gboolean room = !mux->out_dead && mux_output_waiting(mux) < MUX_OUTPUT_LOW;

    *fd = (struct pollfd){ channel->fd, 0, 0 };
    if (room && (bulk || !mux_is_bulk(channel)) && mose_channel_wants_input(channel))
        fd->events |= POLLIN;
    if (mose_channel_wants_output(channel))
        fd->events |= POLLOUT;
    /* What it would say unasked, that nobody is at the other end, must not wake us. */
    if (fd->events == 0)
        fd->fd = -1;
}

/* Fill @fds: how many, and how long to wait. */
static guint
prepare(Mux *mux, struct pollfd *fds, gint64 now, int *ret_wait_ms)
{
    guint n = N_FIXED;
    gboolean bulk;

    *ret_wait_ms = (int)MAX(mux->options.silence_ms / 10, 1);
    if (mux->close_by)
        *ret_wait_ms = MIN(*ret_wait_ms, CLOSE_MS / 10);
    bulk = mux_may_send_bulk(mux, now, ret_wait_ms);
    fds[LIFE] = (struct pollfd){ mux->close_by ? -1 : mux->life, POLLIN, 0 };
    fds[IN] = (struct pollfd){ mux->in, POLLIN, 0 };
    fds[OUT] =
        (struct pollfd){ mux_output_waiting(mux) > 0 ? mux->out : -1, POLLOUT, 0 };
    fds[WORDS] = (struct pollfd){ mux->words, POLLIN, 0 };
    for (guint i = 0; i < mux->channels->len; i++)
        poll_channel(mux, mux->channels->pdata[i], bulk, &fds[n++]);
    for (guint i = 0; i < mux->listeners->len; i++) {
        int fd = g_array_index(mux->listeners, MuxListener, i).fd;

        fds[n++] = (struct pollfd){ mux_has_room(mux) ? fd : -1, POLLIN, 0 };
    }
    return n;
}

/* --- what has come --- */

static void
hear_words(Mux *mux)
{
    g_autofree char *line = NULL;

    if (!mose_said_read(mux->said, mux->words)) {
        mose_fd_close(mux->words);
        mux->words = MOSE_FD_NONE;
    }
    line = mose_said_line(mux->said);
    g_strlcpy(mux->report->said, line, sizeof(mux->report->said));
}

/* The sockets of the first @n channels, as poll(2) told of them. The small channels
 * come first; who is first of the others changes. */
static void
serve_channels(Mux *mux, const struct pollfd *fds, guint n)
{
    mux->turn = (mux->turn + 1) % n;
    for (guint i = 0; i < n + MOSE_LINK_STREAM; i++) {
        guint at = i < MOSE_LINK_STREAM ? i : (i - MOSE_LINK_STREAM + mux->turn) % n;
        MoseChannel *channel = mux->channels->pdata[at];

        if (i >= MOSE_LINK_STREAM && at < MOSE_LINK_STREAM)
            continue;
        if (fds[at].events & POLLOUT && fds[at].revents)
            mose_channel_flush(channel);
        if (fds[at].events & POLLIN && fds[at].revents &&
            mose_channel_wants_input(channel) && !mux->error)
            mux_put_data(mux, channel);
    }
}

static void
drop_ended(Mux *mux)
{
    for (guint i = mux->channels->len; i-- > 0;) {
        MoseChannel *channel = mux->channels->pdata[i];

        if (!mose_channel_is_over(channel))
            continue;
        mose_channel_kill(channel);
        if (i >= MOSE_LINK_N_CHANNELS)
            g_ptr_array_remove_index(mux->channels, i);
    }
}

static void
serve(Mux *mux, const struct pollfd *fds)
{
    guint n_channels = mux->channels->len, n_listeners = mux->listeners->len;
    const struct pollfd *sockets = fds + N_FIXED;

    /* Each time, asked or not: what the command has asked for before it wrote to a
     * channel comes first. */
    if (!mux->close_by && !mux_take_requests(mux))
        mux->close_by = g_get_monotonic_time() + CLOSE_MS * (gint64)1000;
    if (fds[WORDS].revents)
        hear_words(mux);
    serve_channels(mux, sockets, n_channels);
    if (fds[IN].revents && !mux->error)
        mux_receive(mux);
    for (guint i = 0; i < n_listeners; i++)
        if (sockets[n_channels + i].revents && mux_has_room(mux))
            mux_accept(mux, &g_array_index(mux->listeners, MuxListener, i));
    drop_ended(mux);
}

/* --- the end --- */

/* The command has gone: whether its last words have, too. */
static gboolean
has_left(const Mux *mux, gint64 now)
{
    const MoseChannel *control = mux->channels->pdata[MOSE_LINK_CONTROL];
    gboolean said = control->fd < 0 || control->end_sent || mux->out_dead;

    return mux->close_by &&
           ((said && mux_output_waiting(mux) == 0) || now >= mux->close_by);
}

/* Only after a look whether something has come: this process may have stood still. */
static void
check_silence(Mux *mux, gint64 now)
{
    if (now - mux->heard_at > mux->options.silence_ms * (gint64)1000)
        g_set_error(&mux->error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "the link is dead: nothing has come from the other side for %g s",
                    mux->options.silence_ms / 1000.0);
}

static void
run(Mux *mux)
{
    while (!mux->error) {
        struct pollfd fds[MAX_POLLED];
        gint64 now = g_get_monotonic_time();
        int wait_ms, n;
        guint n_fds;

        mux_put_small(mux, now);
        mux_send(mux, now);
        if (has_left(mux, now))
            return;
        n_fds = prepare(mux, fds, now, &wait_ms);
        n = poll(fds, n_fds, wait_ms);
        if (n < 0)
            continue;
        serve(mux, fds);
        if (!mux->error && !fds[IN].revents)
            check_silence(mux, g_get_monotonic_time());
    }
}

/* Wait for the transport's end, hearing it out: FALSE after @timeout_ms. */
static gboolean
transport_ends(Mux *mux, int timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * (gint64)1000;

    for (;;) {
        struct pollfd fds[] = { { mux->transport, POLLIN, 0 },
                                { mux->words, POLLIN, 0 } };
        gint64 left = (deadline - g_get_monotonic_time() + 999) / 1000;
        int n = poll(fds, G_N_ELEMENTS(fds), left > 0 ? (int)left : 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        if (fds[1].revents)
            hear_words(mux);
        else if (fds[0].revents)
            return TRUE;
    }
}

static void
report(Mux *mux)
{
    const char *said = mux->report->said;
    const gboolean closed = g_error_matches(mux->error, MOSE_ERROR, MOSE_ERROR_CLOSED);

    mux->report->code = mux->error->code;
    g_snprintf(mux->report->text, sizeof(mux->report->text), "%s%s%.500s",
               mux->error->message, closed && *said ? ": " : "", closed ? said : "");
    shutdown(mux->life, SHUT_WR);
}

/* Give the command what has come for it, for as long as it wants it. */
static void
hand_over(Mux *mux)
{
    for (;;) {
        struct pollfd fds[MAX_POLLED] = { { mux->life, POLLIN, 0 } };
        guint waiting = 0;

        for (guint i = 0; i < mux->channels->len; i++) {
            MoseChannel *channel = mux->channels->pdata[i];
            gboolean more = mose_channel_wants_output(channel);

            if (!more)
                mose_channel_kill(channel);
            fds[1 + i] = (struct pollfd){ more ? channel->fd : -1, POLLOUT, 0 };
            waiting += more;
        }
        if (waiting == 0)
            return;
        poll(fds, 1 + mux->channels->len, -1);
        if (fds[0].revents && !mux_take_requests(mux))
            return;
        for (guint i = 0; i < mux->channels->len; i++)
            if (fds[1 + i].revents)
                mose_channel_flush(mux->channels->pdata[i]);
    }
}

/* No longer hold the transport's ends; see to it that it goes. */
static void
end_transport(Mux *mux)
{
    gboolean at_once =
        mux->error && !g_error_matches(mux->error, MOSE_ERROR, MOSE_ERROR_CLOSED);

    mose_fd_close(mux->in);
    if (mux->out != mux->in)
        mose_fd_close(mux->out);
    if (mux->transport < 0)
        return;
    if (at_once || !transport_ends(mux, mux->error ? SAID_MS : TRANSPORT_MS))
        pidfd_send_signal(mux->transport, SIGKILL, NULL, 0);
}

void
mose_mux_run(const MoseMuxSetup *setup)
{
    Mux mux;

    mux_init(&mux, setup);
    run(&mux);
    end_transport(&mux);
    if (mux.error) {
        report(&mux);
        hand_over(&mux);
    }
    mux_clear(&mux);
}
