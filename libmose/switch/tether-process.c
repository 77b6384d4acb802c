/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tether's process: it holds the link, and makes another when that breaks. See
 * tether.h. */
#include "switch/tether-process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "net/pump.h"
#include "switch/home-disks.h"
#include "switch/home-net.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define TIE_MS 10000
/* Between two tries, at first and at most. */
#define AGAIN_MS 500
#define AGAIN_MAX_MS 15000
/* Between two looks at the guest, and for how long after a link was made anew: a disk
 * that was out of reach has stopped it by then, or never will. */
#define LOOK_MS 2000
#define TROUBLE_US (120 * G_USEC_PER_SEC)

static const MoseLinkOptions link_options = { .hello_ms = 30000 };

static void
leave_command(const MoseFarEnd *end)
{
    int keep[MOSE_LINK_MAX_FDS], fd;
    gsize n = end ? mose_link_descriptors(end->link, keep) : 0;
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    mose_fd_keep_only(keep, n);
    while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= 2)
        ;
    mose_fd_close(fd);
    setsid();
    prctl(PR_SET_NAME, "mose-tether");
}

/* The guest as it is known now; NULL when it needs no tether any more. */
static MoseGuest *
look(const char *name, const char *life)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

    return guest && mose_tether_is_needed(guest) && strcmp(guest->far->life, life) == 0
               ? g_steal_pointer(&guest)
               : NULL;
}

static JsonObject *
about(const MoseGuest *guest, const char *what)
{
    return mose_json_object("do", "s", what, "name", "s", guest->name, "life", "s",
                            guest->far->life, NULL);
}

static MoseFarEnd *
tie(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseFarEnd) end = mose_far_end_open(guest->far, &link_options, 0, error);

    if (end &&
        (!guest->far->home_disks || mose_home_disks_carry(guest, end->link, error)) &&
        mose_far_end_tell(end, about(guest, "tie"), TIE_MS, -1, error))
        return g_steal_pointer(&end);
    return NULL;
}

char *
mose_tether_log(const MoseGuest *guest)
{
    return g_build_filename(guest->dir, "tether.log", NULL);
}

/* What went wrong last, for who looks. */
static void
note(const MoseGuest *guest, const char *text)
{
    g_autofree char *path = mose_tether_log(guest);

    if (*text)
        mose_guest_dir_write(path, text, NULL);
    else
        unlink(path);
}

/* --- the guest's taps --- */

typedef struct {
    MoseFd tap;
    MosePump *pump; /* NULL: its stream has ended */
} Line;

static void
line_clear(gpointer data)
{
    Line *line = data;

    mose_pump_free(line->pump);
    mose_fd_close(line->tap);
}

/* Those that could be opened. */
static GArray *
open_lines(const MoseGuest *guest)
{
    GArray *lines = g_array_new(FALSE, TRUE, sizeof(Line));
    g_autoptr(MoseCommandLine) command =
        guest->far->home_net ? mose_home_net_line(guest, NULL) : NULL;

    g_array_set_clear_func(lines, line_clear);
    for (guint i = 0; command && i < command->taps->len; i++) {
        g_autoptr(GError) error = NULL;
        Line line = { mose_home_net_open(command->taps->pdata[i], &error), NULL };

        if (line.tap < 0)
            note(guest, error->message);
        g_array_append_val(lines, line);
    }
    return lines;
}

static void
connect_lines(GArray *lines, MoseFarEnd *end)
{
    for (guint i = 0; i < lines->len; i++) {
        Line *line = &g_array_index(lines, Line, i);
        int stream;

        if (line->pump || line->tap < 0)
            continue;
        stream = mose_link_connect(end->link, MOSE_SERVICE_NET + i, NULL);
        if (stream >= 0)
            line->pump =
                mose_pump_new(fcntl(line->tap, F_DUPFD_CLOEXEC, 0), stream, NULL);
    }
}

static void
disconnect_lines(GArray *lines)
{
    for (guint i = 0; i < lines->len; i++)
        g_clear_pointer(&g_array_index(lines, Line, i).pump, mose_pump_free);
}

/* Wait for frames, for the link's end (FALSE), or for @timeout_ms. */
static gboolean
pump_lines(GArray *lines, const MoseFarEnd *end, int timeout_ms)
{
    g_autofree struct pollfd *fds =
        g_new0(struct pollfd, 1 + lines->len * MOSE_PUMP_FDS);
    int n;

    fds[0] = (struct pollfd){ mose_link_fd(end->link), POLLIN, 0 };
    for (guint i = 0; i < lines->len; i++) {
        struct pollfd *own = fds + 1 + i * MOSE_PUMP_FDS;
        const Line *line = &g_array_index(lines, Line, i);

        for (guint j = 0; j < MOSE_PUMP_FDS; j++)
            own[j].fd = -1;
        if (line->pump)
            mose_pump_prepare(line->pump, own);
    }
    n = poll(fds, 1 + lines->len * MOSE_PUMP_FDS, timeout_ms);
    for (guint i = 0; n > 0 && i < lines->len; i++) {
        Line *line = &g_array_index(lines, Line, i);

        if (line->pump &&
            !mose_pump_dispatch(line->pump, fds + 1 + i * MOSE_PUMP_FDS, NULL))
            g_clear_pointer(&line->pump, mose_pump_free);
    }
    return n <= 0 || !fds[0].revents;
}

/* --- the link --- */

/* Until it ends, or the guest needs it no more. */
static void
hold(MoseFarEnd *end, GArray *lines, const char *name, const char *life,
     gint64 trouble_until)
{
    gint64 look_us = 0;

    for (;;) {
        gint64 left_us = look_us - g_get_monotonic_time();

        if (left_us <= 0) {
            g_autoptr(MoseGuest) guest = look(name, life);

            if (!guest)
                return;
            connect_lines(lines, end);
            if (g_get_monotonic_time() < trouble_until)
                mose_far_end_tell(end, about(guest, "wake"), TIE_MS, -1, NULL);
            look_us = g_get_monotonic_time() + LOOK_MS * 1000;
            continue;
        }
        if (!pump_lines(lines, end, (int)(left_us / 1000 + 1)))
            return;
    }
}

void
mose_tether_main(const MoseGuest *guest, MoseFarEnd *end)
{
    g_autofree char *name = g_strdup(guest->name);
    g_autofree char *life = g_strdup(guest->far->life);
    g_autoptr(GArray) lines = NULL;
    gint64 trouble_until = 0;
    int again_ms = AGAIN_MS;

    leave_command(end);
    lines = open_lines(guest);
    for (;;) {
        g_autoptr(MoseGuest) now = NULL;
        g_autoptr(GError) error = NULL;

        if (end) {
            again_ms = AGAIN_MS;
            hold(end, lines, name, life, trouble_until);
            disconnect_lines(lines);
            g_clear_pointer(&end, mose_far_end_free);
        }
        now = look(name, life);
        if (!now)
            _exit(0);
        end = tie(now, &error);
        note(now, end ? "" : error->message);
        trouble_until = g_get_monotonic_time() + TROUBLE_US;
        if (!end) {
            poll(NULL, 0, again_ms);
            again_ms = MIN(2 * again_ms, AGAIN_MAX_MS);
        }
    }
}
