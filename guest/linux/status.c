/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The demo guest's status page: a CGI program that prints what the guest
 * believes of itself at this moment as one JSON object: its clocks, its
 * clocksource, how many lines of its kernel log tell of trouble, and what the
 * worker last wrote. Also of use on the guest's shell. It judges nothing.
 */
#include <inttypes.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>
#include <time.h>

enum { SYSLOG_ACTION_READ_ALL = 3, SYSLOG_ACTION_SIZE_BUFFER = 10 };

/* What a kernel prints when it, or its idea of time, has come to harm. */
static const char trouble[] =
    "BUG:|Oops|Kernel panic|WARNING:|soft lockup|hard LOCKUP|rcu.*stall|"
    "hung_task|blocked for more than|clocksource.*unstable|Marking TSC|"
    "Clocksource .* skewed|general protection|segfault|invalid opcode|I/O error|"
    "Machine check";

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The first line of a small file without its newline, or "". */
static const char *
first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "r");

    line[0] = '\0';
    if (file) {
        if (!fgets(line, (int)size, file))
            line[0] = '\0';
        fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void
print_string(const char *name, const char *value)
{
    printf("  \"%s\": \"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        if ((unsigned char)*value >= ' ')
            putchar(*value);
    }
    puts("\",");
}

/* The kernel log, to be freed; NULL where it may not be read. */
static char *
read_log(void)
{
    const int size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0);
    char *log = size > 0 ? malloc((size_t)size + 1) : NULL;
    int got;

    if (!log)
        return NULL;
    got = klogctl(SYSLOG_ACTION_READ_ALL, log, size);
    log[got > 0 ? got : 0] = '\0';
    return log;
}

static void
print_trouble(char *log)
{
    char first[256] = "";
    int count = 0;
    regex_t pattern;

    if (regcomp(&pattern, trouble, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
        if (regexec(&pattern, line, 0, NULL, 0) != 0)
            continue;
        if (count++ == 0)
            snprintf(first, sizeof(first), "%s", line);
    }
    regfree(&pattern);
    printf("  \"kernel_trouble\": %d,\n", count);
    if (count > 0)
        print_string("kernel_trouble_first", first);
}

int
main(void)
{
    char line[4096];
    struct utsname name;
    char *log = read_log();

    if (getenv("GATEWAY_INTERFACE"))
        fputs("Content-Type: application/json\r\nCache-Control: no-store\r\n\r\n",
              stdout);
    uname(&name);
    puts("{");
    print_string("kernel", name.release);
    print_string("boot_id",
                 first_line("/proc/sys/kernel/random/boot_id", line, sizeof(line)));
    print_string("command_line", first_line("/proc/cmdline", line, sizeof(line)));
    print_string("clocksource",
                 first_line("/sys/devices/system/clocksource/clocksource0/"
                            "current_clocksource",
                            line, sizeof(line)));
    printf("  \"uptime_ns\": %" PRId64 ",\n", clock_ns(CLOCK_BOOTTIME));
    printf("  \"monotonic_ns\": %" PRId64 ",\n", clock_ns(CLOCK_MONOTONIC));
    printf("  \"realtime_ns\": %" PRId64 ",\n", clock_ns(CLOCK_REALTIME));
    if (log)
        print_trouble(log);
    first_line("/run/mose/worker", line, sizeof(line));
    printf("  \"worker\": %s\n}\n", *line ? line : "null");
    free(log);
    return 0;
}
