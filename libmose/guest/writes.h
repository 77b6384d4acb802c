/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a switch changes in the guest's memory: planned by the rules while the guest
 * stands still, done after the commit record and before the destination's first
 * instruction.
 *
 * The file writes.G in the guest's directory holds them for the process of generation
 * G, with the bytes that were there before: whoever comes after a MOSE that died in
 * between does them again, which changes nothing, or takes them back. The journal says
 * how far they have got (MoseWritesState).
 */
#pragma once

#include "guest/guest.h"
#include "qemu/ram.h"

/* Bounds of all that one switch may write: rules change single words and pages. */
#define MOSE_WRITES_MAX 4096
#define MOSE_WRITES_MAX_BYTES (256 << 10)

typedef struct MoseWrites MoseWrites;

MoseWrites *mose_writes_new(void);
void mose_writes_free(MoseWrites *writes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseWrites, mose_writes_free)

guint mose_writes_count(const MoseWrites *writes);

/* Plan to put @len bytes @after where guest-physical @address has @before. FALSE where
 * the bounds are reached. */
gboolean mose_writes_add(MoseWrites *writes, guint64 address, const void *before,
                         const void *after, gsize len);

/* Let @bytes, @len of them just read at @address, show what is planned there. */
void mose_writes_show(const MoseWrites *writes, guint64 address, void *bytes,
                      gsize len);

/* Read @ram with what is planned there; plan to put @len bytes of @from there, where
 * that is not what is there. FALSE where that is not all RAM, and beyond the bounds. */
gboolean mose_writes_peek(const MoseWrites *writes, const MoseRam *ram, guint64 address,
                          void *to, gsize len);
gboolean mose_writes_plan(MoseWrites *writes, const MoseRam *ram, guint64 address,
                          const void *from, gsize len);

/* Do them, in the order in which they were planned; take them back, in the other. */
gboolean mose_writes_do(const MoseWrites *writes, MoseRam *ram, GError **error);
gboolean mose_writes_undo(const MoseWrites *writes, MoseRam *ram, GError **error);

/* To and from the words of another host; INVALID, naming @where, if it makes no sense.
 */
JsonObject *mose_writes_to_json(const MoseWrites *writes);
MoseWrites *mose_writes_from_json(JsonObject *object, const char *where,
                                  GError **error);

/* The record of @generation: written whole, read (INVALID if it makes no sense), and
 * taken away. */
gboolean mose_writes_save(const MoseWrites *writes, const MoseGuest *guest,
                          guint generation, GError **error);
MoseWrites *mose_writes_load(const MoseGuest *guest, guint generation, GError **error);
void mose_writes_forget(const MoseGuest *guest, guint generation);
