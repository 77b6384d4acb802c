/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crash says of the kernel itself: its modules, log, interrupts and symbols. See
 * vmi-crash.c. */
#include <stdio.h>
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"
#include "vmi-crash.h"

const char *const crash_kernel_commands[] = {
    "ps", "mod", "log", "irq -s", "sym -l", NULL,
};

static GPtrArray *
their_modules(const CrashWorld *world)
{
    const char *text = g_hash_table_lookup(world->answers, "mod");

    return crash_lines(text ? text : "",
                       "^([0-9a-f]{16}) +(\\S+) +([0-9a-f]{16}) +(\\d+) ",
                       "\\1 \\2 \\3 \\4");
}

void
test_crash_modules(const CrashWorld *world)
{
    g_autoptr(GPtrArray) ours = NULL, theirs = their_modules(world);
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *why = g_strdup_printf(
        "this crash does not find the modules of Linux %s", world->kernel);

    if (theirs->len == 0) {
        g_test_skip(why);
        return;
    }
    object = crash_mose(world, "modules", NULL);
    ours = crash_rows(crash_array(object, "modules"), "module name address size");
    crash_compare("modules", ours, theirs);
}

/* --- the log --- */

/* As crash shows what has no place in a line (kernel.c, dump_log_entry() and
 * dump_record()): a dot. */
static char *
with_dots(const char *text)
{
    g_autoptr(GRegex) escaped = g_regex_new("\\\\x[0-9a-f]{2}", 0, 0, NULL);

    return g_regex_replace_literal(escaped, text, -1, 0, ".", 0, NULL);
}

static void
append_record(GPtrArray *lines, JsonObject *record)
{
    guint64 usec = (guint64)mose_json_int(record, "ts_nsec", -1) / 1000;
    g_autofree char *before =
        g_strdup_printf("[%5" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT "] ",
                        usec / G_USEC_PER_SEC, usec % G_USEC_PER_SEC);
    g_autofree char *text = with_dots(mose_json_string(record, "text", "no text"));
    g_auto(GStrv) parts = g_strsplit(text, "\n", -1);
    int width = (int)strlen(before);

    for (guint i = 0; parts[i]; i++)
        g_ptr_array_add(
            lines, g_strdup_printf("%*s%s", width, i == 0 ? before : "", parts[i]));
}

void
test_crash_log(const CrashWorld *world)
{
    const char *text = crash_answer(world, "log");
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *records;

    if (!text)
        return;
    object = crash_mose(world, "dmesg", NULL);
    records = crash_array(object, "records");
    for (guint i = 0; i < json_array_get_length(records); i++)
        append_record(ours, mose_json_element(records, i));
    theirs = crash_lines(text, "^(.+)$", "\\1");
    crash_compare("log", ours, theirs);
}

/* --- interrupts --- */

static char *
join(JsonArray *array, const char *between)
{
    GString *ret = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (i > 0)
            g_string_append(ret, between);
        if (json_node_get_value_type(node) == G_TYPE_STRING)
            g_string_append(ret, json_node_get_string(node));
        else
            g_string_append_printf(ret, "%" G_GINT64_FORMAT, json_node_get_int(node));
    }
    return g_string_free(ret, FALSE);
}

/* Those that something handles, which are what crash shows. */
static void
append_irq(GPtrArray *lines, JsonObject *irq)
{
    JsonArray *actions = mose_json_array(irq, "actions");
    g_autofree char *counts = NULL, *names = NULL;

    if (strcmp(mose_json_string(irq, "kind", ""), "device") != 0 || !actions ||
        json_array_get_length(actions) == 0)
        return;
    counts = join(crash_array(irq, "counts"), " ");
    names = join(actions, ",");
    g_ptr_array_add(lines, g_strdup_printf("%s: %s %s-%s %s",
                                           mose_json_string(irq, "irq", NULL), counts,
                                           mose_json_string(irq, "chip", NULL),
                                           mose_json_string(irq, "flow", NULL), names));
}

void
test_crash_irq(const CrashWorld *world)
{
    const char *text = crash_answer(world, "irq -s");
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *irqs;

    if (!text)
        return;
    object = crash_mose(world, "irq", NULL);
    irqs = crash_array(object, "interrupts");
    for (guint i = 0; i < json_array_get_length(irqs); i++)
        append_irq(ours, mose_json_element(irqs, i));
    theirs =
        crash_lines(text, "^ *(\\d+): +(\\d+) +(\\d+) +(\\d+) +(\\d+) +(\\S+) +(.*)$",
                    "\\1: \\2 \\3 \\4 \\5 \\6 \\7");
    crash_compare("irq", ours, theirs);
}

