/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparing: two ordered lists of (place, value), matched by place. */
#include "stream/compare.h"

#include <string.h>

#include "stream/value.h"
#include "stream/walk.h"

#define BYTES_IN_ROW 16
#define MAX_PARTS 16

/* One thing that a stream says. */
typedef struct {
    char *key; /* names the place; a place that repeats is numbered */
    const MoseSection *section;
    char *subsection;
    char *field;
    char *text;    /* of what is no field */
    MoseLeaf leaf; /* of a field; its bytes are the document's */
} Item;

typedef struct {
    GPtrArray *items; /* Item */
    GHashTable *by_key;
    GHashTable *repeats; /* key without number -> how often */
    const MoseSection *section;
} List;

static void
item_free(gpointer data)
{
    Item *item = data;

    g_free(item->key);
    g_free(item->subsection);
    g_free(item->field);
    g_free(item->text);
    g_free(item);
}

static void
difference_free(gpointer data)
{
    MoseDifference *difference = data;

    g_free(difference->section);
    g_free(difference->subsection);
    g_free(difference->field);
    g_free(difference->a);
    g_free(difference->b);
    g_free(difference);
}

static Item *
list_add(List *list, const char *subsection, const char *field)
{
    Item *item = g_new0(Item, 1);
    const char *name = list->section ? mose_section_name(list->section) : "";
    char *place =
        g_strdup_printf("%s\n%u\n%s\n%s", name,
                        list->section ? mose_section_instance(list->section) : 0,
                        subsection ? subsection : "", field ? field : "");
    guint repeat = GPOINTER_TO_UINT(g_hash_table_lookup(list->repeats, place));

    item->key = g_strdup_printf("%s\n%u", place, repeat);
    g_hash_table_replace(list->repeats, place, GUINT_TO_POINTER(repeat + 1));
    item->section = list->section;
    item->subsection = g_strdup(subsection);
    item->field = g_strdup(field);
    g_ptr_array_add(list->items, item);
    g_hash_table_insert(list->by_key, item->key, item);
    return item;
}

static void
add_text(List *list, const char *field, char *text)
{
    list_add(list, NULL, field)->text = text;
}

static void
add_leaf(const MoseLeaf *leaf, gpointer data)
{
    Item *item = list_add(data, leaf->subsection, leaf->path);

    if (leaf->path)
        item->leaf = *leaf;
    else
        item->text = g_strdup("present");
}

static void
add_info(List *list, const MoseStreamInfo *info)
{
    g_autoptr(GPtrArray) capabilities = g_ptr_array_new();

    for (guint i = 0; i < info->capabilities->len; i++)
        g_ptr_array_add(capabilities, info->capabilities->pdata[i]);
    g_ptr_array_add(capabilities, NULL);
    add_text(list, "machine", g_strdup(info->machine));
    add_text(list, "capabilities", g_strjoinv(" ", (char **)capabilities->pdata));
    for (guint i = 0; i < info->blocks->len; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];
        g_autofree char *field = g_strdup_printf("RAM block %s", block->name);

        add_text(list, field,
                 g_strdup_printf("0x%" G_GINT64_MODIFIER "x bytes", block->length));
    }
}

static List *
list_new(const MoseReader *reader)
{
    const MoseDoc *doc = mose_reader_doc(reader);
    List *list = g_new0(List, 1);

    list->items = g_ptr_array_new_with_free_func(item_free);
    list->by_key = g_hash_table_new(g_str_hash, g_str_equal);
    list->repeats = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    add_info(list, mose_reader_info(reader));
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        list->section = mose_doc_section(doc, i);
        add_text(list, NULL,
                 g_strdup_printf("version %u", mose_section_version(list->section)));
        mose_section_walk(list->section, add_leaf, list);
    }
    return list;
}

static void
list_free(List *list)
{
    g_hash_table_unref(list->repeats);
    g_hash_table_unref(list->by_key);
    g_ptr_array_unref(list->items);
    g_free(list);
}

/* A section or subsection that one side lacks is one difference, not one a field. */
static gboolean
is_covered(const List *other, const Item *item)
{
    g_autofree char *subsection = NULL;
    g_autofree char *section = NULL;

    if (!item->section || (!item->field && !item->subsection))
        return FALSE;
    section = g_strdup_printf("%s\n%u\n\n\n0", mose_section_name(item->section),
                              mose_section_instance(item->section));
    subsection = g_strdup_printf("%s\n%u\n%s\n\n0", mose_section_name(item->section),
                                 mose_section_instance(item->section),
                                 item->subsection ? item->subsection : "");
    return !g_hash_table_contains(other->by_key, section) ||
           (item->field && !g_hash_table_contains(other->by_key, subsection));
}

