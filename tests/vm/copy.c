/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest goes by copy: through any number of channels, whatever it writes meanwhile,
 * with private memory too; it is told how, and can be stopped.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/vm.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define MB (G_GINT64_CONSTANT(1) << 20)
/* Memory that is not zero and has to go, and what the guest needs beside it. */
#define FILL_MB 400
#define GUEST_MB 768

/* The guest fills a file in memory with what QEMU cannot take for zeros. */
static VmGuest *
start_with(const char *name, const char *options, const char *more)
{
    VmGuest *guest = vm_guest_new(name);
    g_autofree char *extra = g_strdup_printf("-m %d %s", GUEST_MB, more);
    g_autofree char *fill = g_strdup_printf(
        "mkdir -p /tmp/full && mount -t tmpfs -o size=100%% full /tmp/full && "
        "dd if=/dev/urandom of=/tmp/full/1 bs=1M count=4 && n=0 && "
        "while [ $n -lt %d ]; do cat /tmp/full/1; n=$((n + 4)); done >/tmp/full/2 && "
        "echo FIL''LED >/dev/console",
        FILL_MB);

    vm_run(guest, options, extra, "mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    vm_shell(guest, fill);
    vm_wait_console(guest, "FILLED", 120);
    return guest;
}

static VmGuest *
start(const char *name, const char *options)
{
    return start_with(name, options, "");
}

static void
stop(VmGuest *guest)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    vm_guest_free(guest);
}

/* The report says that so much went, and in how many rounds. */
static void
assert_copied(JsonObject *report)
{
    JsonObject *copy = mose_json_child(report, "copy");

    g_assert_cmpstr(mose_json_string(report, "way", ""), ==, "copy");
    g_assert_cmpint(mose_json_int(copy, "bytes", 0), >, FILL_MB * MB);
    g_assert_cmpint(mose_json_int(copy, "rounds", 0), >=, 2);
    g_assert_cmpint(mose_json_int(copy, "copy-us", 0), >, 0);
    g_assert_cmpint(mose_json_int(copy, "downtime-limit-ms", 0), >=,
                    MOSE_FIRST_DOWNTIME_MS);
}

/* With several channels MOSE sees none of the memory; with one, all of it. */
static void
test_channels(void)
{
    static const char *const channels[] = { "3", "1", "2", "1" };
    VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = start("channels", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(channels); i++) {
        g_autoptr(JsonObject) report =
            vm_mose_json(i % 2 ? "virtualize" : "emulate", guest->name, "--copy",
                         "--channels", channels[i], NULL);
        gint64 seen = mose_json_int(report, "stream-bytes", 0);

        assert_copied(report);
        if (strcmp(channels[i], "1") == 0)
            g_assert_cmpint(seen, >, FILL_MB * MB);
        else
            g_assert_cmpint(seen, <, 4 * MB);
        json_object_unref(vm_assert_healthy(guest));
    }
    {
        /* What was copied is shared memory again. */
        g_autoptr(JsonObject) report = vm_mose_json("emulate", guest->name, NULL);

        g_assert_cmpstr(mose_json_string(report, "way", ""), ==, "in-place");
        json_object_unref(vm_assert_healthy(guest));
    }
    stop(guest);
}

static void
test_private(void)
{
    g_autofree char *err = NULL;
    VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = start("private", "--ram-private");
    g_assert_cmpint(vm_mose(NULL, &err, "emulate", guest->name, "--in-place", NULL), ==,
                    1);
    g_assert_nonnull(strstr(err,
                            "has private memory (--ram-private), which can only be "
                            "copied"));
    for (int i = 0; i < 2; i++) {
        g_autoptr(JsonObject) report =
            vm_mose_json(i % 2 ? "virtualize" : "emulate", guest->name, NULL);

        assert_copied(report);
        json_object_unref(vm_assert_healthy(guest));
    }
    stop(guest);
}

/* One that writes faster than it can be copied arrives all the same, and the report
 * tells what that took. */
static void
test_busy(void)
{
    g_autoptr(JsonObject) report = NULL;
    JsonObject *copy;
    VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = start("busy", NULL);
    vm_shell(guest, "while :; do dd if=/tmp/full/2 of=/tmp/full/3 bs=1M count=100 "
                    "conv=notrunc; done 2>/dev/null &");
    report = vm_mose_json("emulate", guest->name, "--copy", "--channels", "1",
                          "--downtime-limit", "400", NULL);
    copy = mose_json_child(report, "copy");
    assert_copied(report);
    g_assert_cmpint(mose_json_int(copy, "rounds", 0), >, 2);
    g_assert_cmpint(mose_json_int(copy, "downtime-limit-ms", 0), <=, 400);
    g_test_message("%d rounds, slowed down by %d %%, %d ms allowed, %.1f ms taken",
                   (int)mose_json_int(copy, "rounds", 0),
                   (int)mose_json_int(copy, "throttle-percent", 0),
                   (int)mose_json_int(copy, "downtime-limit-ms", 0),
                   mose_json_int(report, "blackout-us", 0) / 1e3);
    json_object_unref(vm_assert_healthy(guest));
    stop(guest);
}

/* --- the user wants no more of it --- */

typedef struct {
    int fd;
    guint told; /* how often progress was */
    guint64 left;
} Watch;

static void
interrupt(const MoseSwitchProgress *progress, gpointer data)
{
    Watch *watch = data;
    guint64 one = 1;

    if (progress->total == 0)
        return;
    g_assert_cmpstr(progress->phase, ==, "move");
    g_assert_cmpuint(progress->total, >=, GUEST_MB * MB);
    watch->told++;
    watch->left = progress->left;
    g_assert_cmpint(write(watch->fd, &one, sizeof(one)), ==, sizeof(one));
}

