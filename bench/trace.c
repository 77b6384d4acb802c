/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much slower a guest is that is traced: the same work in the same guest under TCG
 * without the plugin, with the plugin idle, with a trace of what is executed, and with
 * one that has memory, too, in turn. Of time as a guest's user sees it: who records
 * runs on a processor of its own, if there is one.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/result.h"
#include "lib/vm.h"
#include "trace/reader.h"

#define ROUNDS 5
#define US_PER_S 1e6
/* The guest waits for its trace: what is measured is what it costs, not what is lost.
 */
#define PATIENCE "60000"

enum { PLAIN, IDLE, FLOW, MEMORY, N_STATES };

typedef struct {
    const char *name, *what, *command;
} Work;

static const Work works[] = {
    { "compute", "gzip and sha256sum",
      "dd if=/dev/urandom of=/tmp/r bs=64k count=24; "
      "for i in 1 2; do gzip -c /tmp/r | sha256sum; done" },
    { "kernel", "processes and files",
      "for i in 1 2 3 4 5 6 7 8; do ls -lR /etc /bin /proc/self; (:); (:); done" },
};

static const struct {
    const char *name, *what;
    double goal;
} states[N_STATES] = {
    [IDLE] = { "idle", "the plugin is idle", 1.02 },
    [FLOW] = { "flow", "all instructions are traced", 3 },
    [MEMORY] = { "memory", "all instructions and all memory are traced", 12 },
};

static double
time_work(const VmGuest *guest, const Work *work)
{
    g_autofree char *command =
        g_strdup_printf("{ %s; } >/dev/null 2>&1", work->command);
    gint64 begin = g_get_monotonic_time();
    g_autofree char *said = vm_shell_output(guest, command);

    return (double)(g_get_monotonic_time() - begin) / US_PER_S;
}

/* Once something is in its file, the guest is traced. */
static GPid
begin_trace(const VmGuest *guest, const char *path, gboolean memory)
{
    const char *argv[] = { g_getenv("MOSE"),
                           "trace",
                           guest->name,
                           "--output",
                           path,
                           "--patience",
                           PATIENCE,
                           "--buffer",
                           "64",
                           memory ? "--memory" : NULL,
                           NULL };
    g_autoptr(GError) error = NULL;
    struct stat st;
    GPid pid;

    g_spawn_async(NULL, (char **)argv, NULL,
                  G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                  &pid, &error);
    g_assert_no_error(error);
    while (stat(path, &st) < 0 || st.st_size == 0)
        g_usleep(10000);
    return pid;
}

/* Bytes an instruction of the trace. */
static double
end_trace(GPid pid, const char *path)
{
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;
    int status;

    kill(pid, SIGINT);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stat(path, &st), ==, 0);
    unlink(path);
    return (double)st.st_size / (double)mose_trace_instructions(trace, 0);
}

typedef struct {
    GArray *ratios[N_STATES], *sizes[N_STATES];
} Values;

static void
measure_round(const VmGuest *guest, const Work *work, Values *values)
{
    g_autofree char *path = vm_path("bench.trace");
    double plain = time_work(guest, work);

    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->name, NULL), ==, 0);
    /* What is translated once for all is no one's. */
    time_work(guest, work);
    bench_add(values->ratios[IDLE], time_work(guest, work) / plain);
    for (int i = FLOW; i <= MEMORY; i++) {
        GPid pid = begin_trace(guest, path, i == MEMORY);

        bench_add(values->ratios[i], time_work(guest, work) / plain);
        bench_add(values->sizes[i], end_trace(pid, path));
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", guest->name, NULL), ==, 0);
    time_work(guest, work);
}

static void
tell(const Work *work, int state, const Values *values)
{
    g_autofree char *figure =
        g_strdup_printf("trace/%s-%s", states[state].name, work->name);
    g_autofree char *what =
        g_strdup_printf("%s: %s / TCG alone, by time", work->what, states[state].what);

    bench_result(
        &(BenchResult){ figure, what, "", states[state].goal, values->ratios[state] });
    if (state >= FLOW) {
        g_autofree char *size_figure = g_strconcat(figure, "-size", NULL);
        g_autofree char *size_what =
            g_strdup_printf("... and an instruction takes in the file");

        bench_result(&(BenchResult){ size_figure, size_what, "bytes",
                                     state == FLOW ? 1 : 4, values->sizes[state] });
    }
}

static void
measure(const VmGuest *guest, const Work *work)
{
    Values values = { 0 };

    for (int i = IDLE; i < N_STATES; i++) {
        values.ratios[i] = bench_values_new();
        values.sizes[i] = bench_values_new();
    }
    time_work(guest, work);
    for (int i = 0; i < ROUNDS; i++)
        measure_round(guest, work, &values);
    for (int i = IDLE; i < N_STATES; i++) {
        tell(work, i, &values);
        g_array_unref(values.ratios[i]);
        g_array_unref(values.sizes[i]);
    }
}

int
main(int argc, char **argv)
{
    g_autoptr(VmGuest) guest = NULL;

    bench_begin(&argc, &argv);
    guest = vm_guest_new("bench-trace");
    vm_run(guest, "--accel tcg", "", "tsc=reliable");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    for (gsize i = 0; i < G_N_ELEMENTS(works); i++)
        measure(guest, &works[i]);
    bench_end();
    return 0;
}
