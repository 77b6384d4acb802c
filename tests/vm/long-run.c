/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that writes memory, its disk and the network all the time is switched 50
 * times in a row (-m slow: 1,000 times), by the command and within one process. It
 * checks itself, and the host checks on its own: worker pages found in its memory,
 * all of its memory before and after a switch that it slept through, its disk. Then
 * what both have leaked.
 */
#include <string.h>

#include "lib/disk-image.h"
#include "lib/guest-ram.h"
#include "lib/vm-net.h"
#include "qemu/command.h"
#include "guest/guest.h"
#include "util/json.h"

#define CONNECTIONS 4
#define BATCHES 20 /* of the long form; the short one has one */
#define BATCH 50   /* the two of its last check among them */
/* The worker's own number, and what it may be at when it is stopped. */
#define WORKER_PAGES 256
#define AT_WORK 3
#define MAX_DRIFT_NS G_GINT64_CONSTANT(1000000) /* a switch */
#define MEMORY_SLACK_KB 8192
#define CLOSE_SECONDS 5

typedef struct {
    VmGuest *guest;
    GArray *blackouts; /* gint64, us */
    guint switches, checks;
    gint64 drift_ns, most_drift_ns; /* of all; of one batch */
    guint fds[2];                   /* of the guest's QEMU: first check, last */
    guint64 resident_kb[2];
    gint64 stream[2];
} Run;

/* --- looking --- */

static MoseGuest *
look(const Run *run)
{
    g_autoptr(GError) error = NULL;
    MoseGuest *guest = mose_guest_open(run->guest->name, MOSE_GUEST_LOOK, &error);

    g_assert_no_error(error);
    return guest;
}

static void
tell_qemu(const Run *run, const char *command)
{
    g_autoptr(MoseGuest) guest = look(run);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error);

    g_assert_no_error(error);
    mose_qmp_run(qmp, command, NULL, &error);
    g_assert_no_error(error);
}

