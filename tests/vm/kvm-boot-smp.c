/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux with several vCPUs that boots under this host's real KVM, of which all but
 * the first start only in the emulator: their clocks tell the time. In the long form
 * also how many out of twenty, with 1 and with 2 vCPUs, come to a healthy userspace.
 */
#include <string.h>

#include "util/json.h"
#include "vm/kvm-boot-guest.h"

#define TIMES 20
/* A tenth of a second of boot takes so long in the emulator of a busy host. */
#define USERSPACE_SECONDS 120

/* The first line of the guest's kernel that tells of trouble with time, a processor, or
 * itself; NULL if there is none. One is not of the switch: with several vCPUs that are
 * not Intel's Linux does not trust their TSC, wherever it boots. */
static char *
trouble(const VmGuest *guest)
{
    g_autoptr(GRegex) wanted = g_regex_new(
        "BUG:|Oops|Kernel panic|WARNING:|LOCKUP|lockup|hung_task|blocked for "
        "more|stall|"
        "clocksource:.*(unstable|skew)|Marking TSC|Marking clocksource|backwards|"
        "general protection|segfault|invalid opcode|failed to come up|not responding",
        0, 0, NULL);
    g_autofree char *console = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents(guest->console, &console, NULL, NULL));
    lines = g_strsplit(console, "\n", -1);
    for (char **line = lines; *line; line++)
        if (g_regex_match(wanted, *line, 0, NULL) &&
            !strstr(*line, "TSCs unsynchronized"))
            return g_strdup(*line);
    return NULL;
}

/* How far the clock of processor @cpu by which the kernel stamps its messages is from
 * the guest's uptime, in seconds. */
static double
stamp_difference(const VmGuest *guest, int cpu)
{
    g_autofree char *mark = g_strdup_printf("] MARK %d ", cpu);
    g_autofree char *command =
        g_strdup_printf("taskset %x sh -c 'read u r </proc/uptime; "
                        "echo \"MARK %d $u END\" >/dev/kmsg'; "
                        "dmesg | grep 'MARK %d '",
                        1u << cpu, cpu, cpu);
    g_autofree char *said = vm_shell_output(guest, command);
    const char *stamp = strchr(said, '['), *uptime = strstr(said, mark);

    g_assert_nonnull(stamp);
    g_assert_nonnull(uptime);
    return g_ascii_strtod(stamp + 1, NULL) -
           g_ascii_strtod(uptime + strlen(mark), NULL);
}

/* Whether the clock of each processor goes with the others'. */
static gboolean
clocks_agree(const VmGuest *guest, int vcpus)
{
    gboolean agree = TRUE;

    for (int cpu = 0; cpu < vcpus; cpu++) {
        double difference = stamp_difference(guest, cpu);

        g_test_message("%s: clock of processor %d is off by %.3f s", guest->name, cpu,
                       difference);
        agree &= ABS(difference) < 1;
    }
    return agree;
}

static void
emulate(const VmGuest *guest, const char *without)
{
    g_autoptr(JsonObject) report =
        without ? vm_mose_json("emulate", guest->name, "--without-rule", without, NULL)
                : vm_mose_json("emulate", guest->name, NULL);

    g_assert_cmpstr(mose_json_string(report, "from-accel", ""), ==, "kvm");
    g_assert_cmpstr(mose_json_string(report, "accel", ""), ==, "tcg");
}

/* A healthy userspace on kvm-clock with @vcpus, and a log without a word of trouble. */
static void
assert_whole(const VmGuest *guest, int vcpus)
{
    g_autofree char *online = NULL;
    g_autoptr(JsonObject) page = NULL;
    g_autofree char *said = NULL;

    vm_wait_console(guest, "MOSE-GUEST READY", USERSPACE_SECONDS);
    page = vm_status_page(guest, 30, NULL);
    g_assert_nonnull(page);
    g_assert_cmpstr(mose_json_string(page, "clocksource", ""), ==, "kvm-clock");
    g_assert_cmpint(mose_json_int(mose_json_child(page, "worker"), "errors", -1), ==,
                    0);
    online = vm_shell_output(guest, "cat /sys/devices/system/cpu/online");
    g_assert_nonnull(strstr(online, vcpus == 1 ? "0" : "0-1"));
    said = trouble(guest);
    g_assert_cmpstr(said, ==, NULL);
    g_assert_true(clocks_agree(guest, vcpus));
}

static void
stop(VmGuest *guest)
{
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
    vm_guest_free(guest);
}

/* Whether @guest has come to harm: its kernel says so, it does not come to userspace,
 * or its clocks are apart. */
static gboolean
is_harmed(const VmGuest *guest)
{
    gint64 deadline = g_get_monotonic_time() + USERSPACE_SECONDS * G_USEC_PER_SEC;

    while (!vm_console_has(guest, "MOSE-GUEST READY")) {
        g_autofree char *said = trouble(guest);

        if (said)
            g_test_message("%s: %s", guest->name, said);
        if (said || g_get_monotonic_time() > deadline)
            return TRUE;
        g_usleep(50000);
    }
    return !clocks_agree(guest, 2);
}

/* With the rule its second processor's clock runs, without it that stands still. */
static void
test_smp(void)
{
    VmGuest *with, *without;

    if (kvm_boot_cannot_run())
        return;
    with = kvm_boot_start("smp", 2);
    without = kvm_boot_start("smp-without", 2);
    vm_wait_console(with, KVM_BOOT_LINE, KVM_BOOT_SECONDS);
    emulate(with, NULL);
    vm_wait_console(without, KVM_BOOT_LINE, KVM_BOOT_SECONDS);
    emulate(without, "kvmclock-aps");
    assert_whole(with, 2);
    stop(with);
    g_assert_true(is_harmed(without));
    stop(without);
}

/* As many at a time as this takes processors: one vCPU's two boots, two of them. */
static void
test_twenty(void)
{
    if (kvm_boot_cannot_run())
        return;
    for (int i = 0; i < TIMES; i++) {
        g_autofree char *first = g_strdup_printf("one-%d", i);
        g_autofree char *second = g_strdup_printf("two-%d", i);
        VmGuest *guests[] = { kvm_boot_start(first, 1), kvm_boot_start(second, 2) };

        for (int vcpus = 1; vcpus <= 2; vcpus++) {
            vm_wait_console(guests[vcpus - 1], KVM_BOOT_LINE, KVM_BOOT_SECONDS);
            emulate(guests[vcpus - 1], NULL);
        }
        for (int vcpus = 1; vcpus <= 2; vcpus++) {
            assert_whole(guests[vcpus - 1], vcpus);
            stop(guests[vcpus - 1]);
        }
        g_test_message("%d of %d, with 1 and with 2 vCPUs", i + 1, TIMES);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/kvm-boot/smp", test_smp);
    if (g_test_slow())
        g_test_add_func("/kvm-boot/twenty", test_twenty);
    return vm_run_tests();
}
