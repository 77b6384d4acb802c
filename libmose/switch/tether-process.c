/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tether's process: it holds the link, and makes another when that breaks. See
 * tether.h. */
#include "switch/tether-process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "switch/home-disks.h"
#include "switch/tether-lines.h"
#include "switch/tether.h"
#include "util/detach.h"
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
    int keep[MOSE_LINK_MAX_FDS];
    gsize n = end ? mose_link_descriptors(end->link, keep) : 0;

    mose_detach("mose-tether", keep, n);
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

/* What is wrong, or that nothing is, for who looks. */
static void
note(const MoseGuest *guest, const GError *error)
{
    g_autofree char *path = mose_tether_log(guest);

    if (error)
        mose_guest_dir_write(path, error->message, NULL);
    else
        unlink(path);
}

/* --- the link --- */

/* Until it ends, or the guest needs it no more. */
static void
hold(MoseFarEnd *end, MoseTetherLines *lines, const char *name, const char *life,
     gint64 trouble_until)
{
    gint64 look_us = 0;

    for (;;) {
        gint64 left_us = look_us - g_get_monotonic_time();

        if (left_us <= 0) {
            g_autoptr(MoseGuest) guest = look(name, life);
            g_autoptr(GError) error = NULL;

            if (!guest)
                return;
            mose_tether_lines_connect(lines, end, &error);
            note(guest, error);
            if (g_get_monotonic_time() < trouble_until)
                mose_far_end_tell(end, about(guest, "wake"), TIE_MS, -1, NULL);
            look_us = g_get_monotonic_time() + LOOK_MS * 1000;
            continue;
        }
        if (!mose_tether_lines_pump(lines, end, (int)(left_us / 1000 + 1)))
            return;
    }
}

static gboolean
may_begin(int go)
{
    char byte;
    ssize_t n;

    do
        n = read(go, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

void
mose_tether_main(const MoseGuest *guest, MoseFarEnd *end, int go)
{
    g_autofree char *name = g_strdup(guest->name);
    g_autofree char *life = g_strdup(guest->far->life);
    MoseTetherLines *lines;
    gint64 trouble_until = 0;
    int again_ms = AGAIN_MS;

    if (!may_begin(go))
        _exit(1);
    leave_command(end);
    lines = mose_tether_lines_new(guest);
    for (;;) {
        g_autoptr(MoseGuest) now = NULL;
        g_autoptr(GError) error = NULL;

        if (end) {
            again_ms = AGAIN_MS;
            hold(end, lines, name, life, trouble_until);
            mose_tether_lines_disconnect(lines);
            g_clear_pointer(&end, mose_far_end_free);
        }
        now = look(name, life);
        if (!now)
            _exit(0);
        end = tie(now, &error);
        if (error)
            note(now, error);
        trouble_until = g_get_monotonic_time() + TROUBLE_US;
        if (!end) {
            poll(NULL, 0, again_ms);
            again_ms = MIN(2 * again_ms, AGAIN_MAX_MS);
        }
    }
}
