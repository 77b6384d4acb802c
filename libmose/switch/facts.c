/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two machines compared through their monitors; see facts.h. */
#include "switch/facts.h"

#include <string.h>

#include "qemu/cpu-table.h"
#include "switch/resume.h"
#include "util/error.h"
#include "util/json.h"

#define KVM_LEAF 0x40000001
/*
 * Paravirtual features of that leaf whose loss stops the guest: async page
 * faults (bits 4 and 14) that never arrive, and hypercalls (7, 9, 11, 13). The
 * others are clocks and hints that TCG leaves alone (Linux
 * Documentation/virt/kvm/x86/cpuid.rst).
 */
#define KVM_NEEDED (1u << 4 | 1u << 7 | 1u << 9 | 1u << 11 | 1u << 13 | 1u << 14)

/* What is at the QOM @path; NULL with @error, also where the answer is no list. */
static JsonNode *
qom_list(MoseQmp *qmp, const char *path, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(
        qmp, "qom-list", mose_json_object("path", "s", path, NULL), error);

    if (!answer || mose_json_node_array(answer))
        return g_steal_pointer(&answer);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "qom-list %s: no list", path);
    return NULL;
}

/* The QOM path of the first CPU. */
static char *
first_cpu(MoseQmp *qmp, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-cpus-fast", NULL, error);
    JsonArray *cpus;

    if (!answer)
        return NULL;
    cpus = mose_json_node_array(answer);
    if (!cpus || json_array_get_length(cpus) == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "query-cpus-fast: no CPU");
        return NULL;
    }
    return g_strdup(mose_json_string(mose_json_element(cpus, 0), "qom-path", ""));
}

static JsonNode *
qom_get(MoseQmp *qmp, const char *path, const char *property, GError **error)
{
    return mose_qmp_execute(
        qmp, "qom-get",
        mose_json_object("path", "s", path, "property", "s", property, NULL), error);
}

/* The feature words of a CPU: key "leaf/subleaf/register", value the bits. */
static GHashTable *
feature_words(MoseQmp *qmp, const char *cpu, GError **error)
{
    g_autoptr(JsonNode) answer = qom_get(qmp, cpu, "feature-words", error);
    g_autoptr(GHashTable) words = NULL;
    JsonArray *list;

    if (!answer)
        return NULL;
    words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    list = mose_json_node_array(answer);
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *word = mose_json_element(list, i);
        guint32 leaf = mose_json_int(word, "cpuid-input-eax", 0);
        guint32 bits = mose_json_int(word, "features", 0);

        if (leaf == KVM_LEAF)
            bits &= KVM_NEEDED;
        g_hash_table_insert(
            words,
            g_strdup_printf("%08x/%d/%s", leaf,
                            (int)mose_json_int(word, "cpuid-input-ecx", 0),
                            mose_json_string(word, "cpuid-register", "")),
            GUINT_TO_POINTER(bits));
    }
    return g_steal_pointer(&words);
}

/* Whether the boolean property is there and on. */
static gboolean
is_on(MoseQmp *qmp, const char *cpu, const char *property)
{
    g_autoptr(JsonNode) answer = qom_get(qmp, cpu, property, NULL);

    return answer && JSON_NODE_HOLDS_VALUE(answer) && json_node_get_boolean(answer);
}

/* Boolean properties of a CPU that are no feature of it. */
static gboolean
is_no_feature(const char *name)
{
    static const char *const names[] = {
        "realized", "hotplugged", "hotpluggable", "start-powered-off", "check",
        "enforce", "kvm", "migratable", "full-cpuid-auto-level", "kvm-pv-enforce-cpuid",
        "cpuid-0xb", "l3-cache", "legacy-cache", "host-phys-bits", "fill-mtrr-mask",
        "tcg-cpuid", "hv-passthrough",
        /* KVM's default CPUs have them, and not
         * for KVM_NEEDED. */
        "kvm-mmu", "kvm-poll-control", "kvm-msi-ext-dest-id", "kvm-hint-dedicated", NULL
    };

    return g_strv_contains(names, name) || g_str_has_prefix(name, "x-");
}

/*
 * The names of features on at the source and off at the destination that the guest
 * cannot do without; *@ret_bearable counts the others. Asked one by one, so only
 * where the words differ.
 */
static gboolean
name_losses(MoseQmp *source, const char *source_cpu, MoseQmp *destination,
            const char *destination_cpu, GPtrArray *lost, guint *ret_bearable,
            GError **error)
{
    g_autoptr(JsonNode) answer = qom_list(source, source_cpu, error);
    JsonArray *list = mose_json_node_array(answer);

    if (!list)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *property = mose_json_element(list, i);
        const char *name = mose_json_string(property, "name", "");

        if (strcmp(mose_json_string(property, "type", ""), "bool") != 0 ||
            is_no_feature(name) || mose_cpu_is_alias(name) ||
            !is_on(source, source_cpu, name) ||
            is_on(destination, destination_cpu, name))
            continue;
        if (mose_cpu_can_do_without(name))
            ++*ret_bearable;
        else
            g_ptr_array_add(lost, g_strdup(name));
    }
    return TRUE;
}

