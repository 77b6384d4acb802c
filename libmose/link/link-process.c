/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a link process leaves the command that it was forked from; see link-process.h. */
#include "link/link-process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int
compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Descriptors that the command has open, other channels' ends above all, would hide its
 * end from those who wait for it. */
static void
keep_only(const MoseMuxSetup *setup)
{
    int keep[] = { setup->in,          setup->out,         setup->words,
                   setup->transport,   setup->life,        setup->channels[0],
                   setup->channels[1], setup->channels[2], setup->channels[3] };
    int next = 0, fd;

    G_STATIC_ASSERT(MOSE_LINK_N_CHANNELS == 4);
    qsort(keep, G_N_ELEMENTS(keep), sizeof(keep[0]), compare);
    for (gsize i = 0; i < G_N_ELEMENTS(keep); i++) {
        if (keep[i] > next)
            close_range((guint)next, (guint)keep[i] - 1, 0);
        next = MAX(next, keep[i] + 1);
    }
    close_range((guint)next, ~0U, 0);
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
