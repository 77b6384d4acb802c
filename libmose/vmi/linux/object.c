/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs of the kernel's, whole or by the member. See object.h. */
#include "vmi/linux/object.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/linux.h"

/* No struct of the kernel's is so large; an array may be. */
#define MAX_SIZE (1 << 20)

/* --- members, remembered --- */

/*
 * What was looked up, by type and path, in a hash table; before it a smaller one by the
 * path's address, since the same literal comes again for each of a thousand tasks. What
 * is not there is remembered as well: kernels are told apart by that.
 */
typedef struct {
    guint32 type; /* 0: path is the name of a type, and member.type that type */
    gboolean missing, is_signed;
    MoseMember member;
    char path[];
} Known;

enum { N_RECENT = 512 };

struct MoseMembers {
    GHashTable *all; /* Known, which is its own key */
    struct {
        const char *path;
        const Known *known;
    } recent[N_RECENT];
};

static guint
known_hash(gconstpointer data)
{
    const Known *known = data;

    return g_str_hash(known->path) ^ known->type * 2654435761u;
}

static gboolean
known_equal(gconstpointer a, gconstpointer b)
{
    const Known *x = a, *y = b;

    return x->type == y->type && strcmp(x->path, y->path) == 0;
}

void
mose_members_free(MoseMembers *members)
{
    if (!members)
        return;
    g_hash_table_unref(members->all);
    g_free(members);
}

static void
find_out(MoseLinux *kernel, Known *known)
{
    if (known->type == 0) {
        known->member.type = mose_types_find(kernel->types, known->path);
        known->missing = known->member.type == 0;
        return;
    }
    known->missing = !mose_types_member(kernel->types, known->type, known->path,
                                        &known->member, NULL);
    known->is_signed =
        !known->missing && mose_types_is_signed(kernel->types, known->member.type);
}

static const Known *
remember(MoseLinux *kernel, guint32 type, const char *path)
{
    gsize len = strlen(path) + 1;
    g_autofree Known *key = g_malloc0(sizeof(*key) + len);
    const Known *known;

    key->type = type;
    memcpy(key->path, path, len);
    known = g_hash_table_lookup(kernel->members->all, key);
    if (known)
        return known;
    find_out(kernel, key);
    known = key;
    g_hash_table_add(kernel->members->all, g_steal_pointer(&key));
    return known;
}

static const Known *
know(MoseLinux *kernel, guint32 type, const char *path)
{
    guint slot = ((gsize)path ^ (gsize)path >> 9 ^ type * 31u) % N_RECENT;
    const Known *known;

    if (!kernel->members) {
        kernel->members = g_new0(MoseMembers, 1);
        kernel->members->all =
            g_hash_table_new_full(known_hash, known_equal, g_free, NULL);
    }
    known = kernel->members->recent[slot].known;
    if (known && kernel->members->recent[slot].path == path && known->type == type &&
        strcmp(known->path, path) == 0)
        return known;
    known = remember(kernel, type, path);
    kernel->members->recent[slot].path = path;
    kernel->members->recent[slot].known = known;
    return known;
}

static const Known *
look_up(MoseLinux *kernel, guint32 type, const char *path, GError **error)
{
    const Known *known = know(kernel, type, path);
    MoseMember none;

    if (!known->missing)
        return known;
    if (error) /* it says what is missing */
        mose_types_member(kernel->types, type, path, &none, error);
    return NULL;
}

static gboolean
find_type(MoseLinux *kernel, const char *name, guint32 *ret, GError **error)
{
    const Known *known;

    if (!mose_linux_need_types(kernel, error))
        return FALSE;
    known = know(kernel, 0, name);
    *ret = known->member.type;
    if (!known->missing)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s: its kernel (%s) has no type %s", mose_memory_name(kernel->memory),
                kernel->release, name);
    return FALSE;
}

/* --- whole objects --- */

