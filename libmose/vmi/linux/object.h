/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A struct of the kernel's, read as a whole at one moment, its members got by name; and
 * walks along the kernel's lists.
 */
#pragma once

#include <glib.h>

#include "vmi/linux/types.h"

struct MoseLinux;

/* What was looked up of a kernel's types, kept in MoseLinux. */
typedef struct MoseMembers MoseMembers;
void mose_members_free(MoseMembers *members);

typedef struct {
    struct MoseLinux *kernel;
    guint64 address;
    guint32 type;
    gsize size;
    guint8 *bytes; /* owned */
} MoseObject;

/* Read the struct @type_name ("task_struct") at @address. */
gboolean mose_object_read(struct MoseLinux *kernel, const char *type_name,
                          guint64 address, MoseObject *ret, GError **error);
/* The same of an object that was read before, or zeros: its bytes are used again. */
void mose_object_clear(MoseObject *object);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseObject, mose_object_clear)

/*
 * The number (integer, pointer, enum, boolean, bit field; sign-extended where its type
 * is signed) in member @path (types.h: mose_types_member()). @path should be a
 * literal: its address is remembered with it.
 */
gboolean mose_object_get(const MoseObject *object, const char *path, guint64 *ret,
                         GError **error);

/* Whether the type has it: how kernels are told apart. */
gboolean mose_object_has(const MoseObject *object, const char *path);

/* Its bytes in the object: *@ret_size of them. For arrays ("comm") and structs. */
const guint8 *mose_object_bytes(const MoseObject *object, const char *path,
                                gsize *ret_size, GError **error);

/* Text in an array of characters, up to its NUL; free with g_free(). */
char *mose_object_text(const MoseObject *object, const char *path, GError **error);

/* The address of the member within the guest. */
gboolean mose_object_address(const MoseObject *object, const char *path, guint64 *ret,
                             GError **error);

/* The same without an object: where member @path of struct @type_name lies, and how
 * large it is. @type_name and @path must be literals. */
gboolean mose_object_offset(struct MoseLinux *kernel, const char *type_name,
                            const char *path, guint64 *ret, gsize *ret_size,
                            GError **error);

/* Read one member of a struct at @address, without the rest of it. */
gboolean mose_object_peek(struct MoseLinux *kernel, const char *type_name,
                          guint64 address, const char *path, guint64 *ret,
                          GError **error);

/*
 * Walk the list_head at @head, and tell @func of each entry: @offset is where the
 * list's member lies in it. Each link is checked against the one back, so a list that
 * changes under the reader is noticed: AGAIN, after which all that was told so far is
 * to be thrown away (mose_linux_retry() does). INVALID after @max entries. @func
 * returns FALSE to end the walk, with an error or, without one, because it has what it
 * wanted.
 */
typedef gboolean (*MoseListFunc)(struct MoseLinux *kernel, guint64 entry, gpointer data,
                                 GError **error);
gboolean mose_list_walk(struct MoseLinux *kernel, guint64 head, guint64 offset,
                        guint max, MoseListFunc func, gpointer data, GError **error);

/* The same for an hlist_head: pprev is checked. */
gboolean mose_hlist_walk(struct MoseLinux *kernel, guint64 head, guint64 offset,
                         guint max, MoseListFunc func, gpointer data, GError **error);

/* The same for an hlist_nulls_head whose list ends by the value @nulls, and where that
 * is another, AGAIN. */
gboolean mose_hlist_nulls_walk(struct MoseLinux *kernel, guint64 head, guint64 offset,
                               guint64 nulls, guint max, MoseListFunc func,
                               gpointer data, GError **error);

/*
 * Call @func until it does not fail with AGAIN, each time after what was read before is
 * forgotten, at most 20 times over half a second; the error then says that the guest
 * changes it faster than it can be read. *@ret_retries (may be NULL) counts.
 */
typedef gboolean (*MoseRetryFunc)(struct MoseLinux *kernel, gpointer data,
                                  GError **error);
gboolean mose_linux_retry(struct MoseLinux *kernel, MoseRetryFunc func, gpointer data,
                          guint *ret_retries, GError **error);
