/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes -cpu arguments apart, and finds what a guest loses between two sides. */
#include "qemu/cpu.h"

#include <string.h>

#include "qemu/cpu-query.h"
#include "qemu/cpu-table.h"
#include "util/error.h"
#include "util/json.h"

/* A -cpu argument is some KB at most. */
#define MAX_ARGUMENT 65536

/* "on", "off", a number, or a word, as QEMU's property parser takes them. */
static JsonNode *
parse_value(const char *text)
{
    JsonNode *node = json_node_alloc();
    guint64 number;
    char *end;

    if (strcmp(text, "on") == 0 || strcmp(text, "true") == 0 ||
        strcmp(text, "yes") == 0)
        return json_node_init_boolean(node, TRUE);
    if (strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ||
        strcmp(text, "no") == 0)
        return json_node_init_boolean(node, FALSE);
    number = g_ascii_strtoull(text, &end, 0);
    if (g_ascii_isdigit(*text) && *end == '\0')
        return json_node_init_int(node, (gint64)number);
    return json_node_init_string(node, text);
}

/* One word after the model. Those with a sign go to @signs. */
static gboolean
parse_word(const char *word, JsonObject *props, JsonObject *signs, GError **error)
{
    g_autofree char *name = g_strdup(word);
    char *value = strchr(name, '=');
    gboolean sign = *name == '+' || *name == '-';

    if (value != NULL)
        *value++ = '\0';
    g_strdelimit(name, "_", '-');
    if (name[sign ? 1 : 0] == '\0' || (sign && value != NULL)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "-cpu: '%s' is no property of a CPU", word);
        return FALSE;
    }
    if (sign)
        json_object_set_boolean_member(signs, name + 1, *name == '+');
    else
        json_object_set_member(props, name, parse_value(value ? value : "on"));
    return TRUE;
}

static void
copy_member(JsonObject *object, const char *name, JsonNode *node, gpointer to)
{
    json_object_set_member(to, name, json_node_copy(node));
}

gboolean
mose_cpu_parse(const char *text, char **ret_model, JsonObject **ret_props,
               GError **error)
{
    g_autoptr(JsonObject) props = json_object_new();
    g_autoptr(JsonObject) signs = json_object_new();
    g_auto(GStrv) words = NULL;

    if (*text == '\0' || *text == ',' || strlen(text) > MAX_ARGUMENT) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "-cpu names no model");
        return FALSE;
    }
    words = g_strsplit(text, ",", -1);
    for (guint i = 1; words[i] != NULL; i++) {
        if (!parse_word(words[i], props, signs, error))
            return FALSE;
    }
    json_object_foreach_member(signs, copy_member, props);
    *ret_model = g_strdup(words[0]);
    *ret_props = g_steal_pointer(&props);
    return TRUE;
}

void
mose_cpu_loss_free(MoseCpuLoss *loss)
{
    if (loss == NULL)
        return;
    g_free(loss->name);
    g_free(loss);
}

static int
compare_losses(gconstpointer a, gconstpointer b)
{
    return strcmp((*(MoseCpuLoss *const *)a)->name, (*(MoseCpuLoss *const *)b)->name);
}

static MoseCpuLoss *
loss_new(const char *name)
{
    const MoseCpuRow *excluded = mose_cpu_excluded_row(name);
    const MoseCpuRow *harmless = mose_cpu_harmless_row(name);
    MoseCpuLoss *loss = g_new0(MoseCpuLoss, 1);

    loss->name = g_strdup(name);
    loss->harmless = excluded == NULL && harmless != NULL;
    if (excluded != NULL)
        loss->why = excluded->why;
    else
        loss->why =
            harmless != NULL ? harmless->why : "the other side does not offer it";
    return loss;
}

/* What the guest sees: asked for, and offered by the accelerator. */
static gboolean
sees(JsonObject *model, JsonObject *max, const char *name)
{
    return mose_json_bool(model, name, FALSE) && mose_json_bool(max, name, FALSE);
}

GPtrArray *
mose_cpu_losses_from_models(JsonObject *from, JsonObject *from_max, JsonObject *to,
                            JsonObject *to_max)
{
    GPtrArray *losses =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_cpu_loss_free);
    g_autoptr(GList) names = json_object_get_members(from);

    for (GList *l = names; l != NULL; l = l->next) {
        const char *name = l->data;

        if (!sees(from, from_max, name) || mose_cpu_tolerated_row(name) != NULL)
            continue;
        if (sees(to, to_max, name) && mose_cpu_excluded_row(name) == NULL)
            continue;
        g_ptr_array_add(losses, loss_new(name));
    }
    g_ptr_array_sort(losses, compare_losses);
    return losses;
}

