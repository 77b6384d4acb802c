/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xarrays. See xarray.h. */
#include "vmi/linux/xarray.h"

#include <string.h>

#include "util/error.h"

enum {
    MAX_INTERNAL = 4096, /* Linux include/linux/xarray.h:xa_is_node */
    RETRY_ENTRY = 256 << 2 | 2,
    MAX_DEPTH = 11, /* of 64 slots, for numbers of 64 bits; of less, less is needed */
};

typedef struct {
    MoseSpace *space;
    const MoseXarrayLayout *layout;
    MoseXarrayFunc func;
    gpointer data;
    guint max, count;
    guint64 nodes;
    gboolean ended; /* by func */
} Walk;

/* --- types --- */

static gboolean
offset_of(MoseLinux *kernel, const char *type, const char *member, guint *ret,
          gsize *ret_size, GError **error)
{
    guint64 offset;

    if (!mose_object_offset(kernel, type, member, &offset, ret_size, error))
        return FALSE;
    *ret = MIN(offset, MOSE_XARRAY_MAX_NODE);
    return TRUE;
}

static gboolean
is_sensible(const MoseXarrayLayout *layout)
{
    return layout->size <= MOSE_XARRAY_MAX_NODE && layout->n_slots >= 2 &&
           layout->n_slots <= MOSE_XARRAY_MAX_SLOTS &&
           (layout->n_slots & (layout->n_slots - 1)) == 0 &&
           (guint64)layout->slots + layout->n_slots * 8 <= layout->size &&
           (guint64)layout->parent + 8 <= layout->size &&
           layout->shift < layout->size && layout->offset < layout->size;
}

gboolean
mose_xarray_layout(MoseLinux *kernel, MoseXarrayLayout *ret, GError **error)
{
    const char *array = "xarray", *node = "xa_node", *head = "xa_head";
    guint64 ignored;
    gsize slots = 0;
    gint64 size;

    *ret = (MoseXarrayLayout){ 0 };
    if (!mose_object_offset(kernel, node, "slots", &ignored, NULL, NULL)) {
        array = "radix_tree_root";
        node = "radix_tree_node";
        head = "rnode";
    }
    if (!offset_of(kernel, array, head, &ret->head, NULL, error) ||
        !offset_of(kernel, node, "shift", &ret->shift, NULL, error) ||
        !offset_of(kernel, node, "offset", &ret->offset, NULL, error) ||
        !offset_of(kernel, node, "parent", &ret->parent, NULL, error) ||
        !offset_of(kernel, node, "slots", &ret->slots, &slots, error))
        return FALSE;
    size = mose_types_size(kernel->types, mose_types_find(kernel->types, node));
    ret->size = CLAMP(size, 0, MOSE_XARRAY_MAX_NODE + 1);
    ret->n_slots = MIN(slots / 8, MOSE_XARRAY_MAX_SLOTS + 1);
    if (is_sensible(ret))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the kernel's %s cannot be a node of an array", node);
    return FALSE;
}

/* --- nodes --- */

static guint64
number_at(const guint8 *bytes)
{
    guint64 value;

    memcpy(&value, bytes, sizeof(value));
    return GUINT64_FROM_LE(value);
}

static gboolean
has_changed(guint64 at, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "an array of the guest's changed while it was read, at "
                "0x%" G_GINT64_MODIFIER "x",
                at);
    return FALSE;
}

static gboolean
is_broken(guint64 at, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the array's node at 0x%" G_GINT64_MODIFIER "x %s", at, what);
    return FALSE;
}

static gboolean
is_node(guint64 entry)
{
    return (entry & 3) == 2 && entry > MAX_INTERNAL;
}

static gboolean
read_node(const Walk *walk, guint64 at, guint8 *ret)
{
    return mose_space_read(walk->space, at, ret, walk->layout->size, NULL, NULL);
}

