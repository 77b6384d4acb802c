/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux that a full KVM offered what the emulator has not goes there, back, and there
 * again, and goes on; without the rule it comes to harm. On any machine
 * (lib/full-kvm.h).
 */
#include <string.h>

#include "lib/full-kvm.h"
#include "util/json.h"

#define MEMORY_MB 1536
#define BOOT_SECONDS 300
#define ANSWER_SECONDS 300
/* What a guest that goes on needs at most for a line, and after how long one that has
 * said nothing is taken for dead: TCG inside TCG. */
#define ALIVE_SECONDS 300
#define DEAD_SECONDS 15

/* The portable CPU of this host with @more, started and at work. */
static VmGuest *
start(const char *name, const char *more, const char *extra, const char *append)
{
    VmGuest *guest = vm_guest_new(name);
    g_autoptr(JsonObject) host = vm_mose_json("host", "--cpu", "--accel", "kvm", NULL);
    JsonObject *cpu = mose_json_child(host, "cpu");
    g_autofree char *options =
        g_strdup_printf("--accel kvm --cpu %s%s --emulator-cpu %s",
                        mose_json_string(cpu, "virtualizer", ""), more,
                        mose_json_string(cpu, "emulator", ""));

    guest->port = 0; /* its interrupts would wake a guest that sleeps for ever */
    vm_run(guest, options, extra, append);
    vm_wait_console(guest, "MOSE-GUEST READY", BOOT_SECONDS);
    return guest;
}

/* `mose COMMAND`; the rules that changed something. */
static char *
go(const VmGuest *guest, const char *command, const char *without)
{
    g_autoptr(JsonObject) report =
        without ? vm_mose_json(command, guest->name, "--without-rule", without, NULL)
                : vm_mose_json(command, guest->name, NULL);
    JsonArray *rules = mose_json_array(report, "rules");
    GString *names = g_string_new(" ");

    for (guint i = 0; i < json_array_get_length(rules); i++)
        g_string_append_printf(names, "%s ", json_array_get_string_element(rules, i));
    g_test_message("%s: %ld us, rules%s", command,
                   (long)mose_json_int(report, "blackout-us", 0), names->str);
    return g_string_free(names, FALSE);
}

/* `mose check` says beforehand that it can be switched, and names @rule. */
static void
assert_told(const VmGuest *guest, const char *rule)
{
    g_autoptr(JsonObject) check = vm_mose_json("check", guest->name, NULL);
    JsonArray *list = mose_json_array(check, "discrepancies");
    guint n = 0;

    g_assert_true(mose_json_bool(check, "can-switch", FALSE));
    for (guint i = 0; i < json_array_get_length(list); i++)
        n +=
            strcmp(mose_json_string(mose_json_element(list, i), "rule", ""), rule) == 0;
    g_assert_cmpuint(n, ==, 1);
}

/* That the guest does @what; else its console is shown. */
static void
must(const VmGuest *guest, gboolean does, const char *what)
{
    g_autofree char *console = NULL;

    if (does)
        return;
    g_file_get_contents(guest->console, &console, NULL, NULL);
    g_error("guest %s does not %s; its console:\n%s", guest->name, what, console);
}

/* --- tsc-deadline --- */

/* Have each vCPU say "tick" and its number again and again, after a sleep. */
static void
begin_ticks(const VmGuest *guest)
{
    vm_shell(guest,
             "mkfifo /tmp/0 /tmp/1; for c in 0 1; do "
             "(exec 3<>/tmp/$c; taskset -p $((c + 1)) $(exec sh -c 'echo $PPID') "
             ">/dev/null; while :; do read -t 0.5 x <&3; echo tick$c "
             ">/dev/console; done) & done");
}

