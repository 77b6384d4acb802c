/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link as its command has it: how it begins and ends; see link.h. */
#include "link/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link/hello.h"
#include "link/link-process.h"
#include "link/mux.h"
#include "link/transport.h"
#include "util/error.h"
#include "util/fd.h"

/* For the link process to end: more than it takes for itself (mux.c). */
#define END_MS 5000
/* For a transport whose output has ended to end itself. */
#define FATE_MS 2000

struct MoseLink {
    pid_t pid; /* of the link process */
    MoseFd pidfd;
    MoseFd life; /* its end is the link's */
    MoseFd channels[MOSE_LINK_N_CHANNELS];
    MoseTransport transport;
    MoseMuxReport *report; /* shared with the link process */
};

/* --- beginning --- */

static MoseLink *
link_new(void)
{
    MoseLink *link = g_new0(MoseLink, 1);

    link->pidfd = link->life = MOSE_FD_NONE;
    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        link->channels[i] = MOSE_FD_NONE;
    link->transport = (MoseTransport){ 0, -1, -1, -1, -1, 0 };
    link->report = mmap(NULL, sizeof(*link->report), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return link;
}

static gboolean
make_sockets(MoseLink *link, MoseMuxSetup *setup, GError **error)
{
    int ends[2];

    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            break;
        link->channels[i] = ends[0];
        setup->channels[i] = ends[1];
        mose_link_enlarge(ends[0]);
        mose_link_enlarge(ends[1]);
    }
    if (setup->channels[MOSE_LINK_N_CHANNELS - 1] >= 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
        link->life = ends[0];
        setup->life = ends[1];
        return TRUE;
    }
    mose_error_set_errno(error, errno, "cannot prepare the link");
    return FALSE;
}

static void
close_setup(MoseMuxSetup *setup)
{
    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        mose_fd_close(setup->channels[i]);
    mose_fd_close(setup->life);
}

static gboolean
fork_process(MoseLink *link, MoseMuxSetup *setup, GError **error)
{
    gboolean ok = make_sockets(link, setup, error);
    sigset_t all, before;

    /* What comes before the link process ignores it would end that. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    link->pid = ok ? fork() : 0;
    if (ok && link->pid == 0)
        mose_link_process_main(setup);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (ok && link->pid < 0) {
        mose_error_set_errno(error, errno, "cannot start the link process");
        link->pid = 0;
        ok = FALSE;
    }
    if (ok)
        link->pidfd = pidfd_open(link->pid, 0);
    close_setup(setup);
    return ok;
}

/* The wire has been greeted over: what the link process gets. */
static gboolean
begin(MoseLink *link, int in, int out, gboolean near, const MoseLinkOptions *options,
      GError **error)
{
    MoseMuxSetup setup = { .in = in,
                           .out = out,
                           .words = link->transport.words,
                           .transport = link->transport.pidfd,
                           .life = -1,
                           .channels = { -1, -1, -1, -1 },
                           .near = near,
                           .options = *options,
                           .report = link->report };

    return fork_process(link, &setup, error);
}

static MoseLinkOptions
with_defaults(const MoseLinkOptions *options)
{
    MoseLinkOptions ret = options ? *options : (MoseLinkOptions){ 0 };

    if (ret.hello_ms == 0)
        ret.hello_ms = MOSE_LINK_HELLO_MS;
    if (ret.silence_ms == 0)
        ret.silence_ms = MOSE_LINK_SILENCE_MS;
    return ret;
}

/* The transport has ended before it carried a link: say how, and with which words. */
static void
explain_transport(MoseLink *link, const char *name, GString *said, GError **error)
{
    MoseTransport *transport = &link->transport;
    const gboolean ended = g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_CLOSED) &&
                           mose_transport_wait(transport, FATE_MS);
    g_autofree char *line = NULL, *fate = NULL;

    /* One read has all that its pipe held, or as much as an error can say. */
    mose_said_read(said, transport->words);
    line = mose_said_line(said);
    fate = mose_transport_fate(transport);
    if (ended)
        g_prefix_error(error, "%s %s%s%s; ", name, fate, *line ? ": " : "", line);
    else if (*line)
        g_prefix_error(error, "%s says '%s'; ", name, line);
}

MoseLink *
mose_link_open(const char *const *argv, const MoseLinkOptions *options,
               int interrupt_fd, GError **error)
{
    const MoseLinkOptions limits = with_defaults(options);
    g_autoptr(MoseLink) link = link_new();
    g_autoptr(GString) said = g_string_new(NULL);
    MoseTransport *transport = &link->transport;
    g_autofree char *line = NULL;
    GError *cause = NULL;

    if (link->report == MAP_FAILED) {
        mose_error_set_errno(error, errno, "cannot prepare the link");
        return NULL;
    }
    if (!mose_transport_start(transport, argv, error))
        return NULL;
    if (!mose_hello_exchange(transport->in, transport->out, TRUE, limits.hello_ms,
                             interrupt_fd, transport->words, said, &cause)) {
        explain_transport(link, argv[0], said, &cause);
        g_propagate_error(error, cause);
        return NULL;
    }
    line = mose_said_line(said);
    g_strlcpy(link->report->said, line, sizeof(link->report->said));
    if (!begin(link, transport->in, transport->out, TRUE, &limits, error))
        return NULL;
    mose_transport_close(transport);
    return g_steal_pointer(&link);
}

