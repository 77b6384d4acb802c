/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose sym: a guest's kernel symbols, both ways. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/source-lines.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/linux/modules.h"
#include "vmi/linux/user.h"

static gboolean all;
static char *pid, *debug_info;

/* Of the kernel; NULL: none. */
static MoseDebugInfo *info;
static guint64 moved;

static const GOptionEntry entries[] = {
    { "all", 'a', 0, G_OPTION_ARG_NONE, &all,
      "every symbol, as /proc/kallsyms has them", NULL },
    { "debug-info", 0, 0, G_OPTION_ARG_FILENAME, &debug_info,
      "source lines and inlined functions, out of the kernel's vmlinux with DWARF",
      "FILE" },
    { "pid", 0, 0, G_OPTION_ARG_STRING, &pid,
      "those of a process's ELF objects: its pid or its name", "PID|COMM" },
    { NULL },
};

static JsonObject *
to_json(const MoseSymbol *symbol, guint64 offset)
{
    g_autofree char *address =
        g_strdup_printf("0x%" G_GINT64_MODIFIER "x", symbol->address);
    g_autofree char *type = g_strdup_printf("%c", symbol->type);
    JsonObject *object =
        mose_json_object("name", "s", symbol->name, "address", "s", address, "type",
                         "s", type, "size", "i", (gint64)symbol->size, NULL);

    if (symbol->module)
        json_object_set_string_member(object, "module", symbol->module);
    if (offset)
        json_object_set_int_member(object, "offset", offset);
    return object;
}

static void
print_symbol(const MoseSymbol *symbol)
{
    printf("%016" G_GINT64_MODIFIER "x %c %s", symbol->address, symbol->type,
           symbol->name);
    printf(symbol->module ? "\t[%s]\n" : "\n", symbol->module);
}

/* Its source, where that is known; modules are not in the kernel's. */
static void
add_source(const MoseSymbol *symbol, guint64 offset, JsonObject *object)
{
    if (info && !symbol->module)
        mose_source_lines_add(info, symbol->address + offset - moved, object);
}

static void
print_found(const char *word, const MoseSymbol *symbol, guint64 offset, JsonArray *list)
{
    JsonObject *object = to_json(symbol, offset);

    add_source(symbol, offset, object);
    json_array_add_object_element(list, object);
    if (mose_cli_json())
        return;
    if (offset)
        printf("%s = %s+0x%" G_GINT64_MODIFIER "x/0x%" G_GINT64_MODIFIER "x%s%s%s\n",
               word, symbol->name, offset, symbol->size, symbol->module ? " [" : "",
               symbol->module ? symbol->module : "", symbol->module ? "]" : "");
    else
        print_symbol(symbol);
    mose_source_lines_print(object, "    ");
}

static void
print_table(const MoseSymbols *symbols, JsonArray *list)
{
    for (guint i = 0; i < mose_symbols_count(symbols); i++) {
        const MoseSymbol *symbol = mose_symbols_nth(symbols, i);

        if (mose_cli_json())
            json_array_add_object_element(list, to_json(symbol, 0));
        else
            print_symbol(symbol);
    }
}

/* A kernel without BTF has at least its own. */
static gboolean
print_all(const MoseLook *look, JsonArray *list, GError **error)
{
    const MoseSymbols *symbols = look->kernel->symbols;
    g_autoptr(GError) cause = NULL;

    if (!mose_linux_modules(look->kernel, &cause)) {
        if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        fprintf(stderr, "%s: those of modules are missing: %s\n", g_get_prgname(),
                cause->message);
    }
    print_table(symbols, list);
    return TRUE;
}

/* A number with 0x before it, or sixteen digits, is an address; else it is a name, with
 * its module before a colon if need be. */
static gboolean
is_address(const char *word, guint64 *ret)
{
    const char *digits = g_str_has_prefix(word, "0x") ? word + 2 : word;
    char *end;

    if (digits == word && strlen(word) != 16)
        return FALSE;
    *ret = g_ascii_strtoull(digits, &end, 16);
    return end != digits && *end == '\0';
}

/* --- of a process --- */

static const MoseSymbol *
look_up_user(MoseUser *user, const char *word, guint64 *ret_offset, GError **error)
{
    const MoseSymbol *symbol;
    guint64 address;

    *ret_offset = 0;
    if (!is_address(word, &address))
        return mose_user_symbol(user, word, error);
    symbol = mose_user_symbol_at(user, address);
    if (symbol)
        *ret_offset = address - symbol->address;
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "task %d (%s): none of its objects has a symbol at %s",
                    mose_user_task(user)->pid, mose_user_task(user)->comm, word);
    return symbol;
}

static gboolean
print_process(const MoseLook *look, char **words, JsonArray *list, GError **error)
{
    g_autoptr(MoseTask) task = mose_task_find(look->kernel, pid, error);
    g_autoptr(MoseUser) user = task ? mose_user_new(look->kernel, task, error) : NULL;
    const MoseSymbols *symbols = user ? mose_user_symbols(user, error) : NULL;

    if (!symbols)
        return FALSE;
    for (; *words; words++) {
        guint64 offset;
        const MoseSymbol *symbol = look_up_user(user, *words, &offset, error);

        if (!symbol)
            return FALSE;
        print_found(*words, symbol, offset, list);
    }
    if (all)
        print_table(symbols, list);
    return TRUE;
}

/* --- of the kernel --- */

static const MoseSymbol *
look_up(MoseLinux *kernel, const char *word, guint64 *ret_offset)
{
    const MoseSymbol *symbol;
    guint64 address;
    g_auto(GStrv) parts = NULL;

    *ret_offset = 0;
    if (is_address(word, &address)) {
        symbol = mose_linux_symbol_at(kernel, address);
        *ret_offset = symbol ? address - symbol->address : 0;
        return symbol;
    }
    parts = g_strsplit(word, ":", 2);
    return parts[1] ? mose_linux_symbol_named(kernel, parts[0], parts[1])
                    : mose_linux_symbol_named(kernel, NULL, word);
}

static gboolean
print_one(const MoseLook *look, const char *word, JsonArray *list, GError **error)
{
    guint64 offset;
    const MoseSymbol *symbol = look_up(look->kernel, word, &offset);

    if (!symbol) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s: nothing in its kernel is called, or at, %s", look->name, word);
        return FALSE;
    }
    print_found(word, symbol, offset, list);
    return TRUE;
}

static gboolean
print_kernel(const MoseLook *look, char **words, JsonArray *list, GError **error)
{
    if (*words &&
        !mose_source_lines_open(look->kernel, debug_info, &info, &moved, error))
        return FALSE;
    for (; *words; words++)
        if (!print_one(look, *words, list, error))
            return FALSE;
    return !all || print_all(look, list, error);
}

int
mose_cmd_sym(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    JsonArray *list = json_array_new();
    g_autoptr(JsonObject) object = mose_json_object("symbols", "a", list, NULL);
    g_autofree char *text = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, -1, &ret))
        return ret;
    if ((argc == 2) != all) {
        fprintf(stderr, "mose sym: name symbols or addresses, or give --all\n");
        return MOSE_EXIT_USAGE;
    }
    if (!mose_look_open_linux(&look, argv[1], &error))
        return mose_look_fail(&look, error);
    if (!(pid ? print_process(&look, argv + 2, list, &error)
              : print_kernel(&look, argv + 2, list, &error)))
        return mose_look_fail(&look, error);
    g_clear_pointer(&info, mose_debug_info_free);
    if (mose_cli_json()) {
        text = mose_json_text(object, TRUE);
        puts(text);
    }
    return MOSE_EXIT_DONE;
}
