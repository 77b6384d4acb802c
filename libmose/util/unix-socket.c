/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unix sockets at any path; see unix-socket.h. */
#include "util/unix-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

/*
 * Fill @addr so that it names @path for as long as *@ret_dir is open. The name
 * in the directory itself must be short.
 */
static gboolean
address_of(const char *path, struct sockaddr_un *addr, MoseFd *ret_dir, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);

    *ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0) {
        mose_error_set_errno(error, errno, "cannot open the directory of socket %s",
                             path);
        return FALSE;
    }
    addr->sun_family = AF_UNIX;
    if (g_snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s",
                   *ret_dir, base) >= (int)sizeof(addr->sun_path)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the name of socket %s is too long", path);
        return FALSE;
    }
    return TRUE;
}

int
mose_unix_listen(const char *path, GError **error)
{
    return mose_unix_listen_for(path, 8, error);
}

int
mose_unix_listen_for(const char *path, int backlog, GError **error)
{
    g_auto(MoseFd) dir = MOSE_FD_NONE;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    struct sockaddr_un addr = { 0 };

    if (!address_of(path, &addr, &dir, error))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(addr.sun_path);
    /* The mode of the socket node is the descriptor's, less the umask. */
    if (fd < 0 || fchmod(fd, 0600) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, backlog) < 0) {
        mose_error_set_errno(error, errno, "cannot listen at %s", path);
        return -1;
    }
    return mose_fd_steal(&fd);
}

static int
connect_to(const char *path, int flags, GError **error)
{
    g_auto(MoseFd) dir = MOSE_FD_NONE;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    struct sockaddr_un addr = { 0 };

    if (!address_of(path, &addr, &dir, error))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "nobody listens at %s",
                        path);
        else
            mose_error_set_errno(error, errno, "cannot connect to %s", path);
        return -1;
    }
    return mose_fd_steal(&fd);
}

int
mose_unix_connect(const char *path, GError **error)
{
    return connect_to(path, 0, error);
}

int
mose_unix_connect_at_once(const char *path, GError **error)
{
    return connect_to(path, SOCK_NONBLOCK, error);
}
