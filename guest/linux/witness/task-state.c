/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks made and waited for until they are what they are to be: told is only what has
 * come true.
 */
#include "witness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3000, PAUSE_NS = 10000000 };

static void
pause_shortly(void)
{
    const struct timespec pause = { .tv_nsec = PAUSE_NS };

    nanosleep(&pause, NULL);
}

/* The first line of a file; "" where there is none. */
static void
read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "r");

    line[0] = '\0';
    if (!file)
        return;
    if (!fgets(line, (int)size, file))
        line[0] = '\0';
    fclose(file);
}

void
witness_wait_state(pid_t pid, char state)
{
    char path[64], line[512];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (int i = 0; i < TRIES; i++) {
        const char *end;

        read_line(path, line, sizeof(line));
        end = strrchr(line, ')'); /* of the name, which may hold anything */
        if (end && strlen(end) > 2 && end[2] == state)
            return;
        pause_shortly();
    }
    errno = ETIMEDOUT;
    witness_die(path);
}

void
witness_wait_syscall(pid_t tid, long number)
{
    char path[64], line[512];

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
    for (int i = 0; i < TRIES; i++) {
        char *end;
        long in;

        read_line(path, line, sizeof(line));
        in = strtol(line, &end, 10);
        if (end != line && in == number)
            return;
        pause_shortly();
    }
    errno = ETIMEDOUT;
    witness_die(path);
}

pid_t
witness_fork(const char *name)
{
    const pid_t parent = getpid();
    pid_t pid;

    fflush(stdout);
    pid = fork();
    witness_check(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent && getppid() != 0) /* 0: of another PID namespace */
        _exit(0);
    return 0;
}
