/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a VT-x or SVM KVM would write into the stream, loaded into a real TCG:
 * with its rule the guest goes on, without it comes to harm. The fields are set
 * in the stream of a guest that runs under TCG, before the rules see it; what
 * KVM writes there is cited in each rule's file.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "lib/vm.h"
#include "qemu/command.h"
#include "stream/rules/list.h"
#include "guest/generation.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "util/json.h"

#define TRIES 3

typedef gboolean (*Tamper)(MoseDoc *doc, gpointer data, GError **error);

static VmGuest *
start(const char *name, const char *append)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, "--accel tcg", NULL, append);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    return guest;
}

/* Switch to the other side with @tamper, leaving @without out. */
static gboolean
go(const VmGuest *vm, Tamper tamper, const char *without, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOCK, error);
    MoseSwitchOptions options = { .without_rule = without, .tamper = tamper };
    MoseSwitchReport report = { 0 };
    MoseRecovered recovered;
    gboolean done;

    g_assert_no_error(error ? *error : NULL);
    g_assert_nonnull(guest);
    g_assert_true(mose_recover(guest, &recovered, error));
    options.side = guest->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                        : MOSE_SIDE_VIRTUALIZER;
    done = mose_switch(guest, &options, &report, error);
    mose_switch_report_clear(&report);
    return done;
}

static void
set(MoseSection *section, const char *path, guint64 value)
{
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(section);
    mose_section_set(section, path, value, &error);
    g_assert_no_error(error);
}

static guint64
get(MoseSection *section, const char *path)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    g_assert_nonnull(section);
    mose_section_get(section, path, &value, &error);
    g_assert_no_error(error);
    return value;
}

/* --- hflags: KVM's side does not set the AVX, SMAP and UMIP bits --- */

static gboolean
clear_hflags(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);

    set(cpu, "env.hflags", get(cpu, "env.hflags") & ~(1u << 23 | 1u << 27 | 1u << 28));
    return TRUE;
}

/* The worker keeps a pattern in AVX registers, and the C library uses them too:
 * #UD ends whoever meets it with SIGILL, often the web server. -1: no answer. */
static gint64
worker_steps(const VmGuest *guest)
{
    g_autoptr(JsonObject) page = vm_status_page(guest, 1, NULL);
    JsonObject *worker = mose_json_child(page, "worker");

    return mose_json_int(mose_json_child(worker, "registers"), "steps", -1);
}

static gboolean
worker_goes_on(const VmGuest *guest)
{
    gint64 deadline = g_get_monotonic_time() + 8 * G_USEC_PER_SEC;
    gint64 steps = worker_steps(guest);

    while (g_get_monotonic_time() < deadline) {
        g_usleep(100000);
        if (steps < 0)
            steps = worker_steps(guest);
        else if (worker_steps(guest) > steps)
            return TRUE;
    }
    return FALSE;
}

static void
test_hflags(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) page = NULL;

    if (vm_cannot_run())
        return;
    guest = start("hflags", "mose.work=1");
    page = vm_assert_healthy(guest);
    if (!strstr(mose_json_string(mose_json_child(page, "worker"), "registers_kind", ""),
                "avx")) {
        g_test_skip("the portable CPU of this host has no AVX");
        return;
    }
    g_assert_true(go(guest, clear_hflags, NULL, &error));
    g_assert_no_error(error);
    g_assert_true(worker_goes_on(guest));
    g_assert_true(go(guest, clear_hflags, "hflags", &error));
    g_assert_no_error(error);
    g_assert_false(worker_goes_on(guest));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* --- smi: the paper's example --- */

static gboolean
leave_smi(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", 0);

    set(common, "interrupt_request", get(common, "interrupt_request") | 0x40);
    set(mose_rule_cpu_section(doc, "cpu", 0), "env.smbase", 0x30000);
    return TRUE;
}

static void
test_smi(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) page = NULL, frozen = NULL;

    if (vm_cannot_run())
        return;
    guest = start("smi", NULL);
    g_assert_true(go(guest, leave_smi, NULL, &error));
    g_assert_no_error(error);
    page = vm_assert_healthy(guest);
    g_assert_true(go(guest, leave_smi, "smi", &error));
    g_assert_no_error(error);
    frozen = vm_status_page(guest, 6, NULL);
    g_assert_null(frozen);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* --- lapic-pending: the tick has fired and waits in IRR --- */

