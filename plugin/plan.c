/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be told of; see plan.h. */
#include "plugin/plan.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/json.h"

#define MAX_RANGES 4096
#define MAX_PATIENCE_US (60 * G_USEC_PER_SEC)

static gboolean
invalid(const char *what, GError **error)
{
    g_set_error_literal(error, MOSE_ERROR, MOSE_ERROR_INVALID, what);
    return FALSE;
}

static gboolean
parse_address(const char *text, guint64 *ret)
{
    return text && g_str_has_prefix(text, "0x") &&
           g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT64, ret, NULL);
}

static gboolean
read_address(JsonArray *pair, guint i, guint64 *ret)
{
    JsonNode *node = json_array_get_element(pair, i);

    return parse_address(
        JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL, ret);
}

static gboolean
read_ranges(Plan *plan, JsonArray *ranges, GError **error)
{
    guint n = ranges ? json_array_get_length(ranges) : 0;

    if (n == 0 || n > MAX_RANGES)
        return invalid("no ranges, or too many", error);
    for (guint i = 0; i < n; i++) {
        JsonArray *pair = mose_json_node_array(json_array_get_element(ranges, i));
        PlanRange range;

        if (!pair || json_array_get_length(pair) != 2 ||
            !read_address(pair, 0, &range.first) ||
            !read_address(pair, 1, &range.last) || range.last < range.first)
            return invalid("a range is no pair of addresses", error);
        g_array_append_val(plan->ranges, range);
    }
    return TRUE;
}

/* The file cannot shrink under us; its header is read once, then checked. */
static gboolean
map_rings(Plan *plan, int fd, guint *ret_words, GError **error)
{
    struct stat st;
    MoseRingFile header;
    int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
        st.st_size < MOSE_RING_PAGE)
        return invalid("no sealed file in memory came along", error);
    plan->file_size = st.st_size;
    plan->file = mmap(NULL, plan->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (plan->file == MAP_FAILED) {
        plan->file = NULL;
        return invalid("its memory cannot be mapped", error);
    }
    memcpy(&header, plan->file, sizeof(header));
    if (header.magic != MOSE_RING_MAGIC || header.n_vcpus == 0 ||
        header.n_vcpus > MOSE_RING_MAX_VCPUS || header.words < MOSE_RING_MIN_WORDS ||
        header.words > MOSE_RING_MAX_WORDS ||
        (header.words & (header.words - 1)) != 0 ||
        plan->file_size < mose_ring_file_size(header.n_vcpus, header.words))
        return invalid("its memory has no rings", error);
    plan->n_vcpus = header.n_vcpus;
    *ret_words = header.words;
    return TRUE;
}

static void
begin_rings(Plan *plan, guint words, gint64 patience_us)
{
    guint n = plan->n_vcpus;

    plan->producers = g_new0(Producer, n);
    for (guint i = 0; i < n; i++)
        producer_init(&plan->producers[i], plan->file, n, words, i, patience_us);
    producer_init(&plan->code, plan->file, n, words, n, patience_us);
}

Plan *
plan_new(JsonObject *request, int fd, GError **error)
{
    g_autoptr(Plan) plan = g_new0(Plan, 1);
    gint64 patience = mose_json_int(request, "patience-us", 0);
    const char *at = mose_json_string(request, "switch", NULL);
    guint words;

    g_mutex_init(&plan->code_lock);
    plan->ranges = g_array_new(FALSE, FALSE, sizeof(PlanRange));
    plan->accesses = mose_json_bool(request, "accesses", FALSE);
    plan->values = mose_json_bool(request, "values", FALSE);
    if (at && !parse_address(at, &plan->switch_address)) {
        invalid("where tasks change is no address", error);
        return NULL;
    }
    if (!read_ranges(plan, mose_json_array(request, "ranges"), error) ||
        !map_rings(plan, fd, &words, error))
        return NULL;
    begin_rings(plan, words, CLAMP(patience, 0, MAX_PATIENCE_US));
    return g_steal_pointer(&plan);
}

void
plan_free(Plan *plan)
{
    if (!plan)
        return;
    if (plan->file)
        munmap(plan->file, plan->file_size);
    g_array_unref(plan->ranges);
    g_mutex_clear(&plan->code_lock);
    g_free(plan->producers);
    g_free(plan);
}

gboolean
plan_wants(const Plan *plan, guint64 address)
{
    for (guint i = 0; i < plan->ranges->len; i++) {
        const PlanRange *range = &g_array_index(plan->ranges, PlanRange, i);

        if (address >= range->first && address <= range->last)
            return TRUE;
    }
    return FALSE;
}
