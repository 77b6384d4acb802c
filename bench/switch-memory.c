/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What memory a switch needs: the command's peak, and its guardian's. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench/result.h"
#include "bench/switch.h"

#define TIMES 10

/* A line's value of /proc/PID/status, in kB; 0 when there is none. */
static long
status_kb(const char *pid, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/status", pid);
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    line = strstr(text, name);
    return line ? strtol(line + strlen(name), NULL, 10) : 0;
}

static gboolean
is_guardian(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/comm", pid);
    g_autofree char *name = NULL;

    return g_file_get_contents(path, &name, NULL, NULL) &&
           g_str_has_prefix(name, "mose-guardian");
}

/* The peak of @command's guardian, or 0 while it has none. */
static long
guardian_kb(pid_t command)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%d/children", (int)command, (int)command);
    g_autofree char *text = NULL;
    g_auto(GStrv) pids = NULL;
    long ret = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    pids = g_strsplit(g_strstrip(text), " ", -1);
    for (char **pid = pids; *pid; pid++)
        if (**pid && is_guardian(*pid))
            ret = MAX(ret, status_kb(*pid, "VmHWM:"));
    return ret;
}

static void
switch_once(const VmGuest *guest, const char *command, GArray *own, GArray *guardian)
{
    const char *argv[] = { g_getenv("MOSE"), command, guest->name, NULL };
    g_autoptr(GError) error = NULL;
    struct rusage used;
    long peak = 0;
    int status;
    pid_t pid;

    g_spawn_async(NULL, (char **)argv, NULL,
                  G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                  &pid, &error);
    g_assert_no_error(error);
    while (wait4(pid, &status, WNOHANG, &used) == 0) {
        peak = MAX(peak, guardian_kb(pid));
        g_usleep(500);
    }
    g_assert_cmpint(status, ==, 0);
    bench_add(own, (double)used.ru_maxrss / 1024);
    if (peak > 0)
        bench_add(guardian, (double)peak / 1024);
}

void
measure_memory(void)
{
    static const char guardian_figure[] = "memory/guardian",
                      guardian_what[] = "peak memory of its guardian";
    g_autoptr(VmGuest) guest = vm_guest_new("memory");
    g_autoptr(GArray) own = bench_values_new(), guardian = bench_values_new();

    vm_run(guest, NULL, "-m 1024", NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    for (int i = 0; i < TIMES; i++)
        switch_once(guest, i % 2 ? "virtualize" : "emulate", own, guardian);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    bench_result(&(BenchResult){ "memory/command", "peak memory of the command", "MB",
                                 64, own });
    if (guardian->len > 0)
        bench_result(
            &(BenchResult){ guardian_figure, guardian_what, "MB", 64, guardian });
    else
        bench_skipped(guardian_figure, guardian_what, "/proc did not show it");
}