static gboolean
leave_tick_pending(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", 0);
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", 0);
    guint vector = get(apic, "lvt[0]") & 0xff;
    g_autofree char *word = g_strdup_printf("irr[%u]", vector / 32);

    set(apic, word, get(apic, word) | 1u << vector % 32);
    set(apic, "timer_expiry", G_MAXUINT64); /* -1: not armed */
    set(common, "interrupt_request", 0);
    return TRUE;
}

/* Whether the guest's loop goes on printing, beyond the line that it is at. */
static gboolean
ticks(const VmGuest *guest)
{
    gint64 deadline = g_get_monotonic_time() + 6 * G_USEC_PER_SEC;
    GStatBuf before, now;

    g_usleep(G_USEC_PER_SEC);
    g_assert_cmpint(g_stat(guest->console, &before), ==, 0);
    while (g_get_monotonic_time() < deadline) {
        g_usleep(50000);
        if (g_stat(guest->console, &now) == 0 && now.st_size > before.st_size)
            return TRUE;
    }
    return FALSE;
}

/* Whether it stops in a switch without the rule. Any other interrupt (the console's,
 * if the guest was printing just then) delivers the pending one as well: then once
 * more. */
static gboolean
stops_without(const VmGuest *guest, const char *rule, Tamper tamper)
{
    for (int i = 0; i < TRIES; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(go(guest, tamper, rule, &error));
        g_assert_no_error(error);
        if (!ticks(guest))
            return TRUE;
    }
    return FALSE;
}

/* A guest that prints all the time goes on with the rule, and without it not. */
static void
check_ticks(const char *rule, Tamper tamper)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new(rule);
    guest->port = 0; /* no network */
    vm_run(guest, "--accel tcg", NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    vm_shell(guest, "while :; do echo tick >/dev/console; sleep 0.3; done &");
    vm_wait_console(guest, "tick", 20);
    g_assert_true(go(guest, tamper, NULL, &error));
    g_assert_no_error(error);
    g_assert_true(ticks(guest));
    g_assert_true(stops_without(guest, rule, tamper));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

static void
test_lapic_pending(void)
{
    check_ticks("lapic-pending", leave_tick_pending);
}

/* --- interrupt-injected: KVM has taken the tick out of IRR and not delivered it --- */

static gboolean
leave_tick_in_flight(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", 0);
    guint vector = get(apic, "lvt[0]") & 0xff;
    g_autofree char *word = g_strdup_printf("isr[%u]", vector / 32);

    set(apic, word, get(apic, word) | 1u << vector % 32);
    set(apic, "timer_expiry", G_MAXUINT64); /* -1: not armed */
    set(mose_rule_cpu_section(doc, "cpu", 0), "env.interrupt_injected", vector);
    set(mose_rule_cpu_section(doc, "cpu_common", 0), "interrupt_request", 0);
    return TRUE;
}

static void
test_interrupt_injected(void)
{
    check_ticks("interrupt-injected", leave_tick_in_flight);
}

/* --- globalstate: stopped by a breakpoint --- */

static gboolean
say_debug(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *section = mose_doc_find(doc, "globalstate", 0);
    guint8 state[32] = "debug";

    set(section, "size", sizeof("debug"));
    return mose_section_set_bytes(section, "runstate", state, sizeof(state), error);
}

static void
let_run(const VmGuest *guest)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, NULL);
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, "cont", NULL, &error);
    g_assert_no_error(error);
}

static void
test_globalstate(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) page = NULL, after = NULL;
    g_autofree char *state = NULL;

    if (vm_cannot_run())
        return;
    guest = start("debug", NULL);
    g_assert_false(go(guest, say_debug, "globalstate", &error));
    g_assert_nonnull(
        strstr(error->message, "invalid runstate transition: 'inmigrate' -> 'debug'"));
    g_clear_error(&error);
    page = vm_assert_healthy(guest); /* where it was */
    g_assert_true(go(guest, say_debug, NULL, &error));
    g_assert_no_error(error);
    /* It is not MOSE's to let it run on. */
    state = vm_state(guest);
    g_assert_cmpstr(state, ==, "paused");
    let_run(guest);
    after = vm_assert_healthy(guest);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/rules/hflags", test_hflags);
    g_test_add_func("/rules/smi", test_smi);
    g_test_add_func("/rules/lapic-pending", test_lapic_pending);
    g_test_add_func("/rules/interrupt-injected", test_interrupt_injected);
    g_test_add_func("/rules/globalstate", test_globalstate);
    return vm_run_tests();
}
