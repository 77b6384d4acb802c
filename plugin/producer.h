/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring, written (analysis/ring.h). Each has one writer at a time. */
#pragma once

#include "analysis/ring.h"

typedef struct {
    MoseRing *shared;
    guint64 *words;
    guint64 size; /* a power of two */
    guint64 head; /* ours; the reader is told of it now and then */
    guint64 tail; /* the reader's, as it was when we looked */
    guint64 told;
    guint64 lost;      /* blocks since the last one that was told of */
    guint before;      /* how many instructions of that were begun */
    gboolean skipping; /* what the block that runs does is not told of */
    gboolean over;     /* nothing more is */
    gboolean
        given_up; /* nobody has read since patience ended: it is not waited again */
    gboolean other_task; /* a task that was not told of yet runs: */
    guint64 task;
    gint64 patience_us; /* how long to wait for the reader, which may be 0 */
} Producer;

/* FALSE by whoever ends the recording: nobody waits for a reader then. */
extern gboolean producer_recording;

/* Ring @i of a file for so many vCPUs with so many words each. */
void producer_init(Producer *producer, void *file, guint n_vcpus, guint words, guint i,
                   gint64 patience_us);

/* Tell the reader of all there is. */
void producer_publish(Producer *producer);

/* Wait for room of @n words. FALSE: there was none in time. A reader that stands still
 * holds its vCPU up once, not at each event. */
gboolean producer_wait(Producer *producer, guint n);

static inline gboolean
producer_has_room(Producer *producer, guint n)
{
    return G_LIKELY(producer->head + n - producer->tail <= producer->size) ||
           producer_wait(producer, n);
}

static inline void
producer_put(Producer *producer, guint64 word)
{
    producer->words[producer->head++ & (producer->size - 1)] = word;
}

/* The reader need not be told of each word: their cache line would go to and fro. */
static inline void
producer_done(Producer *producer)
{
    if (producer->head - producer->told >= 256)
        producer_publish(producer);
}
