/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pull scanner: one function a kind of token, and skipping without a stack. */
#include "stream/scan.h"

#include <string.h>

#include "util/error.h"

#define MAX_SKIP_DEPTH 64

static gboolean
fail(MoseScan *scan, const char *expected, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM, "description, byte %zu: %s %s",
                mose_scan_position(scan),
                scan->at < scan->end ? "expected" : "cut off in", expected);
    return FALSE;
}

void
mose_scan_space(MoseScan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' ||
                                    *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
}

static gboolean
take(MoseScan *scan, char c)
{
    mose_scan_space(scan);
    if (scan->at >= scan->end || *scan->at != c)
        return FALSE;
    scan->at++;
    return TRUE;
}

gboolean
mose_scan_enter(MoseScan *scan, char open, GError **error)
{
    return take(scan, open) ||
           fail(scan, open == '{' ? "an object" : "an array", error);
}

gboolean
mose_scan_more(MoseScan *scan, char close, gboolean first, gboolean *ret_more,
               GError **error)
{
    *ret_more = FALSE;
    if (take(scan, close))
        return TRUE;
    if (!first && !take(scan, ','))
        return fail(scan, close == '}' ? "',' or '}'" : "',' or ']'", error);
    *ret_more = TRUE;
    return TRUE;
}

/* A string as it stands between the quotes. */
typedef struct {
    const char *at;
    gsize len;
    gboolean escapes; /* it has backslashes */
    gboolean ascii;   /* nothing else: valid UTF-8 without another look */
} RawString;

static gboolean
raw_string(MoseScan *scan, RawString *ret, GError **error)
{
    guchar bits = 0;

    if (!take(scan, '"'))
        return fail(scan, "a string", error);
    *ret = (RawString){ .at = scan->at };
    for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
        if ((guchar)*scan->at < 0x20)
            return fail(scan, "no control character in a string", error);
        bits |= (guchar)*scan->at;
        if (*scan->at != '\\')
            continue;
        ret->escapes = TRUE;
        if (++scan->at >= scan->end)
            break;
        bits |= (guchar)*scan->at;
    }
    if (scan->at >= scan->end)
        return fail(scan, "a string", error);
    ret->len = (gsize)(scan->at++ - ret->at);
    ret->ascii = bits < 0x80;
    return TRUE;
}

/* \uXXXX at @p: the code unit, or -1. */
static int
code_unit(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(p[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* One escape after the backslash at @p; returns what follows it, or NULL. A
 * lone surrogate and NUL are refused; QEMU writes neither. */
static const char *
unescape(const char *p, const char *end, GString *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = p < end && *p ? strchr(from, *p) : NULL;
    int unit, low;

    if (simple) {
        g_string_append_c(out, to[simple - from]);
        return p + 1;
    }
    if (p >= end || *p != 'u')
        return NULL;
    unit = code_unit(p + 1, end);
    p += 5;
    if (unit >= 0xd800 && unit < 0xdc00) {
        low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? code_unit(p + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    } else if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return NULL;
    }
    g_string_append_unichar(out, (gunichar)unit);
    return p;
}

const char *
mose_scan_string(MoseScan *scan, GStringChunk *strings, GError **error)
{
    g_autoptr(GString) decoded = NULL;
    const char *raw, *end;
    RawString string;

    if (!raw_string(scan, &string, error))
        return NULL;
    raw = string.at;
    if (!string.ascii && !g_utf8_validate_len(raw, string.len, NULL)) {
        fail(scan, "UTF-8 in the string before", error);
        return NULL;
    }
    if (!string.escapes)
        return g_string_chunk_insert_len(strings, raw, (gssize)string.len);
    decoded = g_string_new(NULL);
    end = raw + string.len;
    while (raw && raw < end) {
        if (*raw == '\\')
            raw = unescape(raw + 1, end, decoded);
        else
            g_string_append_c(decoded, *raw++);
    }
    if (!raw) {
        fail(scan, "a valid escape in the string before", error);
        return NULL;
    }
    return g_string_chunk_insert(strings, decoded->str);
}

const char *
mose_scan_key(MoseScan *scan, GStringChunk *strings, GError **error)
{
    const char *key = mose_scan_string(scan, strings, error);

    if (key && !take(scan, ':')) {
        fail(scan, "':'", error);
        return NULL;
    }
    return key;
}

gboolean
mose_scan_integer(MoseScan *scan, guint64 max, guint64 *ret, GError **error)
{
    guint64 value = 0;
    const char *first;

    mose_scan_space(scan);
    first = scan->at;
    for (; scan->at < scan->end && g_ascii_isdigit(*scan->at); scan->at++) {
        guint64 digit = (guint64)(*scan->at - '0');

        if (value > max / 10 || value * 10 > max - digit)
            return fail(scan, "a smaller number", error);
        value = value * 10 + digit;
    }
    if (scan->at == first)
        return fail(scan, "a number that is not negative", error);
    *ret = value;
    return TRUE;
}

/* A number or word, taken for what it is up to the next delimiter. */
static gboolean
skip_scalar(MoseScan *scan, GError **error)
{
    const char *first = scan->at;

    while (scan->at < scan->end &&
           (g_ascii_isalnum(*scan->at) || memchr("+-.", *scan->at, 3)))
        scan->at++;
    return scan->at > first || fail(scan, "a value", error);
}

gboolean
mose_scan_skip(MoseScan *scan, GError **error)
{
    guint depth = 0;

    do {
        RawString string;

        mose_scan_space(scan);
        if (scan->at >= scan->end)
            return fail(scan, "a value", error);
        switch (*scan->at) {
        case '{':
        case '[':
            if (++depth > MAX_SKIP_DEPTH)
                return fail(scan, "less nesting", error);
            scan->at++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return fail(scan, "a value", error);
            depth--;
            scan->at++;
            break;
        case ',':
        case ':':
            if (depth == 0)
                return fail(scan, "a value", error);
            scan->at++;
            break;
        case '"':
            if (!raw_string(scan, &string, error))
                return FALSE;
            break;
        default:
            if (!skip_scalar(scan, error))
                return FALSE;
        }
    } while (depth > 0);
    return TRUE;
}

gboolean
mose_scan_finish(MoseScan *scan, GError **error)
{
    mose_scan_space(scan);
    return scan->at == scan->end || fail(scan, "nothing more", error);
}
