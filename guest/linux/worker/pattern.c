/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents that follow from a number: what the checks write, and by what they tell
 * it from anything else. Also linked into the host's tests, which read the guest's
 * disks on their own.
 */
#include "worker.h"

/* xorshift64: short, and no two seeds give the same page. */
static uint64_t
next_number(uint64_t number)
{
    number ^= number << 13;
    number ^= number >> 7;
    return number ^ (number << 17);
}

static uint64_t
first_number(uint64_t seed)
{
    return next_number(seed * 0x9e3779b97f4a7c15u + 1);
}

void
worker_fill(void *data, size_t bytes, uint64_t seed)
{
    uint64_t *words = data;
    uint64_t number = first_number(seed);

    for (size_t i = 0; i < bytes / sizeof(*words); i++) {
        words[i] = number;
        number = next_number(number);
    }
}

long
worker_compare(const void *data, size_t bytes, uint64_t seed)
{
    const uint64_t *words = data;
    uint64_t number = first_number(seed);

    for (size_t i = 0; i < bytes / sizeof(*words); i++) {
        if (words[i] != number)
            return (long)(i * sizeof(*words));
        number = next_number(number);
    }
    return -1;
}