static guint
count(const VmGuest *guest, const char *what)
{
    g_autofree char *console = NULL;
    guint n = 0;

    g_file_get_contents(guest->console, &console, NULL, NULL);
    for (const char *at = console; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* Whether vCPU @cpu says so twice more within @seconds: once it may have been about
 * to. */
static gboolean
ticks(const VmGuest *guest, guint cpu, guint seconds)
{
    gint64 deadline = g_get_monotonic_time() + seconds * (gint64)G_USEC_PER_SEC;
    g_autofree char *what = g_strdup_printf("tick%u", cpu);
    guint before = count(guest, what);

    while (g_get_monotonic_time() < deadline) {
        g_usleep(200000);
        if (count(guest, what) >= before + 3)
            return TRUE;
    }
    return FALSE;
}

/* The function by which Linux asks for its ticks, as it says itself, of both vCPUs. */
static void
assert_function(const VmGuest *guest, const char *name)
{
    g_autofree char *text = full_kvm_ask(
        guest,
        "while read a b; do case \"$a\" in set_next_event:) echo $b;; esac; done "
        "</proc/timer_list",
        ANSWER_SECONDS);
    const char *at = text;
    guint n = 0;

    g_test_message("%s", text);
    for (; at && (at = strstr(at, name)); at++)
        n++;
    g_assert_cmpint(n, ==, 2);
}

static void
assert_ticks(const VmGuest *guest, const char *function)
{
    must(guest, ticks(guest, 0, ALIVE_SECONDS), "tick on vCPU 0");
    must(guest, ticks(guest, 1, ALIVE_SECONDS), "tick on vCPU 1");
    assert_function(guest, function);
}

static void
test_tsc_deadline(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("deadline", ",tsc-deadline=on", "-m 160 -smp 2", "quiet");
    begin_ticks(guest);
    assert_ticks(guest, "lapic_next_deadline");
    assert_told(guest, "tsc-deadline");
    for (int i = 0; i < 2; i++) {
        g_autofree char *there = go(guest, "emulate", NULL), *back = NULL;

        g_assert_nonnull(strstr(there, " tsc-deadline "));
        assert_ticks(guest, "lapic_next_event");
        back = go(guest, "virtualize", NULL);
        g_assert_nonnull(strstr(back, " tsc-deadline "));
        assert_ticks(guest, "lapic_next_deadline");
    }
    g_free(go(guest, "emulate", "tsc-deadline"));
    g_assert_false(ticks(guest, 0, DEAD_SECONDS));
    g_assert_false(ticks(guest, 1, DEAD_SECONDS));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* --- hypercall --- */

/* Have all vCPUs agree on new code again and again (static_key_enable, on_each_cpu):
 * with three, and without the APIC's shorthand for all others, by one hypercall each
 * time. Whether they do. */
static gboolean
calls_all(const VmGuest *guest)
{
    g_autofree char *text =
        full_kvm_ask(guest,
                     "for i in 1 0 1 0; do echo $i >/proc/sys/kernel/sched_schedstats; "
                     "done; while read a b; do case $a in CAL:) echo $b;; esac; done "
                     "</proc/interrupts",
                     ANSWER_SECONDS);

    g_test_message("calls: %s", text);
    return text && g_ascii_isdigit(*g_strchug(text));
}

static void
check_hypercalls(const char *name, const char *append, int trips)
{
    g_autoptr(VmGuest) guest =
        start(name, ",kvm-pv-ipi=on,kvm-pv-sched-yield=on", "-m 160 -smp 3", append);

    g_assert_true(vm_console_has(guest, "setup PV IPIs"));
    must(guest, calls_all(guest), "reach all its vCPUs");
    assert_told(guest, "hypercall");
    for (int i = 0; i < trips; i++) {
        g_autofree char *there = go(guest, "emulate", NULL), *back = NULL;

        g_assert_nonnull(strstr(there, " hypercall "));
        must(guest, calls_all(guest), "reach all its vCPUs");
        back = go(guest, "virtualize", NULL);
        g_assert_nonnull(strstr(back, " hypercall "));
        must(guest, calls_all(guest), "reach all its vCPUs");
    }
    g_assert_false(vm_console_has(guest, "invalid opcode"));
    g_free(go(guest, "emulate", "hypercall"));
    calls_all(guest);
    vm_wait_console(guest, "invalid opcode", ANSWER_SECONDS);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

static void
test_hypercall(void)
{
    if (!vm_cannot_run())
        check_hypercalls("hypercall", "no_ipi_broadcast=1", 2);
}

/* By the APIC's memory. */
static void
test_hypercall_xapic(void)
{
    if (!vm_cannot_run())
        check_hypercalls("xapic", "no_ipi_broadcast=1 nox2apic", 1);
}

static const FullKvmTest tests[] = {
    { "/kvm-linux/tsc-deadline", test_tsc_deadline },
    { "/kvm-linux/hypercall", test_hypercall },
    { "/kvm-linux/hypercall/xapic", test_hypercall_xapic },
};

int
main(int argc, char **argv)
{
    const FullKvm linux_inside = { .memory_mb = MEMORY_MB };

    return full_kvm_main(&linux_inside, argc, argv, tests, G_N_ELEMENTS(tests));
}