static void
test_interrupted(void)
{
    g_auto(MoseFd) fd = eventfd(0, EFD_CLOEXEC);
    Watch watch = { .fd = fd };
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .way = MOSE_WAY_COPY,
                                  .channels = 1,
                                  .progress = interrupt,
                                  .interrupt_fd = fd,
                                  .data = &watch };
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) whole = NULL;
    g_autofree char *state = NULL;
    VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = start("interrupted", NULL);
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

        g_assert_no_error(error);
        g_assert_false(mose_switch(opened, &options, &report, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED);
    }
    g_test_message("interrupted with %d MB left", (int)(watch.left >> 20));
    g_assert_cmpuint(watch.told, ==, 1);
    g_assert_cmpuint(watch.left, >, 0);
    state = vm_state(guest);
    g_assert_cmpstr(state, ==, "running");
    json_object_unref(vm_assert_healthy(guest));
    whole = vm_mose_json("emulate", guest->name, "--copy", NULL);
    assert_copied(whole);
    json_object_unref(vm_assert_healthy(guest));
    stop(guest);
}

/* --- the guest stops of itself --- */

typedef struct {
    const VmGuest *guest;
    gboolean told;
} PowerOff;

static void
power_off(const MoseSwitchProgress *progress, gpointer data)
{
    PowerOff *off = data;

    if (progress->total == 0 || off->told)
        return;
    off->told = TRUE;
    vm_shell(off->guest, "poweroff -f &");
}

/* One that has shut itself down while it was copied is not let run again. */
static void
test_own_stop(void)
{
    PowerOff off = { 0 };
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .way = MOSE_WAY_COPY,
                                  .channels = 1,
                                  .progress = power_off,
                                  .data = &off };
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    g_autofree char *state = NULL;
    VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = start_with("own-stop", NULL, "-no-shutdown");
    off.guest = guest;
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

        g_assert_no_error(error);
        mose_switch(opened, &options, &report, &error);
        g_assert_no_error(error);
        g_assert_cmpint(opened->side, ==, MOSE_SIDE_EMULATOR);
    }
    g_assert_true(off.told);
    g_assert_cmpstr(report.run_state, ==, "shutdown");
    state = vm_state(guest);
    g_assert_cmpstr(state, ==, "shutdown");
    mose_switch_report_clear(&report);
    stop(guest);
}

/* --- what is said before anything moves --- */

/* All the memory and swap that there is, in MB: less of it can be had, while Linux
 * lets a process ask for that much. */
static guint64
whole_mb(void)
{
    struct sysinfo info;

    g_assert_cmpint(sysinfo(&info), ==, 0);
    return (info.totalram + info.totalswap) * info.mem_unit / MB;
}

/* Twice the memory is not there: that is said, unless it is asked for all the same. */
static void
no_room(const char *name, const char *options)
{
    g_autoptr(VmGuest) guest = vm_guest_new(name);
    /* Never run, it touches none of it. */
    g_autofree char *extra = g_strdup_printf("-S -m %" G_GUINT64_FORMAT, whole_mb());
    g_autofree char *wanted = g_strdup_printf(
        "no room for %" G_GUINT64_FORMAT " MB of guest RAM", whole_mb());
    g_autofree char *state = NULL;
    g_autofree char *err = NULL;

    if (vm_cannot_run())
        return;
    vm_run(guest, options, extra, NULL);
    g_assert_cmpint(vm_mose(NULL, &err, "emulate", guest->name, "--copy", NULL), ==, 1);
    g_assert_nonnull(strstr(err, wanted));
    state = vm_state(guest);
    g_assert_cmpstr(state, ==, "prelaunch");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
test_no_room(void)
{
    no_room("no-room", "--overcommit --ram-shared");
}

static void
test_no_room_private(void)
{
    no_room("no-room-private", "--overcommit --ram-private");
}

/* QEMU's socket names are short: in a directory with a long name it is one channel. */
static void
test_long_directory(void)
{
    g_autofree char *before = g_strdup(g_getenv("MOSE_RUNTIME_DIR"));
    g_autofree char *name = g_strnfill(100, 'd');
    g_autofree char *dir = g_build_filename(before, name, NULL);
    g_autofree char *err = NULL;
    g_autoptr(VmGuest) guest = vm_guest_new("long");
    g_autoptr(JsonObject) report = NULL;

    if (vm_cannot_run())
        return;
    g_setenv("MOSE_RUNTIME_DIR", dir, TRUE);
    vm_run(guest, NULL, "-S", NULL);
    g_assert_cmpint(
        vm_mose(NULL, &err, "emulate", guest->name, "--channels", "4", NULL), ==, 1);
    g_assert_nonnull(strstr(err, "are for a copy; add --copy"));
    report = vm_mose_json("emulate", guest->name, "--copy", "--channels", "4", NULL);
    g_assert_cmpstr(mose_json_string(report, "way", ""), ==, "copy");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
    g_setenv("MOSE_RUNTIME_DIR", before, TRUE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/copy/no-room/shared", test_no_room);
    g_test_add_func("/copy/no-room/private", test_no_room_private);
    g_test_add_func("/copy/long-directory", test_long_directory);
    g_test_add_func("/copy/channels", test_channels);
    g_test_add_func("/copy/private", test_private);
    g_test_add_func("/copy/busy", test_busy);
    g_test_add_func("/copy/interrupted", test_interrupted);
    g_test_add_func("/copy/own-stop", test_own_stop);
    return vm_run_tests();
}
