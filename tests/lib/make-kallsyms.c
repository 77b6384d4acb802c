/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of symbols in the forms of different kernels. See make-kallsyms.h. */
#include "lib/make-kallsyms.h"

#include <string.h>

enum { MARKED = 256 };

/* Two tokens of more than one character; the others are themselves, or stand-ins. */
static const struct {
    guint8 token;
    const char *text;
} long_tokens[] = { { 0x80, "Tmose_" }, { 0x81, "_function" } };

typedef struct {
    GByteArray *bytes;
    gsize base; /* their place behind the text */
    gsize alignment;
    guint64 text;
} Output;

static void
put(Output *output, guint64 value, gsize len)
{
    guint64 bytes = GUINT64_TO_LE(value);

    g_byte_array_append(output->bytes, (const guint8 *)&bytes, len);
}

static void
align(Output *output)
{
    while ((output->base + output->bytes->len) % output->alignment)
        put(output, 0, 1);
}

static void
put_name(Output *output, const MakeKallsymsSymbol *symbol)
{
    g_autofree char *text = g_strdup_printf("%c%s", symbol->type, symbol->name);
    g_autoptr(GByteArray) tokens = g_byte_array_new();

    for (const char *at = text; *at;) {
        guint8 token = (guint8)*at;
        gsize len = 1;

        for (gsize i = 0; i < G_N_ELEMENTS(long_tokens); i++)
            if (g_str_has_prefix(at, long_tokens[i].text)) {
                token = long_tokens[i].token;
                len = strlen(long_tokens[i].text);
            }
        g_byte_array_append(tokens, &token, 1);
        at += len;
    }
    if (tokens->len > 0x7f) {
        put(output, (tokens->len & 0x7f) | 0x80, 1);
        put(output, tokens->len >> 7, 1);
    } else {
        put(output, tokens->len, 1);
    }
    g_byte_array_append(output->bytes, tokens->data, tokens->len);
}

static void
put_names(Output *output, const MakeKallsymsSymbol *symbols, guint n)
{
    g_autoptr(GArray) marks = g_array_new(FALSE, FALSE, sizeof(guint32));
    gsize begin;

    align(output);
    put(output, n, 4);
    align(output);
    begin = output->bytes->len;
    for (guint i = 0; i < n; i++) {
        guint32 mark = output->bytes->len - begin;

        if (i % MARKED == 0)
            g_array_append_val(marks, mark);
        put_name(output, &symbols[i]);
    }
    align(output);
    for (guint i = 0; i < marks->len; i++)
        put(output, g_array_index(marks, guint32, i), 4);
}

static void
put_tokens(Output *output)
{
    guint16 index[256];
    gsize begin;

    align(output);
    begin = output->bytes->len;
    for (guint i = 0; i < 256; i++) {
        /* One that is not needed has been given to a pair of characters. */
        char text[16] = { g_ascii_isgraph(i) ? i : 'x' };

        for (gsize k = 0; k < G_N_ELEMENTS(long_tokens); k++)
            if (long_tokens[k].token == i)
                g_strlcpy(text, long_tokens[k].text, sizeof(text));
        index[i] = output->bytes->len - begin;
        g_byte_array_append(output->bytes, (const guint8 *)text, strlen(text) + 1);
    }
    align(output);
    for (guint i = 0; i < 256; i++)
        put(output, index[i], 2);
}

static void
put_addresses(Output *output, MakeKallsymsKind kind, gboolean percpu,
              const MakeKallsymsSymbol *symbols, guint n)
{
    align(output);
    for (guint i = 0; i < n; i++) {
        guint64 address = symbols[i].address;
        guint64 here = output->text + output->base + output->bytes->len;

        if (kind == MAKE_KALLSYMS_FLAT)
            put(output, address, 8);
        else if (kind == MAKE_KALLSYMS_OWN)
            put(output, address - here, 4);
        else if (!percpu)
            put(output, address - output->text, 4);
        else
            put(output, address < output->text ? address : output->text - 1 - address,
                4);
    }
    if (kind == MAKE_KALLSYMS_FLAT || kind == MAKE_KALLSYMS_OWN)
        return;
    align(output);
    put(output, output->text, 8);
}

GByteArray *
make_kallsyms(MakeKallsymsKind kind, gboolean percpu, const MakeKallsymsSymbol *symbols,
              guint n, guint64 text, gsize at)
{
    Output output = { g_byte_array_new(), at, kind == MAKE_KALLSYMS_OWN ? 4 : 8, text };
    gboolean before = kind != MAKE_KALLSYMS_NEW && kind != MAKE_KALLSYMS_OWN;

    if (before)
        put_addresses(&output, kind, percpu, symbols, n);
    put_names(&output, symbols, n);
    for (guint i = 0; kind == MAKE_KALLSYMS_SEQS && i < n; i++) {
        if (i == 0)
            align(&output);
        put(&output, i * 7919 % n, 3);
    }
    put_tokens(&output);
    if (!before)
        put_addresses(&output, kind, percpu, symbols, n);
    return output.bytes;
}
