/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOSE's switch beside a bare migration: two stock QEMUs with the command lines that
 * MOSE gives them, RAM shared in the same way (x-ignore-shared), plain QMP, nobody
 * between them, nothing checked. In turn, in one run.
 */
#include <fcntl.h>

#include "bench/result.h"
#include "bench/switch.h"
#include "qemu/ram.h"
#include "util/fd.h"
#include "util/json.h"

#define TIMES 20
#define GUEST_OPTIONS                                                                  \
    "-netdev user,id=net -device virtio-net-pci,netdev=net,romfile= "                  \
    "-device virtio-rng-pci"

typedef struct {
    GArray *move;     /* `migrate` to RESUME */
    GArray *total;    /* with the start of the destination and the end of the source */
    GArray *blackout; /* STOP to RESUME */
} Times;

/* The bare guest: its RAM, how its next QEMU is started, and the one it is in. */
typedef struct {
    MoseFd ram;
    GPtrArray *incoming;
    Plain *now;
} Bare;

static Times
times_new(void)
{
    return (Times){ bench_values_new(), bench_values_new(), bench_values_new() };
}

static void
times_clear(Times *times)
{
    g_array_unref(times->move);
    g_array_unref(times->total);
    g_array_unref(times->blackout);
}

static double
ms_since(gint64 begin_us)
{
    return (double)(g_get_monotonic_time() - begin_us) / 1e3;
}

static void
share_ram(MoseQmp *qmp)
{
    plain_set_capability(qmp, "events", TRUE);
    plain_set_capability(qmp, "x-ignore-shared", TRUE);
}

static void
migrate_bare(Bare *bare, Times *times)
{
    gint64 begin = g_get_monotonic_time(), moved, stop, resume;
    g_autofree char *socket = vm_path("bare.migration");
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);
    Plain *next = plain_start(bare->incoming, PLAIN_DESTINATION, bare->ram);
    MoseQmp *from = bare->now->qmp;

    share_ram(from);
    share_ram(next->qmp);
    plain_command(next->qmp, "migrate-incoming",
                  mose_json_object("uri", "s", uri, NULL));
    moved = g_get_monotonic_time();
    plain_command(from, "migrate", mose_json_object("uri", "s", uri, NULL));
    plain_wait_completed(from);
    plain_wait_completed(next->qmp);
    plain_command(next->qmp, "cont", NULL);
    resume = plain_wait_event(next->qmp, "RESUME");
    bench_add(times->move, ms_since(moved));
    stop = plain_wait_event(from, "STOP");
    bench_add(times->blackout, (double)(resume - stop) / 1e3);
    plain_free(bare->now);
    bare->now = next;
    bench_add(times->total, ms_since(begin));
}

/* The whole command, from its start to its end, is MOSE's total. */
static void
migrate_mose(const VmGuest *guest, const char *command, Times *times)
{
    gint64 begin = g_get_monotonic_time();
    g_autoptr(JsonObject) report = vm_mose_json(command, guest->name, NULL);

    bench_add(times->total, ms_since(begin));
    bench_add(times->move, (double)mose_json_int(report, "move-us", 0) / 1e3);
    bench_add(times->blackout, (double)mose_json_int(report, "blackout-us", 0) / 1e3);
}

/* A second guest, like @guest, which is in its second process. */
static Bare
start_bare(const VmGuest *guest)
{
    pid_t pid = guest_pid(guest->name);
    VmGuest twin = { .console = vm_path("bare.console") };
    g_autoptr(GPtrArray) first = plain_argv(pid, PLAIN_SOURCE, "beside.", "bare.");
    g_autoptr(GError) error = NULL;
    Bare bare = { .ram = mose_ram_create("bare", G_GUINT64_CONSTANT(256) << 20, FALSE,
                                         &error) };

    g_assert_no_error(error);
    bare.incoming = plain_argv(pid, PLAIN_DESTINATION, "beside.", "bare.");
    bare.now = plain_start(first, PLAIN_SOURCE, bare.ram);
    plain_command(bare.now->qmp, "cont", NULL);
    vm_wait_console(&twin, "MOSE-GUEST READY", 60);
    g_free(twin.console);
    return bare;
}

static void
tell(const char *figure, const char *what, GArray *values)
{
    bench_result(&(BenchResult){ figure, what, "ms", 0, values });
}

static void
tell_ratio(const char *figure, const char *what, double goal, const GArray *mose,
           const GArray *bare)
{
    g_autoptr(GArray) ratio = bench_values_new();

    bench_add(ratio, bench_median(mose) / bench_median(bare));
    bench_result(&(BenchResult){ figure, what, "", goal, ratio });
}

static void
tell_all(const Times *mose, const Times *bare)
{
    tell("bare/blackout-mose", "STOP to RESUME: MOSE", mose->blackout);
    tell("bare/blackout-bare", "STOP to RESUME: bare migration", bare->blackout);
    tell("bare/move-mose", "`migrate` to RESUME: MOSE", mose->move);
    tell("bare/move-bare", "`migrate` to RESUME: bare migration", bare->move);
    tell_ratio("bare/move-ratio", "`migrate` to RESUME: MOSE / bare", 0, mose->move,
               bare->move);
    tell("bare/total-mose", "all with the other QEMU's start: MOSE", mose->total);
    tell("bare/total-bare", "all with the other QEMU's start: bare migration",
         bare->total);
    tell_ratio("bare/total-ratio", "all: MOSE / bare", 1.5, mose->total, bare->total);
}

void
measure_beside_bare(void)
{
    g_autoptr(VmGuest) guest = vm_guest_new("beside");
    Times mose = times_new(), plain = times_new();
    Bare bare;

    guest->port = 0;
    vm_run(guest, NULL, GUEST_OPTIONS, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->name, NULL), ==, 0);
    bare = start_bare(guest);
    for (int i = 0; i < TIMES; i++) {
        migrate_mose(guest, i % 2 ? "emulate" : "virtualize", &mose);
        rest();
        migrate_bare(&bare, &plain);
        rest();
    }
    plain_free(bare.now);
    g_ptr_array_unref(bare.incoming);
    mose_fd_close(bare.ram);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    tell_all(&mose, &plain);
    times_clear(&mose);
    times_clear(&plain);
}
