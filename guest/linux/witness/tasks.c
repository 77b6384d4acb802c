/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Child processes: one in each state, one of another user, and as many more as are
 * asked for. `state` is the letter of /proc/PID/stat.
 */
#include "witness.h"

#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UID = 1234, GID = 2345, GROUP = 3456 };

__attribute__((noreturn)) static void
sleep_for_ever(void)
{
    for (;;)
        pause();
}

static void
tell(const char *name, pid_t pid, char state)
{
    witness_wait_state(pid, state);
    printf("task name=%s pid=%d state=%c uid=0 gid=0\n", name, pid, state);
}

static void
make_sleeping(void)
{
    pid_t pid = witness_fork("wit-sleep");

    if (pid == 0)
        sleep_for_ever();
    tell("wit-sleep", pid, 'S');
}

static void
make_stopped(void)
{
    pid_t pid = witness_fork("wit-stop");

    if (pid == 0) {
        raise(SIGSTOP);
        sleep_for_ever();
    }
    tell("wit-stop", pid, 'T');
    pid = witness_fork("wit-trace");
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        sleep_for_ever();
    }
    tell("wit-trace", pid, 't');
}

static void
make_zombie(void)
{
    pid_t pid = witness_fork("wit-zombie");

    if (pid == 0)
        _exit(3);
    tell("wit-zombie", pid, 'Z');
}

/* Who waits for the child of a vfork() sleeps so that only death wakes it, which counts
 * as D (Linux kernel/fork.c: wait_for_vfork_done). */
static void
make_uninterruptible(void)
{
    pid_t pid = witness_fork("wit-disk");

    if (pid == 0) {
        if (vfork() == 0) {
            prctl(PR_SET_NAME, "wit-vfork");
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            sleep_for_ever();
        }
        _exit(0);
    }
    tell("wit-disk", pid, 'D');
}

static void
make_user(void)
{
    const gid_t group = GROUP;
    int ready[2];
    char byte;
    pid_t pid;

    witness_check(pipe(ready) == 0, "pipe");
    pid = witness_fork("wit-user");
    if (pid == 0) {
        witness_check(setgroups(1, &group) == 0 && setgid(GID) == 0 && setuid(UID) == 0,
                      "setuid");
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's is forgotten */
        witness_check(write(ready[1], "", 1) == 1, "write");
        sleep_for_ever();
    }
    close(ready[1]);
    witness_check(read(ready[0], &byte, 1) == 1, "wit-user");
    close(ready[0]);
    witness_wait_state(pid, 'S');
    printf("task name=wit-user pid=%d state=S uid=%d gid=%d group=%d\n", pid, UID, GID,
           GROUP);
}

/* Each is told when it is made; all sleep at the end. */
static void
make_more(unsigned long count)
{
    pid_t pid = 0;

    for (unsigned long i = 1; i <= count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "wit-%05lu", i);
        pid = witness_fork(name);
        if (pid == 0)
            sleep_for_ever();
        printf("task name=%s pid=%d state=S uid=0 gid=0\n", name, pid);
    }
    if (count > 0)
        witness_wait_state(pid, 'S');
}

void
witness_make_tasks(unsigned long more)
{
    make_sleeping();
    make_stopped();
    make_zombie();
    make_uninterruptible();
    make_user();
    make_more(more);
}
