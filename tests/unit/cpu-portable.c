/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The portable CPU and the losses, from canned answers of QEMU: what is in, what
 * is out, how the arguments read, and which input is refused.
 */
#include <string.h>

#include "qemu/cpu-query.h"
#include "qemu/cpu-table.h"
#include "qemu/cpu.h"
#include "util/error.h"
#include "util/json.h"

static JsonObject *
json(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *object = mose_json_parse(text, -1, "test", &error);

    g_assert_no_error(error);
    return object;
}

/* Is @word one of the comma-separated words of @argument? */
static gboolean
says(const char *argument, const char *word)
{
    g_auto(GStrv) words = g_strsplit(argument, ",", -1);

    return g_strv_contains((const char *const *)words, word);
}

#define KVM_MAX                                                                        \
    "{'lm':true,'sse2':true,'avx2':true,'avx512f':true,'pcid':true,'pku':true,"        \
    "'kvmclock':true,'kvm-steal-time':false,'kvm-pv-ipi':true,'kvm-asyncpf':true,"     \
    "'vendor':'GenuineIntel','min-level':13,'abm':false,'svm':false,'x2apic':true}"
#define KVM_BASE                                                                       \
    "{'lm':true,'sse2':true,'svm':false,'pni':true,'kvmclock':true,'pcid':false,"      \
    "'kvm-asyncpf':true,'kvm-pv-ipi':false,'pku':false,'min-level':13}"
#define TCG_MAX                                                                        \
    "{'lm':true,'sse2':true,'avx2':true,'avx512f':false,'pcid':false,'pku':true,"      \
    "'svm':true,'abm':true,'x2apic':true,'kvmclock':false,'vaes':true}"
#define TCG_BASE                                                                       \
    "{'lm':true,'sse2':true,'svm':true,'pni':true,'pcid':false,'pku':false}"

static JsonObject *
quoted(const char *text)
{
    g_autofree char *copy = g_strdelimit(g_strdup(text), "'", '"');

    return json(copy);
}

static void
expect_features(const MosePortableCpu *cpu, const char *wanted)
{
    g_autoptr(GString) got = g_string_new(NULL);

    for (guint i = 0; i < cpu->features->len; i++)
        g_string_append_printf(got, "%s%s", i ? " " : "",
                               (char *)cpu->features->pdata[i]);
    g_assert_cmpstr(got->str, ==, wanted);
}

static void
test_with_kvm(void)
{
    g_autoptr(JsonObject) kvm_max = quoted(KVM_MAX), kvm_base = quoted(KVM_BASE);
    g_autoptr(JsonObject) tcg_max = quoted(TCG_MAX), tcg_base = quoted(TCG_BASE);
    const MoseCpuModels models = { kvm_max, kvm_base, tcg_max, tcg_base };
    g_autoptr(GError) error = NULL;
    g_autoptr(MosePortableCpu) cpu =
        mose_portable_cpu_from_models(&models, "GenuineIntel", &error);

    g_assert_no_error(error);
    g_assert_true(cpu->with_kvm);
    expect_features(cpu,
                    "avx2 lm sse2 x2apic"); /* pku is on both sides, and excluded */
    g_assert_true(g_str_has_prefix(
        cpu->virtualizer, "qemu64,vendor=GenuineIntel,family=15,model=6,stepping=1,"));
    g_assert_true(says(cpu->virtualizer, "avx2=on"));
    g_assert_true(says(cpu->virtualizer, "kvmclock=on"));
    g_assert_true(says(cpu->virtualizer, "kvm-steal-time=off"));
    g_assert_true(says(cpu->virtualizer, "kvm-asyncpf=on"));
    g_assert_true(says(cpu->virtualizer, "kvm-pv-ipi=off"));
    g_assert_true(says(cpu->virtualizer, "pcid=off"));
    g_assert_true(says(cpu->virtualizer, "pni=off")); /* the base has it, KVM hasn't */
    g_assert_true(says(cpu->virtualizer, "enforce"));
    g_assert_true(says(cpu->emulator, "avx2=on"));
    g_assert_true(says(cpu->emulator, "svm=off"));
    g_assert_true(says(cpu->emulator, "enforce"));
    g_assert_null(strstr(cpu->emulator, "kvmclock"));
    g_assert_null(strstr(cpu->virtualizer, "avx512f")); /* off in the base anyway */
}

