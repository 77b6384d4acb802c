/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of kallsyms in a kernel's image. See kallsyms.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/kallsyms.h"

enum { N_TOKENS = 256, MARKED = 256, MIN_SYMBOLS = 256 };
/* How far before the tokens the names may begin, and how many false starts are looked
 * at. */
#define MAX_BACK ((gsize)160 << 20)
#define MAX_STARTS 4096
/* Names and tokens that are looked at in all, whatever the image holds: some seconds. A
 * real one takes a million. */
#define MAX_WORK (200u << 20)

typedef struct {
    const guint8 *bytes;
    gsize size;
    guint64 text;
    gsize alignment; /* of the parts: 8 or 4 */
    guint *work;     /* that is left */
} Image;

static gboolean
may_work(const Image *image)
{
    return *image->work > 0 && --*image->work > 0;
}

static gsize
align(const Image *image, gsize at)
{
    return (at + image->alignment - 1) & ~(image->alignment - 1);
}

static guint64
number(const Image *image, gsize at, gsize len)
{
    guint64 ret = 0;

    if (at > image->size || len > image->size - at)
        return 0;
    for (gsize i = len; i > 0; i--)
        ret = ret << 8 | image->bytes[at + i - 1];
    return ret;
}

/* --- the tokens --- */

/* The tokens from '0' on lie behind each other at @zero; where the table ends. */
static gboolean
end_of_tokens(const Image *image, gsize zero, gsize *ret_starts, gsize *ret)
{
    gsize at = zero;

    for (int i = '0'; i < N_TOKENS; i++) {
        gsize len =
            strnlen((const char *)image->bytes + at, MIN(image->size - at, (gsize)512));

        if (len == 0 || len == 512 || len == image->size - at || !may_work(image))
            return FALSE;
        ret_starts[i] = at;
        at += len + 1;
    }
    *ret = at;
    return TRUE;
}

/* The index behind them says where the table begins, and must agree with all of it. */
static gboolean
check_tokens(const Image *image, gsize zero, MoseKallsyms *ret)
{
    gsize starts[N_TOKENS] = { 0 }, end, begin;

    if (!end_of_tokens(image, zero, starts, &end))
        return FALSE;
    ret->token_index = align(image, end);
    if (ret->token_index + N_TOKENS * 2 > image->size ||
        number(image, ret->token_index, 2) != 0 ||
        number(image, ret->token_index + '0' * 2, 2) > zero)
        return FALSE;
    begin = zero - number(image, ret->token_index + '0' * 2, 2);
    for (int i = 1; i < N_TOKENS; i++) {
        gsize start = begin + number(image, ret->token_index + i * 2, 2);

        /* Only the first one is at the beginning. */
        if (start == begin || start >= end ||
            (i >= '0' ? start != starts[i] : image->bytes[start - 1] != '\0'))
            return FALSE;
    }
    ret->tokens = begin;
    ret->tokens_size = end - begin;
    return begin % image->alignment == 0;
}

/* --- the names --- */

/* Where @count symbols from @at on end, which are to be before @limit; on the way, the
 * places of those that have markers are appended to @marks. */
static gboolean
skip_names(const Image *image, gsize at, gsize limit, guint32 count, GArray *marks,
           gsize *ret)
{
    gsize begin = at;

    for (guint32 i = 0; i < count; i++) {
        guint len;

        if (i % MARKED == 0) {
            guint32 mark = at - begin;

            g_array_append_val(marks, mark);
        }
        if (limit - at < 3 || !may_work(image))
            return FALSE;
        len = image->bytes[at++];
        if (len & 0x80)
            len = (len & 0x7f) | (guint)image->bytes[at++] << 7;
        if (len == 0 || len > limit - at)
            return FALSE;
        at += len;
    }
    *ret = at;
    return TRUE;
}

static gboolean
check_names(const Image *image, gsize at, gsize limit, MoseKallsyms *ret)
{
    g_autoptr(GArray) marks = g_array_new(FALSE, FALSE, sizeof(guint32));
    guint32 count = number(image, at, 4);
    gsize end, markers;

    if (!skip_names(image, at + image->alignment, limit, count, marks, &end))
        return FALSE;
    markers = align(image, end);
    if (markers > limit || marks->len * 4 > limit - markers)
        return FALSE;
    for (guint i = 0; i < marks->len; i++)
        if (number(image, markers + i * 4, 4) != g_array_index(marks, guint32, i))
            return FALSE;
    ret->n_symbols = count;
    ret->names = at + image->alignment;
    ret->names_size = end - ret->names;
    return TRUE;
}

/*
 * What num_syms can be. With its padding it is eight bytes, and between the names and
 * the tokens there are hardly any that could be such a number. Where there is no
 * padding, the markers end where the tokens begin, and how many there are tells it to
 * within 256.
 */
static void
bound_count(const Image *image, const MoseKallsyms *table, guint64 *ret_min,
            guint64 *ret_max)
{
    guint64 before = G_MAXUINT32;
    guint n = 0;

    *ret_min = MIN_SYMBOLS;
    *ret_max = MOSE_KALLSYMS_MAX_SYMBOLS;
    if (image->alignment == 8)
        return;
    for (gsize at = table->tokens; at >= 4 && before != 0; at -= 4, n++) {
        guint64 mark = number(image, at - 4, 4);

        if (mark >= before)
            break;
        before = mark;
    }
    if (n == 0 || before != 0)
        *ret_max = 0;
    else
        *ret_min = (guint64)(n - 1) * MARKED + 1, *ret_max = (guint64)n * MARKED;
}

