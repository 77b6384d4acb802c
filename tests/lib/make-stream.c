/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams made by hand. */
#include "lib/make-stream.h"

#include <string.h>

const char mk_small_devices[] =
    "{\"name\": \"dev\", \"instance_id\": 0, \"vmsd_name\": \"dev\", \"version\": 3, "
    "\"fields\": [{\"name\": \"a\", \"type\": \"uint32\", \"size\": 4}, "
    "{\"name\": \"b\", \"array_len\": 3, \"type\": \"uint16\", \"size\": 2}, "
    "{\"name\": \"t\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"tv\", "
    "\"version\": 1, \"fields\": [{\"name\": \"x\", \"type\": \"uint8\", \"size\": 1}, "
    "{\"name\": \"y\", \"type\": \"uint64\", \"size\": 8}]}, \"size\": 9}], "
    "\"subsections\": [{\"vmsd_name\": \"dev/more\", \"version\": 1, \"fields\": "
    "[{\"name\": \"m\", \"type\": \"uint32\", \"size\": 4}]}]}, "
    "{\"name\": \"old\", \"instance_id\": 1, \"size\": 5, \"fields\": "
    "[{\"name\": \"data\", \"size\": 5, \"type\": \"buffer\"}]}";

static void
put(GByteArray *out, int size, guint64 value)
{
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
        guint8 byte = (guint8)(value >> shift);

        g_byte_array_append(out, &byte, 1);
    }
}

static void
put_text(GByteArray *out, const char *text)
{
    g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

static void
put_string(GByteArray *out, const char *text)
{
    put(out, 1, strlen(text));
    put_text(out, text);
}

void
mk(GByteArray *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *p = format; *p; p++) {
        switch (*p) {
        case 'b':
            put(out, 1, (guint64)va_arg(args, int));
            break;
        case 'h':
            put(out, 2, (guint64)va_arg(args, int));
            break;
        case 'w':
            put(out, 4, (guint64)va_arg(args, int));
            break;
        case 'q':
            put(out, 8, va_arg(args, guint64));
            break;
        case 's':
            put_string(out, va_arg(args, const char *));
            break;
        case 't':
            put_text(out, va_arg(args, const char *));
            break;
        case 'z':
            for (int n = va_arg(args, int); n > 0; n--)
                put(out, 1, 0);
            break;
        default:
            g_assert_not_reached();
        }
    }
    va_end(args);
}

void
mk_begin(GByteArray *out)
{
    mk(out, "twbwt", "QEVM", 3, 7, 2, "pc");
}

void
mk_begin_with(GByteArray *out, const char *capability)
{
    mk_begin(out);
    mk(out, "bswws", 5, "configuration/capabilities", 1, 1, capability);
}

void
mk_ram_start(GByteArray *out)
{
    mk(out, "bwsww", 1, 2, "ram", 0, 4);
}

void
mk_ram_begin(GByteArray *out, int kind)
{
    mk(out, "bw", kind, 2);
}

void
mk_ram_end(GByteArray *out)
{
    mk(out, "qbw", G_GUINT64_CONSTANT(0x10), 0x7e, 2);
}

void
mk_ram(GByteArray *out)
{
    mk_ram_start(out);
    mk(out, "qsq", G_GUINT64_CONSTANT(0x4004), "a", G_GUINT64_CONSTANT(0x4000));
    mk_ram_end(out);
    mk_ram_begin(out, 3);
    mk_ram_end(out);
}

void
mk_section_begin(GByteArray *out, int id, const char *name, int instance, int version)
{
    mk(out, "bwsww", 4, id, name, instance, version);
}

void
mk_section_end(GByteArray *out, int id)
{
    mk(out, "bw", 0x7e, id);
}

void
mk_end(GByteArray *out, const char *devices)
{
    g_autofree char *json = g_strdup_printf(
        "{\"configuration\": {\"vmsd_name\": \"configuration\", \"version\": 1, "
        "\"fields\": []}, \"page_size\": 4096, \"devices\": [%s]}",
        devices);

    mk(out, "bbwt", 0, 6, (int)strlen(json), json);
}

static void
small_ram(GByteArray *out)
{
    mk_ram_start(out);
    mk(out, "qsqsq", G_GUINT64_CONSTANT(0x5004), "a", G_GUINT64_CONSTANT(0x4000), "rom",
       G_GUINT64_CONSTANT(0x1000));
    mk_ram_end(out);
    mk_ram_begin(out, 2);
    mk(out, "qsb", G_GUINT64_CONSTANT(0x1002), "a", 0);
    mk(out, "qz", G_GUINT64_CONSTANT(0x2028), 4096);
    mk(out, "qsbhz", G_GUINT64_CONSTANT(0x40), "rom", 1, 5, 5);
    mk_ram_end(out);
    mk_ram_begin(out, 3);
    mk_ram_end(out);
}

GByteArray *
mk_small_stream(void)
{
    GByteArray *out = g_byte_array_new();

    mk_begin(out);
    mk(out, "bhh", 8, 1, 0);
    mk(out, "bhhw", 8, 2, 4, 1);
    small_ram(out);
    mk_section_begin(out, 5, "dev", 0, 3);
    mk(out, "whhhbq", 0x11223344, 1, 2, 3, 7, G_GUINT64_CONSTANT(9));
    mk(out, "bsww", 5, "dev/more", 1, 0x55);
    mk_section_end(out, 5);
    mk_section_begin(out, 6, "old", 1, 2);
    mk(out, "t", "12345");
    mk_section_end(out, 6);
    mk_end(out, mk_small_devices);
    return out;
}

GByteArray *
mk_big_stream(void)
{
    const int n_pages = 4096;
    GByteArray *out = g_byte_array_new();

    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsq", (guint64)n_pages << 12 | 4, "a", (guint64)n_pages << 12);
    mk_ram_end(out);
    mk_ram_begin(out, 2);
    for (int i = 0; i < n_pages; i++)
        mk(out, "qsz", (guint64)i << 12 | 8, "a", 4096);
    mk_ram_end(out);
    mk_ram_begin(out, 3);
    mk_ram_end(out);
    mk_end(out, "");
    return out;
}

gboolean
mk_rewrite(MoseRewriter *rewriter, const guint8 *data, gsize len, GByteArray *out,
           GError **error)
{
    g_autoptr(GByteArray) more = g_byte_array_new();
    gsize pass;
    gboolean ok = mose_rewriter_push(rewriter, data, len, &pass, more, error);

    g_byte_array_append(out, data, (guint)pass);
    g_byte_array_append(out, more->data, more->len);
    return ok;
}

gint64
mk_push_all(MoseReader *reader, const GByteArray *stream, gsize chunk, GError **error)
{
    gint64 passed = 0;

    for (gsize at = 0; at < stream->len; at += chunk) {
        gsize pass;

        if (!mose_reader_push(reader, stream->data + at, MIN(chunk, stream->len - at),
                              &pass, error))
            return -1;
        passed += (gint64)pass;
    }
    return mose_reader_finish(reader, error) ? passed : -1;
}

void
mk_mapped(GByteArray *out, guint64 base, int pages)
{
    guint64 bitmap = base + out->len + 28;
    guint64 data = (bitmap + 8 + 0xfffff) / 0x100000 * 0x100000;

    mk(out, "wqqq", 1, G_GUINT64_CONSTANT(4096), bitmap, data);
    mk(out, "z", (int)(data - bitmap) + pages * 4096);
}
