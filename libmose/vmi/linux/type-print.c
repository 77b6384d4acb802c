/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values as text. Hostile types that contain themselves are stopped by the limits on
 * depth, visits and length. */
#include "vmi/linux/type-print.h"

#include <string.h>

#include <bpf/btf.h>

#include "vmi/linux/type-scalar.h"

#define MAX_LENGTH (16 << 20)
#define MAX_VISITS (1 << 20)
#define MAX_DEPTH 32
#define WIDTH 88
/* Of what a pointer to characters points to. */
#define MAX_TEXT 64
#define INDENT 4
/* Alike elements of fewer are written out. */
#define MIN_ALIKE 4

typedef struct {
    const MoseTypeSource *source;
    const MoseTypePrint *how;
    MoseTypeBytes bytes;
    GString *to;
    guint visits;
} Printer;

/* What is to be printed: a type, and where its bytes are in those of the whole. */
typedef struct {
    MoseTypeRef type;
    gsize offset, size;
    guint bit, bits;
} Piece;

static void print_piece(Printer *printer, const Piece *piece, guint depth,
                        guint indent);

static gboolean
too_much(Printer *printer)
{
    return ++printer->visits > MAX_VISITS || printer->to->len > MAX_LENGTH;
}

static void
new_line(Printer *printer, guint indent)
{
    g_string_append_printf(printer->to, "\n%*s", indent, "");
}

/* The column that the next character will have. */
static gsize
column_of(const GString *text)
{
    const char *line = strrchr(text->str, '\n');

    return line ? text->len - (line + 1 - text->str) : text->len;
}

/* Of a pointer to characters, what is there, if that can be read. */
static void
print_text_at(Printer *printer, const MoseTypeRef *type, guint64 address)
{
    guint8 text[MAX_TEXT];
    g_autofree char *quoted = NULL;
    MoseTypeRef target;
    gsize got = 0;

    if (!mose_type_ref_target(type, &target) || !mose_scalar_is_text(&target))
        return;
    if (printer->source->read(printer->source->data, address, text, sizeof(text), &got,
                              NULL))
        got = sizeof(text);
    if (!got)
        return;
    quoted = mose_scalar_quote(text, got);
    g_string_append_printf(printer->to, " %s%s", quoted,
                           memchr(text, '\0', got) ? "" : "...");
}

static void
print_scalar(Printer *printer, const Piece *piece)
{
    guint64 number =
        mose_scalar_number(&piece->type, printer->bytes.bytes + piece->offset,
                           piece->size, piece->bit, piece->bits);
    g_autofree char *text = mose_scalar_text(printer->source, &piece->type, number);
    g_autofree char *name = NULL;

    if (mose_scalar_kind(&piece->type) == MOSE_SCALAR_POINTER && number) {
        name = mose_type_ref_declare(&piece->type, "");
        g_string_append_printf(printer->to, "(%s)", name);
    }
    g_string_append(printer->to, text);
    if (name)
        print_text_at(printer, &piece->type, number);
}

/* --- structs --- */

static void print_members(Printer *printer, const Piece *piece, guint depth,
                          guint indent);

static gboolean
is_composite(const MoseTypeRef *type)
{
    const struct btf_type *bare = mose_type_ref_bare(type);

    return bare && btf_is_composite(bare);
}

static void
print_member(Printer *printer, const Piece *piece, const char *name, guint depth,
             guint indent)
{
    g_autofree char *printable = mose_scalar_quote((const guint8 *)name, G_MAXSIZE);

    /* Those of an anonymous struct are its owner's. */
    if (!*name && is_composite(&piece->type) && depth < MAX_DEPTH) {
        print_members(printer, piece, depth + 1, indent);
        return;
    }
    new_line(printer, indent);
    printable[strlen(printable) - 1] = '\0';
    g_string_append_printf(printer->to, ".%s = ", printable + 1);
    print_piece(printer, piece, depth + 1, indent);
    g_string_append_c(printer->to, ',');
}

