/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verdict on KVM, without KVM: absent, forbidden and foreign devices, the
 * judgement of canned outcomes, the guest's tables, and the facts' parsers.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checks-time.h"
#include "host/checks.h"
#include "host/facts.h"
#include "host/fitness.h"
#include "host/guest.h"

static void
expect_absent(const char *path, MoseKvmPresence presence, const char *words)
{
    g_autoptr(MoseKvmFitness) fitness = mose_kvm_fitness_probe(path);

    g_test_message("%s: %s", path, fitness->verdict);
    g_assert_cmpint(fitness->presence, ==, presence);
    g_assert_false(fitness->fit);
    g_assert_cmpint(fitness->n_probes, ==, 0);
    g_assert_nonnull(strstr(fitness->verdict, words));
    g_assert_nonnull(strstr(fitness->verdict, path));
}

static void
test_absent(void)
{
    expect_absent("/nonexistent/kvm", MOSE_KVM_MISSING, "kvm_intel");
    expect_absent("/dev/null", MOSE_KVM_UNUSABLE, "KVM_GET_API_VERSION");
    expect_absent("/", MOSE_KVM_UNUSABLE, "does not open");
}

static void
test_denied(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("mose-kvm-XXXXXX", &path, NULL);
    gboolean root = geteuid() == 0;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_cmpint(chmod(path, 0), ==, 0);
    if (root)
        g_assert_cmpint(seteuid(65534), ==, 0);
    expect_absent(path, MOSE_KVM_DENIED, "group kvm");
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
    unlink(path);
}

static MoseKvmFitness *
all_pass(void)
{
    MoseKvmFitness *fitness = g_new0(MoseKvmFitness, 1);

    fitness->probes = mose_kvm_checks;
    fitness->n_probes = mose_kvm_n_checks;
    fitness->outcomes = g_new0(MoseProbeOutcome, mose_kvm_n_checks);
    return fitness;
}

static MoseProbeOutcome *
outcome(MoseKvmFitness *fitness, const char *name)
{
    return (MoseProbeOutcome *)mose_kvm_fitness_outcome(fitness, name);
}

static void
test_judge(void)
{
    g_autoptr(MoseKvmFitness) fitness = all_pass();

    outcome(fitness, "xsave")->status = MOSE_PROBE_SKIP;
    mose_kvm_fitness_judge(fitness);
    g_assert_true(fitness->fit);
    mose_probe_fail(outcome(fitness, "syscall"), "no");
    mose_probe_fail(outcome(fitness, "tsc"), "no");
    mose_kvm_fitness_judge(fitness);
    g_assert_false(fitness->fit);
    g_assert_nonnull(strstr(fitness->verdict, "failed: syscall, tsc"));
    mose_probe_fail(outcome(fitness, "speed"), "99 times slower");
    mose_kvm_fitness_judge(fitness);
    g_assert_nonnull(strstr(fitness->verdict, "99 times slower"));
    g_assert_null(mose_kvm_fitness_outcome(fitness, "no such probe"));
}

static guint64
read64(const guint8 *ram, guint64 address)
{
    guint64 value;

    g_assert_cmpuint(address, <=, GUEST_RAM_SIZE - 8);
    memcpy(&value, ram + address, 8);
    return value;
}

/* Walk the guest's tables as the processor does; the flags are the AND. */
static guint64
walk(const guint8 *ram, guint64 address, guint64 *ret_flags)
{
    guint64 table = GUEST_PML4;

    *ret_flags = 7;
    for (int shift = 39;; shift -= 9) {
        guint64 entry = read64(ram, table + ((address >> shift) & 511) * 8);
        guint64 mask = (G_GUINT64_CONSTANT(1) << shift) - 1;

        *ret_flags &= entry;
        if (!(entry & 1) || shift == 12 || (shift == 21 && (entry & 0x80)))
            return (entry & 0xffffffffff000 & ~mask) | (address & mask);
        table = entry & 0xffffffffff000;
    }
}

static void
expect_page(const guint8 *ram, guint64 address, guint64 flags)
{
    guint64 got;
    guint64 physical = walk(ram, address, &got);

    g_assert_cmphex(got, ==, flags);
    if (flags != 0)
        g_assert_cmphex(physical, ==, address);
}

