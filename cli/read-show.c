/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of a guest's, shown. See read-show.h. */
#include "cli/read-show.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/disassemble.h"

#define LINE 16

static gboolean
is_plain(guint8 c)
{
    return c >= 0x20 && c < 0x7f;
}

static void
append_hex(GString *text, const guint8 *bytes, gsize len)
{
    static const char digits[] = "0123456789abcdef";

    for (gsize i = 0; i < len; i++) {
        g_string_append_c(text, digits[bytes[i] >> 4]);
        g_string_append_c(text, digits[bytes[i] & 15]);
    }
}

/* --- hex --- */

static void
print_line(guint64 address, const guint8 *bytes, gsize len)
{
    printf("%016" G_GINT64_MODIFIER "x ", address);
    for (gsize i = 0; i < LINE; i++) {
        if (i == LINE / 2)
            putchar(' ');
        if (i < len)
            printf(" %02x", bytes[i]);
        else
            fputs("   ", stdout);
    }
    fputs("  |", stdout);
    for (gsize i = 0; i < len; i++)
        putchar(is_plain(bytes[i]) ? bytes[i] : '.');
    puts("|");
}

void
mose_show_hex(guint64 address, const guint8 *bytes, gsize len, JsonObject *object)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!mose_cli_json()) {
        for (gsize at = 0; at < len; at += LINE)
            print_line(address + at, bytes + at, MIN(LINE, len - at));
        return;
    }
    append_hex(text, bytes, len);
    json_object_set_string_member(object, "bytes", text->str);
}

/* --- strings --- */

static void
show_string(guint64 address, const guint8 *bytes, gsize len, JsonArray *list)
{
    g_autofree char *text = g_strndup((const char *)bytes, len);
    JsonObject *row;

    if (!mose_cli_json()) {
        printf("%016" G_GINT64_MODIFIER "x %s\n", address, text);
        return;
    }
    row = json_object_new();
    mose_table_set_hex(row, "address", address);
    json_object_set_string_member(row, "text", text);
    json_array_add_object_element(list, row);
}

void
mose_show_strings(guint64 address, const guint8 *bytes, gsize len, guint min,
                  JsonObject *object)
{
    JsonArray *list = json_array_new();
    gsize begin = 0;

    for (gsize i = 0; i <= len; i++) {
        if (i < len && (is_plain(bytes[i]) || bytes[i] == '\t'))
            continue;
        if (i - begin >= min)
            show_string(address + begin, bytes + begin, i - begin, list);
        begin = i + 1;
    }
    json_object_set_array_member(object, "strings", list);
}

/* --- words --- */

static void
show_word(MoseTarget *target, guint64 address, guint64 value, JsonArray *list)
{
    g_autofree char *symbol = mose_target_symbol(target, value);
    JsonObject *row;

    if (!mose_cli_json()) {
        printf("%016" G_GINT64_MODIFIER "x  %016" G_GINT64_MODIFIER "x%s%s\n", address,
               value, symbol ? "  " : "", symbol ? symbol : "");
        return;
    }
    row = json_object_new();
    mose_table_set_hex(row, "address", address);
    mose_table_set_hex(row, "value", value);
    if (symbol)
        json_object_set_string_member(row, "symbol", symbol);
    json_array_add_object_element(list, row);
}

void
mose_show_words(MoseTarget *target, guint64 address, const guint8 *bytes, gsize len,
                JsonObject *object)
{
    JsonArray *list = json_array_new();

    for (gsize at = 0; at + 8 <= len; at += 8) {
        guint64 value = 0;

        for (int i = 7; i >= 0; i--)
            value = value << 8 | bytes[at + i];
        show_word(target, address + at, value, list);
    }
    json_object_set_array_member(object, "words", list);
}

/* --- instructions --- */

typedef struct {
    MoseTarget *target;
    JsonArray *list;
} Code;

/* A label before the first instruction of a function. */
static void
print_label(MoseTarget *target, guint64 address)
{
    g_autofree char *symbol = mose_target_symbol(target, address);

    if (symbol && !strstr(symbol, "+0x"))
        printf("%s:\n", symbol);
}

static void
print_instruction(const MoseInstruction *one, const char *hex, const char *symbol)
{
    printf("%016" G_GINT64_MODIFIER "x  %-22s  %s", one->address, hex, one->text);
    if (symbol)
        printf("  # %s", symbol);
    else if (one->has_target)
        printf("  # 0x%" G_GINT64_MODIFIER "x", one->target);
    putchar('\n');
}