/* Whatever is on must be the same on both sides, but for KVM's own. */
static void
test_sides_agree(void)
{
    g_autoptr(JsonObject) kvm_max = quoted(KVM_MAX), kvm_base = quoted(KVM_BASE);
    g_autoptr(JsonObject) tcg_max = quoted(TCG_MAX), tcg_base = quoted(TCG_BASE);
    const MoseCpuModels models = { kvm_max, kvm_base, tcg_max, tcg_base };
    g_autoptr(MosePortableCpu) cpu =
        mose_portable_cpu_from_models(&models, "AuthenticAMD", NULL);
    g_auto(GStrv) words = g_strsplit(cpu->virtualizer, ",", -1);
    guint on = 0;

    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *name = g_strdup(words[i]);

        if (!g_str_has_suffix(name, "=on"))
            continue;
        on++;
        name[strlen(name) - 3] = '\0';
        if (mose_cpu_tolerated_row(name) == NULL)
            g_assert_true(says(cpu->emulator, words[i]));
        g_assert_null(mose_cpu_excluded_row(name));
    }
    g_assert_cmpuint(on, ==, cpu->features->len + 2); /* kvmclock, kvm-asyncpf */
}

static void
test_without_kvm(void)
{
    g_autoptr(JsonObject) tcg_max = quoted(TCG_MAX), tcg_base = quoted(TCG_BASE);
    const MoseCpuModels models = { NULL, NULL, tcg_max, tcg_base };
    g_autoptr(GError) error = NULL;
    g_autoptr(MosePortableCpu) cpu =
        mose_portable_cpu_from_models(&models, "AuthenticAMD", &error);

    g_assert_no_error(error);
    g_assert_false(cpu->with_kvm);
    expect_features(cpu, "abm avx2 lm sse2 x2apic"); /* not vaes: not every host's */
    g_assert_cmpstr(cpu->virtualizer, ==, cpu->emulator);
}