static guint
count_fds(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    guint n = 0;

    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

static guint64
resident_kb(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;
    const char *line;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    line = strstr(text, "RssAnon:");
    g_assert_nonnull(line);
    return g_ascii_strtoull(line + strlen("RssAnon:"), NULL, 10);
}

/* Processes that hold the guest's memory, and how many memories those are. */
static guint
count_holders(const Run *run, guint *ret_memories)
{
    g_autofree char *mark = g_strdup_printf("/memfd:mose-ram-%s ", run->guest->name);
    g_autoptr(GHashTable) inodes =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *pid;
    guint n = 0;

    while ((pid = g_dir_read_name(proc))) {
        g_autofree char *path = g_build_filename("/proc", pid, "maps", NULL);
        g_autofree char *text = NULL;
        const char *at;

        if (!g_ascii_isdigit(*pid) || !g_file_get_contents(path, &text, NULL, NULL) ||
            !(at = strstr(text, mark)))
            continue;
        n++;
        while (at > text && at[-1] != '\n')
            at--;
        /* address perms offset dev inode path */
        g_auto(GStrv) fields = g_strsplit_set(at, " ", 6);
        g_hash_table_add(inodes, g_strdup(fields[4]));
    }
    *ret_memories = g_hash_table_size(inodes);
    return n;
}

/* Names in the guest's directory. */
static guint
count_files(const MoseGuest *guest)
{
    g_autoptr(GDir) dir = g_dir_open(guest->dir, 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

/* --- switching --- */

static void
note_blackout(Run *run, gint64 us)
{
    run->switches++;
    if (us > 0)
        g_array_append_val(run->blackouts, us);
}

static void
by_command(Run *run)
{
    g_autoptr(MoseGuest) guest = look(run);
    g_autoptr(JsonObject) report =
        vm_mose_json(guest->side == MOSE_SIDE_VIRTUALIZER ? "emulate" : "virtualize",
                     guest->name, NULL);

    note_blackout(run, mose_json_int(report, "blackout-us", 0));
    if (run->stream[0] == 0)
        run->stream[0] = mose_json_int(report, "stream-bytes", 0);
    run->stream[1] = mose_json_int(report, "stream-bytes", 0);
}

static gint64
grown(JsonObject *result, const char *member)
{
    return mose_json_int(mose_json_child(result, "after"), member, 0) -
           mose_json_int(mose_json_child(result, "before"), member, 0);
}

static void
in_one_process(Run *run, int n)
{
    g_autofree char *number = g_strdup_printf("%d", n);
    const char *argv[] = { g_getenv("SWITCH_MANY"), run->guest->name, number, NULL };
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(JsonObject) result = NULL;
    JsonArray *blackouts;
    int status = -1;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, &err, &status, NULL);
    if (status != 0)
        g_error("%s", err);
    result = mose_json_parse(out, -1, "switch-many", NULL);
    g_test_message("in one process: %+d descriptors, %+d threads, %+d KB",
                   (int)grown(result, "fds"), (int)grown(result, "threads"),
                   (int)grown(result, "resident-kb"));
    g_assert_cmpint(grown(result, "fds"), <=, 0);
    g_assert_cmpint(grown(result, "threads"), <=, 0);
    g_assert_cmpint(grown(result, "resident-kb"), <, MEMORY_SLACK_KB);
    blackouts = mose_json_array(result, "blackouts");
    for (guint i = 0; i < json_array_get_length(blackouts); i++)
        note_blackout(run, json_array_get_int_element(blackouts, i));
}

/* --- what the host checks --- */

/* The worker's pages, one by one, as they lie in the guest's memory. */
static void
check_worker_pages(const Run *run, pid_t qemu, JsonObject *page)
{
    gint64 steps = mose_json_int(
        mose_json_child(mose_json_child(page, "worker"), "memory"), "steps", 0);
    guint whole, broken;

    g_assert_cmpint(steps, >, 0);
    /* It writes 8 pages a step, 50 times a second, after its last report, too. */
    guest_ram_worker_pages(qemu, (steps + 1500) * 8 + 2 * WORKER_PAGES, &whole,
                           &broken);
    g_test_message("switch %u: %u worker pages whole, %u being written", run->switches,
                   whole, broken);
    g_assert_cmpuint(whole + broken, >=, WORKER_PAGES - AT_WORK);
    g_assert_cmpuint(broken, <=, AT_WORK);
}

/* A guest that sleeps through a switch finds every byte as it was. */
static void
check_all_memory(Run *run)
{
    g_autofree char *before = NULL;

    for (int i = 0; i < 3; i++) {
        g_autoptr(MoseGuest) guest = look(run);
        g_autofree char *sum = guest_ram_checksum(guest->pid);

        if (i == 0)
            before = g_strdup(sum);
        g_assert_cmpstr(sum, ==, before);
        if (i < 2)
            by_command(run);
    }
}

static void
check_leaks(Run *run)
{
    g_autoptr(MoseGuest) guest = look(run);
    gint64 deadline = g_get_monotonic_time() + CLOSE_SECONDS * G_USEC_PER_SEC;
    guint last = run->checks > 0, memories;

    /* The end of the last connection to its monitor may still have to be seen. */
    do
        run->fds[last] = count_fds(guest->pid);
    while (last && run->fds[1] > run->fds[0] && g_get_monotonic_time() < deadline);
    run->resident_kb[last] = resident_kb(guest->pid);
    g_assert_cmpuint(count_holders(run, &memories), ==, 1);
    g_assert_cmpuint(memories, ==, 1);
    /* guest.json, lock; three monitors, log and pidfile. */
    g_assert_cmpuint(count_files(guest), ==, 7);
    run->checks++;
    if (run->checks == 1)
        return;
    g_assert_cmpuint(run->fds[1], <=, run->fds[0]);
    g_assert_cmpuint(run->resident_kb[1], <, run->resident_kb[0] * 3 / 2);
    g_assert_cmpint(run->stream[1], <, run->stream[0] * 3 / 2);
}

static void
check(Run *run)
{
    g_autoptr(JsonObject) page = vm_assert_healthy(run->guest);
    g_autoptr(MoseGuest) guest = look(run);

    tell_qemu(run, "stop");
    check_worker_pages(run, guest->pid, page);
    check_all_memory(run);
    tell_qemu(run, "cont");
    check_leaks(run);
    json_object_unref(vm_assert_healthy(run->guest));
}

/* --- the run --- */

/*
 * How far the guest's clock has moved since it was @start. What a busy host adds to
 * one switch is made good by the next one: a reading that is off is not the last word.
 */
static gint64
drift_since(Run *run, gint64 start)
{
    gint64 drift = vm_clock_difference(run->guest) - start;

    for (int i = 0; i < 5 && ABS(drift) >= MAX_DRIFT_NS * (BATCH - 2); i++) {
        by_command(run);
        by_command(run);
        drift = vm_clock_difference(run->guest) - start;
    }
    return drift;
}

static void
batch(Run *run)
{
    gint64 start = vm_clock_difference(run->guest), drift;

    for (int i = 0; i < BATCH / 2 - 2; i++) {
        by_command(run);
        /* The first process of all differs from those that follow. */
        if (i == 1)
            check_leaks(run);
    }
    in_one_process(run, BATCH / 2);
    drift = drift_since(run, start);
    run->drift_ns += drift;
    if (ABS(drift) > ABS(run->most_drift_ns))
        run->most_drift_ns = drift;
    g_test_message("switch %u: the guest's clock moved by %.3f ms", run->switches,
                   drift / 1e6);
    g_assert_cmpint(ABS(drift), <, MAX_DRIFT_NS * (BATCH - 2));
    check(run);
}

static int
by_size(gconstpointer a, gconstpointer b)
{
    const gint64 *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void
print_figures(const Run *run, JsonObject *load)
{
    const GArray *us = run->blackouts;

    g_array_sort(run->blackouts, by_size);
    g_test_message("%u switches, 0 lost", run->switches);
    g_test_message("stood still: median %.1f ms, 95 %% %.1f ms, most %.1f ms",
                   g_array_index(us, gint64, us->len / 2) / 1e3,
                   g_array_index(us, gint64, us->len * 95 / 100) / 1e3,
                   g_array_index(us, gint64, us->len - 1) / 1e3);
    g_test_message("the guest's clock: %.3f ms a switch, %.3f ms in the worst %d",
                   run->drift_ns / 1e6 / run->switches, run->most_drift_ns / 1e6,
                   BATCH);
    g_test_message("QEMU: %u descriptors, then %u; %" G_GUINT64_FORMAT
                   " KB of its own, then %" G_GUINT64_FORMAT
                   "; stream of %" G_GINT64_FORMAT " bytes, then %" G_GINT64_FORMAT,
                   run->fds[0], run->fds[1], run->resident_kb[0], run->resident_kb[1],
                   run->stream[0], run->stream[1]);
    g_test_message(
        "%" G_GINT64_FORMAT " requests over %d connections, %" G_GINT64_FORMAT
        " errors, %" G_GINT64_FORMAT " broken",
        mose_json_int(load, "requests", 0), CONNECTIONS,
        mose_json_int(load, "errors", -1), mose_json_int(load, "reconnects", -1));
}

static gint64
disk_steps(JsonObject *page)
{
    JsonObject *disks = mose_json_child(mose_json_child(page, "worker"), "disks");

    return mose_json_int(mose_json_child(disks, "vda"), "steps", 0);
}

static void
start(Run *run, const char *disk)
{
    g_autofree char *extra = g_strdup_printf(
        "-drive file=%s,format=raw,if=none,id=disk -device virtio-blk-pci,drive=disk",
        disk);

    disk_image_make(disk, "raw");
    vm_net_run(run->guest, extra);
    vm_wait_console(run->guest, "MOSE-GUEST READY", 120);
}

static void
test_long_run(void)
{
    g_autofree char *disk = vm_path("disk.raw");
    g_autoptr(GSubprocess) load = NULL;
    g_autoptr(JsonObject) page = NULL, result = NULL;
    Run run = { 0 };

    if (vm_why_not() || vm_net_why_not()) {
        g_test_skip(vm_why_not() ? vm_why_not() : vm_net_why_not());
        return;
    }
    run.guest = vm_guest_new("long-run");
    run.blackouts = g_array_new(FALSE, FALSE, sizeof(gint64));
    start(&run, disk);
    load = vm_load_start(CONNECTIONS);
    for (int i = 0; i < (g_test_slow() ? BATCHES : 1); i++)
        batch(&run);
    result = vm_load_end(load);
    g_assert_cmpint(mose_json_int(result, "errors", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "reconnects", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "connections_alive", -1), ==, CONNECTIONS);
    page = vm_assert_healthy(run.guest);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", run.guest->name, NULL), ==, 0);
    disk_image_assert_ring(disk, "raw", disk_steps(page));
    g_assert_cmpuint(run.switches, >=, BATCH * (g_test_slow() ? BATCHES : 1));
    print_figures(&run, result);
    g_array_unref(run.blackouts);
    vm_guest_free(run.guest);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    vm_net_setup();
    g_test_add_func("/long-run", test_long_run);
    return vm_run_tests();
}