static gboolean
find_names(const Image *image, MoseKallsyms *ret)
{
    gsize stop = ret->tokens > MAX_BACK ? ret->tokens - MAX_BACK : 0;
    guint64 min, max;
    guint starts = 0;

    bound_count(image, ret, &min, &max);
    for (gsize at = ret->tokens; max > 0 && at >= stop + image->alignment;) {
        guint64 value;

        at -= image->alignment;
        value = number(image, at, image->alignment);
        if (value < min || value > max)
            continue;
        if (check_names(image, at, ret->tokens, ret))
            return TRUE;
        if (++starts == MAX_STARTS)
            return FALSE;
    }
    return FALSE;
}

/* --- the addresses --- */

/* Whether symbol @name is expanded from what is at @at. */
static gboolean
is_name(const Image *image, const MoseKallsyms *table, gsize at, guint len,
        const char *name)
{
    gsize done = 0, want = strlen(name);
    gboolean type = TRUE;

    for (guint i = 0; i < len; i++) {
        gsize token = table->tokens +
                      number(image, table->token_index + image->bytes[at + i] * 2, 2);

        for (; image->bytes[token] != '\0'; token++) {
            if (type)
                type = FALSE;
            else if (done == want || image->bytes[token] != (guint8)name[done++])
                return FALSE;
        }
    }
    return done == want;
}

/* The number of symbol @name; FALSE: there is none. */
static gboolean
find_name(const Image *image, const MoseKallsyms *table, const char *name, guint32 *ret)
{
    gsize at = table->names;

    for (guint32 i = 0; i < table->n_symbols; i++) {
        guint len = image->bytes[at++];

        if (len & 0x80)
            len = (len & 0x7f) | (guint)image->bytes[at++] << 7;
        if (!may_work(image))
            return FALSE;
        if (is_name(image, table, at, len, name)) {
            *ret = i;
            return TRUE;
        }
        at += len;
    }
    return FALSE;
}

static guint64
address_of(const Image *image, const MoseKallsyms *table, guint32 i)
{
    gsize at = table->offsets + (gsize)i * 4;
    gint32 offset = number(image, at, 4);

    switch (table->form) {
    case MOSE_KALLSYMS_ABSOLUTE:
        return number(image, table->offsets + (gsize)i * 8, 8);
    case MOSE_KALLSYMS_RELATIVE:
        return number(image, table->base, 8) + (guint32)offset;
    case MOSE_KALLSYMS_PERCPU:
        return offset >= 0 ? (guint64)offset
                           : number(image, table->base, 8) - 1 - (gint64)offset;
    default:
        return image->text + at + (gint64)offset;
    }
}

/* _text is right, and the kernel's symbols are in order from there on. */
static gboolean
check_addresses(const Image *image, const MoseKallsyms *table, guint32 first)
{
    gsize entry = table->form == MOSE_KALLSYMS_ABSOLUTE ? 8 : 4;
    guint64 last = 0;

    if (table->offsets >= image->size ||
        (image->size - table->offsets) / entry < table->n_symbols ||
        address_of(image, table, first) != image->text)
        return FALSE;
    for (guint32 i = first; i < table->n_symbols; i++) {
        guint64 address = address_of(image, table, i);

        if (address < last || !may_work(image))
            return FALSE;
        last = address;
    }
    return TRUE;
}

static gboolean
find_addresses(const Image *image, MoseKallsyms *table)
{
    gsize behind = align(image, table->token_index + N_TOKENS * 2);
    gsize n = table->n_symbols, before = table->names - image->alignment;
    const struct {
        MoseKallsymsForm form;
        gsize offsets, base;
    } places[] = {
        { MOSE_KALLSYMS_OWN_PLACE, behind, 0 },
        { MOSE_KALLSYMS_PERCPU, behind, align(image, behind + n * 4) },
        { MOSE_KALLSYMS_RELATIVE, behind, align(image, behind + n * 4) },
        { MOSE_KALLSYMS_PERCPU, before - 8 - align(image, n * 4), before - 8 },
        { MOSE_KALLSYMS_RELATIVE, before - 8 - align(image, n * 4), before - 8 },
        { MOSE_KALLSYMS_ABSOLUTE, before - n * 8, 0 },
        { MOSE_KALLSYMS_ABSOLUTE, behind, 0 },
    };
    guint32 first;

    if (!find_name(image, table, "_text", &first))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        table->form = places[i].form;
        table->offsets = places[i].offsets;
        table->base = places[i].base;
        if (check_addresses(image, table, first))
            return TRUE;
    }
    return FALSE;
}

/* *@missing is what was not there. */
static gboolean
find(const Image *image, gsize zero, MoseKallsyms *ret, const char **missing)
{
    if (!check_tokens(image, zero, ret))
        return FALSE;
    *missing = "tokens, and no names that fit";
    if (!find_names(image, ret))
        return FALSE;
    *missing = "names, and no addresses that fit";
    return find_addresses(image, ret);
}

gboolean
mose_kallsyms_find(const guint8 *bytes, gsize size, guint64 text, MoseKallsyms *ret,
                   GError **error)
{
    static const guint8 digits[] = { '0', 0, '1', 0, '2', 0, '3', 0, '4', 0,
                                     '5', 0, '6', 0, '7', 0, '8', 0, '9', 0 };
    const guint8 *at = bytes;
    const char *missing = "no table of its tokens";
    guint work = MAX_WORK;

    while (work > 0 && (at = memmem(at, size - (at - bytes), digits, sizeof(digits)))) {
        gsize zero = at++ - bytes;

        for (gsize alignment = 8; alignment >= 4; alignment -= 4) {
            const Image image = { bytes, size, text, alignment, &work };

            if (find(&image, zero, ret, &missing))
                return TRUE;
        }
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "no kallsyms in the %" G_GSIZE_FORMAT " KB at 0x%" G_GINT64_MODIFIER
                "x: %s",
                size >> 10, text, missing);
    return FALSE;
}
