/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as a kernel's BTF. Whatever is asked of types that were taken,
 * members lie within their structs, and there is an end to it. */
#include "fuzz/fuzz.h"

#include <string.h>

#include <bpf/btf.h>

#include "vmi/linux/type-print.h"

#define MAX_TYPES 200

static void
check_type(const MoseTypes *types, guint32 id)
{
    gint64 size = mose_types_size(types, id);
    MoseTypeRef type = { .types = types, .id = id };
    g_autofree char *name = mose_types_name(types, id);
    g_autofree char *declared = mose_type_ref_declare(&type, "x");
    g_autoptr(GString) layout = g_string_new(NULL);
    MoseMember member;
    const char *member_name;

    for (guint i = 0; mose_types_nth_member(types, id, i, &member, &member_name); i++)
        FUZZ_CHECK(member.offset + member.size <= (guint64)size);
    if (mose_types_member(types, id, "a.b[1]", &member, NULL))
        FUZZ_CHECK(member.offset + member.size <= (guint64)size);
    FUZZ_CHECK(mose_type_layout(&type, NULL, layout, NULL));
    for (const char *c = layout->str; *c; c++)
        FUZZ_CHECK(*c == '\n' || g_ascii_isprint(*c));
}

/* The same byte everywhere. */
static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len, gsize *ret_got,
            GError **error)
{
    memset(to, 1, len);
    return TRUE;
}

static void
check_print(const MoseTypes *types, guint32 id)
{
    MoseTypeSource source = { .read = read_memory, .types = types };
    MoseTypeValue value = { .type = { .types = types, .id = id },
                            .in_memory = TRUE,
                            .typed = TRUE };
    g_autoptr(GString) text = g_string_new(NULL);
    gint64 size = mose_types_size(types, id);

    if (size < 0 || size > 4096)
        return;
    value.size = size;
    if (mose_type_print(&source, &value, &MOSE_TYPE_PRINT_DEFAULT, 0, text, NULL))
        for (const char *c = text->str; *c; c++)
            FUZZ_CHECK(*c == '\n' || g_ascii_isprint(*c));
    json_node_unref(mose_type_to_json(&source, &value, &MOSE_TYPE_PRINT_DEFAULT, NULL));
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(MoseTypes) types = mose_types_new(data, size, NULL, NULL);
    guint32 n = types ? btf__type_cnt(mose_types_btf(types)) : 0;
    gint64 value;

    if (!types)
        return 0;
    FUZZ_CHECK(mose_types_find(types, "never there") == 0);
    FUZZ_CHECK(!mose_types_enumerator(types, "never there", &value));
    for (guint32 id = 0; id < MIN(n, MAX_TYPES); id++) {
        check_type(types, id);
        check_print(types, id);
    }
    return 0;
}
