/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's way from the source to the destination: sockets, capabilities, and
 * the rules on the relay's thread. See move.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "switch/move.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/*
 * From the rewritten stream to the guest's next instruction: the destination's
 * load, its answer, `cont`. What the guest's last switches needed is the best
 * guess, within these bounds; this much without one (bench/switch). A guess that
 * was too long makes the guest stand still longer; one that was too short makes
 * its clock late until the next switch.
 */
#define REST_GUESS_US 2500
#define REST_MIN_US 1000
#define REST_MAX_US 5000
#define REST_MEMORY 3 /* switches in one direction */
/* How much later than the stream its STOP may be read on a busy host. */
#define STOP_LAG_US 100000

/* --- the rewriting, on the relay's thread --- */

/* The least that one of the last switches in this direction needed from here on:
 * one that was held up by a busy host is not a guess for the next. */
static gint64
expected_rest_us(const MoseMove *move)
{
    JsonArray *timeline = move->guest->timeline;
    const char *side = mose_side_name(move->options->side);
    gint64 least = G_MAXINT64;
    guint seen = 0;

    for (guint i = json_array_get_length(timeline); i-- > 0 && seen < REST_MEMORY;) {
        JsonObject *event = mose_json_element(timeline, i);
        gint64 rest = mose_json_int(event, "rest-us", 0);

        if (rest <= 0 || strcmp(mose_json_string(event, "side", ""), side) != 0)
            continue;
        least = MIN(least, rest);
        seen++;
    }
    return seen ? CLAMP(least, REST_MIN_US, REST_MAX_US) : REST_GUESS_US;
}

/* Wait for the main thread to have read the source's STOP, which QEMU sent before
 * the stream that the rules work on. */
static gboolean
wait_for_stop(MoseMove *move)
{
    gint64 deadline = g_get_monotonic_time() + STOP_LAG_US;
    gboolean seen = TRUE;

    g_mutex_lock(&move->stop_lock);
    while (seen && !move->stopped_seen)
        seen = g_cond_wait_until(&move->stop_cond, &move->stop_lock, deadline);
    g_mutex_unlock(&move->stop_lock);
    return seen;
}

/* The guest's clocks are set for one moment, and it resumes then, not before. */
static gint64
stopped_ns(gpointer data, guint64 tsc)
{
    MoseMove *move = data;
    gint64 rest_us = expected_rest_us(move);
    MoseTscSample now;
    guint64 khz;

    if (!move->was_running || !wait_for_stop(move))
        return 0;
    now = mose_tsc_sample();
    khz = mose_tsc_khz(&move->tsc, &now);
    move->rewritten_us = g_get_real_time();
    move->due_us = move->rewritten_us + rest_us;
    return mose_clock_advance(&move->clock, tsc, now.tsc + rest_us * khz / 1000, khz,
                              (move->due_us - move->stop_us) * 1000);
}

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len)
{
    const MoseMove *move = data;

    return mose_ram_read(move->ram, address, to, len);
}

static gboolean
rewrite(MoseDoc *doc, gpointer data, GError **error)
{
    MoseMove *move = data;
    MoseTscSample now = mose_tsc_sample();
    MoseRuleContext context = { mose_move_direction(move),
                                mose_tsc_khz(&move->tsc, &now), stopped_ns, read_memory,
                                move };

    if (move->options->tamper &&
        !move->options->tamper(doc, move->options->data, error))
        return FALSE;
    return mose_rules_rewrite(&context, doc, move->options->without_rule, move->changed,
                              error);
}

/* --- connecting --- */

/* Only what this operation needs: another one may have left its own. */
static gboolean
set_capabilities(MoseQmp *qmp, GError **error)
{
    static const struct {
        const char *name;
        gboolean on;
    } wanted[] = {
        { "events", TRUE },
        { "x-ignore-shared", TRUE },
        { "return-path", TRUE },
        { "late-block-activate", TRUE },
        { "pause-before-switchover", FALSE },
        { "multifd", FALSE },
        { "postcopy-ram", FALSE },
        { "xbzrle", FALSE },
        { "auto-converge", FALSE },
        { "mapped-ram", FALSE },
    };
    JsonArray *list = json_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        json_array_add_object_element(list, mose_json_object("capability", "s",
                                                             wanted[i].name, "state",
                                                             "b", wanted[i].on, NULL));
    return mose_qmp_run(qmp, "migrate-set-capabilities",
                        mose_json_object("capabilities", "a", list, NULL), error);
}

/* What is left when RAM stays where it is goes at once, at any speed. */
static gboolean
set_limits(MoseQmp *qmp, GError **error)
{
    return mose_qmp_run(qmp, "migrate-set-parameters",
                        mose_json_object("max-bandwidth", "i", (gint64)0,
                                         "downtime-limit", "i", (gint64)100000, NULL),
                        error);
}

/* One end of a new socket pair goes to QEMU as "mose", the other is returned. */
static int
give_socket(MoseQmp *qmp, GError **error)
{
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        mose_error_set_errno(error, errno, "cannot make a socket pair");
        return -1;
    }
    ours = pair[0];
    theirs = pair[1];
    if (!mose_qmp_send_fd(qmp, "mose", theirs, error))
        return -1;
    return mose_fd_steal(&ours);
}

static gboolean
watch(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* What ends a wait for the move: the relay's failure, and the user. */
static gboolean
open_wake_fd(MoseMove *move, GError **error)
{
    int user = move->options->interrupt_fd;

    move->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (move->wake_fd >= 0 &&
        watch(move->wake_fd, mose_relay_failure_fd(move->relay)) &&
        (user <= 0 || watch(move->wake_fd, user)))
        return TRUE;
    mose_error_set_errno(error, errno, "cannot watch the move");
    return FALSE;
}

gboolean
mose_move_connect(MoseMove *move, GError **error)
{
    g_auto(MoseFd) source = MOSE_FD_NONE;
    g_auto(MoseFd) destination = MOSE_FD_NONE;
    MoseQmp *to = move->destination->qmp;

    if (!set_capabilities(move->source_qmp, error) || !set_capabilities(to, error) ||
        !set_limits(move->source_qmp, error))
        return FALSE;
    source = give_socket(move->source_qmp, error);
    destination = source < 0 ? -1 : give_socket(to, error);
    if (destination < 0)
        return FALSE;
    /* The guardian was forked before this thread was made. */
    move->relay = mose_relay_start(mose_fd_steal(&source), mose_fd_steal(&destination),
                                   rewrite, move, error);
    return move->relay && open_wake_fd(move, error) &&
           mose_qmp_run(to, "migrate-incoming",
                        mose_json_object("uri", "s", "fd:mose", NULL), error);
}