static void
print_members(Printer *printer, const Piece *piece, guint depth, guint indent)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);

    for (guint n = 0; n < btf_vlen(bare) && !too_much(printer); n++) {
        Piece inner = { .type = piece->type };
        MoseMember member;
        const char *name;

        if (!mose_types_nth_member(piece->type.types, piece->type.id, n, &member,
                                   &name))
            continue;
        inner.type.id = member.type;
        inner.offset = piece->offset + member.offset;
        inner.size = member.size;
        inner.bit = member.bit;
        inner.bits = member.bits;
        if (printer->how->nonzero &&
            mose_type_bytes_are_zero(&printer->bytes, inner.offset, inner.size))
            continue;
        print_member(printer, &inner, name, depth, indent);
    }
}

static void
print_struct(Printer *printer, const Piece *piece, guint depth, guint indent)
{
    gsize before;

    if (depth > MIN(printer->how->depth, MAX_DEPTH)) {
        g_string_append(printer->to, "{ ... }");
        return;
    }
    g_string_append_c(printer->to, '{');
    before = printer->to->len;
    print_members(printer, piece, depth, indent + INDENT);
    if (printer->to->len > before)
        new_line(printer, indent);
    g_string_append_c(printer->to, '}');
}

/* --- arrays --- */

/* How many elements from @first on have the same bytes. */
static guint64
count_alike(Printer *printer, const Piece *element, guint64 first, guint64 count)
{
    const guint8 *bytes = printer->bytes.bytes + element->offset;
    gsize size = element->size;
    guint64 n = 1;

    while (first + n < count &&
           memcmp(bytes + first * size, bytes + (first + n) * size, size) == 0 &&
           mose_type_bytes_has(&printer->bytes, element->offset + first * size, size) ==
               mose_type_bytes_has(&printer->bytes,
                                   element->offset + (first + n) * size, size))
        n++;
    return n;
}

/* Numbers stand beside each other. */
static void
print_short_element(Printer *printer, const Piece *element, guint64 alike, guint indent)
{
    gsize begin = printer->to->len;

    g_string_append_c(printer->to, ' ');
    print_piece(printer, element, 1, indent);
    if (alike > 1)
        g_string_append_printf(printer->to, " <%" G_GUINT64_FORMAT " times>", alike);
    g_string_append_c(printer->to, ',');
    if (column_of(printer->to) > WIDTH) {
        g_autofree char *text = g_strdup(printer->to->str + begin + 1);

        g_string_truncate(printer->to, begin);
        new_line(printer, indent + INDENT);
        g_string_append(printer->to, text);
    }
}

static void
print_long_element(Printer *printer, const Piece *element, guint64 index, guint64 alike,
                   guint depth, guint indent)
{
    new_line(printer, indent + INDENT);
    if (alike > 1)
        g_string_append_printf(
            printer->to, "[%" G_GUINT64_FORMAT " ... %" G_GUINT64_FORMAT "] = ", index,
            index + alike - 1);
    else
        g_string_append_printf(printer->to, "[%" G_GUINT64_FORMAT "] = ", index);
    if (alike > 1 &&
        mose_type_bytes_are_zero(&printer->bytes, element->offset, element->size))
        g_string_append(printer->to, "{ 0 }");
    else
        print_piece(printer, element, depth + 1, indent + INDENT);
    g_string_append_c(printer->to, ',');
}

