/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that sleep in a page fault which nobody handles (userfaultfd): wit-touch took
 * it in its own code, wit-fault in the kernel, which copies to it what a read() got. To
 * see stacks with an exception in them.
 */
#include "witness.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    const char *name;
    long number; /* of the system call; -1: none */
    volatile char *page;
    int fd; /* to read from */
    volatile pid_t tid;
} Fault;

static void *
run(void *data)
{
    Fault *fault = data;

    prctl(PR_SET_NAME, fault->name);
    fault->tid = (pid_t)syscall(SYS_gettid);
    if (fault->number == SYS_read)
        (void)!read(fault->fd, (char *)fault->page, 1);
    else
        *fault->page = 1;
    return NULL;
}

static char *
make_pages(size_t size)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    char *pages =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    witness_check(fd >= 0, "userfaultfd");
    witness_check(pages != MAP_FAILED, "mmap");
    range.range.start = (uintptr_t)pages;
    range.range.len = size;
    witness_check(ioctl(fd, UFFDIO_API, &api) == 0 &&
                      ioctl(fd, UFFDIO_REGISTER, &range) == 0,
                  "userfaultfd");
    return pages;
}

static void
start(Fault *fault)
{
    pthread_t id;

    witness_check(pthread_create(&id, NULL, run, fault) == 0, fault->name);
    while (fault->tid == 0)
        usleep(1000);
    witness_wait_syscall(fault->tid, fault->number);
    printf("thread name=%s tid=%d pid=%d syscall=%ld address=%#lx\n", fault->name,
           fault->tid, getpid(), fault->number, (unsigned long)fault->page);
}

void
witness_make_faults(void)
{
    static Fault faults[] = {
        { "wit-fault", SYS_read, NULL, 0, 0 },
        { "wit-touch", -1, NULL, 0, 0 },
    };
    char *pages = make_pages(2 * WITNESS_PAGE);
    int fds[2];

    witness_check(pipe2(fds, O_CLOEXEC) == 0 && write(fds[1], "x", 1) == 1, "pipe");
    faults[0].page = pages;
    faults[0].fd = fds[0];
    faults[1].page = pages + WITNESS_PAGE;
    start(&faults[0]);
    start(&faults[1]);
}