static void
add_enlightenment(JsonObject *props, const char *name, JsonNode *node, gpointer to)
{
    if (g_str_has_prefix(name, "hv-") && mose_json_bool(props, name, FALSE))
        json_object_set_boolean_member(to, name, TRUE);
}

void
mose_cpu_add_enlightenments(JsonObject *props, JsonObject *cpu, JsonObject *max)
{
    json_object_foreach_member(props, add_enlightenment, cpu);
    json_object_foreach_member(props, add_enlightenment, max);
}

/* Expansions of the side's CPU, and of all that its accelerator offers, also
 * what QEMU holds unfit for migration (invtsc). */
static gboolean
expand_side(MoseCpuQuery *query, const MoseCpuSide *side, JsonObject **ret_cpu,
            JsonObject **ret_max, GError **error)
{
    g_autofree char *model = NULL;
    g_autoptr(JsonObject) props = NULL;
    g_autoptr(JsonObject) all = mose_json_object("migratable", "b", FALSE, NULL);

    if (!mose_cpu_parse(side->cpu, &model, &props, error))
        return FALSE;
    *ret_cpu = mose_cpu_query_expand(query, model, props, error);
    if (*ret_cpu == NULL)
        return FALSE;
    *ret_max = mose_cpu_query_expand(query, "max", all, error);
    if (*ret_max == NULL)
        return FALSE;
    if (strcmp(side->accel, "kvm") == 0)
        mose_cpu_add_enlightenments(props, *ret_cpu, *ret_max);
    return TRUE;
}

GPtrArray *
mose_cpu_losses(const char *qemu, const MoseCpuSide *from, const MoseCpuSide *to,
                GError **error)
{
    const char *binary = qemu != NULL ? qemu : "qemu-system-x86_64";
    g_autoptr(MoseCpuQuery) from_query = NULL;
    g_autoptr(MoseCpuQuery) to_query = NULL;
    g_autoptr(JsonObject) from_cpu = NULL, from_max = NULL;
    g_autoptr(JsonObject) to_cpu = NULL, to_max = NULL;

    from_query = mose_cpu_query_start(binary, from->accel, error);
    if (from_query == NULL)
        return NULL;
    to_query = mose_cpu_query_start(binary, to->accel, error);
    if (to_query == NULL)
        return NULL;
    if (!expand_side(from_query, from, &from_cpu, &from_max, error) ||
        !expand_side(to_query, to, &to_cpu, &to_max, error))
        return NULL;
    return mose_cpu_losses_from_models(from_cpu, from_max, to_cpu, to_max);
}

/* The QOM path of the first CPU. */
static char *
first_cpu(MoseQmp *qmp, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-cpus-fast", NULL, error);
    const char *path = NULL;
    JsonArray *cpus;

    if (answer == NULL)
        return NULL;
    if (JSON_NODE_HOLDS_ARRAY(answer)) {
        cpus = json_node_get_array(answer);
        if (json_array_get_length(cpus) > 0 &&
            JSON_NODE_HOLDS_OBJECT(json_array_get_element(cpus, 0)))
            path = mose_json_string(json_array_get_object_element(cpus, 0), "qom-path",
                                    NULL);
    }
    if (path == NULL)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "query-cpus-fast: QEMU's answer names no CPU");
    return g_strdup(path);
}

GPtrArray *
mose_cpu_unavailable(MoseQmp *qmp, GError **error)
{
    g_autofree char *path = first_cpu(qmp, error);
    g_autoptr(JsonNode) answer = NULL;
    GPtrArray *names;
    JsonArray *array;

    if (path == NULL)
        return NULL;
    answer = mose_qmp_execute(qmp, "qom-get",
                              mose_json_object("path", "s", path, "property", "s",
                                               "unavailable-features", NULL),
                              error);
    if (answer == NULL)
        return NULL;
    if (!JSON_NODE_HOLDS_ARRAY(answer)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "unavailable-features of %s is no list", path);
        return NULL;
    }
    names = g_ptr_array_new_with_free_func(g_free);
    array = json_node_get_array(answer);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_string(node) != NULL)
            g_ptr_array_add(names, g_strdup(json_node_get_string(node)));
    }
    return names;
}