static MoseDifference *
add_difference(GPtrArray *differences, const Item *item)
{
    MoseDifference *difference = g_new0(MoseDifference, 1);

    if (item->section) {
        difference->section = g_strdup(mose_section_name(item->section));
        difference->instance = mose_section_instance(item->section);
    }
    difference->subsection = g_strdup(item->subsection);
    difference->field = g_strdup(item->field);
    g_ptr_array_add(differences, difference);
    return difference;
}

static char *
item_text(const Item *item)
{
    return item->text ? g_strdup(item->text) : mose_leaf_text(&item->leaf, FALSE);
}

/* Part @i of a field: an element of an array of integers, or a row of bytes. */
static MoseLeaf
leaf_part(const MoseLeaf *leaf, gsize size, guint64 i)
{
    MoseLeaf part = *leaf;
    gsize len = leaf->element_size * leaf->count;

    part.bytes += i * size;
    part.element_size = MIN(size, len - i * size);
    part.count = 1;
    return part;
}

/* A long field would be cut where it is shown, maybe before what differs. So of an
 * array each element that differs is named, of bytes each row. */
static void
compare_parts(const Item *a, const Item *b, GPtrArray *differences)
{
    gsize size = mose_leaf_is_integer(&a->leaf) ? a->leaf.element_size : BYTES_IN_ROW;
    gsize len = a->leaf.element_size * a->leaf.count;
    guint shown = 0;

    for (guint64 i = 0; i * size < len; i++) {
        MoseLeaf part_a = leaf_part(&a->leaf, size, i);
        MoseLeaf part_b = leaf_part(&b->leaf, size, i);
        MoseDifference *difference;

        if (memcmp(part_a.bytes, part_b.bytes, part_a.element_size) == 0)
            continue;
        difference = add_difference(differences, a);
        if (shown++ == MAX_PARTS) {
            difference->a = g_strdup("...");
            difference->b = g_strdup("... differs further on");
            return;
        }
        if (len > size) {
            g_free(difference->field);
            difference->field = g_strdup_printf(
                mose_leaf_is_integer(&a->leaf) ? "%s[%" G_GUINT64_FORMAT "]"
                                               : "%s, bytes from %" G_GUINT64_FORMAT,
                a->field, mose_leaf_is_integer(&a->leaf) ? i : i * size);
        }
        difference->a = mose_leaf_text(&part_a, TRUE);
        difference->b = mose_leaf_text(&part_b, TRUE);
    }
}

static gboolean
same_shape(const MoseLeaf *a, const MoseLeaf *b)
{
    return a->element_size == b->element_size && a->count == b->count &&
           strcmp(a->type, b->type) == 0;
}

static void
compare_items(const Item *a, const Item *b, GPtrArray *differences)
{
    MoseDifference *difference;

    if (a->text && b->text && strcmp(a->text, b->text) == 0)
        return;
    if (!a->text && !b->text && same_shape(&a->leaf, &b->leaf)) {
        compare_parts(a, b, differences);
        return;
    }
    difference = add_difference(differences, a);
    difference->a = item_text(a);
    difference->b = item_text(b);
}

GPtrArray *
mose_stream_compare(const MoseReader *a, const MoseReader *b)
{
    GPtrArray *differences = g_ptr_array_new_with_free_func(difference_free);
    List *list_a = list_new(a), *list_b = list_new(b);

    for (guint i = 0; i < list_a->items->len; i++) {
        const Item *item = list_a->items->pdata[i];
        const Item *other = g_hash_table_lookup(list_b->by_key, item->key);

        if (other)
            compare_items(item, other, differences);
        else if (!is_covered(list_b, item))
            add_difference(differences, item)->a = item_text(item);
    }
    for (guint i = 0; i < list_b->items->len; i++) {
        const Item *item = list_b->items->pdata[i];

        if (!g_hash_table_contains(list_a->by_key, item->key) &&
            !is_covered(list_a, item))
            add_difference(differences, item)->b = item_text(item);
    }
    list_free(list_a);
    list_free(list_b);
    return differences;
}
