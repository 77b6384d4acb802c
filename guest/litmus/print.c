/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: a small printf (%s %c %d %u %x %lx %lu %ld, zero-padded widths), and the string
 * functions that the compiler wants. */
#include "litmus.h"

typedef struct {
    char *to;
    size_t size, used;
} Text;

static void
put(Text *text, char c)
{
    if (text->used + 1 < text->size)
        text->to[text->used++] = c;
}

static void
put_number(Text *text, uint64_t value, unsigned base, unsigned width, bool negative)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n < width && n < sizeof(digits))
        digits[n++] = '0';
    if (negative)
        put(text, '-');
    while (n)
        put(text, digits[--n]);
}

static void
put_string(Text *text, const char *s)
{
    while (*s)
        put(text, *s++);
}

/* One conversion, from behind its '%'; what follows it. */
static const char *
put_one(Text *text, const char *format, __builtin_va_list *args)
{
    unsigned width = 0, longs = 0;
    int64_t value;

    while (*format >= '0' && *format <= '9')
        width = width * 10 + (unsigned)(*format++ - '0');
    for (; *format == 'l'; format++)
        longs++;
    switch (*format) {
    case 's':
        put_string(text, __builtin_va_arg(*args, const char *));
        break;
    case 'c':
        put(text, (char)__builtin_va_arg(*args, int));
        break;
    case 'd':
        value = longs ? __builtin_va_arg(*args, long) : __builtin_va_arg(*args, int);
        put_number(text, (uint64_t)(value < 0 ? -value : value), 10, width, value < 0);
        break;
    case 'u':
    case 'x':
        put_number(text,
                   longs ? __builtin_va_arg(*args, unsigned long)
                         : __builtin_va_arg(*args, unsigned),
                   *format == 'x' ? 16 : 10, width, false);
        break;
    default:
        put(text, *format);
    }
    return format + 1;
}

void
format_text(char *to, size_t size, const char *format, __builtin_va_list args)
{
    Text text = { to, size, 0 };
    __builtin_va_list left;

    __builtin_va_copy(left, args);
    while (*format) {
        if (*format == '%')
            format = put_one(&text, format + 1, &left);
        else
            put(&text, *format++);
    }
    __builtin_va_end(left);
    to[text.used] = '\0';
}

void
print(const char *format, ...)
{
    char text[256];
    __builtin_va_list args;

    __builtin_va_start(args, format);
    format_text(text, sizeof(text), format, args);
    __builtin_va_end(args);
    for (const char *c = text; *c; c++)
        serial_put(*c);
}

const char *
say(const char *format, ...)
{
    static char text[200];
    __builtin_va_list args;

    __builtin_va_start(args, format);
    format_text(text, sizeof(text), format, args);
    __builtin_va_end(args);
    return text;
}

void *
memcpy(void *to, const void *from, size_t n)
{
    void *ret = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return ret;
}

void *
memset(void *to, int byte, size_t n)
{
    void *ret = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return ret;
}

int
memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;

    for (size_t i = 0; i < n; i++)
        if (p[i] != q[i])
            return p[i] - q[i];
    return 0;
}

size_t
strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

bool
same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}
