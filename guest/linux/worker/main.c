/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the checks in turn and writes a line of JSON a second into a file, which
 * the guest's status page shows. Errors go to standard error, the console. It
 * sleeps most of the time: emulation is slow, and the guest has other work.
 */
#include "worker.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NS_PER_SEC = 1000000000, NS_PER_MS = 1000000 };

enum { STATUS_SIZE = 4096 };

typedef struct {
    const char *status;
    size_t pages;
    int pause_ms;
} Options;

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

int64_t
worker_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t
worker_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void
worker_error(Tally *tally, const char *format, ...)
{
    va_list args;

    tally->errors++;
    if (tally->errors > 20)
        return; /* counted, but the console has seen enough */
    fputs("MOSE-GUEST ERROR ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* The file is replaced as a whole: a reader never sees half a line. */
static void
write_status(const char *path, const char *line)
{
    char temporary[PATH_MAX];
    FILE *file;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    file = fopen(temporary, "w");
    if (!file)
        return;
    fputs(line, file);
    if (fclose(file) == 0)
        rename(temporary, path);
}

static void
format_tally(char *line, size_t size, const char *name, const Tally *tally)
{
    size_t used = strlen(line);

    snprintf(line + used, size - used,
             "\"%s\": {\"steps\": %" PRIu64 ", \"errors\": %" PRIu64 "}, ", name,
             tally->steps, tally->errors);
}

typedef struct {
    Tally memory, clock, registers;
} Tallies;

/* The disks together, and each by its name; returns their errors. */
static uint64_t
format_disks(char *line, size_t size)
{
    Tally all = { 0 }, one;
    size_t used;

    for (size_t i = 0; i < disk_count(); i++) {
        disk_tally(i, &one);
        all.steps += one.steps;
        all.errors += one.errors;
    }
    format_tally(line, size, "disk", &all);
    used = strlen(line);
    snprintf(line + used, size - used, "\"disks\": {");
    for (size_t i = 0; i < disk_count(); i++) {
        const char *name = disk_tally(i, &one);

        format_tally(line, size, name, &one);
    }
    used = strlen(line) - 2; /* the last comma */
    snprintf(line + used, size - used, "}, ");
    return all.errors;
}

static void
report(const Options *options, const Tallies *tallies)
{
    uint64_t errors =
        tallies->memory.errors + tallies->clock.errors + tallies->registers.errors;
    char line[STATUS_SIZE] = "{";
    size_t used;

    format_tally(line, sizeof(line), "memory", &tallies->memory);
    if (disk_count() > 0)
        errors += format_disks(line, sizeof(line));
    format_tally(line, sizeof(line), "clock", &tallies->clock);
    format_tally(line, sizeof(line), "registers", &tallies->registers);
    used = strlen(line);
    snprintf(line + used, sizeof(line) - used,
             "\"registers_kind\": \"%s\", \"largest_gap_ns\": %" PRId64
             ", \"realtime_drift_ns\": %" PRId64 ", \"at_ns\": %" PRId64
             ", \"errors\": %" PRIu64 "}\n",
             registers_kind(), clock_largest_gap_ns(), clock_realtime_drift_ns(),
             worker_monotonic_ns(), errors);
    write_status(options->status, line);
}

static void
pause_for(int milliseconds)
{
    const struct timespec pause = { .tv_sec = milliseconds / 1000,
                                    .tv_nsec =
                                        (long)(milliseconds % 1000) * NS_PER_MS };

    nanosleep(&pause, NULL);
}

static void
work(const Options *options)
{
    Tallies tallies = { 0 };
    int64_t reported = 0;

    for (;;) {
        clock_step(&tallies.clock);
        memory_step(&tallies.memory);
        registers_step(&tallies.registers);
        disk_step();
        if (worker_monotonic_ns() - reported >= NS_PER_SEC) {
            reported = worker_monotonic_ns();
            report(options, &tallies);
        }
        pause_for(options->pause_ms);
    }
}

static void
usage(FILE *to)
{
    fputs("Usage: worker [--disk PATH ...] [--status FILE] [--pages N] [--pause MS]\n"
          "Checks memory, disks, clocks and registers for ever.\n"
          "What is at PATH is overwritten.\n",
          to);
}

static void
add_disk(const char *path)
{
    if (disk_add(path))
        return;
    fprintf(stderr, "MOSE-GUEST ERROR worker: %s: %s\n", path,
            errno == EEXIST ? "holds something else, and is left alone"
                            : strerror(errno));
    exit(1);
}

static Options
parse(int argc, char **argv)
{
    static const struct option known[] = {
        { "disk", required_argument, NULL, 'd' },
        { "status", required_argument, NULL, 's' },
        { "pages", required_argument, NULL, 'n' },
        { "pause", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    Options options = { .status = "/run/mose/worker", .pages = 256, .pause_ms = 20 };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'd':
            add_disk(optarg);
            break;
        case 's':
            options.status = optarg;
            break;
        case 'n':
            options.pages = strtoul(optarg, NULL, 10);
            break;
        case 'p':
            options.pause_ms = atoi(optarg);
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    return options;
}

int
main(int argc, char **argv)
{
    const Options options = parse(argc, argv);

    setvbuf(stderr, NULL, _IOLBF, 0);
    if (options.pages == 0 || !memory_init(options.pages)) {
        fprintf(stderr, "MOSE-GUEST ERROR worker: no memory for %zu pages\n",
                options.pages);
        return 1;
    }
    clock_init();
    registers_init();
    work(&options);
}
