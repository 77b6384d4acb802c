/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that ask the command to end become a readable descriptor. */
#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int interrupted_fd;

static void
note(int number)
{
    const uint64_t one = 1;
    int saved_errno = errno;

    /* A counter that is full is as readable as one that isn't. */
    if (write(interrupted_fd, &one, sizeof(one)) < 0)
        errno = saved_errno;
}

int
mose_cli_catch_interrupts(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };
    struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };

    /* A command that is stopped by its terminal could leave the guest standing still,
     * and the guardian waits for its end only. */
    for (gsize i = 0; i < G_N_ELEMENTS(stops); i++)
        signal(stops[i], SIG_IGN);
    interrupted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (interrupted_fd < 0)
        return 0;
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct sigaction before;

        /* nohup(1) has it ignored, and so it stays. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return interrupted_fd;
}
