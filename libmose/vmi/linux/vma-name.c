/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a mapping is called: fs/proc/task_mmu.c:get_vma_name, step by step. */
#include <string.h>

#include "vmi/linux/vmas.h"

#define MAX_NAME 256

static gboolean
is_function(const MoseLinux *kernel, guint64 address, const char *name)
{
    const MoseSymbol *symbol = mose_symbols_by_name(kernel->symbols, NULL, name);

    return symbol && symbol->address == address;
}

static char *
text_at(MoseLinux *kernel, guint64 address, GError **error)
{
    g_autofree char *text =
        mose_space_read_text(kernel->space, address, MAX_NAME, error);

    return text ? mose_vmi_printable(text) : NULL;
}

/* vm_ops->name(): of [vdso], [vvar] and others it is mm/mmap.c:special_mapping_name. ""
 * for none. */
static char *
ops_name(const MoseObject *object, GError **error)
{
    MoseLinux *kernel = object->kernel;
    guint64 ops, function = 0, mapping, name;

    if (!mose_object_get(object, "vm_ops", &ops, error) ||
        (ops != 0 && !mose_object_peek(kernel, "vm_operations_struct", ops, "name",
                                       &function, error)))
        return NULL;
    if (function == 0)
        return g_strdup("");
    /* arch/x86/entry/vsyscall/vsyscall_64.c */
    if (is_function(kernel, function, "gate_vma_name"))
        return g_strdup("[vsyscall]");
    if (!is_function(kernel, function, "special_mapping_name"))
        return g_strdup("");
    if (!mose_object_get(object, "vm_private_data", &mapping, error) ||
        !mose_object_peek(kernel, "vm_special_mapping", mapping, "name", &name, error))
        return NULL;
    return name ? text_at(kernel, name, error) : g_strdup("");
}

/* prctl(PR_SET_VMA_ANON_NAME). Until 6.1 its place belongs to files' mappings as well:
 * mm/madvise.c:anon_vma_name */
static char *
given_name(const MoseObject *object, const MoseVma *vma, const char *format,
           GError **error)
{
    MoseLinux *kernel = object->kernel;
    guint64 at, shared, name, text;
    g_autofree char *given = NULL;

    if (!mose_object_has(object, "anon_name"))
        return g_strdup("");
    if (!mose_object_address(object, "anon_name", &at, error) ||
        !mose_object_address(object, "shared", &shared, error) ||
        !mose_object_get(object, "anon_name", &name, error) ||
        !mose_object_offset(kernel, "anon_vma_name", "name", &text, NULL, error))
        return NULL;
    if (name == 0 || (at == shared && vma->file != 0))
        return g_strdup("");
    given = text_at(kernel, name + text, error);
    return given ? g_strdup_printf(format, given) : NULL;
}

static char *
file_name(const MoseVmaContext *context, const MoseObject *object, const MoseVma *vma,
          const MoseFile *file, GError **error)
{
    g_autofree char *path = NULL;
    char *given = given_name(object, vma, "[anon_shmem:%s]", error);

    if (!given || *given != '\0')
        return given;
    g_free(given);
    path = mose_path_text(object->kernel, &file->path, &context->root, NULL, error);
    return path ? mose_vmi_printable(path) : NULL;
}

/* include/linux/mm.h:vma_is_initial_heap */
static gboolean
is_heap(const MoseVmaContext *context, const MoseVma *vma)
{
    return context->heap_is_closed
               ? vma->start <= context->brk && vma->end >= context->start_brk
               : vma->start < context->brk && vma->end > context->start_brk;
}

char *
mose_vma_name(const MoseVmaContext *context, const MoseObject *object,
              const MoseVma *vma, const MoseFile *file, GError **error)
{
    char *name;

    if (file)
        return file_name(context, object, vma, file, error);
    name = ops_name(object, error);
    if (!name || *name != '\0')
        return name;
    g_free(name);
    if (is_heap(context, vma))
        return g_strdup("[heap]");
    if (vma->start <= context->start_stack && vma->end >= context->start_stack)
        return g_strdup("[stack]");
    return given_name(object, vma, "[anon:%s]", error);
}
