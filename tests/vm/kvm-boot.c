/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux that boots under this host's real KVM goes on in the emulator, with
 * kvm-clock as its clocksource; without a rule it does not.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "guest/clock.h"
#include "guest/guest.h"
#include "qemu/command.h"
#include "switch/switch.h"
#include "util/json.h"
#include "vm/kvm-boot-guest.h"

#define MINUTE_MS 60000u

static VmGuest *good, *without_tsc;
static gint64 seen_us; /* when the good one printed the line, monotonic */

/* Both boot at the same time: it is the longest part of the test. */
static void
wait_for_both(void)
{
    if (good)
        return;
    good = kvm_boot_start("kvm-boot", 1);
    without_tsc = kvm_boot_start("kvm-boot-without-tsc", 1);
    vm_wait_console(good, KVM_BOOT_LINE, KVM_BOOT_SECONDS);
    seen_us = g_get_monotonic_time();
    vm_wait_console(without_tsc, KVM_BOOT_LINE, KVM_BOOT_SECONDS);
}

/* The emulator refuses the section; the guest stays where it is, and runs. */
static void
test_without_kvmclock(void)
{
    g_autoptr(JsonObject) status = NULL;
    g_autofree char *err = NULL;
    g_autofree char *out = NULL;

    if (kvm_boot_cannot_run())
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

/* The time stamp of the kernel's line with @text: "[   27.980834] mem auto-init: ..."
 */
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

static void
tell(const char *command)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(good->name, MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp =
        guest ? mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error) : NULL;

    if (qmp)
        mose_qmp_run(qmp, command, NULL, &error);
    g_assert_no_error(error);
}

static JsonObject *
go(const char *command, const char *accel)
{
    /* The emulator's CPU has more than the guest was started with. */
    JsonObject *report =
        vm_mose_json(command, good->name, "--without-rule", "cpu-features", NULL);

    g_assert_cmpstr(mose_json_string(report, "accel", ""), ==, accel);
    return report;
}

/*
 * Into the emulator and on there for a moment, and back under KVM, where the
 * kernel goes on booting. Stopped around each switch, so that how much it does
 * where does not depend on how busy the host is: a KVM in software comes through
 * little more of the boot than this.
 */
static void
test_there_and_back(void)
{
    g_autoptr(JsonObject) there = NULL, back = NULL;
    gsize size;

    if (kvm_boot_cannot_run())
        return;
    wait_for_both();
    tell("stop");
    there = go("emulate", "tcg");
    g_assert_cmpstr(mose_json_string(there, "from-accel", ""), ==, "kvm");
    g_assert_cmpint(json_array_get_length(mose_json_array(there, "rules")), >=, 2);
    tell("cont");
    g_usleep(20000);
    tell("stop");
    back = go("virtualize", "kvm");
    size = console_size(good);
    tell("cont");
    for (int i = 0; i < 1200 && console_size(good) == size; i++)
        g_usleep(50000);
    g_assert_cmpint(console_size(good), >, size);
}

/* What the fork's first serial port has said since the last time. */
static char *
said_by(MoseGuest *fork, MoseQmp *qmp)
{
    for (guint i = 0; i < fork->spec->options->len; i++) {
        const MoseOption *option = fork->spec->options->pdata[i];
        g_autofree char *kind = mose_option_head(option);
        g_autofree char *id = mose_option_id(option);
        g_autoptr(JsonNode) said = NULL;

        if (!mose_option_is(option, "-chardev") || strcmp(kind, "ringbuf") != 0)
            continue;
        said = mose_qmp_execute(
            qmp, "ringbuf-read",
            mose_json_object("device", "s", id, "size", "i", (gint64)65536, NULL),
            NULL);
        g_assert_nonnull(said);
        return g_strdup(json_node_get_string(said));
    }
    g_assert_not_reached();
}

static void
wait_said(const char *name, const char *text, int seconds)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) fork = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp =
        fork ? mose_guest_connect(fork, MOSE_MONITOR_QUERY, &error) : NULL;
    g_autoptr(GString) all = g_string_new(NULL);

    g_assert_no_error(error);
    for (int i = 0; i < seconds * 10 && !strstr(all->str, text); i++) {
        g_autofree char *said = said_by(fork, qmp);

        g_string_append(all, said);
        g_usleep(100000);
    }
    if (!strstr(all->str, text))
        g_error("no '%s' in what the fork says: %s", text, all->str);
}

/* A fork of it boots to userspace in the emulator, while it goes on under KVM, in
 * memory of its own, which it then gets back. */
static void
test_fork(void)
{
    gsize size;

    if (kvm_boot_cannot_run())
        return;
    wait_for_both();
    g_assert_cmpint(vm_mose(NULL, NULL, "fork", good->name, "kvm-boot-fork",
                            "--without-rule", "cpu-features", NULL),
                    ==, 0);
    size = console_size(good);
    wait_said("kvm-boot-fork", "MOSE-GUEST READY", 60);
    for (int i = 0; i < 1200 && console_size(good) == size; i++)
        g_usleep(50000);
    g_assert_cmpint(console_size(good), >, size);
    g_assert_cmpint(vm_mose(NULL, NULL, "discard", "kvm-boot-fork", NULL), ==, 0);
    size = console_size(good);
    for (int i = 0; i < 1200 && console_size(good) == size; i++)
        g_usleep(50000);
    g_assert_cmpint(console_size(good), >, size);
}

