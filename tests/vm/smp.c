/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux with several vCPUs goes there and back: interrupts between them arrive, those
 * that sleep are woken, all of them tick, and one that was taken away comes back.
 *
 * A token goes round all of them through pipes, so that each sends the next one an
 * interrupt and sleeps between two; the worker keeps one of them busy.
 */
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"

#define MAX_VCPUS 4
#define ROUNDS 3
#define WAIT_US (20 * G_USEC_PER_SEC)
/* What all of them have to do until they are believed. */
#define ENOUGH 20

/* The interrupts that each vCPU has had, by a line of /proc/interrupts: RES between
 * vCPUs to wake a task, CAL to call a function, LOC of the local timer. */
static void
count(const VmGuest *guest, const char *name, int vcpus, gint64 *ret)
{
    g_autofree char *command = g_strdup_printf("grep '%s:' /proc/interrupts", name);
    g_autofree char *said = vm_shell_output(guest, command);
    char *at = strchr(said, ':');

    g_assert_nonnull(at);
    at++;
    for (int i = 0; i < vcpus; i++)
        ret[i] = g_ascii_strtoll(at, &at, 10);
}

/* Each vCPU goes on getting them. */
static void
assert_counts(const VmGuest *guest, const char *name, int vcpus)
{
    gint64 deadline = g_get_monotonic_time() + WAIT_US;
    gint64 before[MAX_VCPUS], now[MAX_VCPUS];
    gboolean enough;

    count(guest, name, vcpus, before);
    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50000);
        count(guest, name, vcpus, now);
        enough = TRUE;
        for (int i = 0; i < vcpus; i++)
            enough &= now[i] >= before[i] + ENOUGH;
    } while (!enough);
}

static void
start_ring(const VmGuest *guest, int vcpus)
{
    for (int i = 0; i < vcpus; i++) {
        g_autofree char *command = g_strdup_printf("mkfifo /run/ring%d", i);

        vm_shell(guest, command);
    }
    for (int i = 0; i < vcpus; i++) {
        g_autofree char *command = g_strdup_printf(
            "taskset %x sh -c 'exec 3<>/run/ring%d 4<>/run/ring%d; "
            "while read t <&3; do echo $t >&4; done' </dev/null >/dev/null 2>&1 &",
            1u << i, i, (i + 1) % vcpus);

        vm_shell(guest, command);
    }
    vm_shell(guest, "echo token >/run/ring0");
}

static void
assert_all_work(const VmGuest *guest, int vcpus)
{
    assert_counts(guest, "RES", vcpus);
    assert_counts(guest, "LOC", vcpus);
    json_object_unref(vm_assert_healthy(guest));
}

/* The last vCPU is stopped by the guest and started again: INIT, SIPI. */
static void
restart_last(const VmGuest *guest, int vcpus)
{
    g_autofree char *command =
        g_strdup_printf("echo 0 >/sys/devices/system/cpu/cpu%d/online; "
                        "echo 1 >/sys/devices/system/cpu/cpu%d/online; "
                        "cat /sys/devices/system/cpu/online",
                        vcpus - 1, vcpus - 1);
    g_autofree char *all = g_strdup_printf("0-%d", vcpus - 1);
    g_autofree char *said = vm_shell_output(guest, command);

    g_assert_nonnull(strstr(said, all));
    assert_counts(guest, "LOC", vcpus);
}

static void
go(const VmGuest *guest, const char *command, const char *way)
{
    json_object_unref(vm_mose_json(command, guest->name, way, NULL));
}

static void
round_trips(const char *machine, int vcpus)
{
    g_autofree char *name = g_strdup_printf("smp%d", vcpus);
    g_autofree char *extra = g_strdup_printf("-machine %s -smp %d", machine, vcpus);
    g_autoptr(VmGuest) guest = vm_guest_new(name);

    /* TCG gives each vCPU the same TSC, whatever Linux thinks when it tries. */
    vm_run(guest, NULL, extra, "mose.work=1 tsc=reliable");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    start_ring(guest, vcpus);
    assert_all_work(guest, vcpus);
    for (int i = 0; i < ROUNDS; i++) {
        const char *way = i == ROUNDS - 1 ? "--copy" : "--in-place";

        go(guest, "emulate", way);
        assert_all_work(guest, vcpus);
        go(guest, "virtualize", way);
        assert_all_work(guest, vcpus);
    }
    restart_last(guest, vcpus);
    go(guest, "emulate", "--in-place");
    restart_last(guest, vcpus);
    assert_all_work(guest, vcpus);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
test_two(void)
{
    if (!vm_cannot_run())
        round_trips("pc", 2);
}

static void
test_four(void)
{
    if (!vm_cannot_run())
        round_trips("q35", 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/smp/2", test_two);
    g_test_add_func("/smp/4", test_four);
    return vm_run_tests();
}
