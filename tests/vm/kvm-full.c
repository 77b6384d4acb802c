/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole way on a full KVM: a Linux at work in user mode goes from KVM into the
 * emulator and back, in place and by copy, and is whole.
 *
 * Any machine can run it (lib/full-kvm.h).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/full-kvm.h"
#include "util/fd.h"
#include "util/json.h"

#define MEMORY_MB 1536
#define BOOT_SECONDS 200
/* An answer of the guest, under TCG inside TCG. */
#define ANSWER_SECONDS 120
/* What the guest's clock may be off beside what a switch costs. */
#define CLOCK_NS G_GINT64_CONSTANT(50000000)

typedef struct {
    gint64 uptime;                    /* ns */
    gint64 uptime_least, uptime_most; /* minus the host's clock */
    gint64 worked;                    /* uptime at the worker's last word, ns */
    gint64 errors;                    /* of all its checks */
    char *kind;                       /* registers that it checks */
    char *clocksource;
} Reading;

static void
reading_clear(Reading *reading)
{
    g_free(reading->kind);
    g_free(reading->clocksource);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

static gint64
now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

/* Only what the shell does by itself: no fork, no program. */
static gboolean
take(const VmGuest *guest, Reading *ret)
{
    gint64 before = now_ns(), after, uptime;
    g_autofree char *text = full_kvm_ask(
        guest,
        "read u r </proc/uptime; "
        "read c </sys/devices/system/clocksource/clocksource0/current_clocksource; "
        "read w </run/mose/worker; echo \"$u $c $w\"",
        ANSWER_SECONDS);
    g_auto(GStrv) words = text ? g_strsplit(g_strstrip(text), " ", 3) : NULL;
    g_autoptr(JsonObject) worker = NULL;

    after = now_ns();
    if (!words || g_strv_length(words) != 3)
        return FALSE;
    worker = mose_json_parse(words[2], -1, "worker", NULL);
    uptime = (gint64)(g_ascii_strtod(words[0], NULL) * 1e9);
    *ret = (Reading){ uptime,
                      uptime - after,
                      uptime - before,
                      mose_json_int(worker, "at_ns", -1),
                      mose_json_int(worker, "errors", -1),
                      g_strdup(mose_json_string(worker, "registers_kind", "")),
                      g_strdup(words[1]) };
    g_test_message("%s after %.1f s", text, (after - before) / 1e9);
    return TRUE;
}

/*
 * Where a round trip has got to. The guest's clock may be late by what the
 * destination needed beyond the 20 ms that rule stopped-time allows for, which
 * here is most of the time that the guest stood still; it is never ahead.
 */
typedef struct {
    Reading first;
    gint64 stood_still_ns;
} Trip;

static void
trip_clear(Trip *trip)
{
    reading_clear(&trip->first);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Trip, trip_clear)

/* The worker works here and finds nothing; the guest's clock is kvm-clock and where
 * it was. */
static void
assert_goes_on(const VmGuest *guest, Trip *trip)
{
    gint64 deadline = g_get_monotonic_time() + ANSWER_SECONDS * G_USEC_PER_SEC;
    g_auto(Reading) reading = { 0 };
    gint64 since = 0; /* not what it did before it came here */

    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        reading_clear(&reading);
        g_assert_true(take(guest, &reading));
        g_assert_cmpint(reading.errors, ==, 0);
        g_assert_cmpstr(reading.clocksource, ==, "kvm-clock");
        g_assert_cmpint(reading.uptime_least, <, trip->first.uptime_most + CLOCK_NS);
        g_assert_cmpint(reading.uptime_most, >,
                        trip->first.uptime_least - trip->stood_still_ns - CLOCK_NS);
        since = since ? since : reading.uptime;
    } while (reading.worked <= since);
}

/* The guest's own account of itself. */
static JsonObject *
status_page(const VmGuest *guest)
{
    g_autofree char *text = full_kvm_ask(guest, "status", ANSWER_SECONDS);
    g_autoptr(GError) error = NULL;
    JsonObject *page;

    g_assert_nonnull(text);
    page = mose_json_parse(text, -1, "status", &error);
    g_assert_no_error(error);
    return page;
}