static void
show_instruction(const MoseInstruction *one, gpointer data)
{
    Code *code = data;
    g_autoptr(GString) hex = g_string_new(NULL);
    g_autofree char *symbol =
        one->has_target ? mose_target_symbol(code->target, one->target) : NULL;
    JsonObject *row;

    append_hex(hex, one->bytes, one->size);
    if (!mose_cli_json()) {
        print_label(code->target, one->address);
        print_instruction(one, hex->str, symbol);
        return;
    }
    row = json_object_new();
    mose_table_set_hex(row, "address", one->address);
    json_object_set_string_member(row, "bytes", hex->str);
    json_object_set_string_member(row, "text", one->text);
    json_object_set_boolean_member(row, "known", one->known);
    if (one->has_target)
        mose_table_set_hex(row, "target", one->target);
    if (symbol)
        json_object_set_string_member(row, "symbol", symbol);
    json_array_add_object_element(code->list, row);
}

gboolean
mose_show_code(MoseTarget *target, guint64 address, const guint8 *bytes, gsize len,
               gsize wanted, JsonObject *object, GError **error)
{
    Code code = { target, json_array_new() };
    gsize done = 0;
    gboolean good = mose_disassemble(target->bits, address, bytes, len, wanted,
                                     show_instruction, &code, &done, error);

    json_object_set_int_member(object, "bits", target->bits);
    json_object_set_array_member(object, "instructions", code.list);
    return good;
}

/* --- translation --- */

static void
show_step(const MosePageStep *step, int levels, JsonArray *list)
{
    g_autofree char *flags = mose_page_flags(step, levels);
    guint64 size = mose_page_size(step, levels);
    JsonObject *row;

    if (!mose_cli_json()) {
        printf("level %d  entry at %016" G_GINT64_MODIFIER "x", step->level, step->at);
        if (step->readable)
            printf("  %0*" G_GINT64_MODIFIER "x  %s", (int)step->size * 2, step->entry,
                   flags);
        else
            fputs("  not in RAM", stdout);
        if (size)
            printf("  page of %" G_GUINT64_FORMAT " KB", size >> 10);
        putchar('\n');
        return;
    }
    row = mose_json_object("level", "i", (gint64)step->level, "flags", "s",
                           step->readable ? flags : "not in RAM", NULL);
    mose_table_set_hex(row, "at", step->at);
    if (step->readable)
        mose_table_set_hex(row, "entry", step->entry);
    if (size)
        json_object_set_int_member(row, "page-size", (gint64)size);
    json_array_add_object_element(list, row);
}

/* What the page tables do not know yet. */
static char *
explain(MoseTarget *target, guint64 address, const MosePagePath *path)
{
    return path->why && path->walk.entry == 0 && target->user
               ? mose_user_explain(target->user, address)
               : NULL;
}

static void
show_end(const MosePagePath *path, JsonObject *object)
{
    const MosePageWalk *walk = &path->walk;

    if (!mose_cli_json()) {
        if (path->why)
            printf("not there: %s\n", path->why);
        else
            printf("physical %016" G_GINT64_MODIFIER "x  %s%s%s\n", walk->physical,
                   walk->user ? "user, " : "",
                   walk->writable ? "writable" : "read-only",
                   walk->executable ? ", executable" : "");
        return;
    }
    if (path->why) {
        json_object_set_string_member(object, "why", path->why);
        return;
    }
    mose_table_set_hex(object, "physical", walk->physical);
    json_object_set_boolean_member(object, "user", walk->user);
    json_object_set_boolean_member(object, "writable", walk->writable);
    json_object_set_boolean_member(object, "executable", walk->executable);
}

void
mose_show_pages(MoseTarget *target, guint64 address, JsonObject *object)
{
    JsonArray *list = json_array_new();
    MosePagePath path;
    g_autofree char *words = NULL;

    mose_page_path(target->space, address, &path);
    words = explain(target, address, &path);
    if (!mose_cli_json()) {
        g_autofree char *of = mose_target_describe(target);

        printf("%016" G_GINT64_MODIFIER "x  as %s translates, ", address, of);
        printf(path.levels ? "%d levels\n" : "without paging\n", path.levels);
    }
    json_object_set_int_member(object, "levels", path.levels);
    for (guint i = 0; i < path.n; i++)
        show_step(&path.steps[i], path.levels, list);
    json_object_set_array_member(object, "entries", list);
    show_end(&path, object);
    if (words && !mose_cli_json())
        printf("%s\n", words);
    else if (words)
        json_object_set_string_member(object, "mapped", words);
}
