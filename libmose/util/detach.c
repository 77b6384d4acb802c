/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See detach.h. */
#include "util/detach.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/fd.h"

static void
set_signals(void)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void
mose_detach(const char *name, int *keep, gsize n)
{
    int fd;

    set_signals();
    mose_fd_keep_only(keep, n);
    while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= 2)
        ;
    if (fd > 2)
        mose_fd_close(fd);
    setsid();
    prctl(PR_SET_NAME, name);
}
