/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code made at run time: BPF, ftrace, kprobes. See extra-symbols.h. What functions were
 * called in freed init code of modules (ftrace's mod_maps) is not among it. */
#include "vmi/linux/extra-symbols.h"

#define MAX_EACH (1u << 16)

static void
add(GArray *symbols, guint64 address, guint64 size, char *name, const char *module)
{
    MoseSymbol symbol = {
        .address = address,
        .size = size,
        .name = name,
        .module = module,
        .type = 't',
    };

    g_array_append_val(symbols, symbol);
}

/* kernel/bpf/core.c:bpf_get_kallsym; bpf_jit_kallsyms of sysctl decides what is shown,
 * not what is there. */
static gboolean
add_bpf(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    guint64 begin, end, name;
    gsize size;
    g_autofree char *text = NULL;

    if (!mose_object_peek(kernel, "bpf_ksym", entry, "start", &begin, error) ||
        !mose_object_peek(kernel, "bpf_ksym", entry, "end", &end, error) ||
        !mose_object_offset(kernel, "bpf_ksym", "name", &name, &size, error))
        return FALSE;
    text = mose_space_read_text(kernel->space, entry + name, MIN(size, 1024), error);
    if (!text)
        return FALSE;
    add(data, begin, end > begin ? end - begin : 0, mose_vmi_printable(text), "bpf");
    return TRUE;
}

/* kernel/trace/ftrace.c:ftrace_get_trampoline_kallsym */
static gboolean
add_trampoline(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    guint64 begin, size;

    if (!mose_object_peek(kernel, "ftrace_ops", entry, "trampoline", &begin, error) ||
        !mose_object_peek(kernel, "ftrace_ops", entry, "trampoline_size", &size, error))
        return FALSE;
    add(data, begin, size, g_strdup("ftrace_trampoline"), "__builtin__ftrace");
    return TRUE;
}

typedef struct {
    GArray *symbols;
    guint64 cache;
} Pages;

/* kernel/kprobes.c:kprobe_cache_get_kallsym */
static gboolean
add_page(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    const Pages *pages = data;
    guint64 begin, name;
    g_autofree char *text = NULL;

    if (!mose_object_peek(kernel, "kprobe_insn_page", entry, "insns", &begin, error) ||
        !mose_object_peek(kernel, "kprobe_insn_cache", pages->cache, "sym", &name,
                          error))
        return FALSE;
    text = mose_space_read_text(kernel->space, name, 128, error);
    if (!text)
        return FALSE;
    add(pages->symbols, begin, 4096, mose_vmi_printable(text), "__builtin__kprobes");
    return TRUE;
}

static gboolean
add_pages(MoseLinux *kernel, const char *variable, GArray *symbols, GError **error)
{
    const MoseSymbol *cache = mose_symbols_by_name(kernel->symbols, NULL, variable);
    guint64 head, offset;
    Pages pages;

    if (!cache ||
        !mose_object_offset(kernel, "kprobe_insn_cache", "pages", &head, NULL, NULL) ||
        !mose_object_offset(kernel, "kprobe_insn_page", "list", &offset, NULL, NULL))
        return TRUE;
    pages = (Pages){ symbols, cache->address };
    return mose_list_walk(kernel, pages.cache + head, offset, MAX_EACH, add_page,
                          &pages, error);
}

/* The list @variable of @type; a kernel that has it not, has none of them. */
static gboolean
add_list(MoseLinux *kernel, const char *variable, const char *type, const char *member,
         MoseListFunc func, GArray *symbols, GError **error)
{
    const MoseSymbol *head = mose_symbols_by_name(kernel->symbols, NULL, variable);
    guint64 offset;

    return !head || !mose_object_offset(kernel, type, member, &offset, NULL, NULL) ||
           mose_list_walk(kernel, head->address, offset, MAX_EACH, func, symbols,
                          error);
}

gboolean
mose_extra_symbols(MoseLinux *kernel, GArray *symbols, GError **error)
{
    return add_list(kernel, "ftrace_ops_trampoline_list", "ftrace_ops", "list",
                    add_trampoline, symbols, error) &&
           add_list(kernel, "bpf_kallsyms", "bpf_ksym", "lnode", add_bpf, symbols,
                    error) &&
           add_pages(kernel, "kprobe_insn_slots", symbols, error) &&
           add_pages(kernel, "kprobe_optinsn_slots", symbols, error);
}