/* Add what the words say is lost, by CPUID leaf, where no name was found. */
static void
add_bits(GPtrArray *lost, const char *key, guint bits)
{
    g_ptr_array_add(lost, g_strdup_printf("CPUID %s bits 0x%x", key, bits));
}

/* 0 where QEMU does not say. */
static guint
phys_bits(MoseQmp *qmp, const char *cpu)
{
    g_autoptr(JsonNode) answer = qom_get(qmp, cpu, "phys-bits", NULL);

    return answer && JSON_NODE_HOLDS_VALUE(answer) ? json_node_get_int(answer) : 0;
}

/* What one machine has, as far as it can be known from it alone. */
struct MoseFactHalf {
    char *cpu;         /* QOM path of the first one */
    GHashTable *words; /* of its features */
    guint phys_bits;
    GHashTable *devices; /* how many there are, by type */
};

void
mose_facts_half_free(MoseFactHalf *half)
{
    if (!half)
        return;
    g_free(half->cpu);
    g_clear_pointer(&half->words, g_hash_table_unref);
    g_clear_pointer(&half->devices, g_hash_table_unref);
    g_free(half);
}

static gboolean
compare_cpus(MoseQmp *source, const MoseFactHalf *before, MoseQmp *destination,
             const MoseFactHalf *after, MoseFactSet *set, GError **error)
{
    GPtrArray *lost = set->lost_features;
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer key, bits;
    guint bearable = 0;

    set->facts.source_phys_bits = before->phys_bits;
    set->facts.destination_phys_bits = after->phys_bits;
    g_hash_table_iter_init(&iter, before->words);
    while (g_hash_table_iter_next(&iter, &key, &bits)) {
        guint gone = GPOINTER_TO_UINT(bits) &
                     ~GPOINTER_TO_UINT(g_hash_table_lookup(after->words, key));

        if (gone)
            add_bits(words, key, gone);
    }
    if (words->len == 0)
        return TRUE;
    if (!name_losses(source, before->cpu, destination, after->cpu, lost, &bearable,
                     error))
        return FALSE;
    if (lost->len == 0 && bearable == 0)
        g_ptr_array_extend_and_steal(lost, g_steal_pointer(&words));
    return TRUE;
}

/* One name for what both accelerators have, NULL for what needs no partner. */
static const char *
common_type(const char *type)
{
    static const char *const pairs[][2] = {
        { "kvm-apic", "apic" },       { "kvm-ioapic", "ioapic" },
        { "kvm-i8259", "isa-i8259" }, { "kvm-pit", "isa-pit" },
        { "kvmclock", NULL },         { "kvmvapic", NULL },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
        if (strcmp(type, pairs[i][0]) == 0)
            return pairs[i][1];
    return type;
}

/* Count the devices below @path by type. */
static gboolean
count_devices(MoseQmp *qmp, const char *path, GHashTable *counts, GError **error)
{
    g_autoptr(JsonNode) answer = qom_list(qmp, path, error);
    JsonArray *list = mose_json_node_array(answer);

    if (!list)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(list); i++) {
        const char *type = mose_json_string(mose_json_element(list, i), "type", "");
        g_autofree char *name = NULL;
        const char *common;
        int count;

        if (!g_str_has_prefix(type, "child<") || g_str_has_suffix(type, "-x86_64-cpu>"))
            continue;
        name = g_strndup(type + 6, strlen(type) - 7);
        common = common_type(name);
        if (!common)
            continue;
        count = GPOINTER_TO_INT(g_hash_table_lookup(counts, common));
        g_hash_table_insert(counts, g_strdup(common), GINT_TO_POINTER(count + 1));
    }
    return TRUE;
}

MoseFactHalf *
mose_facts_half(MoseQmp *qmp, GError **error)
{
    static const char *const paths[] = { "/machine/peripheral",
                                         "/machine/peripheral-anon",
                                         "/machine/unattached" };
    g_autoptr(MoseFactHalf) half = g_new0(MoseFactHalf, 1);

    half->devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    half->cpu = first_cpu(qmp, error);
    half->words = half->cpu ? feature_words(qmp, half->cpu, error) : NULL;
    if (!half->words)
        return NULL;
    half->phys_bits = phys_bits(qmp, half->cpu);
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++)
        if (!count_devices(qmp, paths[i], half->devices, error))
            return NULL;
    return g_steal_pointer(&half);
}

