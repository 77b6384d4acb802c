/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux that boots under this host's real KVM goes on in the emulator, with
 * kvm-clock as its clocksource; without a rule it does not.
 *
 * KVM need not be fit for a general guest: the kernel is switched while it boots.
 * The flags keep it from what a KVM in software cannot do in ring 0; its CPUID
 * may be the host's whatever -cpu says, so the emulator has all features.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "lib/vm.h"
#include "util/fd.h"
#include "util/json.h"

/* A KVM in software takes 45 s to this line, a full one less than one. */
#define BOOT_SECONDS 240
#define FLAGS                                                                          \
    "earlyprintk=serial panic=-1 nokaslr lpj=1000000 mitigations=off noxsave "         \
    "clearcpuid=cx16 mose.work=1"

static VmGuest *good, *without_tsc;
static gint64 seen_us; /* when the good one printed the line, monotonic */

static gboolean
cannot_run(void)
{
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (vm_why_not())
        g_test_skip(vm_why_not());
    else if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    return vm_why_not() || kvm < 0;
}

static VmGuest *
start(const char *name)
{
    VmGuest *guest = vm_guest_new(name);
    g_autofree char *kernel = vm_image("vmlinux");
    g_autofree char *extra =
        g_strdup_printf("-cpu qemu64,-cx16,-svm,-kvm-asyncpf -kernel %s", kernel);

    vm_run(guest, "--accel kvm --emulator-cpu max", extra, FLAGS);
    return guest;
}

/* Both boot at the same time: it is the longest part of the test. */
static void
wait_for_both(void)
{
    if (good)
        return;
    good = start("kvm-boot");
    without_tsc = start("kvm-boot-without-tsc");
    vm_wait_console(good, "Memory: ", BOOT_SECONDS);
    seen_us = g_get_monotonic_time();
    vm_wait_console(without_tsc, "Memory: ", BOOT_SECONDS);
}

/* The emulator refuses the section; the guest stays where it is, and runs. */
static void
test_without_kvmclock(void)
{
    g_autoptr(JsonObject) status = NULL;
    g_autofree char *err = NULL;
    g_autofree char *out = NULL;

    if (cannot_run())
        return;
    wait_for_both();
    g_assert_cmpint(
        vm_mose(&out, &err, "emulate", good->name, "--without-rule", "kvmclock", NULL),
        ==, 1);
    g_assert_nonnull(strstr(err, "Unknown savevm section or instance 'kvmclock' 0"));
    status = vm_mose_json("status", good->name, NULL);
    g_assert_cmpstr(mose_json_string(status, "state", ""), ==, "running");
    g_assert_cmpstr(mose_json_string(status, "accel", ""), ==, "kvm");
}

/* The time stamp of the kernel's line with @text: "[   30.786862] Memory: ..." */
static gint64
kernel_time_us(const char *text)
{
    g_autofree char *console = NULL;
    const char *line;

    g_assert_true(g_file_get_contents(good->console, &console, NULL, NULL));
    line = strstr(console, text);
    g_assert_nonnull(line);
    while (line > console && line[-1] != '[')
        line--;
    return (gint64)(g_ascii_strtod(line, NULL) * G_USEC_PER_SEC);
}

static gsize
console_size(const VmGuest *guest)
{
    GStatBuf st;

    return g_stat(guest->console, &st) == 0 ? st.st_size : 0;
}

/* In the emulator for a moment, back under KVM while it is still in the kernel
 * alone, which runs on there, and into the emulator for good. */
static void
test_to_userspace(void)
{
    g_autoptr(JsonObject) there = NULL, back = NULL, again = NULL, page = NULL;
    gint64 elapsed, uptime;
    gsize size;

    if (cannot_run())
        return;
    wait_for_both();
    there = vm_mose_json("emulate", good->name, NULL);
    g_assert_cmpstr(mose_json_string(there, "from-accel", ""), ==, "kvm");
    g_assert_cmpstr(mose_json_string(there, "accel", ""), ==, "tcg");
    g_assert_cmpint(json_array_get_length(mose_json_array(there, "rules")), >=, 3);
    /* The emulator's CPU has more than the guest was started with. */
    back =
        vm_mose_json("virtualize", good->name, "--without-rule", "cpu-features", NULL);
    g_assert_cmpstr(mose_json_string(back, "accel", ""), ==, "kvm");
    size = console_size(good);
    for (int i = 0; i < 600 && console_size(good) == size; i++)
        g_usleep(50000);
    g_assert_cmpint(console_size(good), >, size);
    again = vm_mose_json("emulate", good->name, NULL);
    g_assert_cmpint(mose_json_int(again, "blackout-us", 0), >, 0); /* it ran */

    vm_wait_console(good, "MOSE-GUEST READY", 60);
    page = vm_assert_healthy(good);
    elapsed = g_get_monotonic_time() - seen_us;
    uptime = mose_json_int(page, "uptime_ns", 0) / 1000 - kernel_time_us("Memory: ");
    g_test_message("since the line: %.3f s for the guest, %.3f s for the host",
                   uptime / 1e6, elapsed / 1e6);
    g_assert_cmpint(ABS(elapsed - uptime), <, 3 * G_USEC_PER_SEC);
    g_assert_cmpstr(mose_json_string(page, "clocksource", ""), ==, "kvm-clock");
    vm_mose(NULL, NULL, "stop", good->name, NULL);
}

/* The TSC starts anew, far behind what the clock's page says: no userspace with
 * a sane clock within the time that the good one needs many times over. */
static void
test_without_tsc(void)
{
    g_autoptr(JsonObject) report = NULL, page = NULL;

    if (cannot_run())
        return;
    wait_for_both();
    report = vm_mose_json("emulate", without_tsc->name, "--without-rule", "tsc", NULL);
    page = vm_status_page(without_tsc, 20, NULL);
    if (page) /* it answers: then its clock must be off by more than an hour */
        g_assert_cmpint(mose_json_int(page, "uptime_ns", 0) /
                            G_GINT64_CONSTANT(1000000000),
                        >, 3600);
    vm_mose(NULL, NULL, "stop", without_tsc->name, NULL);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/kvm-boot/without-kvmclock", test_without_kvmclock);
    g_test_add_func("/kvm-boot/to-userspace", test_to_userspace);
    g_test_add_func("/kvm-boot/without-tsc", test_without_tsc);
    ret = g_test_run();
    vm_teardown();
    vm_guest_free(good);
    vm_guest_free(without_tsc);
    return ret;
}
