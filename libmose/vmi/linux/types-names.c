/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types and enumerators by name, through a table of hashes that is made at the first
 * lookup: a kernel has some 14000 named types and 20000 enumerators, and libbpf
 * searches all its types each time.
 */
#include <string.h>

#include "vmi/linux/types-priv.h"

/* What has the name; C has one space of names for the first three, and another. */
typedef enum {
    NAME_OF_STRUCT,
    NAME_OF_UNION,
    NAME_OF_ENUM,
    NAME_OF_TYPEDEF,
    NAME_OF_NUMBER,
    NAME_OF_VARIABLE,
    NAME_OF_ENUMERATOR,
    NAME_OF_NONE,
} NameOf;

typedef struct {
    guint32 hash, name_off;
    guint32 id;    /* 0: the slot is free */
    guint32 index; /* of an enumerator */
    NameOf of;
} Slot;

struct MoseTypeNames {
    Slot *slots;
    guint32 mask, count;
    guint32 seed; /* so that no guest can prepare names of one hash */
};

static MoseTypeNames *
names_new(void)
{
    MoseTypeNames *names = g_new0(MoseTypeNames, 1);

    names->mask = 1023;
    names->slots = g_new0(Slot, names->mask + 1);
    names->seed = g_random_int();
    return names;
}

void
mose_type_names_free(MoseTypeNames *names)
{
    if (!names)
        return;
    g_free(names->slots);
    g_free(names);
}

/* FNV-1a. FALSE for the empty name, and for one that is too long. */
static gboolean
hash_name(const MoseTypeNames *names, NameOf of, const char *name, guint32 *ret)
{
    guint64 hash = 0xcbf29ce484222325 ^ names->seed;
    gsize i;

    hash = (hash ^ of) * 0x100000001b3;
    for (i = 0; i <= MOSE_TYPES_MAX_NAME && name[i]; i++)
        hash = (hash ^ (guint8)name[i]) * 0x100000001b3;
    *ret = (guint32)(hash ^ hash >> 32);
    return i > 0 && i <= MOSE_TYPES_MAX_NAME;
}

/* The slot of the name, or the free one where it would be. */
static Slot *
find_slot(const MoseTypes *types, const MoseTypeNames *names, NameOf of,
          const char *name, guint32 hash)
{
    for (guint32 i = hash & names->mask;; i = (i + 1) & names->mask) {
        Slot *slot = &names->slots[i];

        if (!slot->id)
            return slot;
        if (slot->hash == hash && slot->of == of &&
            strcmp(btf__name_by_offset(types->btf, slot->name_off), name) == 0)
            return slot;
    }
}

static void
grow(MoseTypeNames *names)
{
    g_autofree Slot *old = names->slots;
    guint32 old_mask = names->mask;

    names->mask = names->mask * 4 + 3;
    names->slots = g_new0(Slot, (gsize)names->mask + 1);
    for (gsize i = 0; i <= old_mask; i++) {
        guint32 to = old[i].hash & names->mask;

        if (!old[i].id)
            continue;
        while (names->slots[to].id)
            to = (to + 1) & names->mask;
        names->slots[to] = old[i];
    }
}

/* The first one of a name stays. */
static void
add_name(const MoseTypes *types, MoseTypeNames *names, NameOf of, Slot slot)
{
    const char *name =
        slot.name_off ? btf__name_by_offset(types->btf, slot.name_off) : NULL;
    Slot *to;

    if (!name || !hash_name(names, of, name, &slot.hash))
        return;
    if (names->count >= names->mask / 2)
        grow(names);
    to = find_slot(types, names, of, name, slot.hash);
    if (to->id)
        return;
    slot.of = of;
    *to = slot;
    names->count++;
}

static NameOf
name_of(const struct btf_type *type)
{
    switch (btf_kind(type)) {
    case BTF_KIND_STRUCT:
        return NAME_OF_STRUCT;
    case BTF_KIND_UNION:
        return NAME_OF_UNION;
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return NAME_OF_ENUM;
    case BTF_KIND_TYPEDEF:
        return NAME_OF_TYPEDEF;
    case BTF_KIND_INT:
    case BTF_KIND_FLOAT:
        return NAME_OF_NUMBER;
    case BTF_KIND_VAR:
        return NAME_OF_VARIABLE;
    default:
        return NAME_OF_NONE;
    }
}

static MoseTypeNames *
names_of_types(const MoseTypes *types)
{
    MoseTypeNames *names = names_new();

    for (guint32 id = types->first; id < types->end; id++) {
        const struct btf_type *type = btf__type_by_id(types->btf, id);
        NameOf of = name_of(type);

        if (of != NAME_OF_NONE)
            add_name(types, names, of, (Slot){ .name_off = type->name_off, .id = id });
    }
    return names;
}

static MoseTypeNames *
names_of_enumerators(const MoseTypes *types)
{
    MoseTypeNames *names = names_new();

    for (guint32 id = types->first; id < types->end; id++) {
        const struct btf_type *type = btf__type_by_id(types->btf, id);

        if (!btf_is_any_enum(type))
            continue;
        for (guint32 i = 0; i < btf_vlen(type); i++)
            add_name(types, names, NAME_OF_ENUMERATOR,
                     (Slot){ .name_off = btf_is_enum(type)
                                             ? btf_enum(type)[i].name_off
                                             : btf_enum64(type)[i].name_off,
                             .id = id,
                             .index = i });
    }
    return names;
}

/* What has the name in these types alone; NULL: nothing. */
static const Slot *
look_up(const MoseTypes *types, NameOf of, const char *name)
{
    MoseTypes *made = (MoseTypes *)types; /* what is made now is no change of it */
    MoseTypeNames *names;
    const Slot *slot;
    guint32 hash;

    if (of == NAME_OF_ENUMERATOR) {
        if (!types->enumerators)
            made->enumerators = names_of_enumerators(types);
        names = types->enumerators;
    } else {
        if (!types->names)
            made->names = names_of_types(types);
        names = types->names;
    }
    if (!hash_name(names, of, name, &hash))
        return NULL;
    slot = find_slot(types, names, of, name, hash);
    return slot->id ? slot : NULL;
}

/* Of a module its own first. */
static guint32
find_of(const MoseTypes *types, NameOf of, const char *name)
{
    for (; types; types = types->base) {
        const Slot *slot = look_up(types, of, name);

        if (slot)
            return slot->id;
    }
    return 0;
}

guint32
mose_types_find(const MoseTypes *types, const char *name)
{
    static const char *const keywords[] = {
        [NAME_OF_STRUCT] = "struct ",
        [NAME_OF_UNION] = "union ",
        [NAME_OF_ENUM] = "enum ",
    };
    guint32 id = 0;

    for (guint of = 0; of < G_N_ELEMENTS(keywords); of++)
        if (g_str_has_prefix(name, keywords[of]))
            return find_of(types, of, name + strlen(keywords[of]));
    for (guint of = NAME_OF_STRUCT; of <= NAME_OF_NUMBER && !id; of++)
        id = find_of(types, of, name);
    return id;
}

guint32
mose_types_variable(const MoseTypes *types, const char *name)
{
    guint32 id = find_of(types, NAME_OF_VARIABLE, name);

    return id ? btf__type_by_id(types->btf, id)->type : 0;
}

gboolean
mose_types_enumerator(const MoseTypes *types, const char *name, gint64 *ret)
{
    for (; types; types = types->base) {
        const Slot *slot = look_up(types, NAME_OF_ENUMERATOR, name);

        if (slot)
            return mose_types_enumerator_value(types, slot->id, slot->index, ret);
    }
    return FALSE;
}