/* Add the types of which @more has more than @less. */
static void
add_more(const MoseFactHalf *more, const MoseFactHalf *less, GPtrArray *types)
{
    GHashTableIter iter;
    gpointer type, count;

    g_hash_table_iter_init(&iter, more->devices);
    while (g_hash_table_iter_next(&iter, &type, &count)) {
        int other = GPOINTER_TO_INT(g_hash_table_lookup(less->devices, type));

        if (GPOINTER_TO_INT(count) > other && !strstr(type, "memory-region") &&
            strcmp(type, "irq") != 0)
            g_ptr_array_add(types, g_strdup(type));
    }
}

/* What keeps QEMU from migrating the guest. */
static gboolean
read_blockers(MoseQmp *qmp, GPtrArray *blocked, GError **error)
{
    g_autoptr(JsonObject) state = mose_qmp_query(qmp, "query-migrate", NULL, error);
    JsonArray *reasons = state ? mose_json_array(state, "blocked-reasons") : NULL;

    for (guint i = 0; reasons && i < json_array_get_length(reasons); i++) {
        JsonNode *reason = json_array_get_element(reasons, i);

        if (JSON_NODE_HOLDS_VALUE(reason) && json_node_get_string(reason))
            g_ptr_array_add(blocked, json_node_dup_string(reason));
    }
    if (mose_source_hangs(qmp))
        g_ptr_array_add(
            blocked, g_strdup("an earlier copy through several channels broke off, and "
                              "this QEMU's migration thread hangs since then (a fault "
                              "of QEMU's); the guest has to be started anew"));
    return state != NULL;
}

static gboolean
read_run_state(MoseQmp *qmp, char **ret, GError **error)
{
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, error);

    if (!status)
        return FALSE;
    *ret = g_strdup(mose_json_string(status, "status", ""));
    return TRUE;
}

MoseFactSet *
mose_facts_gather(MoseQmp *source, const MoseFactHalf *before, MoseQmp *destination,
                  guint direction, GError **error)
{
    g_autoptr(MoseFactSet) set = g_new0(MoseFactSet, 1);
    g_autoptr(MoseFactHalf) after = mose_facts_half(destination, error);
    GPtrArray **lists[] = { &set->lost_features, &set->source_only,
                            &set->destination_only, &set->blocked };

    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        *lists[i] = g_ptr_array_new_with_free_func(g_free);
    if (!after || !compare_cpus(source, before, destination, after, set, error))
        return NULL;
    add_more(before, after, set->source_only);
    add_more(after, before, set->destination_only);
    if (!read_blockers(source, set->blocked, error) ||
        !read_run_state(source, &set->run_state, error))
        return NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        g_ptr_array_add(*lists[i], NULL);
    set->facts.direction = direction;
    set->facts.lost_features = (const char *const *)set->lost_features->pdata;
    set->facts.source_only = (const char *const *)set->source_only->pdata;
    set->facts.destination_only = (const char *const *)set->destination_only->pdata;
    set->facts.blocked = (const char *const *)set->blocked->pdata;
    set->facts.run_state = set->run_state;
    return g_steal_pointer(&set);
}

void
mose_facts_free(MoseFactSet *set)
{
    if (!set)
        return;
    g_clear_pointer(&set->lost_features, g_ptr_array_unref);
    g_clear_pointer(&set->source_only, g_ptr_array_unref);
    g_clear_pointer(&set->destination_only, g_ptr_array_unref);
    g_clear_pointer(&set->blocked, g_ptr_array_unref);
    g_free(set->run_state);
    g_free(set);
}

gboolean
mose_facts_judge(const MoseFacts *facts, const char *without, GPtrArray **ret_found,
                 GPtrArray **ret_reasons)
{
    gboolean good = TRUE;

    *ret_found = g_ptr_array_new();
    *ret_reasons = g_ptr_array_new_with_free_func(g_free);
    for (const MoseRule *const *rule = mose_rules; *rule; rule++) {
        char *reason;

        if (!mose_rule_applies(*rule, facts) ||
            mose_rule_is_left_out((*rule)->name, without))
            continue;
        reason = (*rule)->refuse ? (*rule)->refuse(facts) : NULL;
        good = good && !reason;
        g_ptr_array_add(*ret_found, (gpointer)*rule);
        g_ptr_array_add(*ret_reasons, reason);
    }
    return good;
}

gboolean
mose_facts_check(const MoseFacts *facts, const char *without, GError **error)
{
    g_autoptr(GPtrArray) found = NULL, reasons = NULL;

    if (mose_facts_judge(facts, without, &found, &reasons))
        return TRUE;
    for (guint i = 0; i < found->len; i++) {
        const MoseRule *rule = found->pdata[i];

        if (reasons->pdata[i]) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "rule %s: %s",
                        rule->name, (char *)reasons->pdata[i]);
            break;
        }
    }
    return FALSE;
}