static VmGuest *
start(const char *name)
{
    VmGuest *guest = vm_guest_new(name);
    g_autofree char *disk_name = g_strdup_printf("%s.disk", name);
    g_autofree char *disk = vm_path(disk_name);
    g_autofree char *extra =
        g_strdup_printf("-m 160 -drive file=%s,format=raw,if=none,id=disk -device "
                        "virtio-blk-pci,drive=disk",
                        disk);
    g_auto(MoseFd) fd = open(disk, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    g_assert_cmpint(ftruncate(fd, 16 << 20), ==, 0);
    guest->port = 0; /* its interrupts would wake a guest that sleeps for ever */
    /* --accel auto judges by speed too, and this machine may be busy. */
    vm_run(guest, "--accel kvm", extra, "quiet mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", BOOT_SECONDS);
    return guest;
}

/* @way is "in-place" or "copy". */
static void
go(const VmGuest *guest, Trip *trip, const char *command, const char *from,
   const char *to, const char *way)
{
    g_autofree char *option = g_strconcat("--", way, NULL);
    g_autoptr(JsonObject) report = vm_mose_json(command, guest->name, option, NULL);

    g_assert_cmpstr(mose_json_string(report, "way", ""), ==, way);
    g_assert_cmpstr(mose_json_string(report, "from-accel", ""), ==, from);
    g_assert_cmpstr(mose_json_string(report, "accel", ""), ==, to);
    g_assert_cmpint(mose_json_int(report, "blackout-us", 0), >, 0);
    trip->stood_still_ns += mose_json_int(report, "blackout-us", 0) * 1000;
    assert_goes_on(guest, trip);
}

/*
 * No line of the guest's log tells of trouble. Two kinds tell only of slowness: the
 * watchdog of clocksources finds its readings too slow to judge by, and a processor (or
 * its RCU) that gets nowhere for 20 s is reported.
 */
static void
assert_no_new_trouble(const VmGuest *guest)
{
    g_autofree char *lines = full_kvm_ask(
        guest,
        "dmesg | grep -E 'BUG:|Oops|Kernel panic|WARNING:|hard "
        "LOCKUP|hung_task|blocked "
        "for more than|clocksource.*(unstable|skew)|Marking TSC|general protection|"
        "segfault|invalid opcode|I/O error|Machine check' | "
        "grep -vE 'read-back delay|soft lockup|rcu.*stall'",
        ANSWER_SECONDS);

    g_assert_nonnull(lines);
    g_assert_cmpstr(g_strstrip(lines), ==, "");
}

static void
round_trips(int n)
{
    g_autoptr(VmGuest) guest = start("round");
    g_autoptr(JsonObject) before = NULL, after = NULL, status = NULL;
    g_auto(Trip) trip = { 0 };

    status = vm_mose_json("status", guest->name, NULL);
    g_assert_cmpstr(mose_json_string(status, "accel", ""), ==, "kvm");
    before = status_page(guest);
    g_assert_true(take(guest, &trip.first));
    g_assert_cmpstr(trip.first.kind, ==, "x87+avx");
    assert_goes_on(guest, &trip);
    for (int i = 0; i < n; i++) {
        go(guest, &trip, "emulate", "kvm", "tcg", i % 2 ? "copy" : "in-place");
        go(guest, &trip, "virtualize", "tcg", "kvm", i % 2 ? "in-place" : "copy");
    }
    after = status_page(guest);
    g_assert_cmpstr(mose_json_string(after, "boot_id", "a"), ==,
                    mose_json_string(before, "boot_id", "b"));
    assert_no_new_trouble(guest);
    g_assert_false(vm_console_has(guest, "MOSE-GUEST ERROR"));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

static void
test_round_trip(void)
{
    if (vm_why_not())
        g_test_skip(vm_why_not());
    else
        round_trips(g_test_slow() ? 10 : 1);
}

static const FullKvmTest tests[] = {
    { "/kvm-full/round-trip", test_round_trip },
};

int
main(int argc, char **argv)
{
    const FullKvm linux_inside = { .memory_mb = MEMORY_MB };

    return full_kvm_main(&linux_inside, argc, argv, tests, G_N_ELEMENTS(tests));
}
