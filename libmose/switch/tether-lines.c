/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See tether-lines.h. The tether lives as long as they do: nothing frees them. */
#include "switch/tether-lines.h"

#include <fcntl.h>
#include <poll.h>

#include "net/pump.h"
#include "switch/home-net.h"
#include "util/fd.h"

typedef struct {
    MoseFd tap;
    MosePump *pump; /* NULL: its stream has ended */
} Line;

struct MoseTetherLines {
    MoseCommandLine *command; /* whose taps they are; NULL: there are none */
    guint n;
    Line *lines;
    struct pollfd *fds;
};

MoseTetherLines *
mose_tether_lines_new(const MoseGuest *guest)
{
    MoseTetherLines *lines = g_new0(MoseTetherLines, 1);

    if (guest->far->home_net)
        lines->command = mose_home_net_line(guest, NULL);
    lines->n = lines->command ? lines->command->taps->len : 0;
    lines->lines = g_new(Line, lines->n);
    for (guint i = 0; i < lines->n; i++)
        lines->lines[i] = (Line){ MOSE_FD_NONE, NULL };
    lines->fds = g_new0(struct pollfd, 1 + lines->n * MOSE_PUMP_FDS);
    return lines;
}

static void
connect_line(Line *line, guint number, MoseFarEnd *end)
{
    int stream = mose_link_connect(end->link, MOSE_SERVICE_NET + number, NULL);

    if (stream >= 0)
        line->pump = mose_pump_new(fcntl(line->tap, F_DUPFD_CLOEXEC, 0), stream, NULL);
}

gboolean
mose_tether_lines_connect(MoseTetherLines *lines, MoseFarEnd *end, GError **error)
{
    gboolean good = TRUE;

    for (guint i = 0; i < lines->n; i++) {
        Line *line = &lines->lines[i];

        if (line->tap < 0)
            line->tap =
                mose_home_net_open(lines->command->taps->pdata[i], good ? error : NULL);
        if (line->tap < 0)
            good = FALSE;
        else if (!line->pump)
            connect_line(line, i, end);
    }
    return good;
}

void
mose_tether_lines_disconnect(MoseTetherLines *lines)
{
    for (guint i = 0; i < lines->n; i++)
        g_clear_pointer(&lines->lines[i].pump, mose_pump_free);
}

static struct pollfd *
fds_of(const MoseTetherLines *lines, guint number)
{
    return lines->fds + 1 + number * MOSE_PUMP_FDS;
}

static void
prepare(const MoseTetherLines *lines)
{
    for (guint i = 0; i < lines->n; i++) {
        for (guint j = 0; j < MOSE_PUMP_FDS; j++)
            fds_of(lines, i)[j].fd = -1;
        if (lines->lines[i].pump)
            mose_pump_prepare(lines->lines[i].pump, fds_of(lines, i));
    }
}

gboolean
mose_tether_lines_pump(MoseTetherLines *lines, const MoseFarEnd *end, int timeout_ms)
{
    int n;

    lines->fds[0] = (struct pollfd){ mose_link_fd(end->link), POLLIN, 0 };
    prepare(lines);
    n = poll(lines->fds, 1 + lines->n * MOSE_PUMP_FDS, timeout_ms);
    for (guint i = 0; n > 0 && i < lines->n; i++) {
        MosePump **pump = &lines->lines[i].pump;

        if (*pump && !mose_pump_dispatch(*pump, fds_of(lines, i), NULL))
            g_clear_pointer(pump, mose_pump_free);
    }
    return n <= 0 || !lines->fds[0].revents;
}
