/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's dump of a guest, received through a pipe; see dump.h for why. It writes in a
 * thread of its own ("detach"), so that its monitor answers meanwhile, and lets the
 * guest run when it is done or cannot write any more.
 */
#include "vmi/dump-qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/dump-live.h"

#define FD_NAME "mose-dump"
#define PIPE_SIZE (1 << 20)
#define PROGRESS_US 200000
/* From the end of the pipe to that of the dump, and the guest's going on. */
#define END_TIMEOUT_MS 10000
/* QEMU writes when it has something to write: it has to pack it at most. */
#define SILENCE_MS 60000

gboolean
mose_dump_qemu_can(MoseQmp *qmp, const char *format, GError **error)
{
    g_autoptr(JsonObject) answer =
        mose_qmp_query(qmp, "query-dump-guest-memory-capability", NULL, error);
    JsonArray *formats = answer ? mose_json_array(answer, "formats") : NULL;
    guint n = formats ? json_array_get_length(formats) : 0;

    if (!answer)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        JsonNode *node = json_array_get_element(formats, i);

        if (JSON_NODE_HOLDS_VALUE(node) &&
            g_strcmp0(json_node_get_string(node), format) == 0)
            return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "this QEMU cannot write a dump as %s", format);
    return FALSE;
}

/* It writes into the pipe from here on; *@ret is the end to read from. */
static gboolean
begin(MoseQmp *qmp, const char *format, MoseFd *ret, GError **error)
{
    int ends[2];
    gboolean good;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        mose_error_set_errno(error, errno, "cannot make a pipe");
        return FALSE;
    }
    *ret = ends[0];
    /* More than a pipe may have is no reason to fail. */
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    good = mose_qmp_send_fd(qmp, FD_NAME, ends[1], error);
    /* QEMU's is the only one, so that its end is the pipe's. */
    close(ends[1]);
    if (!good)
        return FALSE;
    if (mose_qmp_run(qmp, "dump-guest-memory",
                     mose_json_object("paging", "b", FALSE, "protocol", "s",
                                      "fd:" FD_NAME, "detach", "b", TRUE, "format", "s",
                                      format, NULL),
                     error))
        return TRUE;
    /* It is still there where QEMU did not even look for it. */
    mose_qmp_run(qmp, "closefd", mose_json_object("fdname", "s", FD_NAME, NULL), NULL);
    return FALSE;
}

static void
tell(MoseQmp *qmp, const MoseDumpOptions *options, gint64 *last)
{
    gint64 now = g_get_monotonic_time();
    g_autoptr(JsonObject) answer = NULL;

    if (!options->progress || now - *last < PROGRESS_US)
        return;
    *last = now;
    answer = mose_qmp_query(qmp, "query-dump", NULL, NULL);
    if (answer)
        mose_dump_tell(options, mose_json_int(answer, "completed", 0),
                       mose_json_int(answer, "total", 0));
}

/* Wait until there is something to read. */
static gboolean
wait_input(int fd, int interrupt_fd, GError **error)
{
    struct pollfd fds[2] = { { fd, POLLIN, 0 },
                             { interrupt_fd > 0 ? interrupt_fd : -1, POLLIN, 0 } };
    int n;

    do
        n = poll(fds, 2, SILENCE_MS);
    while (n < 0 && errno == EINTR);
    if (n > 0 && !fds[1].revents)
        return TRUE;
    if (n > 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED, "interrupted");
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "QEMU has written nothing for %d s", SILENCE_MS / 1000);
    return FALSE;
}

/* All that comes, to the pipe's end. */
static gboolean
receive(MoseQmp *qmp, int fd, MoseDumpSink *sink, const MoseDumpOptions *options,
        GError **error)
{
    g_autofree guint8 *buffer = g_malloc(PIPE_SIZE);
    gint64 last = 0;

    for (;;) {
        gssize n;

        if (!wait_input(fd, options->interrupt_fd, error))
            return FALSE;
        n = read(fd, buffer, PIPE_SIZE);
        if (n == 0)
            return TRUE;
        if (n < 0 && errno != EINTR) {
            mose_error_set_errno(error, errno, "cannot read what QEMU dumps");
            return FALSE;
        }
        if (n > 0 && !sink->feed(sink, buffer, n, error))
            return FALSE;
        tell(qmp, options, &last);
    }
}

/* How long the guest stood still, by QEMU's own clock. 0 where it did not run before.
 */
static gboolean
wait_running(MoseQmp *qmp, gint64 *ret_stood_us, GError **error)
{
    MoseQmpEvent event;
    gint64 stopped;

    *ret_stood_us = 0;
    if (!mose_qmp_take_event(qmp, "STOP", &event))
        return TRUE;
    stopped = event.time_us;
    if (!mose_qmp_wait_event(qmp, "RESUME", END_TIMEOUT_MS, -1, &event, error))
        return FALSE;
    *ret_stood_us = MAX(event.time_us - stopped, 0);
    return TRUE;
}

/* QEMU is done with it, one way or the other. */
static gboolean
wait_end(MoseQmp *qmp, gint64 *ret_stood_us, GError **error)
{
    MoseQmpEvent event;
    g_autofree char *failed = NULL;

    if (!mose_qmp_wait_event(qmp, "DUMP_COMPLETED", END_TIMEOUT_MS, -1, &event, error))
        return FALSE;
    failed = g_strdup(mose_json_string(event.data, "error", NULL));
    if (!wait_running(qmp, ret_stood_us, error))
        return FALSE;
    if (failed)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "QEMU: %s", failed);
    return !failed;
}

gboolean
mose_dump_qemu(MoseQmp *qmp, MoseDumpSink *sink, const MoseDumpOptions *options,
               const char *format, gint64 *ret_stood_us, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    g_autoptr(GError) ours = NULL, theirs = NULL;
    gboolean received;

    if (!begin(qmp, format, &fd, error))
        return FALSE;
    received = receive(qmp, fd, sink, options, &ours);
    /* Where there is more to come, this ends it: QEMU's next write fails. */
    mose_fd_close(mose_fd_steal(&fd));
    if (wait_end(qmp, ret_stood_us, &theirs) && received)
        return sink->finish(sink, error);
    g_propagate_error(error, ours ? g_steal_pointer(&ours) : g_steal_pointer(&theirs));
    return FALSE;
}