/* Ours of the wire: the link process has it. */
static void
give_up(int fd)
{
    g_auto(MoseFd) null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd > 2)
        close(fd);
    else if (null_fd >= 0)
        dup2(null_fd, fd);
}

MoseLink *
mose_link_accept(int in, int out, const MoseLinkOptions *options, GError **error)
{
    const MoseLinkOptions limits = with_defaults(options);
    g_autoptr(MoseLink) link = link_new();
    gboolean ok = link->report != MAP_FAILED;

    if (!ok)
        mose_error_set_errno(error, errno, "cannot prepare the link");
    fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    mose_link_enlarge(out);
    ok = ok &&
         mose_hello_exchange(in, out, FALSE, limits.hello_ms, -1, -1, NULL, error) &&
         begin(link, in, out, FALSE, &limits, error);
    give_up(in);
    if (out != in)
        give_up(out);
    return ok ? g_steal_pointer(&link) : NULL;
}

/* --- what it is asked --- */

int
mose_link_channel(const MoseLink *link, guint channel)
{
    return channel < MOSE_LINK_N_CHANNELS ? link->channels[channel] : MOSE_FD_NONE;
}

int
mose_link_take_channel(MoseLink *link, guint channel)
{
    if (channel >= MOSE_LINK_N_CHANNELS)
        return MOSE_FD_NONE;
    return mose_fd_steal(&link->channels[channel]);
}

int
mose_link_fd(const MoseLink *link)
{
    return link->life;
}

gboolean
mose_link_is_up(const MoseLink *link)
{
    struct pollfd fd = { link->life, POLLIN, 0 };
    int n;

    while ((n = poll(&fd, 1, 0)) < 0 && errno == EINTR)
        ;
    return n == 0;
}

gboolean
mose_link_check(const MoseLink *link, GError **error)
{
    g_autofree char *text = NULL;

    if (mose_link_is_up(link))
        return TRUE;
    text = g_strndup(link->report->text, sizeof(link->report->text) - 1);
    if (*text)
        g_set_error_literal(error, MOSE_ERROR, link->report->code, text);
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the link has ended: its process %d has died", (int)link->pid);
    return FALSE;
}

char *
mose_link_said(const MoseLink *link)
{
    /* It may be written to meanwhile. */
    g_autofree char *said =
        g_strndup(link->report->said, sizeof(link->report->said) - 1);

    return g_utf8_make_valid(said, -1);
}

pid_t
mose_link_pid(const MoseLink *link)
{
    return link->pid;
}

pid_t
mose_link_transport_pid(const MoseLink *link)
{
    return link->transport.pid;
}

gsize
mose_link_descriptors(const MoseLink *link, int *ret)
{
    const MoseTransport *transport = &link->transport;
    const int others[] = { link->pidfd,   link->life,     transport->pidfd,
                           transport->in, transport->out, transport->words };

    memcpy(ret, link->channels, sizeof(link->channels));
    memcpy(ret + MOSE_LINK_N_CHANNELS, others, sizeof(others));
    G_STATIC_ASSERT(G_N_ELEMENTS(others) == MOSE_LINK_MAX_FDS - MOSE_LINK_N_CHANNELS);
    return MOSE_LINK_MAX_FDS;
}

/* --- ending --- */

static void
end_process(MoseLink *link)
{
    struct pollfd fd = { link->pidfd, POLLIN, 0 };
    int n;

    if (link->pid == 0)
        return;
    while ((n = poll(&fd, 1, END_MS)) < 0 && errno == EINTR)
        ;
    if (n <= 0 || link->pidfd < 0)
        kill(link->pid, SIGKILL);
    /* Where the link was opened by our parent, it is not our child. */
    waitpid(link->pid, NULL, 0);
}

static void
close_own(MoseLink *link)
{
    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        mose_fd_close(mose_fd_steal(&link->channels[i]));
    mose_fd_close(mose_fd_steal(&link->life));
}

static void
release(MoseLink *link)
{
    mose_fd_close(link->pidfd);
    if (link->report != MAP_FAILED)
        munmap(link->report, sizeof(*link->report));
    g_free(link);
}

void
mose_link_free(MoseLink *link)
{
    if (!link)
        return;
    close_own(link);
    end_process(link);
    mose_transport_end(&link->transport);
    release(link);
}

void
mose_link_leave(MoseLink *link)
{
    if (!link)
        return;
    close_own(link);
    mose_transport_close(&link->transport);
    mose_fd_close(link->transport.pidfd);
    release(link);
}
