/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of a kernel, or of one of its modules, by BTF (Linux
 * Documentation/bpf/btf.rst), which libbpf parses. The bytes are the guest's: they are
 * copied, bounded and checked before.
 */
#pragma once

#include <glib.h>

typedef struct MoseTypes MoseTypes;

/* Parse @size bytes of BTF; for a module @base has the kernel's types, and must outlive
 * it (NULL for the kernel). INVALID in words. At most 64 MB. */
#define MOSE_TYPES_MAX_SIZE (64 << 20)
MoseTypes *mose_types_new(const void *btf, gsize size, const MoseTypes *base,
                          GError **error);
void mose_types_free(MoseTypes *types);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTypes, mose_types_free)

/* libbpf's own object, for whoever prints types. */
struct btf;
const struct btf *mose_types_btf(const MoseTypes *types);

/* The id of the struct, union, enum or typedef @name ("task_struct"; "struct
 * task_struct" asks for that kind); 0: there is none. A hash, not a search. */
guint32 mose_types_find(const MoseTypes *types, const char *name);

/* Without typedefs, const, volatile, restrict and type tags. At most 32 of them, as
 * hostile BTF could go in circles; then 0. */
guint32 mose_types_strip(const MoseTypes *types, guint32 id);

/* In bytes; -1 for what has no size (functions, forward declarations). */
gint64 mose_types_size(const MoseTypes *types, guint32 id);

typedef struct {
    guint64 offset; /* in bytes */
    guint64 size;   /* of its type, in bytes */
    guint32 type;   /* its id */
    guint bit;  /* of a bit field (whose size is 8 at most, and in packed structs may
                 * be any below): its first bit within the bytes at offset, ... */
    guint bits; /* ... and how many; 0: not a bit field */
} MoseMember;

/*
 * The member @path of struct or union @id: names with dots in between, members of
 * anonymous structs and unions as C has them, and indices ("ipv6.saddr[3]",
 * "name[2].x"). Pointers are not followed. NOT_FOUND names the struct and the member.
 */
gboolean mose_types_member(const MoseTypes *types, guint32 id, const char *path,
                           MoseMember *ret, GError **error);

/* The value of enumerator @name ("MODULE_STATE_LIVE", "MOD_TEXT"), of any enum; FALSE:
 * none. */
gboolean mose_types_enumerator(const MoseTypes *types, const char *name, gint64 *ret);

/* Whether numbers of that type (integer, enum, bit field) are signed. */
gboolean mose_types_is_signed(const MoseTypes *types, guint32 id);

/* The type of variable @name, if the BTF has it: of a kernel's that are per-CPU ones
 * ("runqueues"). 0: none. */
guint32 mose_types_variable(const MoseTypes *types, const char *name);

/* The string at @offset of the BTF's strings: a name of it. "" where that is none. It
 * is the guest's: any bytes but NUL, at most 512. */
const char *mose_types_string(const MoseTypes *types, guint32 offset);

/* "struct task_struct", "union (anonymous)", "u64"; free with g_free(). */
char *mose_types_name(const MoseTypes *types, guint32 id);

/* Member @n of struct or union @id, as it is declared, and its name ("" of an anonymous
 * one). FALSE behind the last one, and where it does not lie within the struct. */
gboolean mose_types_nth_member(const MoseTypes *types, guint32 id, guint n,
                               MoseMember *ret, const char **ret_name);

/* mose_types_member() for one name of @len bytes. */
gboolean mose_types_direct_member(const MoseTypes *types, guint32 id, const char *name,
                                  gsize len, MoseMember *ret, GError **error);

/* The value of enumerator @index of enum @id; FALSE: there is none. */
gboolean mose_types_enumerator_value(const MoseTypes *types, guint32 id, guint index,
                                     gint64 *ret);
