/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a link process leaves the command that it was forked from; see link-process.h. */
#include "link/link-process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/fd.h"

/* Descriptors that the command has open, other channels' ends above all, would hide its
 * end from those who wait for it. */
static void
keep_only(const MoseMuxSetup *setup)
{
    int keep[] = { setup->in,          setup->out,         setup->words,
                   setup->transport,   setup->life,        setup->channels[0],
                   setup->channels[1], setup->channels[2], setup->channels[3] };
    int fd;

    G_STATIC_ASSERT(MOSE_LINK_N_CHANNELS == 4);
    mose_fd_keep_only(keep, G_N_ELEMENTS(keep));
    /* Nothing that is opened later gets the number of a standard stream. */
    while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= 2)
        ;
    if (fd > 2)
        close(fd);
}

void
mose_link_process_main(const MoseMuxSetup *setup)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN },
                     usual = { .sa_handler = SIG_DFL };
    sigset_t none;

    /* What ends the command must not end the link before the command has used it for
     * the last time. */
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGTERM, &usual, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_NAME, "mose-link");
    keep_only(setup);
    mose_mux_run(setup);
    _exit(0);
}
