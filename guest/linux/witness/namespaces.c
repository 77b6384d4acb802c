/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process in UTS, mount, network and PID namespaces of its own, where it is number 1,
 * with a host name, a mount and a listening socket that only they have. Its parent,
 * wit-outside, shares all of them but the last.
 */
#include "witness.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT = 7007 };

static const char host[] = "wit-host";

static uint64_t
inode_of(pid_t pid, const char *namespace)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, namespace);
    witness_check(stat(path, &st) == 0, path);
    return st.st_ino;
}

static void
tell(const char *name, pid_t pid, pid_t inside)
{
    static const char *const namespaces[] = { "uts", "mnt", "net", "pid" };

    printf("namespaces name=%s pid=%d inside=%d", name, pid, inside);
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++)
        printf(" %s=%" PRIu64, namespaces[i], inode_of(pid, namespaces[i]));
    printf("\n");
}

static void
make_mount(void)
{
    const char *path = witness_path("mount");

    mkdir(path, 0755);
    /* Else it would be seen outside, too. */
    witness_check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
    witness_check(mount("wit-source", path, "tmpfs", MS_NOSUID | MS_NODEV,
                        "size=64k,mode=700") == 0,
                  path);
    printf("mount path=%s type=tmpfs source=wit-source options=nosuid,nodev\n", path);
}

/* Bound to any address: its loopback is down. */
static void
make_listener(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(PORT) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    witness_check(
        fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
            listen(fd, 5) == 0,
        "listen");
}

/* In wit-outside. The child has told nothing before it exists in its namespaces. */
static void
go_inside(void)
{
    pid_t pid;

    witness_check(unshare(CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) ==
                      0,
                  "unshare");
    witness_check(sethostname(host, strlen(host)) == 0, "sethostname");
    make_mount();
    make_listener();
    pid = witness_fork("wit-inside");
    if (pid > 0) {
        tell("wit-outside", getpid(), getpid());
        tell("wit-inside", pid, 1);
        printf("host pid=%d name=%s listens=0.0.0.0:%d\n", pid, host, PORT);
    }
}

void
witness_make_namespaces(void)
{
    int ready[2];
    char byte;

    witness_check(pipe(ready) == 0, "pipe");
    if (witness_fork("wit-outside") == 0) {
        go_inside();
        if (getpid() != 1) {
            fflush(stdout);
            witness_check(write(ready[1], "", 1) == 1, "write");
        }
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    witness_check(read(ready[0], &byte, 1) == 1, "wit-outside");
    close(ready[0]);
    tell("witness", getpid(), getpid());
}
