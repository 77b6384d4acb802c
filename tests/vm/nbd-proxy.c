/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way between a guest and its disks; see nbd-proxy.h. */
#include "vm/nbd-proxy.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/unix-socket.h"

#define CHUNK 65536
#define MAX_PAIRS 32

struct NbdProxy {
    char *path;
    char *target;
    GThread *thread;
    GMutex mutex;
    gboolean broken, ended; /* what the thread is to do; it is woken by @wake */
    int wake;
    int listening;
    int pairs[MAX_PAIRS][2];
    guint n;
};

static void
cut(NbdProxy *proxy, guint i)
{
    close(proxy->pairs[i][0]);
    close(proxy->pairs[i][1]);
    proxy->n--;
    proxy->pairs[i][0] = proxy->pairs[proxy->n][0];
    proxy->pairs[i][1] = proxy->pairs[proxy->n][1];
}

static void
join(NbdProxy *proxy)
{
    int near = accept4(proxy->listening, NULL, NULL, SOCK_CLOEXEC);
    int there = near < 0 || proxy->broken || proxy->n == MAX_PAIRS
                    ? -1
                    : mose_unix_connect(proxy->target, NULL);

    if (there >= 0) {
        proxy->pairs[proxy->n][0] = near;
        proxy->pairs[proxy->n++][1] = there;
    } else if (near >= 0) {
        close(near);
    }
}

/* FALSE at an end. */
static gboolean
pass(int from, int to)
{
    char buffer[CHUNK];
    gssize n = recv(from, buffer, sizeof(buffer), 0);

    for (gssize done = 0, sent; done < n; done += sent) {
        sent = send(to, buffer + done, n - done, MSG_NOSIGNAL);
        if (sent <= 0)
            return FALSE;
    }
    return n > 0;
}

/* One look at all descriptors; FALSE at the end. */
static gboolean
step(NbdProxy *proxy)
{
    struct pollfd fds[2 + 2 * MAX_PAIRS] = { { proxy->wake, POLLIN, 0 },
                                             { proxy->listening, POLLIN, 0 } };
    guint n = proxy->n;
    guint64 count;

    for (guint i = 0; i < 2 * n; i++)
        fds[2 + i] = (struct pollfd){ proxy->pairs[i / 2][i % 2], POLLIN, 0 };
    if (poll(fds, 2 + 2 * n, -1) < 0)
        return errno == EINTR;
    g_mutex_lock(&proxy->mutex);
    if (fds[0].revents && read(proxy->wake, &count, sizeof(count)) < 0)
        proxy->ended = TRUE;
    for (guint i = n; i-- > 0;) {
        int *pair = proxy->pairs[i];

        if (proxy->broken || (fds[2 + 2 * i].revents && !pass(pair[0], pair[1])) ||
            (fds[3 + 2 * i].revents && !pass(pair[1], pair[0])))
            cut(proxy, i);
    }
    if (fds[1].revents)
        join(proxy);
    g_mutex_unlock(&proxy->mutex);
    return !proxy->ended;
}

static gpointer
work(gpointer data)
{
    while (step(data))
        ;
    return NULL;
}

NbdProxy *
nbd_proxy_new(const char *path, const char *target)
{
    NbdProxy *proxy = g_new0(NbdProxy, 1);
    g_autoptr(GError) error = NULL;

    proxy->path = g_strdup(path);
    proxy->target = g_strdup(target);
    proxy->wake = eventfd(0, EFD_CLOEXEC);
    proxy->listening = mose_unix_listen_for(path, MAX_PAIRS, &error);
    g_assert_no_error(error);
    g_mutex_init(&proxy->mutex);
    proxy->thread = g_thread_new("nbd-proxy", work, proxy);
    return proxy;
}

static void
tell(NbdProxy *proxy, gboolean broken, gboolean ended)
{
    guint64 one = 1;

    g_mutex_lock(&proxy->mutex);
    proxy->broken = broken;
    proxy->ended = ended;
    g_mutex_unlock(&proxy->mutex);
    g_assert_cmpint(write(proxy->wake, &one, sizeof(one)), ==, sizeof(one));
}

void
nbd_proxy_free(NbdProxy *proxy)
{
    tell(proxy, TRUE, TRUE);
    g_thread_join(proxy->thread);
    close(proxy->wake);
    close(proxy->listening);
    unlink(proxy->path);
    g_mutex_clear(&proxy->mutex);
    g_free(proxy->path);
    g_free(proxy->target);
    g_free(proxy);
}

const char *
nbd_proxy_path(const NbdProxy *proxy)
{
    return proxy->path;
}

void
nbd_proxy_break(NbdProxy *proxy)
{
    tell(proxy, TRUE, FALSE);
    while (nbd_proxy_connections(proxy) > 0)
        g_usleep(1000);
}

void
nbd_proxy_mend(NbdProxy *proxy)
{
    tell(proxy, FALSE, FALSE);
}

guint
nbd_proxy_connections(NbdProxy *proxy)
{
    guint n;

    g_mutex_lock(&proxy->mutex);
    n = proxy->n;
    g_mutex_unlock(&proxy->mutex);
    return n;
}
