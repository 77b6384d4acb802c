/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole way on a full KVM: a Linux at work in user mode goes from KVM into the
 * emulator and back, in place and by copy, and is whole.
 *
 * Any machine can run it: this program starts itself again in a Linux under TCG
 * whose CPU has SVM and whose kernel has kvm_amd (kvm-in-tcg), and passes on what it
 * says there. The guest's KVM is Linux's own; only the processor below is slow,
 * and in the emulator (TCG inside TCG) the guest is some hundred times slower than
 * a real one. So it is asked little there, by a shell that starts no program.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "guest/clock.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define INSIDE "MOSE_TEST_INSIDE"
#define MEMORY_MB "1536"
#define BOOT_SECONDS 200
/* An answer of the guest, under TCG inside TCG. */
#define ANSWER_SECONDS 120
/* What the guest's clock may be off beside what a switch costs. */
#define CLOCK_NS G_GINT64_CONSTANT(50000000)

/* --- inside: on the full KVM --- */

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

/* Have the guest's shell run @command; what it printed, or NULL when it has not
 * ended within @seconds. */
static char *
ask(const VmGuest *guest, const char *command, int seconds)
{
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_unix_connect(guest->shell, &error);
    g_autofree char *line = g_strdup_printf("\n%s\necho ANS''WERED\n", command);
    g_autoptr(GString) said = g_string_new(NULL);
    char *end = NULL;

    g_assert_no_error(error);
    mose_fd_write_all(fd, line, strlen(line), guest->shell, &error);
    g_assert_no_error(error);
    while (!end) {
        gint64 left = deadline - g_get_monotonic_time();
        struct pollfd readable = { fd, POLLIN, 0 };
        char piece[512];
        ssize_t n;

        if (left <= 0 || poll(&readable, 1, (int)(left / 1000)) <= 0)
            return NULL;
        n = read(fd, piece, sizeof(piece));
        if (n <= 0)
            return NULL;
        g_string_append_len(said, piece, n);
        end = strstr(said->str, "ANSWERED");
    }
    return g_strndup(said->str, end - said->str);
}

/* Only what the shell does by itself: no fork, no program. */
static gboolean
take(const VmGuest *guest, Reading *ret)
{
    gint64 before = now_ns(), after, uptime;
    g_autofree char *text =
        ask(guest,
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
    g_autofree char *text = ask(guest, "status", ANSWER_SECONDS);
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
    g_autofree char *lines =
        ask(guest,
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

/* --- outside --- */

static const char *why_not;

static void
skip(void)
{
    g_test_skip(why_not);
}

static const struct {
    const char *path;
    void (*run)(void);
} tests[] = {
    { "/kvm-full/round-trip", test_round_trip },
};

static char *
output_of(const char *const *argv)
{
    char *out = NULL;
    int status = 1;

    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &out, NULL, &status, NULL) ||
        status != 0)
        g_clear_pointer(&out, g_free);
    return out ? g_strchomp(out) : NULL;
}

static void
add(GPtrArray *words, const char *option, char *value)
{
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, value);
}

/* The firmware that a pc needs, wherever this QEMU has it. */
static void
add_firmware(GPtrArray *words)
{
    static const char *const names[] = { "bios-256k.bin", "kvmvapic.bin",
                                         "linuxboot_dma.bin" };
    static const char *const argv[] = { "qemu-system-x86_64", "-L", "help", NULL };
    g_autofree char *text = output_of(argv);
    g_auto(GStrv) directories = text ? g_strsplit(text, "\n", -1) : NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        for (char **dir = directories; dir && *dir; dir++) {
            g_autofree char *file = g_build_filename(*dir, names[i], NULL);

            if (!g_file_test(file, G_FILE_TEST_EXISTS))
                continue;
            add(words, "--with", g_steal_pointer(&file));
            break;
        }
    }
}

/* The inner Linux must not guess the TSC's frequency while others are busy. */
static guint64
tsc_khz(void)
{
    MoseTscSample from = mose_tsc_sample(), to;

    g_usleep(200000);
    to = mose_tsc_sample();
    return mose_tsc_khz(&from, &to);
}

static GPtrArray *
command_line(const char *qemu, const char *guest, char **argv)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_path_get_dirname(qemu);

    g_ptr_array_add(words, g_strdup(g_getenv("KVM_IN_TCG")));
    add(words, "--memory", g_strdup(MEMORY_MB));
    add(words, "--cpus", g_strdup("2"));
    add(words, "--seconds", g_strdup(g_getenv("SECONDS_INSIDE")));
    add(words, "--append",
        g_strdup_printf("tsc_early_khz=%" G_GUINT64_FORMAT, tsc_khz()));
    add(words, "--set", g_strdup_printf("PATH=/bin:%s", path));
    add(words, "--set", g_strdup(INSIDE "=1"));
    add(words, "--set", g_strdup_printf("MOSE=%s", g_getenv("MOSE")));
    add(words, "--with", g_strdup(g_getenv("MOSE")));
    add(words, "--with", g_strdup(qemu));
    add_firmware(words);
    g_ptr_array_add(words, g_strdup("--guest"));
    g_ptr_array_add(words, g_strdup(guest));
    for (; *argv; argv++)
        g_ptr_array_add(words, g_strdup(*argv));
    g_ptr_array_add(words, NULL);
    return words;
}

/* Pass on the program's TAP from between the lines BEGIN and END; its status. */
static int
pass_on(FILE *from)
{
    gboolean begun = FALSE;
    int status = -1;
    char line[4096];

    while (fgets(line, sizeof(line), from)) {
        gboolean tap;

        line[strcspn(line, "\r\n")] = '\0';
        if (begun && sscanf(line, "END %d", &status) == 1)
            continue;
        tap = g_str_has_prefix(line, "ok ") || g_str_has_prefix(line, "not ok ") ||
              g_str_has_prefix(line, "1..") || g_str_has_prefix(line, "Bail out!") ||
              line[0] == '#';
        printf("%s%s\n", begun && tap ? "" : "# ", line);
        fflush(stdout);
        begun = begun || strcmp(line, "BEGIN") == 0;
    }
    return status;
}

static void
die_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static int
run_inside(const char *qemu, const char *guest, char **argv)
{
    g_autoptr(GPtrArray) words = command_line(qemu, guest, argv);
    g_autoptr(GError) error = NULL;
    int out, status, wait_status;
    FILE *from;
    GPid pid;

    if (!g_spawn_async_with_pipes(NULL, (char **)words->pdata, NULL,
                                  G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent, NULL,
                                  &pid, NULL, &out, NULL, &error))
        g_error("%s", error->message);
    from = fdopen(out, "r");
    status = pass_on(from);
    fclose(from);
    waitpid(pid, &wait_status, 0);
    if (status == 0)
        return 0;
    printf("Bail out! the program ended with status %d\n", status);
    return 1;
}

int
main(int argc, char **argv)
{
    gboolean inside = g_getenv(INSIDE) != NULL;
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    g_autofree char *guest = NULL;

    if (!inside && qemu) {
        const char *const build[] = { g_getenv("MOSE_GUEST_BUILD"), NULL };

        guest = output_of(build);
        if (guest)
            return run_inside(qemu, guest, argv);
    }
    why_not = qemu ? "guest/linux/build cannot make the demo guest here"
                   : "qemu-system-x86_64 is not installed";
    g_test_init(&argc, &argv, NULL);
    if (inside)
        vm_setup();
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, inside ? tests[i].run : skip);
    return inside ? vm_run_tests() : g_test_run();
}