static void
print_elements(Printer *printer, const Piece *first, guint64 count, guint depth,
               guint indent)
{
    gboolean is_short = mose_scalar_kind(&first->type) != MOSE_SCALAR_NONE;
    guint64 alike, shown = 0;

    g_string_append_c(printer->to, '{');
    for (guint64 i = 0; i < count; i += alike, shown++) {
        Piece element = *first;

        if (shown >= printer->how->elements || too_much(printer)) {
            g_string_append_printf(printer->to, " ... %" G_GUINT64_FORMAT " more",
                                   count - i);
            break;
        }
        alike = count_alike(printer, first, i, count);
        if (alike < MIN_ALIKE && is_short)
            alike = 1;
        element.offset += i * element.size;
        if (is_short)
            print_short_element(printer, &element, alike, indent);
        else
            print_long_element(printer, &element, i, alike, depth, indent);
    }
    if (is_short)
        g_string_append(printer->to, " }");
    else {
        new_line(printer, indent);
        g_string_append_c(printer->to, '}');
    }
}

static void
print_array(Printer *printer, const Piece *piece, guint depth, guint indent)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);
    Piece first = { .type = piece->type, .offset = piece->offset };
    guint64 count;
    gint64 size;

    first.type.id = btf_array(bare)->type;
    size = mose_type_ref_size(&first.type);
    count = size > 0 ? piece->size / size : 0;
    first.size = size;
    if (count == 0)
        g_string_append(printer->to, "{}");
    else if (mose_scalar_is_text(&first.type) &&
             mose_type_bytes_has(&printer->bytes, piece->offset, piece->size)) {
        g_autofree char *text =
            mose_scalar_quote(printer->bytes.bytes + piece->offset, piece->size);

        g_string_append(printer->to, text);
    } else if (depth > MAX_DEPTH)
        g_string_append(printer->to, "{ ... }");
    else
        print_elements(printer, &first, count, depth, indent);
}

/* --- all --- */

static void
print_piece(Printer *printer, const Piece *piece, guint depth, guint indent)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);
    gboolean scalar = mose_scalar_kind(&piece->type) != MOSE_SCALAR_NONE;

    if (bare && btf_is_composite(bare))
        print_struct(printer, piece, depth, indent);
    else if (bare && btf_is_array(bare))
        print_array(printer, piece, depth, indent);
    else if (!piece->size)
        g_string_append(printer->to, "<of no known size>");
    else if (!mose_type_bytes_has(&printer->bytes, piece->offset, piece->size))
        g_string_append(printer->to, "<cannot be read>");
    else if (scalar)
        print_scalar(printer, piece);
    else {
        g_autofree char *wide =
            mose_scalar_wide_text(printer->bytes.bytes + piece->offset, piece->size);

        g_string_append(printer->to, wide);
    }
}

gboolean
mose_type_print(const MoseTypeSource *source, const MoseTypeValue *value,
                const MoseTypePrint *how, guint indent, GString *to, GError **error)
{
    Printer printer = { .source = source, .how = how, .to = to };
    Piece piece = {
        .type = value->type, .size = value->size, .bit = value->bit, .bits = value->bits
    };
    g_autofree char *name = NULL;
    gboolean good;

    if (!value->typed && !value->in_memory) {
        g_autofree char *symbol = mose_scalar_symbol(source, value->number);

        g_string_append_printf(to, "0x%" G_GINT64_MODIFIER "x%s%s%s", value->number,
                               symbol ? " (" : "", symbol ? symbol : "",
                               symbol ? ")" : "");
        return TRUE;
    }
    if (!value->in_memory)
        piece.size = mose_type_ref_size(&value->type);
    good = mose_type_bytes_read(source,
                                &(MoseTypeValue){ .type = value->type,
                                                  .in_memory = value->in_memory,
                                                  .address = value->address,
                                                  .number = value->number,
                                                  .size = piece.size },
                                &printer.bytes, error);
    if (good && is_composite(&value->type)) {
        name = mose_type_ref_declare(&value->type, "");
        g_string_append_printf(to, "(%s)", name);
    }
    if (good)
        print_piece(&printer, &piece, 0, indent);
    if (good && printer.bytes.reason) {
        new_line(&printer, indent);
        g_string_append_printf(to, "/* %s */", printer.bytes.reason);
    }
    mose_type_bytes_clear(&printer.bytes);
    return good;
}