static void
test_guest(void)
{
    g_autofree guint8 *ram = g_malloc0(GUEST_RAM_SIZE);

    g_assert_cmpint(mose_guest_kernel_end - mose_guest_kernel, <=, GUEST_KERNEL_SIZE);
    g_assert_cmpint(mose_guest_user_end - mose_guest_user, <=, GUEST_USER_SIZE);
    mose_guest_build(ram);
    expect_page(ram, GUEST_KERNEL + 0x123, 3);
    expect_page(ram, GUEST_PT, 3);
    expect_page(ram, GUEST_DATA, 7);
    expect_page(ram, GUEST_USER, 7);
    expect_page(ram, GUEST_USER_STACK - 8, 7);
    expect_page(ram, GUEST_READONLY, 5);
    expect_page(ram, GUEST_APIC + 0xf0, 3);
    expect_page(ram, 0, 0); /* a NULL pointer faults */
    expect_page(ram, GUEST_DEMAND, 0);
    g_assert_cmpmem(ram + GUEST_USER, 16, mose_guest_user, 16);
    /* Vector 14: an interrupt gate of ring 0 to the fifteenth handler. */
    g_assert_cmphex(read64(ram, GUEST_IDT + 14 * 16) & 0xffff, ==,
                    (GUEST_KERNEL + 14 * 16) & 0xffff);
    g_assert_cmphex(read64(ram, GUEST_IDT + 14 * 16) >> 40 & 0xff, ==, 0x8e);
    g_assert_cmphex(read64(ram, GUEST_IDT + GUEST_VECTOR_USER * 16) >> 40 & 0xff, ==,
                    0xee);
}

static void
test_native_work(void)
{
    /* The same arithmetic, once more in C. */
    guint64 a = 1;

    for (guint64 i = 1000; i > 0; i--) {
        guint64 kept = a *= 0x5bd1e995;

        a ^= i;
        a = (a << 7 | a >> 57) + kept;
    }
    g_assert_cmphex(mose_native_work(1000), ==, a);
}

static void
test_tsc_rate(void)
{
    /* 2 GHz: 6 million ticks in 3 ms. */
    g_assert_true(mose_tsc_rate_is(6000000, 3000000, 3000000, 2000000));
    g_assert_true(mose_tsc_rate_is(6000000, 2900000, 9000000, 2000000));
    g_assert_false(mose_tsc_rate_is(6000000, 3100000, 9000000, 2000000));
    g_assert_false(mose_tsc_rate_is(6000000, 1000000, 2900000, 2000000));
    g_assert_false(mose_tsc_rate_is(0, 3000000, 3000000, 2000000));
}

static void
test_facts(void)
{
    static const char groups[] = "9:name=systemd:/a\n4:cpu,memory:/b/c\n0::/d:e\n";
    g_autofree char *word = mose_host_chosen_word("always [never] deny\n");
    g_autofree char *v1 = mose_host_cgroup_path(groups, "memory");
    g_autofree char *v2 = mose_host_cgroup_path(groups, "");
    g_autoptr(MoseHostFacts) facts = mose_host_facts_new();

    g_assert_cmpstr(word, ==, "never");
    g_assert_null(mose_host_chosen_word("always never"));
    g_assert_null(mose_host_chosen_word("[always"));
    g_assert_cmpstr(v1, ==, "/b/c");
    g_assert_cmpstr(v2, ==, "/d:e");
    g_assert_null(mose_host_cgroup_path("", "memory"));
    g_assert_cmpuint(mose_host_meminfo("MemTotal: 9 kB\nMemFree:  2 kB\n", "MemFree"),
                     ==, 2048);
    g_assert_cmpuint(mose_host_meminfo("MemTotal: 9 kB\n", "MemFree"), ==, 0);
    g_assert_cmpuint(facts->mem_available, >, 0);
    g_assert_cmpuint(facts->tsc_khz, >, 100000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/fitness/absent", test_absent);
    g_test_add_func("/host/fitness/denied", test_denied);
    g_test_add_func("/host/fitness/judge", test_judge);
    g_test_add_func("/host/guest/tables", test_guest);
    g_test_add_func("/host/guest/native-work", test_native_work);
    g_test_add_func("/host/tsc-rate", test_tsc_rate);
    g_test_add_func("/host/facts", test_facts);
    return g_test_run();
}
