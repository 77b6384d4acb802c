/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads with names, each deep in a system call of its own: read() of a pipe that
 * nobody writes to, futex() for a mutex that is held, poll(), pause().
 */
#include "witness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    const char *name;
    long number; /* of the system call */
    void (*sleep)(void);
    volatile pid_t tid;
} Thread;

static int pipe_fds[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void
sleep_in_read(void)
{
    char byte;

    (void)!read(pipe_fds[0], &byte, 1);
}

static void
sleep_in_futex(void)
{
    pthread_mutex_lock(&held);
}

static void
sleep_in_poll(void)
{
    struct pollfd wanted = { .fd = pipe_fds[0], .events = POLLIN };

    poll(&wanted, 1, -1);
}

static void
sleep_in_pause(void)
{
    pause();
}

static Thread threads[] = {
    { "wit-read", SYS_read, sleep_in_read, 0 },
    { "wit-futex", SYS_futex, sleep_in_futex, 0 },
    { "wit-poll", SYS_poll, sleep_in_poll, 0 },
    { "wit-pause", SYS_pause, sleep_in_pause, 0 },
};

static void *
run(void *data)
{
    Thread *thread = data;

    prctl(PR_SET_NAME, thread->name);
    thread->tid = (pid_t)syscall(SYS_gettid);
    for (;;)
        thread->sleep();
    return NULL;
}

static void
start(Thread *thread)
{
    pthread_t id;

    witness_check(pthread_create(&id, NULL, run, thread) == 0, thread->name);
    while (thread->tid == 0)
        usleep(1000);
    witness_wait_syscall(thread->tid, thread->number);
    printf("thread name=%s tid=%d pid=%d syscall=%ld run=%#lx sleep=%#lx", thread->name,
           thread->tid, getpid(), thread->number, (unsigned long)run,
           (unsigned long)thread->sleep);
    if (thread->number == SYS_read)
        printf(" fd=%d", pipe_fds[0]);
    putchar('\n');
}

void
witness_make_threads(void)
{
    witness_check(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe");
    pthread_mutex_lock(&held);
    for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++)
        start(&threads[i]);
}