/* --- symbols --- */

/* Sections of the ELF file, and what its link leaves there, which a kernel's own table
 * has no place for (Linux 6.12 scripts/mksysmap; 6.1 scripts/kallsyms.c,
 * is_ignored_symbol(), which leaves out its own parts, too). */
static gboolean
is_in_file_only(const char *name)
{
    static const char *const names[] = {
        "__bug_table",
        "__ex_table",
        "__init_rodata",
        "__kcrctab",
        "__kcrctab_gpl",
        "__kflagstab",
        "__ksymtab",
        "__ksymtab_strings",
        "__ksymtab_gpl",
        "__modver",
        "__param",
        "kallsyms_markers",
        "kallsyms_names",
        "kallsyms_num_syms",
        "kallsyms_offsets",
        "kallsyms_relative_base",
        "kallsyms_seqs_of_names",
        "kallsyms_token_index",
        "kallsyms_token_table",
        NULL,
    };
    static const char *const starts[] = { "__crc_",         "__kstrtab",
                                          "init_per_cpu__", "runtime_ptr_",
                                          "runtime_shift_", "xen_elfnote_",
                                          "runtime_mask_",  "OFFSETOF_" };

    for (guint i = 0; i < G_N_ELEMENTS(starts); i++)
        if (g_str_has_prefix(name, starts[i]))
            return TRUE;
    return g_strv_contains(names, name);
}

/* crash leaves off what the compiler puts behind a name (symbols.c,
 * strip_symbol_end()): foo.isra.0. */
/* What comes before _text at its address is not in crash's list: the padding of the
 * first function, and another name of the image's beginning. */
static gboolean
is_before_text(const char *address, const char *name)
{
    return g_str_has_suffix(address, "00000") &&
           (g_str_has_prefix(name, "__pfx_") || strcmp(name, "__pi__text") == 0);
}

/* Rust's names are in full for crash, as core::num::foo, and as the compiler makes them
 * for the kernel: _RNvNt...foo. They are told by their addresses. */
static gboolean
is_rust(const char *name)
{
    static const char *const starts[] = { "_R", "__pfx__R", "__cfi__R", "__flags__R",
                                          "__ksymtab__R" };

    for (guint i = 0; i < G_N_ELEMENTS(starts); i++)
        if (g_str_has_prefix(name, starts[i]))
            return TRUE;
    return strpbrk(name, ":<") != NULL;
}

static void
append_symbol(GPtrArray *lines, const char *address, const char *name)
{
    g_autofree char *stem =
        is_rust(name) ? g_strdup("Rust") : g_strndup(name, strcspn(name, "."));

    if (*stem && !is_in_file_only(name) && !is_in_file_only(stem) &&
        !is_before_text(address, stem))
        g_ptr_array_add(lines, g_strdup_printf("%s %s", address, stem));
}

static GPtrArray *
our_symbols(const CrashWorld *world, gboolean of_modules)
{
    g_autoptr(JsonObject) object = crash_mose(world, "sym", "--all");
    JsonArray *symbols = crash_array(object, "symbols");
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < json_array_get_length(symbols); i++) {
        JsonObject *symbol = mose_json_element(symbols, i);

        if (of_modules || !json_object_has_member(symbol, "module"))
            append_symbol(ret, mose_json_string(symbol, "address", "0x") + strlen("0x"),
                          mose_json_string(symbol, "name", ""));
    }
    return ret;
}

static GPtrArray *
their_symbols(const char *text)
{
    g_autoptr(GPtrArray) lines =
        crash_lines(text, "^([0-9a-f]+) \\(.\\) (.+?) *$", "\\1 \\2");
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < lines->len; i++) {
        g_auto(GStrv) words = g_strsplit(g_ptr_array_index(lines, i), " ", 2);

        append_symbol(ret, words[0], words[1]);
    }
    return ret;
}

void
test_crash_symbols(const CrashWorld *world)
{
    const char *text = crash_answer(world, "sym -l");
    g_autoptr(GPtrArray) modules = their_modules(world), ours = NULL, theirs = NULL;

    if (!text)
        return;
    ours = our_symbols(world, modules->len > 0);
    theirs = their_symbols(text);
    crash_compare("symbols", ours, theirs);
}
