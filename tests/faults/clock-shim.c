/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host whose wall clock is set: preloaded (LD_PRELOAD) into QEMU and `mose`, it adds
 * the seconds written in $CLOCK_STEP_FILE to CLOCK_REALTIME. The file is read at each
 * call, so that all of them see a step at the same moment.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long
step_seconds(void)
{
    const char *path = getenv("CLOCK_STEP_FILE");
    char text[32] = "";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    return strtol(text, NULL, 10);
}

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
    static int (*real)(clockid_t, struct timespec *);
    int status;

    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    status = real(clock, ret);
    if (status == 0 && clock == CLOCK_REALTIME)
        ret->tv_sec += step_seconds();
    return status;
}

int
gettimeofday(struct timeval *ret, void *zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return -1;
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *ret)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return -1;
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
