/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plugin in the emulator tells the command that asked: rings in a file in
 * memory, which the command makes and hands over. One for each vCPU, in which that
 * vCPU's thread writes and the command alone reads, and one more for the code that was
 * translated, in which any of those threads writes, one at a time. Nothing in them
 * needs a lock between the two processes.
 *
 * The file: MoseRingFile in the first page; then a page for each ring's MoseRing; then
 * the words of each ring. Who reads believes nothing of what lies in it: the other
 * process runs what a guest says.
 */
#pragma once

#include <glib.h>

#define MOSE_RING_MAGIC G_GUINT64_CONSTANT(0x31676e6965736f6d) /* "moseing1" */
#define MOSE_RING_PAGE 4096
#define MOSE_RING_MAX_VCPUS 255
#define MOSE_RING_MIN_WORDS (1u << 12)
#define MOSE_RING_MAX_WORDS (1u << 26)

typedef struct {
    guint64 magic;
    guint32 n_vcpus; /* rings 0 to n_vcpus - 1 are theirs, ring n_vcpus is the code's */
    guint32 words;   /* in each ring; a power of two */
} MoseRingFile;

/* Positions count words from the beginning of time; a word's place is its position
 * modulo the size. On cache lines of their own, since each is another processor's. */
typedef struct {
    guint64 head __attribute__((aligned(64))); /* written up to here; the writer's */
    guint64 tail __attribute__((aligned(64))); /* read up to here; the reader's */
} MoseRing;

/* Bytes of a file for so many vCPUs. */
static inline gsize
mose_ring_file_size(guint n_vcpus, guint words)
{
    return ((gsize)n_vcpus + 2) * MOSE_RING_PAGE + ((gsize)n_vcpus + 1) * words * 8;
}

static inline MoseRing *
mose_ring_at(void *file, guint i)
{
    return (MoseRing *)(gpointer)((guint8 *)file + ((gsize)i + 1) * MOSE_RING_PAGE);
}

/* Not by the header: the other process can write it. */
static inline guint64 *
mose_ring_words(void *file, guint n_vcpus, guint words, guint i)
{
    gsize at = ((gsize)n_vcpus + 2) * MOSE_RING_PAGE;

    return (guint64 *)(gpointer)((guint8 *)file + at + (gsize)i * words * 8);
}

/*
 * Events. The first word: bits 0-7 the kind, the rest as said.
 *
 * BLOCK: a block begins. Bits 8-23: how many instructions of the block before it were
 * begun (0: there was none); 32-63: its number.
 *
 * ACCESS: an instruction of it has accessed memory. Bits 8-23: which; 24-27: log2 of
 * the size; 28: a store; 29: with its value. Then the address; then, if so, one word of
 * value, two for 16 bytes.
 *
 * LOST: bits 24-63: so many blocks were not told of, and perhaps accesses of the one
 * before them; 8-23: how many instructions of that were begun (0: none before).
 *
 * END: nothing comes any more. Bits 8-23: as with BLOCK.
 *
 * TASK: another task runs from the next block on. Then the address of its task_struct.
 *
 * TIME: then nanoseconds of CLOCK_MONOTONIC.
 *
 * CODE: in the last ring: a block was translated, and has the next number, from 0. Bits
 * 8-23: its instructions; 24-47: bytes of them. Then the address of the first; then a
 * byte for the length of each, then the bytes, each of the two filled up with zeros to
 * whole words.
 */
typedef enum {
    MOSE_EVENT_BLOCK = 1,
    MOSE_EVENT_ACCESS,
    MOSE_EVENT_LOST,
    MOSE_EVENT_END,
    MOSE_EVENT_TASK,
    MOSE_EVENT_TIME,
    MOSE_EVENT_CODE,
} MoseEventKind;

#define MOSE_EVENT_STORE ((guint64)1 << 28)
#define MOSE_EVENT_VALUE ((guint64)1 << 29)
