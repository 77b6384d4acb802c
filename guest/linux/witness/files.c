/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open files of each sort, and one that is in the page cache alone: nobody has it open
 * or mapped. Of an open one `link` is what /proc/PID/fd says, with _ for blanks.
 */
#include "witness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void
tell(const char *kind, int fd, const char *more)
{
    char name[64], link[PATH_MAX];
    struct stat st;
    ssize_t len;

    witness_check(fd >= 0 && fstat(fd, &st) == 0, kind);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    len = readlink(name, link, sizeof(link) - 1);
    witness_check(len > 0, name);
    link[len] = '\0';
    for (char *at = link; *at; at++)
        if (*at == ' ')
            *at = '_';
    printf("fd kind=%s fd=%d inode=%" PRIu64 " link=%s%s\n", kind, fd,
           (uint64_t)st.st_ino, link, more);
}

/* Write @size bytes that @seed tells. */
static void
write_filled(int fd, size_t size, uint64_t seed)
{
    void *contents = malloc(size);

    witness_check(contents != NULL, "malloc");
    witness_fill(contents, size, seed);
    witness_check(write(fd, contents, size) == (ssize_t)size, "write");
    free(contents);
}

static int
create(const char *name, size_t size, uint64_t seed)
{
    int fd = open(witness_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    witness_check(fd >= 0, name);
    write_filled(fd, size, seed);
    return fd;
}

/* The position is told, too. */
static void
make_regular(void)
{
    const size_t size = 3 * (size_t)WITNESS_PAGE;
    int fd = create("open", size, 0x9e4);

    witness_check(lseek(fd, 1234, SEEK_SET) == 1234, "lseek");
    tell("regular", fd, " size=12288 seed=0x9e4 position=1234");
    fd = create("unlinked", size, 0xde1e7ed);
    witness_check(unlink(witness_path("unlinked")) == 0, "unlink");
    tell("unlinked", fd, " size=12288 seed=0xde1e7ed");
    fd = memfd_create("wit-memfd", MFD_CLOEXEC);
    witness_check(fd >= 0, "memfd_create");
    write_filled(fd, size, 0x3e3fd);
    tell("memfd", fd, " size=12288 seed=0x3e3fd");
}

/* 17 pages, the last one not whole. */
static void
make_cached(void)
{
    const size_t size = 16 * (size_t)WITNESS_PAGE + 1000;
    int fd = create("cached", size, 0xcac4ed);
    struct stat st;

    witness_check(fsync(fd) == 0 && fstat(fd, &st) == 0, "cached");
    close(fd);
    printf("cached path=%s inode=%" PRIu64 " size=%zu seed=0xcac4ed\n",
           witness_path("cached"), (uint64_t)st.st_ino, size);
}

/* The pipe holds five bytes. */
static void
make_pipe(void)
{
    int fds[2];

    witness_check(pipe2(fds, O_CLOEXEC) == 0 && write(fds[1], "piped", 5) == 5, "pipe");
    tell("pipe-read", fds[0], " holds=5");
    tell("pipe-write", fds[1], " holds=5");
}

static void
make_nameless(void)
{
    const struct itimerspec hour = { .it_value.tv_sec = 3600 };
    int event = eventfd(42, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC), watch = inotify_init1(IN_CLOEXEC);
    struct epoll_event wanted = { .events = EPOLLIN, .data.u64 = 0xe9011 };
    char more[64];
    sigset_t signals;

    tell("eventfd", event, " count=42");
    witness_check(timer >= 0 && timerfd_settime(timer, 0, &hour, NULL) == 0, "timerfd");
    tell("timerfd", timer, "");
    witness_check(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0 &&
                      epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &wanted) == 0,
                  "epoll");
    snprintf(more, sizeof(more), " watches=%d,%d data=0xe9011", event, timer);
    tell("epoll", epoll, more);
    witness_check(inotify_add_watch(watch, witness_path(NULL), IN_ALL_EVENTS) >= 0,
                  "inotify");
    tell("inotify", watch, "");
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    tell("signalfd", signalfd(-1, &signals, SFD_CLOEXEC), "");
    tell("directory", open(witness_path(NULL), O_PATH | O_DIRECTORY | O_CLOEXEC), "");
    tell("device", open("/dev/null", O_RDWR | O_CLOEXEC), "");
}

void
witness_make_files(void)
{
    make_cached();
    make_regular();
    make_pipe();
    make_nameless();
}
