/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes one part of the world after the other, says that it is READY and sleeps. The
 * parts are the other files'; see witness.h. It judges nothing.
 */
#include "witness.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory = "/run/witness";

void
witness_die(const char *what)
{
    printf("WITNESS ERROR %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

void
witness_check(int ok, const char *what)
{
    if (!ok)
        witness_die(what);
}

const char *
witness_path(const char *name)
{
    static char path[PATH_MAX];

    if (!name)
        return directory;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void
usage(FILE *to)
{
    fputs(
        "Usage: witness [--tasks N] [--directory DIR]\n"
        "Makes a world to be looked at from outside, tells what it is, and sleeps.\n\n"
        "  --tasks N          N child tasks more\n"
        "  --directory DIR    where its files are made; default /run/witness\n",
        to);
}

static unsigned long
parse(int argc, char **argv)
{
    static const struct option known[] = {
        { "tasks", required_argument, NULL, 't' },
        { "directory", required_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    unsigned long tasks = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 't':
            tasks = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            directory = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    return tasks;
}

int
main(int argc, char **argv)
{
    const unsigned long tasks = parse(argc, argv);

    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_NAME, "witness");
    witness_check(mkdir(directory, 0755) == 0 || errno == EEXIST, directory);
    printf("self pid=%d directory=%s\n", getpid(), directory);
    /* Those that fork come first: they are to share nothing of the rest. */
    witness_make_tasks(tasks);
    witness_make_namespaces();
    witness_make_memory();
    witness_make_files();
    witness_make_sockets();
    witness_make_threads();
    witness_make_faults();
    witness_make_log();
    puts("WITNESS READY");
    for (;;)
        pause();
}
