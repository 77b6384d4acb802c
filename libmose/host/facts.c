/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the facts; those that cannot be read stay unknown. */
#include "host/facts.h"

#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "util/runtime-dir.h"

#define TSC_INTERVAL_NS 2000000

void
mose_host_facts_free(MoseHostFacts *facts)
{
    if (facts == NULL)
        return;
    g_free(facts->clocksource);
    g_free(facts->shmem_huge_pages);
    g_free(facts->runtime_dir);
    g_clear_error(&facts->no_runtime);
    g_free(facts);
}

/* The text of a small file without its last newline, or NULL. */
static char *
read_file(const char *path)
{
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    return g_strchomp(text);
}

char *
mose_host_chosen_word(const char *text)
{
    const char *open = strchr(text, '[');
    const char *close = open != NULL ? strchr(open, ']') : NULL;

    return close != NULL ? g_strndup(open + 1, (gsize)(close - open - 1)) : NULL;
}

guint64
mose_host_meminfo(const char *text, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gsize len = strlen(name);

    for (guint i = 0; lines[i] != NULL; i++) {
        if (strncmp(lines[i], name, len) == 0 && lines[i][len] == ':')
            return g_ascii_strtoull(lines[i] + len + 1, NULL, 10) * 1024;
    }
    return 0;
}

char *
mose_host_cgroup_path(const char *text, const char *controller)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], ":", 3);
        g_auto(GStrv) names = NULL;

        if (g_strv_length(parts) != 3)
            continue;
        names = g_strsplit(parts[1], ",", -1);
        if ((*controller == '\0' && *parts[1] == '\0') ||
            (*controller != '\0' &&
             g_strv_contains((const char *const *)names, controller)))
            return g_strdup(parts[2]);
    }
    return NULL;
}

/* The limit in @root/@path/@file; a container may have its own cgroup as root. */
static guint64
cgroup_limit(const char *root, const char *path, const char *file)
{
    g_autofree char *inside = g_build_filename(root, path, file, NULL);
    g_autofree char *outside = g_build_filename(root, file, NULL);
    g_autofree char *text = read_file(inside);
    guint64 limit;

    if (text == NULL)
        text = read_file(outside);
    if (text == NULL || !g_ascii_isdigit(*text))
        return G_MAXUINT64;
    limit = g_ascii_strtoull(text, NULL, 10);
    /* Version 1 writes "no limit" as the largest number of whole pages. */
    return limit >= G_MAXINT64 / 2 ? G_MAXUINT64 : limit;
}

static guint64
memory_limit(void)
{
    g_autofree char *text = read_file("/proc/self/cgroup");
    g_autofree char *v1 = text ? mose_host_cgroup_path(text, "memory") : NULL;
    g_autofree char *v2 = text ? mose_host_cgroup_path(text, "") : NULL;
    guint64 limit = G_MAXUINT64;

    if (v1 != NULL)
        limit = cgroup_limit("/sys/fs/cgroup/memory", v1, "memory.limit_in_bytes");
    if (v2 != NULL)
        limit = MIN(limit, cgroup_limit("/sys/fs/cgroup", v2, "memory.max"));
    return limit;
}

static gint64
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

static guint64
measure_tsc_khz(void)
{
    gint64 start = now_ns();
    guint64 tsc = __rdtsc();
    gint64 passed;

    do
        passed = now_ns() - start;
    while (passed < TSC_INTERVAL_NS);
    return (__rdtsc() - tsc) * 1000000 / (guint64)passed;
}

static gboolean
has_flag(const char *cpuinfo, const char *flag)
{
    const char *line = strstr(cpuinfo, "\nflags");
    const char *end = line != NULL ? strchr(line + 1, '\n') : NULL;
    g_autofree char *flags = NULL;
    g_auto(GStrv) words = NULL;

    if (end == NULL)
        return FALSE;
    flags = g_strndup(line + 1, (gsize)(end - line - 1));
    words = g_strsplit_set(flags, " \t", -1);
    return g_strv_contains((const char *const *)words, flag);
}

MoseHostFacts *
mose_host_facts_new(void)
{
    MoseHostFacts *facts = g_new0(MoseHostFacts, 1);
    g_autofree char *cpuinfo = read_file("/proc/cpuinfo");
    g_autofree char *meminfo = read_file("/proc/meminfo");
    g_autofree char *huge =
        read_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");

    if (cpuinfo != NULL) {
        facts->tsc_constant = has_flag(cpuinfo, "constant_tsc");
        facts->tsc_nonstop = has_flag(cpuinfo, "nonstop_tsc");
    }
    facts->tsc_khz = measure_tsc_khz();
    facts->clocksource =
        read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    facts->mem_available =
        meminfo != NULL ? mose_host_meminfo(meminfo, "MemAvailable") : 0;
    facts->mem_limit = memory_limit();
    facts->shmem_huge_pages = huge != NULL ? mose_host_chosen_word(huge) : NULL;
    facts->runtime_dir = mose_runtime_path(&facts->no_runtime);
    return facts;
}
