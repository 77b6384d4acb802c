/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The litmus guest (guest/litmus) comes to the same verdicts whether it stays where it
 * is or is switched, in each round, between arming and checking.
 *
 * How they are compared: no property fails, and the switched guest skips in each round
 * what the one skips that was started on the same accelerator and stayed there, nothing
 * else: what that one cannot do, it says when it arms. What only KVM has cannot be
 * armed in the emulator.
 */
#include <fcntl.h>
#include <string.h>

#include "lib/full-kvm.h"
#include "lib/litmus.h"
#include "util/fd.h"

/* Under a KVM in a Linux under TCG all takes longer. */
#define SLOW_WAIT_MS 4000
#define SLOW_SECONDS 300
#define MEMORY_MB 1536

/* How often "ten" switches a round there and back. */
#define TEN_SWITCHES 20

/* How a guest goes about. */
typedef enum {
    STAY,  /* it is not switched */
    THERE, /* each round there; back with nothing armed */
    BACK,  /* there with nothing armed; each round back */
    BOTH, /* there in one round, back in the next: each exclusive both ways, where their
             number is odd and the rounds are twice as many */
    TEN,  /* each round there and back ten times */
    N_WAYS,
} Way;

static const char *const way_names[] = { "alone", "there", "back", "both", "ten" };

typedef struct {
    const char *accel, *machine;
    guint vcpus;
    Way way;
    guint rounds;     /* 0: one an exclusive */
    const char *only; /* exclusives; NULL: all */
} Case;

/* "tcg pc 2 0 all": its verdicts, by "round property", when it stays where it is. */
static GHashTable *references;

/* Of one round; what is wrong goes to @wrong. */
static void
judge_round(guint round, const char *exclusive, GHashTable *verdicts,
            GHashTable *reference, GHashTable *all, GString *wrong)
{
    GHashTableIter iter;
    gpointer name, verdict;

    g_hash_table_iter_init(&iter, verdicts);
    while (g_hash_table_iter_next(&iter, &name, &verdict)) {
        g_autofree char *key = g_strdup_printf("%u %s", round, (char *)name);
        const char *alone = reference ? g_hash_table_lookup(reference, key) : NULL;

        if (g_str_has_prefix(verdict, "FA") ||
            (alone && strncmp(alone, verdict, 4) != 0 &&
             strcmp(verdict, "SKIP: not in KVM now") != 0))
            g_string_append_printf(wrong, "round %u, %s: %s: %s%s%s\n", round,
                                   exclusive, (char *)name, (char *)verdict,
                                   alone ? "; alone: " : "", alone ? alone : "");
        g_hash_table_insert(all, g_steal_pointer(&key), g_strdup(verdict));
    }
}

static const guint switches_a_round[] = {
    [STAY] = 0, [THERE] = 1, [BACK] = 1, [BOTH] = 1, [TEN] = TEN_SWITCHES,
};

static GHashTable *
go_about(Litmus *litmus, Way way, GHashTable *reference)
{
    GHashTable *all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GString) wrong = g_string_new(NULL);
    const char *exclusive;

    if (way == BACK)
        litmus_switch(litmus, NULL, NULL);
    for (guint round = 0; (exclusive = litmus_arm(litmus)); round++) {
        g_autoptr(GHashTable) verdicts = NULL;

        for (guint i = 0; i < switches_a_round[way]; i++)
            litmus_switch(litmus, NULL, NULL);
        verdicts = litmus_check(litmus);
        judge_round(round, exclusive, verdicts, reference, all, wrong);
        if (way == THERE || way == BACK)
            litmus_switch(litmus, NULL, NULL);
    }
    if (wrong->len > 0) {
        g_test_message("%s", wrong->str);
        g_test_fail();
    }
    return all;
}

static Litmus *
start(const Case *what)
{
    gboolean inside = full_kvm_is_inside();

    return litmus_start(&(LitmusSetup){
        .accel = what->accel,
        .full_kvm = inside,
        .wait_ms = inside ? SLOW_WAIT_MS : 0,
        .seconds = inside ? SLOW_SECONDS : 0,
        .machine = what->machine,
        .vcpus = what->vcpus,
        .rounds = what->rounds,
        .only = what->only,
        .append = what->way == TEN ? "switches=" G_STRINGIFY(TEN_SWITCHES) : NULL,
    });
}

/* Made when it is first asked for. */
static GHashTable *
reference_of(const Case *what)
{
    g_autofree char *key =
        g_strdup_printf("%s %s %u %u %s", what->accel, what->machine, what->vcpus,
                        what->rounds, what->only ? what->only : "all");
    GHashTable *reference = g_hash_table_lookup(references, key);
    g_autoptr(Litmus) litmus = NULL;

    if (reference)
        return reference;
    litmus = start(what);
    reference = go_about(litmus, STAY, NULL);
    g_hash_table_insert(references, g_steal_pointer(&key), reference);
    return reference;
}

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