/* From there into the emulator for good: to userspace, on kvm-clock. */
static void
test_to_userspace(void)
{
    g_autoptr(JsonObject) report = NULL, page = NULL;
    gint64 elapsed, uptime;

    if (kvm_boot_cannot_run())
        return;
    report = go("emulate", "tcg");
    g_assert_cmpint(mose_json_int(report, "blackout-us", 0), >, 0); /* it ran */
    vm_wait_console(good, "MOSE-GUEST READY", 60);
    page = vm_assert_healthy(good);
    elapsed = g_get_monotonic_time() - seen_us;
    uptime = mose_json_int(page, "uptime_ns", 0) / 1000 - kernel_time_us(KVM_BOOT_LINE);
    g_test_message("since the line: %.3f s for the guest, %.3f s for the host",
                   uptime / 1e6, elapsed / 1e6);
    /* It was stopped for a while, and its clock with it. */
    g_assert_cmpint(uptime, <, elapsed + G_USEC_PER_SEC);
    g_assert_cmpint(uptime, >, elapsed - 20 * G_USEC_PER_SEC);
    g_assert_cmpstr(mose_json_string(page, "clocksource", ""), ==, "kvm-clock");
}

/* --- guest-stopped: it has been in KVM, and stays out of it --- */

/* A KVM in software runs no userspace: the other side is a TCG from now on. */
static void
leave_kvm_for_good(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(good->name, MOSE_GUEST_LOCK, &error);
    MoseSpec *spec;

    g_assert_no_error(error);
    spec = guest->spec;
    g_free(spec->accel[MOSE_SIDE_VIRTUALIZER]);
    spec->accel[MOSE_SIDE_VIRTUALIZER] = g_strdup("tcg");
    g_free(spec->cpu[MOSE_SIDE_VIRTUALIZER]);
    spec->cpu[MOSE_SIDE_VIRTUALIZER] = g_strdup(spec->cpu[MOSE_SIDE_EMULATOR]);
    g_assert_true(mose_guest_save(guest, &error));
}

static void
add_to(MoseSection *section, const char *path, guint64 by)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    g_assert_true(mose_section_get(section, path, &value, &error));
    g_assert_true(mose_section_set(section, path, value + by, &error));
}

/* As after a switch of a minute: all its clocks have gone on. */
static gboolean
a_minute_later(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    const guint64 *khz = data;

    add_to(timer, "cpu_ticks_offset", MINUTE_MS * *khz);
    add_to(timer, "cpu_clock_offset", MINUTE_MS * 1000000);
    return TRUE;
}

static void
switch_for_a_minute(const char *without)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(good->name, MOSE_GUEST_LOCK, &error);
    MoseSwitchOptions options = { .without_rule = without, .tamper = a_minute_later };
    MoseTscSample from = mose_tsc_sample(), to;
    MoseSwitchReport report = { 0 };
    guint64 khz;

    g_assert_no_error(error);
    g_usleep(100000);
    to = mose_tsc_sample();
    khz = mose_tsc_khz(&from, &to);
    options.data = &khz;
    options.side = guest->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                        : MOSE_SIDE_VIRTUALIZER;
    mose_switch(guest, &options, &report, &error);
    g_assert_no_error(error);
    mose_switch_report_clear(&report);
}

/* Whether the guest says within some periods of its watchdog (4 s) that it was locked
 * up. */
static gboolean
complains(void)
{
    gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    while (g_get_monotonic_time() < deadline) {
        g_autofree char *console = NULL;

        g_usleep(200000);
        g_assert_true(g_file_get_contents(good->console, &console, NULL, NULL));
        if (strstr(console, "soft lockup") || strstr(console, "detected stalls"))
            return TRUE;
    }
    return FALSE;
}

static void
test_guest_stopped(void)
{
    g_autoptr(JsonObject) page = NULL;

    if (kvm_boot_cannot_run())
        return;
    leave_kvm_for_good();
    /* One that sleeps forgives itself: Linux kernel/time/tick-sched.c,
     * tick_nohz_update_jiffies(). */
    vm_shell(good, "while :; do :; done &");
    switch_for_a_minute(NULL);
    g_assert_false(complains());
    page = vm_assert_healthy(good);
    switch_for_a_minute("guest-stopped");
    g_assert_true(complains());
    vm_mose(NULL, NULL, "stop", good->name, NULL);
}

/* --- without tsc --- */

/* The TSC starts anew, far behind what the clock's page says: no userspace with
 * a sane clock within the time that the good one needs many times over. */
static void
test_without_tsc(void)
{
    g_autoptr(JsonObject) report = NULL, page = NULL;

    if (kvm_boot_cannot_run())
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
    g_test_add_func("/kvm-boot/fork", test_fork);
    g_test_add_func("/kvm-boot/there-and-back", test_there_and_back);
    g_test_add_func("/kvm-boot/to-userspace", test_to_userspace);
    g_test_add_func("/kvm-boot/guest-stopped", test_guest_stopped);
    g_test_add_func("/kvm-boot/without-tsc", test_without_tsc);
    ret = vm_run_tests();
    vm_guest_free(good);
    vm_guest_free(without_tsc);
    return ret;
}
