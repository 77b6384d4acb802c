/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rings of ring.h, made and read. The process that writes them is not trusted: what
 * makes no sense is an error, never a crash. */
#pragma once

#include "analysis/ring.h"

typedef struct MoseRings MoseRings;

/* Who is told of what lies in the rings. A block's accesses come between it and the
 * next of that vCPU; code comes before the first block that runs it. */
typedef struct {
    /* A block was translated: its number (from 0, one by one), where it is, the sizes
     * of its @n instructions, and their @len bytes. */
    void (*code)(gpointer data, guint32 number, guint64 address, guint n,
                 const guint8 *sizes, const guint8 *bytes, gsize len);
    /* It begins. @executed: how many instructions of the block before it, of this vCPU,
     * were begun; 0: nobody knows, or there was none. */
    void (*block)(gpointer data, guint vcpu, guint32 number, guint executed);
    /* Its instruction @insn has accessed 1 << @shift bytes; @value: them, or NULL. */
    void (*access)(gpointer data, guint vcpu, guint insn, guint shift, gboolean store,
                   guint64 address, const guint64 *value);
    /* So many blocks were not told of, nor all accesses of the block before, of which
     * @executed were begun. */
    void (*lost)(gpointer data, guint vcpu, guint executed, guint64 blocks);
    void (*end)(gpointer data, guint vcpu, guint executed);
    /* From the next block on it runs the task whose task_struct is there. */
    void (*task)(gpointer data, guint vcpu, guint64 task);
    void (*time)(gpointer data, guint vcpu, guint64 ns); /* of CLOCK_MONOTONIC */
} MoseRingSink;

/* Rings of @words words (a power of two, from MOSE_RING_MIN_WORDS to _MAX_WORDS) in a
 * new memory file. FAILED: what the system says. */
MoseRings *mose_rings_new(guint n_vcpus, guint words, GError **error);
void mose_rings_free(MoseRings *rings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseRings, mose_rings_free)

/* The file, sealed against another size; it stays the rings'. */
int mose_rings_fd(const MoseRings *rings);

/* Read all there is, and make room. *@ret_n: how many words that was. INVALID: what
 * lies there makes no sense; nothing more can be read. */
gboolean mose_rings_read(MoseRings *rings, const MoseRingSink *sink, gpointer data,
                         guint64 *ret_n, GError **error);
