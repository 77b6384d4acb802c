/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring, written; see producer.h. */
#include "plugin/producer.h"

#define POLL_US 50

gboolean producer_recording;

void
producer_init(Producer *producer, void *file, guint n_vcpus, guint words, guint i,
              gint64 patience_us)
{
    *producer = (Producer){
        .shared = mose_ring_at(file, i),
        .words = mose_ring_words(file, n_vcpus, words, i),
        .size = words,
        .patience_us = patience_us,
    };
}

void
producer_publish(Producer *producer)
{
    producer->told = producer->head;
    __atomic_store_n(&producer->shared->head, producer->head, __ATOMIC_RELEASE);
}

/* What the reader says may be anything: room for more than all is not believed. */
static gboolean
look(Producer *producer, guint n)
{
    guint64 tail = __atomic_load_n(&producer->shared->tail, __ATOMIC_ACQUIRE);

    if (tail > producer->tail && tail <= producer->head) {
        producer->tail = tail;
        producer->given_up = FALSE;
    }
    return producer->head + n - producer->tail <= producer->size;
}

gboolean
producer_wait(Producer *producer, guint n)
{
    gint64 end = 0;

    producer_publish(producer);
    while (!look(producer, n)) {
        gint64 now = g_get_monotonic_time();

        if (end == 0)
            end = now + producer->patience_us;
        if (producer->given_up ||
            !__atomic_load_n(&producer_recording, __ATOMIC_RELAXED))
            return FALSE;
        if (now >= end) {
            producer->given_up = TRUE;
            return FALSE;
        }
        g_usleep(POLL_US);
    }
    return TRUE;
}
