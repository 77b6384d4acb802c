/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What KVM shares with its guest, after the guest has left KVM: with its rule a
 * property of the litmus guest holds (guest/litmus/p-pv-*.c), and without it not. By
 * the real KVM of this host, as far as it goes; what that cannot do is said in the
 * stream of a TCG.
 */
#include <fcntl.h>
#include <string.h>

#include "guest/guest.h"
#include "guest/litmus/pv.h"
#include "lib/litmus.h"
#include "qemu/command.h"
#include "stream/rules/list.h"
#include "util/error.h"
#include "util/fd.h"

#define KVM_CPU "-cpu qemu64,-cx16,-svm,-x2apic,-kvm-msi-ext-dest-id,"
#define CHECK_SECONDS 60

typedef struct {
    const char *path; /* ends with the rule's name */
    const char *property;
    const char *accel;
    guint vcpus;
    const char *cpu;     /* features for -cpu under KVM */
    LitmusTamper tamper; /* NULL: KVM itself says it */
    const char *failure; /* what the property says without the rule */
    guint pause_s;       /* the guest is paused for so long before */
} Case;

static gboolean
cannot_run(const Case *what)
{
    g_auto(MoseFd) kvm = -1;

    if (vm_cannot_run())
        return TRUE;
    if (strcmp(what->accel, "kvm") != 0)
        return FALSE;
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    return kvm < 0;
}

static Litmus *
start(const Case *what)
{
    g_autofree char *cpu = what->cpu ? g_strconcat(KVM_CPU, what->cpu, NULL) : NULL;

    return litmus_start(&(LitmusSetup){
        .accel = what->accel,
        .vcpus = what->vcpus,
        .only = what->property,
        .background = "memory",
        .rounds = 1,
        .qemu = cpu,
        .append = "pv",
    });
}

/* It is told to no clock of its own. */
static void
pause_it(const Litmus *litmus, guint seconds)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest =
        mose_guest_open(litmus_name(litmus), MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp =
        guest ? mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error) : NULL;

    g_assert_no_error(error);
    g_assert_true(mose_qmp_run(qmp, "stop", NULL, &error));
    g_usleep(seconds * G_USEC_PER_SEC);
    g_assert_true(mose_qmp_run(qmp, "cont", NULL, &error));
}

/* The verdict on the property after a switch without @rule; NULL: the guest is gone. */
static char *
verdict(const Case *what, const char *rule)
{
    g_autoptr(Litmus) litmus = start(what);
    g_autoptr(GHashTable) verdicts = NULL;
    const char *said;

    litmus_arm(litmus);
    if (what->pause_s)
        pause_it(litmus, what->pause_s);
    litmus_switch(litmus, what->tamper, rule);
    verdicts = litmus_try_check(litmus, CHECK_SECONDS);
    said = verdicts ? g_hash_table_lookup(verdicts, what->property) : NULL;
    if (verdicts && !said)
        said = g_hash_table_lookup(verdicts, "FAULT");
    return g_strdup(said);
}

static void
run(gconstpointer data)
{
    const Case *what = data;
    const char *rule = strrchr(what->path, '/') + 1;
    g_autofree char *with = NULL, *without = NULL;

    if (cannot_run(what))
        return;
    with = verdict(what, NULL);
    if (with && g_str_has_prefix(with, "SKIP")) {
        g_test_skip(with);
        return;
    }
    g_assert_cmpstr(with, ==, "PASS");
    without = verdict(what, rule);
    g_assert_nonnull(without);
    g_test_message("without %s: %s", rule, without);
    g_assert_nonnull(strstr(without, what->failure));
}

/* --- what a KVM with VT-x or SVM says --- */

static void
set(MoseSection *section, const char *path, guint64 value)
{
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(section);
    mose_section_set(section, path, value, &error);
    g_assert_no_error(error);
}

static gboolean
say_clock(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu;

    for (guint i = 0; (cpu = mose_rule_cpu_section(doc, "cpu", i)) != NULL; i++)
        set(cpu, "env.system_time_msr", (PV_PAGES + i * PV_PAGE_SIZE + PV_CLOCK) | 1);
    return TRUE;
}

static gboolean
say_ahead(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu;
    guint64 tsc;

    for (guint i = 1; (cpu = mose_rule_cpu_section(doc, "cpu", i)) != NULL; i++) {
        if (!mose_section_get(cpu, "env.tsc", &tsc, error))
            return FALSE;
        set(cpu, "env.tsc", tsc + PV_TSC_AHEAD);
    }
    return say_clock(doc, data, error);
}

static gboolean
say_steal_time(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu;

    for (guint i = 0; (cpu = mose_rule_cpu_section(doc, "cpu", i)) != NULL; i++) {
        MoseSection *added = mose_section_add_subsection(cpu, "cpu/steal_time_msr", 1);

        mose_section_append(added, "env.steal_time_msr", "uint64", 8,
                            (PV_PAGES + i * PV_PAGE_SIZE + PV_STEAL) | 1);
    }
    return TRUE;
}

static gboolean
say_hypercall(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    MoseSection *added =
        mose_section_add_subsection(cpu, "cpu/msr_hyperv_hypercall", 1);

    mose_section_append(added, "env.msr_hv_guest_os_id", "uint64", 8, 0x8100);
    mose_section_append(added, "env.msr_hv_hypercall", "uint64", 8,
                        PV_HYPERCALL_PAGE | 1);
    return TRUE;
}

static const Case cases[] = {
    { "/paravirt/steal-time", "pv-steal", "tcg", 2, NULL, say_steal_time,
      "has a stale translation" },
    { "/paravirt/async-pf", "pv-apf", "kvm", 2, "+kvm-asyncpf,+kvm-asyncpf-int", NULL,
      "nobody wakes tasks of vCPU" },
    { "/paravirt/pvclock-vcpus", "pv-clock-vcpus", "kvm", 2, "+kvmclock", say_ahead,
      "vCPU 1 shows" },
    { "/paravirt/wall-clock", "pv-wall", "kvm", 1, "+kvmclock", NULL, "KVM's time is",
      6 },
    { "/paravirt/pvclock-frequency", "pv-clock-frequency", "tcg", 1, NULL, say_clock,
      "of its rate" },
    { "/paravirt/hyperv-hypercall", "pv-hyperv", "tcg", 1, NULL, say_hypercall,
      "exception 6" },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], run);
    return vm_run_tests();
}
