/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed names. See names.h. Their hash is a sum over characters, so that of a token
 * can be added as a whole, and a name need not be expanded for it. Anagrams share one.
 */
#include "vmi/linux/names.h"

#include <string.h>

#include "util/error.h"

/* A token's sum: the lower bits have the hash, the upper ones the length. A name has
 * less than 2^14 tokens of less than 2^8 characters. */
enum { HASH_BITS = 28, LENGTH_SHIFT = 42 };
/* Of every such name the place is kept; to the others it is a few steps. */
enum { STEP = 16 };

struct MoseNames {
    guint8 *packed, *tokens;
    guint32 count;
    guint32 *places; /* of every STEPth name, in packed */
    guint16 index[MOSE_NAMES_N_TOKENS];
    guint8 lengths[MOSE_NAMES_N_TOKENS];
    guint64 sums[MOSE_NAMES_N_TOKENS];
    guint32 of_char[256];
    guint32 *heads, *next; /* chains, of numbers + 1, the first name first */
    guint32 mask;
};

static gboolean
set_invalid(const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "the guest's kallsyms: %s",
                what);
    return FALSE;
}

/* Chosen anew each time, so that no guest can prepare names of one hash. */
static void
choose_hash(MoseNames *names)
{
    for (guint i = 0; i < G_N_ELEMENTS(names->of_char); i++)
        names->of_char[i] = g_random_int() >> (32 - HASH_BITS);
}

static gboolean
check_tokens(MoseNames *names, gsize size, GError **error)
{
    for (int i = 0; i < MOSE_NAMES_N_TOKENS; i++) {
        gsize at = names->index[i], len;
        guint32 hash = 0;

        if (at >= size)
            return set_invalid("a token lies outside of their table", error);
        len = strnlen((const char *)names->tokens + at, size - at);
        if (len == size - at || len > G_MAXUINT8)
            return set_invalid("a token has no end", error);
        for (gsize c = 0; c < len; c++)
            hash += names->of_char[names->tokens[at + c]];
        names->lengths[i] = len;
        names->sums[i] =
            (guint64)len << LENGTH_SHIFT | (hash & ((1u << HASH_BITS) - 1));
    }
    return TRUE;
}

/* How many tokens name @at has; *@at is where they begin. */
static guint
take_length(const guint8 *packed, gsize *at)
{
    guint len = packed[(*at)++];

    /* two bytes of length since 6.1 */
    return len & 0x80 ? (len & 0x7f) | (guint)packed[(*at)++] << 7 : len;
}

/* The tokens of name @n, *@ret of them. */
static gsize
place_of(const MoseNames *names, guint32 n, guint *ret)
{
    gsize at = names->places[n / STEP];

    for (guint i = n % STEP; i > 0; i--) {
        guint tokens = take_length(names->packed, &at);

        at += tokens;
    }
    *ret = take_length(names->packed, &at);
    return at;
}

/* The first character, which is no part of the name; its length is not 0. */
static guint8
type_of(const MoseNames *names, gsize at)
{
    while (names->lengths[names->packed[at]] == 0)
        at++;
    return names->tokens[names->index[names->packed[at]]];
}

/* The places of all, and their hashes, which are left in next[]. */
static gboolean
take_names(MoseNames *names, gsize size, GError **error)
{
    const guint8 *packed = names->packed;
    gsize at = 0;

    for (guint32 i = 0; i < names->count; i++) {
        guint64 sum = 0;
        guint tokens;
        gsize len;

        if (size - at < 2)
            return set_invalid("they end before their last name", error);
        if (i % STEP == 0)
            names->places[i / STEP] = at;
        tokens = take_length(packed, &at);
        if (tokens > size - at)
            return set_invalid("they end within a name", error);
        for (guint t = 0; t < tokens; t++)
            sum += names->sums[packed[at + t]];
        len = sum >> LENGTH_SHIFT;
        if (len < 2 || len > MOSE_NAMES_MAX)
            return set_invalid("a name is empty, or too long", error);
        names->next[i] = (guint32)sum - names->of_char[type_of(names, at)];
        at += tokens;
    }
    return TRUE;
}

static guint32
slot_of(const MoseNames *names, guint32 sum)
{
    sum &= (1u << HASH_BITS) - 1;
    return (sum ^ sum >> 14) & names->mask;
}

/* From the last one on, so that the first one of a name comes first. */
static void
make_chains(MoseNames *names)
{
    guint32 size = 1024;

    while (size < names->count / 2)
        size *= 2;
    names->mask = size - 1;
    names->heads = g_new0(guint32, size);
    for (guint32 i = names->count; i-- > 0;) {
        guint32 *head = &names->heads[slot_of(names, names->next[i])];

        names->next[i] = *head;
        *head = i + 1;
    }
}

MoseNames *
mose_names_new(guint8 *packed, gsize packed_size, guint8 *tokens, gsize tokens_size,
               const guint16 index[MOSE_NAMES_N_TOKENS], guint32 count, GError **error)
{
    g_autoptr(MoseNames) names = g_new0(MoseNames, 1);

    names->packed = packed;
    names->tokens = tokens;
    names->count = count;
    memcpy(names->index, index, sizeof(names->index));
    if (packed_size > G_MAXUINT32) {
        set_invalid("their size makes no sense", error);
        return NULL;
    }
    names->places = g_new(guint32, count / STEP + 1);
    names->next = g_new(guint32, count);
    choose_hash(names);
    if (!check_tokens(names, tokens_size, error) ||
        !take_names(names, packed_size, error))
        return NULL;
    make_chains(names);
    return g_steal_pointer(&names);
}

void
mose_names_free(MoseNames *names)
{
    if (!names)
        return;
    g_free(names->packed);
    g_free(names->tokens);
    g_free(names->places);
    g_free(names->heads);
    g_free(names->next);
    g_free(names);
}

guint32
mose_names_count(const MoseNames *names)
{
    return names->count;
}

char
mose_names_type(const MoseNames *names, guint32 n)
{
    guint tokens;

    return type_of(names, place_of(names, n, &tokens));
}

/* All was measured when the names were taken. */
gsize
mose_names_expand(const MoseNames *names, guint32 n, char ret[MOSE_NAMES_MAX + 1],
                  char *ret_type)
{
    guint tokens;
    gsize at = place_of(names, n, &tokens), done = 0;

    *ret_type = type_of(names, at);
    for (guint i = 0; i < tokens; i++) {
        guint8 token = names->packed[at + i];
        gsize len = names->lengths[token];

        memcpy(ret + done, names->tokens + names->index[token], len);
        done += len;
    }
    memmove(ret, ret + 1, done - 1);
    ret[done - 1] = '\0';
    return done - 1;
}

gboolean
mose_names_find(MoseNames *names, const char *name, guint32 *ret)
{
    guint32 sum = 0, number;

    for (const char *at = name; *at; at++)
        sum += names->of_char[(guint8)*at];
    for (number = names->heads[slot_of(names, sum)]; number;
         number = names->next[number - 1]) {
        char other[MOSE_NAMES_MAX + 1], type;

        mose_names_expand(names, number - 1, other, &type);
        if (strcmp(other, name) == 0) {
            *ret = number - 1;
            return TRUE;
        }
    }
    return FALSE;
}
