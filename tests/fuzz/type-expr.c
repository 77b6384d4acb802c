/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any text as an expression about a small kernel; behind its first NUL
 * bytes for the kernel's memory. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/btf-world.h"
#include "vmi/linux/type-print.h"

#define MAX_ROWS 20

static guint n_rows;

static gboolean
take_row(const char *label, const MoseTypeColumn *columns, guint n, gpointer data,
         GError **error)
{
    BtfWorld *world = data;

    FUZZ_CHECK(++n_rows <= MAX_ROWS);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        JsonNode *node;

        FUZZ_CHECK(columns[i].value || columns[i].error);
        if (!columns[i].value)
            continue;
        mose_type_print(&world->source, columns[i].value, &MOSE_TYPE_PRINT_DEFAULT, 0,
                        text, NULL);
        node = mose_type_to_json(&world->source, columns[i].value,
                                 &MOSE_TYPE_PRINT_DEFAULT, NULL);
        if (node)
            json_node_unref(node);
    }
    return TRUE;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    gsize len = strlen(text) + 1;
    g_autoptr(MoseTypeExpr) expr = mose_type_expr_parse(text, NULL);
    g_autoptr(BtfWorld) world = NULL;
    gboolean more;

    if (!expr)
        return 0;
    world = btf_world_new();
    if (size > len)
        memcpy(world->memory, data + len, MIN(size - len, BTF_WORLD_PAGES * 4096));
    n_rows = 0;
    mose_type_expr_eval(expr, &world->source, MAX_ROWS, take_row, world, &more, NULL);
    return 0;
}