gboolean
mose_object_read(MoseLinux *kernel, const char *type_name, guint64 address,
                 MoseObject *ret, GError **error)
{
    guint32 type;
    gint64 size;

    if (!find_type(kernel, type_name, &type, error))
        return FALSE;
    size = mose_types_size(kernel->types, type);
    if (size <= 0 || size > MAX_SIZE) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's type %s has %" G_GINT64_FORMAT " bytes", type_name,
                    size);
        return FALSE;
    }
    if (!ret->bytes || ret->size != (gsize)size)
        ret->bytes = g_realloc(ret->bytes, size);
    ret->kernel = kernel;
    ret->type = type;
    ret->size = size;
    ret->address = address;
    if (mose_space_read(kernel->space, address, ret->bytes, size, NULL, error))
        return TRUE;
    g_prefix_error(error, "%s at 0x%" G_GINT64_MODIFIER "x: ", type_name, address);
    return FALSE;
}

void
mose_object_clear(MoseObject *object)
{
    g_clear_pointer(&object->bytes, g_free);
}

/* --- members of an object --- */

static guint64
to_number(const Known *known, const guint8 *bytes, gsize size)
{
    const MoseMember *member = &known->member;
    guint bits = member->bits ? member->bits : size * 8;
    guint64 value = 0;

    for (gsize i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    value >>= member->bits ? member->bit : 0;
    if (bits >= 64)
        return value;
    value &= (G_GUINT64_CONSTANT(1) << bits) - 1;
    if (known->is_signed && value >> (bits - 1) & 1)
        value |= G_MAXUINT64 << bits;
    return value;
}

/* A number has at most eight bytes. */
static gboolean
check_number(const Known *known, const char *path, GError **error)
{
    if (known->member.size >= 1 && known->member.size <= 8)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the kernel's %s is no number: it has %" G_GUINT64_FORMAT " bytes",
                path, known->member.size);
    return FALSE;
}

static const Known *
member_of(const MoseObject *object, const char *path, GError **error)
{
    const Known *known = look_up(object->kernel, object->type, path, error);

    if (!known || (known->member.offset <= object->size &&
                   known->member.size <= object->size - known->member.offset))
        return known;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the kernel's %s lies outside of its struct", path);
    return NULL;
}

gboolean
mose_object_get(const MoseObject *object, const char *path, guint64 *ret,
                GError **error)
{
    const Known *known = member_of(object, path, error);

    if (!known || !check_number(known, path, error))
        return FALSE;
    *ret = to_number(known, object->bytes + known->member.offset, known->member.size);
    return TRUE;
}

gboolean
mose_object_has(const MoseObject *object, const char *path)
{
    return look_up(object->kernel, object->type, path, NULL) != NULL;
}

const guint8 *
mose_object_bytes(const MoseObject *object, const char *path, gsize *ret_size,
                  GError **error)
{
    const Known *known = member_of(object, path, error);

    if (!known)
        return NULL;
    *ret_size = known->member.size;
    return object->bytes + known->member.offset;
}

char *
mose_object_text(const MoseObject *object, const char *path, GError **error)
{
    gsize size;
    const guint8 *bytes = mose_object_bytes(object, path, &size, error);

    return bytes ? g_strndup((const char *)bytes, size) : NULL;
}

gboolean
mose_object_address(const MoseObject *object, const char *path, guint64 *ret,
                    GError **error)
{
    const Known *known = member_of(object, path, error);

    if (!known)
        return FALSE;
    *ret = object->address + known->member.offset;
    return TRUE;
}

/* --- without an object --- */

gboolean
mose_object_offset(MoseLinux *kernel, const char *type_name, const char *path,
                   guint64 *ret, gsize *ret_size, GError **error)
{
    guint32 type;
    const Known *known;

    if (!find_type(kernel, type_name, &type, error))
        return FALSE;
    known = look_up(kernel, type, path, error);
    if (!known)
        return FALSE;
    *ret = known->member.offset;
    if (ret_size)
        *ret_size = known->member.size;
    return TRUE;
}

gboolean
mose_object_peek(MoseLinux *kernel, const char *type_name, guint64 address,
                 const char *path, guint64 *ret, GError **error)
{
    guint8 bytes[8];
    guint32 type;
    const Known *known;

    if (!find_type(kernel, type_name, &type, error))
        return FALSE;
    known = look_up(kernel, type, path, error);
    if (!known || !check_number(known, path, error))
        return FALSE;
    if (!mose_space_read(kernel->space, address + known->member.offset, bytes,
                         known->member.size, NULL, error)) {
        g_prefix_error(error, "%s.%s: ", type_name, path);
        return FALSE;
    }
    *ret = to_number(known, bytes, known->member.size);
    return TRUE;
}
