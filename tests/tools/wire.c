/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A wire between two network namespaces, as slow and as long as it is told to be:
 *
 *   wire NETNS MBIT DELAY_MS
 *
 * One end is a tap called "wire" here, the other one of that name in NETNS (a path).
 * Each direction carries MBIT 10^6 bits/s (0: no limit), and each frame arrives
 * DELAY_MS after it was sent. What would have to wait longer than a switch's buffer
 * lasts is lost. Prints a line once both are there; nothing is left of it when it is
 * killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NAME "wire"
/* A segment that the receiver, or nobody, cuts up, and what stands before it. */
#define MAX_FRAME (65536 + 256)
#define SECOND_NS INT64_C(1000000000)
#define MAX_WAIT_NS (SECOND_NS / 10)
#define MAX_AT_ONCE 64         /* frames, before what is due goes on */
#define MAX_QUEUED (64u << 20) /* bytes, each way */

typedef struct Frame {
    struct Frame *next;
    int64_t due;
    size_t len;
    char bytes[];
} Frame;

typedef struct {
    int from, to;
    Frame *first, **last;
    size_t queued;
    int64_t free_at; /* when all before has been sent */
} Direction;

static int64_t bits_per_second, delay;

static void
fail(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

/* With the header of virtio, segments of up to 64 KiB pass whole and unsummed. */
static int
open_tap(void)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        fail("/dev/net/tun");
    strcpy(request.ifr_name, NAME);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        fail("TUNSETIFF");
    if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        fail("TUNSETOFFLOAD");
    return fd;
}

static void
enter(const char *network)
{
    int fd = open(network, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        fail(network);
    close(fd);
}

/* When a frame of @len bytes that comes at @at is delivered; 0: never. */
static int64_t
schedule(Direction *direction, size_t len, int64_t at)
{
    int64_t start = direction->free_at > at ? direction->free_at : at;

    if (start - at > MAX_WAIT_NS || direction->queued + len > MAX_QUEUED)
        return 0;
    if (bits_per_second)
        start += (int64_t)len * 8 * SECOND_NS / bits_per_second;
    direction->free_at = start;
    return start + delay;
}

static void
receive(Direction *direction)
{
    static char buffer[MAX_FRAME];
    ssize_t len;

    for (int i = 0; i < MAX_AT_ONCE; i++) {
        int64_t due;
        Frame *frame;

        len = read(direction->from, buffer, sizeof(buffer));
        if (len <= 0)
            return;
        due = schedule(direction, (size_t)len, now());
        frame = due ? malloc(sizeof(*frame) + (size_t)len) : NULL;

        if (!frame)
            continue;
        frame->next = NULL;
        frame->due = due;
        frame->len = (size_t)len;
        memcpy(frame->bytes, buffer, (size_t)len);
        *direction->last = frame;
        direction->last = &frame->next;
        direction->queued += frame->len;
    }
}

/* What is due; when the next is (INT64_MAX: there is none). A tap that takes no more
 * loses it, as it loses what is sent while it is down. */
static int64_t
deliver(Direction *direction)
{
    while (direction->first && direction->first->due <= now()) {
        Frame *frame = direction->first;

        if (write(direction->to, frame->bytes, frame->len) < 0 && errno == EBADFD)
            fail("write");
        direction->first = frame->next;
        if (!direction->first)
            direction->last = &direction->first;
        direction->queued -= frame->len;
        free(frame);
    }
    return direction->first ? direction->first->due : INT64_MAX;
}

static void
wait_until(struct pollfd *fds, int64_t due)
{
    int64_t left = due == INT64_MAX ? 0 : due - now();
    struct timespec timeout = { left > 0 ? left / SECOND_NS : 0,
                                left > 0 ? left % SECOND_NS : 0 };

    if (ppoll(fds, 2, due == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
        fail("ppoll");
}

static void
carry(int here, int there)
{
    Direction ways[2] = { { .from = here, .to = there },
                          { .from = there, .to = here } };
    struct pollfd fds[2] = { { here, POLLIN, 0 }, { there, POLLIN, 0 } };

    for (int i = 0; i < 2; i++)
        ways[i].last = &ways[i].first;
    for (;;) {
        int64_t next = INT64_MAX;

        for (int i = 0; i < 2; i++) {
            int64_t due;

            receive(&ways[i]);
            due = deliver(&ways[i]);
            next = due < next ? due : next;
        }
        wait_until(fds, next);
    }
}

int
main(int argc, char **argv)
{
    int here, there;

    if (argc != 4) {
        fprintf(stderr, "usage: wire NETNS MBIT DELAY_MS\n");
        return 2;
    }
    bits_per_second = strtoll(argv[2], NULL, 10) * 1000000;
    delay = strtoll(argv[3], NULL, 10) * (SECOND_NS / 1000);
    here = open_tap();
    enter(argv[1]);
    there = open_tap();
    prctl(PR_SET_TIMERSLACK, 1ul);
    puts("ready");
    fflush(stdout);
    carry(here, there);
}