static void
test_nothing_in_common(void)
{
    g_autoptr(JsonObject) kvm = quoted("{'sse2':true}");
    g_autoptr(JsonObject) tcg = quoted(TCG_MAX);
    const MoseCpuModels models = { kvm, kvm, tcg, tcg };
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_portable_cpu_from_models(&models, "AuthenticAMD", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
}

/* No feature may be common and excluded, or tolerated and excluded. */
static void
test_tables(void)
{
    for (gsize i = 0; mose_cpu_common[i] != NULL; i++)
        g_assert_null(mose_cpu_excluded_row(mose_cpu_common[i]));
    for (gsize i = 0; i < mose_cpu_n_tolerated; i++)
        g_assert_null(mose_cpu_excluded_row(mose_cpu_tolerated[i].name));
    for (gsize i = 0; i < mose_cpu_n_harmless; i++)
        g_assert_null(mose_cpu_excluded_row(mose_cpu_harmless[i].name));
    g_assert_nonnull(mose_cpu_excluded_row("vmx-ept"));
    g_assert_nonnull(mose_cpu_excluded_row("hv-synic"));
    g_assert_null(mose_cpu_excluded_row("kvm"));
    g_assert_null(mose_cpu_excluded_row("svm2"));
}

/* Enlightenments of Hyper-V are asked for, and in no expansion of QEMU's. */
static void
test_enlightenments(void)
{
    g_autoptr(JsonObject) kvm = quoted(KVM_BASE), kvm_max = quoted(KVM_MAX);
    g_autoptr(JsonObject) tcg = quoted(TCG_BASE), tcg_max = quoted(TCG_MAX);
    g_autoptr(JsonObject) props = NULL;
    g_autoptr(GPtrArray) before = NULL, after = NULL;
    g_autofree char *model = NULL;
    const MoseCpuLoss *loss;

    before = mose_cpu_losses_from_models(kvm, kvm_max, tcg, tcg_max);
    g_assert_true(mose_cpu_parse("qemu64,hv_relaxed,hv-spinlocks=0x1fff,hv-vapic=on,"
                                 "hv-time=off,+hv-crash",
                                 &model, &props, NULL));
    mose_cpu_add_enlightenments(props, kvm, kvm_max);
    after = mose_cpu_losses_from_models(kvm, kvm_max, tcg, tcg_max);
    g_assert_cmpuint(after->len, ==, before->len + 1);
    loss = after->pdata[0]; /* sorted */
    g_assert_cmpstr(loss->name, ==, "hv-vapic");
    g_assert_false(loss->harmless);
}

static void
test_parse(void)
{
    g_autofree char *model = NULL;
    g_autoptr(JsonObject) props = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(mose_cpu_parse("Skylake-Client,+avx_vnni,-avx2,pmu,svm=off,level=0xd,"
                                 "vendor=AuthenticAMD,avx2=on",
                                 &model, &props, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(model, ==, "Skylake-Client");
    g_assert_true(mose_json_bool(props, "avx-vnni", FALSE));
    g_assert_false(mose_json_bool(props, "avx2", TRUE)); /* signs go last */
    g_assert_true(mose_json_bool(props, "pmu", FALSE));
    g_assert_false(mose_json_bool(props, "svm", TRUE));
    g_assert_cmpint(mose_json_int(props, "level", 0), ==, 13);
    g_assert_cmpstr(mose_json_string(props, "vendor", NULL), ==, "AuthenticAMD");
}

static void
test_parse_refuses(void)
{
    static const char *const bad[] = { "",      ",avx",    "max,",        "max,+",
                                       "max,-", "max,=on", "max,+avx=on", "max,,avx" };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *model = NULL;
        g_autoptr(JsonObject) props = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_false(mose_cpu_parse(bad[i], &model, &props, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_null(model);
        g_assert_null(props);
    }
}

static void
expect_loss(GPtrArray *losses, guint i, const char *name, gboolean harmless)
{
    const MoseCpuLoss *loss = losses->pdata[i];

    g_assert_cmpstr(loss->name, ==, name);
    g_assert_cmpint(loss->harmless, ==, harmless);
    g_assert_nonnull(loss->why);
}

static void
test_losses(void)
{
    /* Asked for gfni, which KVM does not offer; kvmclock is no loss. */
    g_autoptr(JsonObject) from = quoted("{'lm':true,'avx512f':true,'gfni':true,"
                                        "'kvmclock':true,'pku':true,'vme':true,"
                                        "'avx2':true,'family':6}");
    g_autoptr(JsonObject) from_max = quoted("{'lm':true,'avx512f':true,'gfni':false,"
                                            "'kvmclock':true,'pku':true,'vme':true,"
                                            "'avx2':true}");
    g_autoptr(JsonObject) to = quoted("{'lm':true,'avx512f':true,'pku':true}");
    g_autoptr(JsonObject) to_max = quoted("{'lm':true,'avx2':true,'pku':true}");
    g_autoptr(GPtrArray) losses =
        mose_cpu_losses_from_models(from, from_max, to, to_max);

    g_assert_cmpuint(losses->len, ==, 4);
    expect_loss(losses, 0, "avx2", FALSE);    /* offered there, but not asked for */
    expect_loss(losses, 1, "avx512f", FALSE); /* asked for there, but dropped */
    expect_loss(losses, 2, "pku", FALSE);     /* on both sides, and excluded */
    expect_loss(losses, 3, "vme", TRUE);
}

static void
test_no_qemu(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) dead = NULL;
    g_autoptr(MoseCpuQuery) query = NULL;

    g_assert_null(mose_portable_cpu_new("/nonexistent/qemu", FALSE, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    query = mose_cpu_query_start("/bin/false", "tcg", NULL);
    g_assert_nonnull(query);
    g_assert_cmpint(mose_cpu_query_version(query, &dead), ==, 0);
    g_assert_error(dead, MOSE_ERROR, MOSE_ERROR_CLOSED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/portable/with-kvm", test_with_kvm);
    g_test_add_func("/cpu/portable/sides-agree", test_sides_agree);
    g_test_add_func("/cpu/portable/without-kvm", test_without_kvm);
    g_test_add_func("/cpu/portable/nothing-in-common", test_nothing_in_common);
    g_test_add_func("/cpu/tables", test_tables);
    g_test_add_func("/cpu/enlightenments", test_enlightenments);
    g_test_add_func("/cpu/parse/accepts", test_parse);
    g_test_add_func("/cpu/parse/refuses", test_parse_refuses);
    g_test_add_func("/cpu/losses", test_losses);
    g_test_add_func("/cpu/no-qemu", test_no_qemu);
    return g_test_run();
}
