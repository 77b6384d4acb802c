/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who says what the plugin is to do; see control.h. */
#include "plugin/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/core.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/line.h"

#define MAX_LINE (256 * 1024)

static int listener;
static int max_vcpus;

typedef struct {
    int fd;
    int passed; /* the descriptor that came last, or -1 */
    GString *input;
} Client;

/* --- lines --- */

static void
take_passed(Client *client, struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);

    if (!control || control->cmsg_type != SCM_RIGHTS ||
        control->cmsg_len != CMSG_LEN(sizeof(int)))
        return;
    mose_fd_close(client->passed);
    memcpy(&client->passed, CMSG_DATA(control), sizeof(int));
}

static gboolean
fill(Client *client)
{
    char buffer[4096];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector = { buffer, sizeof(buffer) };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              .msg_controllen = sizeof(control.space) };
    ssize_t n;

    do
        n = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0 || client->input->len + n > MAX_LINE)
        return FALSE;
    take_passed(client, &message);
    g_string_append_len(client->input, buffer, n);
    return TRUE;
}

/* Takes @answer over. A client that does not read has gone. */
static void
answer(const Client *client, JsonObject *object)
{
    g_autofree char *text = mose_json_text(object, FALSE);
    g_autofree char *line = g_strconcat(text, "\n", NULL);

    json_object_unref(object);
    (void)send(client->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- requests --- */

static JsonObject *
status(gboolean armed)
{
    return mose_json_object(
        "return", "o",
        mose_json_object("api", "i", (gint64)QEMU_PLUGIN_VERSION, "vcpus", "i",
                         (gint64)max_vcpus, "armed", "b", armed, "settled", "b",
                         core_is_settled(), "overrun", "b", core_was_overrun(), NULL),
        NULL);
}

/* Until a vCPU has come by, or the client has gone: FALSE. */
static gboolean
wait_settled(const Client *client)
{
    while (!core_is_settled()) {
        struct pollfd fds[] = { { core_settled_fd(), POLLIN, 0 },
                                { client->fd, POLLRDHUP, 0 } };

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return FALSE;
        if (fds[1].revents)
            return FALSE;
        /* It may be of a vCPU that came by too late for what was wanted before. */
        core_acknowledge();
    }
    return TRUE;
}

static gboolean
arm(Client *client, JsonObject *request, GError **error)
{
    g_autoptr(Plan) plan = plan_new(request, client->passed, error);

    mose_fd_close(mose_fd_steal(&client->passed));
    if (!plan)
        return FALSE;
    if (plan->n_vcpus < (guint)max_vcpus) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "rings for %u vCPUs of %d",
                    plan->n_vcpus, max_vcpus);
        return FALSE;
    }
    core_want(g_steal_pointer(&plan));
    return TRUE;
}

/* *@armed: whether something of this client's is wanted now. */
static gboolean
change(Client *client, JsonObject *request, gboolean *armed, GError **error)
{
    const char *what = mose_json_string(request, "execute", "");

    if (strcmp(what, "arm") == 0)
        return arm(client, request, error) && (*armed = TRUE);
    if (strcmp(what, "disarm") == 0) {
        core_want(NULL);
        *armed = FALSE;
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "there is no request %s", what);
    return FALSE;
}

/* FALSE: the client has gone. */
static gboolean
handle(Client *client, const char *line, gboolean *armed)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = mose_json_parse(line, -1, "the request", &error);

    if (request && strcmp(mose_json_string(request, "execute", ""), "status") != 0) {
        core_acknowledge();
        if (change(client, request, armed, &error)) {
            answer(client, mose_json_object("event", "s", "PENDING", NULL));
            if (!wait_settled(client))
                return FALSE;
        }
    }
    if (error)
        answer(client, mose_json_object("error", "s", error->message, NULL));
    else
        answer(client, status(*armed));
    return TRUE;
}

static void
serve(Client *client)
{
    gboolean armed = FALSE, here = TRUE;

    while (here) {
        g_autofree char *line = mose_line_take(client->input);

        here = line ? handle(client, line, &armed) : fill(client);
    }
    if (armed)
        core_want(NULL);
}

/* QEMU's user, or root: nobody else may look into its guest. */
static gboolean
is_welcome(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static gpointer
control_main(gpointer data)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            break;
        if (fd >= 0 && is_welcome(fd)) {
            Client client = { fd, MOSE_FD_NONE, g_string_new(NULL) };

            serve(&client);
            mose_fd_close(client.passed);
            g_string_free(client.input, TRUE);
        }
        mose_fd_close(fd);
    }
    return NULL;
}

/* QEMU's signals are for its own threads. */
gboolean
control_begin(int fd, int n_vcpus, GError **error)
{
    sigset_t all, before;
    GThread *thread;

    listener = fd;
    max_vcpus = n_vcpus;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = g_thread_try_new("mose-control", control_main, NULL, error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!thread)
        return FALSE;
    g_thread_unref(thread);
    return TRUE;
}
