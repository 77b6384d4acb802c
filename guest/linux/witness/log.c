/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records in the kernel's log: lines of several levels, one of two lines, one with
 * bytes that are shown escaped, a long one, and one that the kernel makes in pieces.
 * And the first that has a dictionary, which no program can write (Linux since 5.10,
 * kernel/printk/printk.c: only dev_printk() gives one).
 *
 * `sequence` is the record's number in /dev/kmsg; %XX stands for what has no place in a
 * word.
 */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 8192, LONG_LINE = 700 };

static void
write_record(const char *text, size_t len)
{
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

    witness_check(fd >= 0 && write(fd, text, len) == (ssize_t)len, "/dev/kmsg");
    close(fd);
}

static void
write_records(void)
{
    static const char escaped[] = "<13>witness: tab\tescape\033bell\a\377";
    char line[LONG_LINE + 32] = "<14>witness: long ";
    int fd;

    write_record("<11>witness: error", 18);
    write_record("<14>witness: first\nwitness: second", 34);
    write_record(escaped, sizeof(escaped) - 1);
    memset(line + strlen(line), 'x', LONG_LINE);
    write_record(line, strlen(line));
    /* Its help is printed word by word. */
    fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "h", 1) != 1)
        witness_die("/proc/sysrq-trigger");
    if (fd >= 0)
        close(fd);
}

static void
tell_word(const char *name, const char *text, size_t len)
{
    printf(" %s=", name);
    for (size_t i = 0; i < len; i++) {
        if (text[i] > ' ' && text[i] != '%' && text[i] != '\\')
            putchar(text[i]);
        else
            printf("%%%02x", (unsigned char)text[i]);
    }
}

/* A record is "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT\n", and where there is a
 * dictionary " KEY=VALUE\n" (Linux Documentation/ABI/testing/dev-kmsg). */
static void
tell_record(const char *kind, const char *record)
{
    unsigned priority;
    uint64_t sequence, usec;
    const char *text = strchr(record, ';'), *end, *next;

    if (!text ||
        sscanf(record, "%u,%" SCNu64 ",%" SCNu64, &priority, &sequence, &usec) != 3)
        witness_die(record);
    end = strchrnul(++text, '\n');
    printf("log kind=%s priority=%u sequence=%" PRIu64 " usec=%" PRIu64, kind, priority,
           sequence, usec);
    tell_word("text", text, (size_t)(end - text));
    for (; end[0] && end[1] == ' '; end = next) {
        next = strchrnul(end + 1, '\n');
        tell_word("dictionary", end + 2, (size_t)(next - end - 2));
    }
    putchar('\n');
}

static const char *
kind_of(const char *record)
{
    static int dictionary_told;
    const char *text = strchr(record, ';');

    if (text && strncmp(text + 1, "witness: ", 9) == 0)
        return "written";
    if (text && strncmp(text + 1, "sysrq: HELP", 11) == 0)
        return "continued";
    if (strstr(record, "\n SUBSYSTEM=") && !dictionary_told++)
        return "dictionary";
    return NULL;
}

static void
tell_records(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char record[RECORD];
    const char *kind;
    ssize_t len;

    witness_check(fd >= 0, "/dev/kmsg");
    for (;;) {
        len = read(fd, record, sizeof(record) - 1);
        if (len < 0 && errno == EPIPE) /* overwritten meanwhile */
            continue;
        if (len <= 0)
            break;
        record[len] = '\0';
        kind = kind_of(record);
        if (kind)
            tell_record(kind, record);
    }
    close(fd);
}

void
witness_make_log(void)
{
    write_records();
    tell_records();
}
