/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switch-many NAME N: switch guest NAME N times, there and back, within this one
 * process, and print as JSON what the process had before and after, so that a leak
 * of the library's shows: descriptors, threads, memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch/recover.h"
#include "switch/switch.h"
#include "util/json.h"

static int
count_entries(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    int n = 0;

    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

/* In KB. */
static gint64
resident(void)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL) ||
        !(line = strstr(text, "RssAnon:")))
        return 0;
    return g_ascii_strtoll(line + strlen("RssAnon:"), NULL, 10);
}

static JsonObject *
look(void)
{
    return mose_json_object("fds", "i", (gint64)count_entries("/proc/self/fd"),
                            "threads", "i", (gint64)count_entries("/proc/self/task"),
                            "resident-kb", "i", resident(), NULL);
}

static gboolean
switch_once(const char *name, JsonArray *blackouts, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    MoseSwitchOptions options = { 0 };
    MoseSwitchReport report = { 0 };
    MoseRecovered recovered;
    gboolean done;

    if (!guest || !mose_recover(guest, &recovered, error))
        return FALSE;
    options.side = !guest->side;
    done = mose_switch(guest, &options, &report, error);
    json_array_add_int_element(blackouts, report.blackout_us);
    mose_switch_report_clear(&report);
    return done;
}

int
main(int argc, char **argv)
{
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    JsonArray *blackouts = json_array_new();
    JsonObject *before = NULL;
    int n = argc == 3 ? atoi(argv[2]) : 0;

    for (int i = 0; i < n && !error; i++) {
        /* What is made once in a process is no leak. */
        if (i == 2)
            before = look();
        switch_once(argv[1], blackouts, &error);
    }
    if (error || !before) {
        fprintf(stderr, "switch-many: %s\n", error ? error->message : "NAME N, N > 2");
        return 1;
    }
    object = mose_json_object("before", "o", before, "after", "o", look(), "blackouts",
                              "a", blackouts, NULL);
    text = mose_json_text(object, FALSE);
    puts(text);
    return 0;
}