static void
run(gconstpointer data)
{
    const Case *what = data;
    GHashTable *reference;
    g_autoptr(Litmus) litmus = NULL;
    g_autoptr(GHashTable) all = NULL;

    if (cannot_run(what))
        return;
    reference = reference_of(what);
    if (what->way == STAY)
        return;
    litmus = start(what);
    all = go_about(litmus, what->way, reference);
}

/* --- without a rule --- */

/* What fails then, when a guest goes from KVM into the emulator. */
typedef struct {
    const char *path, *rule, *only, *background, *property;
} Without;

static const Without withouts[] = {
    { "/litmus/without/x87-stack", "x87-stack", "none", "fpu", "fpu" },
    { "/litmus/without/mtrr-mask", "mtrr-mask", "none", "msrs", "msrs" },
    { "/litmus/without/misc-enable", "misc-enable", "none", "msrs", "msrs" },
};

static void
run_without(gconstpointer data)
{
    const Without *what = data;
    g_autoptr(Litmus) litmus = NULL;
    g_autoptr(GHashTable) good = NULL, bad = NULL;

    if (cannot_run(&(Case){ .accel = "kvm" }))
        return;
    litmus = litmus_start(&(LitmusSetup){ .accel = "kvm",
                                          .only = what->only,
                                          .background = what->background,
                                          .rounds = 2 });
    litmus_arm(litmus);
    litmus_switch(litmus, NULL, NULL);
    good = litmus_check(litmus);
    litmus_assert(good, what->property, "PASS");
    litmus_switch(litmus, NULL, NULL);
    litmus_arm(litmus);
    litmus_switch(litmus, NULL, what->rule);
    bad = litmus_check(litmus);
    litmus_assert(bad, what->property, "FAIL");
}

/* --- the short form, and the long one --- */

/* What proves most in little time, an odd number of them. */
#define SHORT_TCG                                                                      \
    "ap-late,ap-init,ap-offline,ipi-busy,ipi-halted,ipi-load,lapic-oneshot,"           \
    "lapic-expired,lapic-periodic,ipi-pending,pic-pending,ioapic-level,pit-pic,"       \
    "pit-ioapic,rtc,user-mode,x2apic"
#define SHORT_KVM "ap-init,ipi-halted,ipi-load,lapic-oneshot,ipi-pending,pit-pic,halted"

static const Case short_cases[] = {
    { "tcg", "pc", 2, BOTH, 0, SHORT_TCG },
    { "kvm", "pc", 2, THERE, 0, SHORT_KVM },
};

/* The same on a full KVM: the program is told to by KVM_IN_TCG. All takes longer. */
static const Case short_full_case = { "kvm", "pc", 2, BOTH, 2, "ipi-load" };

static const char *why_not;

static void
skip(gconstpointer unused)
{
    g_test_skip(why_not);
}

/* "/litmus/kvm/pc-2/both" */
static void
add_case(const Case *what, gboolean full)
{
    g_autofree char *path =
        g_strdup_printf("/litmus/%s%s/%s-%u/%s", full ? "full-" : "", what->accel,
                        what->machine, what->vcpus, way_names[what->way]);

    g_test_add_data_func_full(path, g_memdup2(what, sizeof(*what)),
                              why_not ? skip : run, g_free);
}

/* All exclusives in all ways. Between two TCGs "back" is "there". A full KVM under TCG
 * takes its time: ten times it does the short form's alone. */
static void
add_matrix(const char *accel, gboolean full)
{
    static const char *const machines[] = { "pc", "q35" };
    static const guint vcpus[] = { 1, 2, 4 };

    for (guint i = 0; i < G_N_ELEMENTS(machines) * G_N_ELEMENTS(vcpus) * N_WAYS; i++) {
        Case what = { .accel = accel,
                      .machine = machines[i / N_WAYS / G_N_ELEMENTS(vcpus)],
                      .vcpus = vcpus[i / N_WAYS % G_N_ELEMENTS(vcpus)],
                      .way = i % N_WAYS };

        if (full && what.way == TEN)
            what.only = SHORT_KVM;
        if (what.way != BOTH && (what.way != BACK || strcmp(accel, "tcg") != 0))
            add_case(&what, full);
    }
}

static void
add_cases(gboolean full)
{
    if (full && g_test_slow())
        add_matrix("kvm", TRUE);
    else if (full)
        add_case(&short_full_case, TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(short_cases) && !full && !g_test_slow(); i++)
        add_case(&short_cases[i], FALSE);
    if (!full && g_test_slow()) {
        add_matrix("tcg", FALSE);
        add_matrix("kvm", FALSE);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(withouts) && !full; i++)
        g_test_add_data_func(withouts[i].path, &withouts[i], run_without);
}

int
main(int argc, char **argv)
{
    gboolean inside = full_kvm_is_inside(), full = inside || g_getenv("KVM_IN_TCG");
    FullKvm linux_inside = { .memory_mb = MEMORY_MB, .file = "LITMUS" };
    int ret;

    if (full && !inside && (ret = full_kvm_run(&linux_inside, argv, &why_not)) >= 0)
        return ret;
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    references = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                       (GDestroyNotify)g_hash_table_unref);
    add_cases(full);
    ret = vm_run_tests();
    g_hash_table_unref(references);
    return ret;
}