/* Whether the slots are the same still: counts and marks next to them may change. */
static gboolean
is_as_before(const Walk *walk, guint64 at, const guint8 *before)
{
    guint8 now[MOSE_XARRAY_MAX_NODE];

    return read_node(walk, at, now) &&
           memcmp(now + walk->layout->slots, before + walk->layout->slots,
                  (gsize)walk->layout->n_slots * 8) == 0;
}

static gboolean
tell(Walk *walk, guint64 index, guint64 entry, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (walk->count++ == walk->max) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's array has more than %u entries", walk->max);
        return FALSE;
    }
    if (walk->func(index, entry, walk->data, &cause))
        return TRUE;
    walk->ended = TRUE;
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static guint
bits_of(const MoseXarrayLayout *layout)
{
    return g_bit_storage(layout->n_slots) - 1;
}

/*
 * The node at @at, which slot @offset of @parent leads to (0: the array itself), and
 * whose slots are to be 2^@shift numbers apart; -1: any, as the array's first one says
 * it. Numbers in it begin with @base. The depth is bounded by the shift, which becomes
 * smaller.
 */
static gboolean
walk_node(Walk *walk, guint64 at, guint64 parent, guint offset, gint shift,
          guint64 base, GError **error)
{
    const MoseXarrayLayout *layout = walk->layout;
    guint8 node[MOSE_XARRAY_MAX_NODE];
    guint own;

    /* None is empty in the kernel's. */
    if (walk->nodes++ / MAX_DEPTH > walk->max)
        return is_broken(at, "is one of too many", error);
    if (!read_node(walk, at, node))
        return is_broken(at, "cannot be read", error);
    own = node[layout->shift];
    if (number_at(node + layout->parent) != parent ||
        (parent && node[layout->offset] != offset) ||
        (shift >= 0 && own != (guint)shift))
        return is_broken(at, "does not fit to what leads to it", error);
    if (own >= 64 || own % bits_of(layout) != 0)
        return is_broken(at, "has an impossible shift", error);
    for (guint i = 0; i < layout->n_slots; i++) {
        guint64 entry = number_at(node + layout->slots + (gsize)i * 8);
        guint64 index = base | (guint64)i << own;

        if (entry == RETRY_ENTRY)
            return has_changed(at, error);
        if (is_node(entry)) {
            if (own == 0)
                return is_broken(at, "has a node below its lowest level", error);
            if (!walk_node(walk, entry - 2, at, i, own - bits_of(layout), index, error))
                return FALSE;
        } else if (entry && (entry & 3) != 2 && !tell(walk, index, entry, error)) {
            return FALSE;
        }
    }
    return is_as_before(walk, at, node) || has_changed(at, error);
}

static gboolean
read_head(const Walk *walk, guint64 array, guint64 *ret, GError **error)
{
    return mose_space_read_number(walk->space, array + walk->layout->head, 8, ret,
                                  error);
}

static gboolean
walk_all(Walk *walk, guint64 head, GError **error)
{
    if (is_node(head))
        return walk_node(walk, head - 2, 0, 0, -1, 0, error);
    return head == 0 || (head & 3) == 2 || tell(walk, 0, head, error);
}

/* What is broken in an array that meanwhile is another one, is no more than a change.
 */
gboolean
mose_xarray_walk(MoseSpace *space, const MoseXarrayLayout *layout, guint64 array,
                 guint max, MoseXarrayFunc func, gpointer data, GError **error)
{
    Walk walk = {
        .space = space, .layout = layout, .func = func, .data = data, .max = max
    };
    g_autoptr(GError) cause = NULL;
    guint64 head, now;

    if (!is_sensible(layout)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no layout of an array");
        return FALSE;
    }
    if (!read_head(&walk, array, &head, error))
        return FALSE;
    if (walk_all(&walk, head, &cause) || (walk.ended && !cause))
        return (read_head(&walk, array, &now, error) && now == head) ||
               has_changed(array, error);
    mose_space_forget(space);
    if (!read_head(&walk, array, &now, NULL) || now != head)
        return has_changed(array, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}
