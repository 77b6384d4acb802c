/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control groups, version 1 and 2; see cgroup.h. */
#include "util/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"

#define ROOT "/sys/fs/cgroup"

static void
join(const char *hierarchy, const char *group, pid_t pid)
{
    g_autofree char *path =
        g_build_filename(ROOT, hierarchy, group, "cgroup.procs", NULL);
    g_autofree char *text = g_strdup_printf("%d\n", (int)pid);
    g_auto(MoseFd) fd = open(path, O_WRONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    if (fd < 0)
        g_debug("cannot open %s: %s", path, g_strerror(errno));
    else if (!mose_fd_write_all(fd, text, strlen(text), path, &error))
        g_debug("%s", error->message);
}

/* What /proc tells of the groups of @pid, or NULL. */
static char *
groups_of(pid_t pid)
{
    g_autofree char *file = g_strdup_printf("/proc/%d/cgroup", (int)pid);
    char *text = NULL;

    return g_file_get_contents(file, &text, NULL, NULL) ? text : NULL;
}

void
mose_cgroup_join(pid_t pid, pid_t other)
{
    g_autofree char *text = groups_of(other);
    g_autofree char *already = groups_of(pid);
    g_auto(GStrv) lines = NULL;

    /* To join what one is in takes the kernel as long. */
    if (!text || g_strcmp0(text, already) == 0)
        return;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);

        if (g_strv_length(fields) != 3)
            continue;
        if (*fields[1] != '\0') {
            gboolean named = g_str_has_prefix(fields[1], "name=");

            join(fields[1] + (named ? strlen("name=") : 0), fields[2], pid);
            continue;
        }
        /* Version 2 is the whole tree, or a part of it beside version 1. */
        join(g_file_test(ROOT "/unified", G_FILE_TEST_IS_DIR) ? "unified" : "",
             fields[2], pid);
    }
}
