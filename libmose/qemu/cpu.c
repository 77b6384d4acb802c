/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intersects what the accelerators offer, and writes the -cpu arguments. */
#include "qemu/cpu.h"

#include <cpuid.h>
#include <string.h>

#include "qemu/cpu-query.h"
#include "qemu/cpu-table.h"
#include "util/error.h"
#include "util/json.h"

#define QEMU "qemu-system-x86_64"
#define BASE "qemu64"
#define INTEL "GenuineIntel"

void
mose_portable_cpu_free(MosePortableCpu *cpu)
{
    if (cpu == NULL)
        return;
    g_free(cpu->vendor);
    g_clear_pointer(&cpu->features, g_ptr_array_unref);
    g_free(cpu->virtualizer);
    g_free(cpu->emulator);
    g_free(cpu);
}

char *
mose_cpu_host_vendor(void)
{
    unsigned eax, ebx, ecx, edx;
    char vendor[13] = "";

    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
        return g_strdup("AuthenticAMD");
    memcpy(vendor, &ebx, 4);
    memcpy(vendor + 4, &edx, 4);
    memcpy(vendor + 8, &ecx, 4);
    return g_strdup(vendor);
}

static gboolean
offers(JsonObject *model, const char *name)
{
    return mose_json_bool(model, name, FALSE);
}

static gboolean
is_common(const char *name)
{
    return g_strv_contains(mose_cpu_common, name);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
intersect(const MoseCpuModels *models)
{
    GPtrArray *features = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GList) names = json_object_get_members(models->tcg_max);

    for (GList *l = names; l != NULL; l = l->next) {
        const char *name = l->data;

        if (!offers(models->tcg_max, name) || mose_cpu_excluded_row(name) != NULL)
            continue;
        if (models->kvm_max != NULL ? offers(models->kvm_max, name) : is_common(name))
            g_ptr_array_add(features, g_strdup(name));
    }
    g_ptr_array_sort(features, compare_names);
    return features;
}

static gboolean
has_feature(const GPtrArray *features, const char *name)
{
    for (guint i = 0; i < features->len; i++) {
        if (strcmp(features->pdata[i], name) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Families that guests have met under QEMU for long: those of the models qemu64
 * (AMD) and kvm64 (Intel). */
static GString *
begin_argument(const char *vendor)
{
    GString *text = g_string_new(BASE ",vendor=");

    g_string_append(text, vendor);
    if (strcmp(vendor, INTEL) == 0)
        g_string_append(text, ",family=15,model=6,stepping=1");
    else
        g_string_append(text, ",family=15,model=107,stepping=1");
    g_string_append(text, ",pmu=off");
    return text;
}

static void
append_excluded(GString *text, JsonObject *base)
{
    for (gsize i = 0; i < mose_cpu_n_excluded; i++) {
        const char *name = mose_cpu_excluded[i].name;

        if (json_object_has_member(base, name))
            g_string_append_printf(text, ",%s=off", name);
    }
}

/* What the base model has on this side and the portable CPU hasn't. */
static void
append_base(GString *text, JsonObject *base, const GPtrArray *features, gboolean kvm)
{
    g_autoptr(GList) names = json_object_get_members(base);

    for (GList *l = names; l != NULL; l = l->next) {
        const char *name = l->data;

        if (!offers(base, name) || has_feature(features, name))
            continue;
        if (kvm && mose_cpu_tolerated_row(name) != NULL)
            continue;
        /* Those named without a pattern are there already. */
        if (mose_cpu_excluded_row(name) == NULL ||
            strcmp(mose_cpu_excluded_row(name)->name, name) != 0)
            g_string_append_printf(text, ",%s=off", name);
    }
}

static void
append_tolerated(GString *text, JsonObject *kvm_max)
{
    for (gsize i = 0; i < mose_cpu_n_tolerated; i++) {
        const char *name = mose_cpu_tolerated[i].name;

        if (json_object_has_member(kvm_max, name))
            g_string_append_printf(text, ",%s=%s", name,
                                   offers(kvm_max, name) ? "on" : "off");
    }
}

/* The -cpu argument of one side; @kvm_max is NULL for TCG. */
static char *
write_argument(const MosePortableCpu *cpu, JsonObject *base, JsonObject *kvm_max)
{
    GString *text = begin_argument(cpu->vendor);

    for (guint i = 0; i < cpu->features->len; i++)
        g_string_append_printf(text, ",%s=on", (char *)cpu->features->pdata[i]);
    if (kvm_max != NULL)
        append_tolerated(text, kvm_max);
    append_excluded(text, base);
    append_base(text, base, cpu->features, kvm_max != NULL);
    g_string_append(text, ",enforce");
    return g_string_free(text, FALSE);
}

MosePortableCpu *
mose_portable_cpu_from_models(const MoseCpuModels *models, const char *vendor,
                              GError **error)
{
    g_autoptr(MosePortableCpu) cpu = g_new0(MosePortableCpu, 1);

    cpu->with_kvm = models->kvm_max != NULL;
    cpu->vendor = g_strdup(vendor);
    cpu->features = intersect(models);
    if (!has_feature(cpu->features, "lm")) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "KVM and TCG have no 64-bit mode in common");
        return NULL;
    }
    cpu->emulator = write_argument(cpu, models->tcg_base, NULL);
    if (cpu->with_kvm)
        cpu->virtualizer = write_argument(cpu, models->kvm_base, models->kvm_max);
    else
        cpu->virtualizer = g_strdup(cpu->emulator);
    return g_steal_pointer(&cpu);
}

/* The models "max" and the base, under the accelerator of @query. */
static gboolean
expand_both(MoseCpuQuery *query, JsonObject **ret_max, JsonObject **ret_base,
            GError **error)
{
    *ret_max = mose_cpu_query_expand(query, "max", NULL, error);
    if (*ret_max == NULL)
        return FALSE;
    *ret_base = mose_cpu_query_expand(query, BASE, NULL, error);
    return *ret_base != NULL;
}

static void
clear_models(MoseCpuModels *models)
{
    g_clear_pointer(&models->kvm_max, json_object_unref);
    g_clear_pointer(&models->kvm_base, json_object_unref);
    g_clear_pointer(&models->tcg_max, json_object_unref);
    g_clear_pointer(&models->tcg_base, json_object_unref);
}

MosePortableCpu *
mose_portable_cpu_new(const char *qemu, gboolean with_kvm, GError **error)
{
    const char *binary = qemu != NULL ? qemu : QEMU;
    g_autoptr(MoseCpuQuery) tcg = mose_cpu_query_start(binary, "tcg", error);
    g_autoptr(MoseCpuQuery) kvm = NULL;
    g_autofree char *vendor = mose_cpu_host_vendor();
    MoseCpuModels models = { 0 };
    MosePortableCpu *cpu = NULL;

    if (tcg == NULL)
        return NULL;
    if (with_kvm && (kvm = mose_cpu_query_start(binary, "kvm", error)) == NULL)
        return NULL;
    if (expand_both(tcg, &models.tcg_max, &models.tcg_base, error) &&
        (!with_kvm || expand_both(kvm, &models.kvm_max, &models.kvm_base, error)))
        cpu = mose_portable_cpu_from_models(&models, vendor, error);
    clear_models(&models);
    return cpu;
}
