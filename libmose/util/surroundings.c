/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The surroundings of one process for another; see surroundings.h. */
#include "util/surroundings.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#define PRELOAD "LD_PRELOAD"

struct MoseSurroundings {
    char **environment; /* or NULL */
    struct rlimit limits[RLIM_NLIMITS];
    gboolean has_limit[RLIM_NLIMITS];
    cpu_set_t processors;
    gboolean has_processors;
    int niceness;
    gboolean has_niceness;
};

static char **
read_environment(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)pid);
    g_autofree char *text = NULL;
    GPtrArray *words;
    gsize len;

    if (!g_file_get_contents(path, &text, &len, NULL) || len == 0)
        return NULL;
    words = g_ptr_array_new();
    for (const char *p = text; p < text + len; p += strlen(p) + 1)
        g_ptr_array_add(words, g_strdup(p));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

MoseSurroundings *
mose_surroundings_of(pid_t pid)
{
    MoseSurroundings *all = g_new0(MoseSurroundings, 1);

    all->environment = read_environment(pid);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        all->has_limit[i] = prlimit(pid, i, NULL, &all->limits[i]) == 0;
    /* More processors than the set has room for: they stay as they are. */
    all->has_processors =
        sched_getaffinity(pid, sizeof(all->processors), &all->processors) == 0;
    errno = 0;
    all->niceness = getpriority(PRIO_PROCESS, pid);
    all->has_niceness = errno == 0;
    return all;
}

void
mose_surroundings_free(MoseSurroundings *surroundings)
{
    if (!surroundings)
        return;
    g_strfreev(surroundings->environment);
    g_free(surroundings);
}

/* What ld.so(8) splits it at: words of @list but those of files called @name. */
static void
add_others(GString *to, const char *list, const char *name)
{
    g_auto(GStrv) words = g_strsplit_set(list, " :", -1);

    for (char **word = words; *word; word++) {
        g_autofree char *base = g_path_get_basename(*word);

        if (**word && strcmp(base, name) != 0)
            g_string_append_printf(to, "%s%s", to->len ? ":" : "", *word);
    }
}

void
mose_surroundings_preload(MoseSurroundings *surroundings, const char *name,
                          const char *module)
{
    char **environment = g_steal_pointer(&surroundings->environment);
    const char *before = environment ? g_environ_getenv(environment, PRELOAD) : NULL;
    g_autoptr(GString) list = g_string_new(module);

    add_others(list, before ? before : "", name);
    if (!environment)
        environment = g_get_environ();
    surroundings->environment =
        list->len ? g_environ_setenv(environment, PRELOAD, list->str, TRUE)
                  : g_environ_unsetenv(environment, PRELOAD);
}

const char *const *
mose_surroundings_environment(const MoseSurroundings *surroundings)
{
    return surroundings ? (const char *const *)surroundings->environment : NULL;
}

void
mose_surroundings_take(const MoseSurroundings *surroundings)
{
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit = surroundings->limits[i], ours;

        if (!surroundings->has_limit[i] || setrlimit(i, &limit) == 0 ||
            getrlimit(i, &ours) < 0)
            continue;
        /* Without the right to raise our bound, as near as we come. */
        limit.rlim_max = ours.rlim_max;
        limit.rlim_cur = MIN(limit.rlim_cur, limit.rlim_max);
        setrlimit(i, &limit);
    }
    if (surroundings->has_processors)
        sched_setaffinity(0, sizeof(surroundings->processors),
                          &surroundings->processors);
    if (surroundings->has_niceness)
        setpriority(PRIO_PROCESS, 0, surroundings->niceness);
}
