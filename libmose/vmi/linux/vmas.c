/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mappings of a process, read. See vmas.h. */
#include "vmi/linux/vmas.h"

#include "util/error.h"
#include "vmi/linux/maple.h"
#include "vmi/linux/rbtree.h"

#define PAGE_BITS 12

void
mose_vma_free(MoseVma *vma)
{
    if (!vma)
        return;
    g_free(vma->name);
    g_free(vma);
}

typedef struct {
    MoseLinux *kernel;
    MoseVmaContext context;
    GPtrArray *vmas;
    MoseObject object; /* its bytes are used again */
} Read;

/* --- one --- */

/* "mm: fix vma_is_initial_heap": it came with 6.6, as a new name of the inode's time
 * did, which this is told by. */
static gboolean
heap_is_closed(MoseLinux *kernel)
{
    return mose_object_offset(kernel, "inode", "i_ctime", &(guint64){ 0 }, NULL, NULL);
}

static gboolean
read_context(Read *read, const MoseTask *task, GError **error)
{
    MoseVmaContext *context = &read->context;
    MoseLinux *kernel = read->kernel;

    context->mm = task->mm;
    context->heap_is_closed = heap_is_closed(kernel);
    return mose_path_first_root(kernel, &context->root, error) &&
           mose_object_peek(kernel, "mm_struct", task->mm, "brk", &context->brk,
                            error) &&
           mose_object_peek(kernel, "mm_struct", task->mm, "start_brk",
                            &context->start_brk, error) &&
           mose_object_peek(kernel, "mm_struct", task->mm, "start_stack",
                            &context->start_stack, error);
}

static gboolean
take_file(Read *read, MoseVma *vma, MoseFile *file, GError **error)
{
    if (!mose_file_read(read->kernel, vma->file, TRUE, file, error))
        return FALSE;
    vma->inode = file->inode.number;
    vma->major = file->inode.major;
    vma->minor = file->inode.minor;
    return TRUE;
}

static gboolean
take_vma(Read *read, guint64 address, MoseVma *vma, GError **error)
{
    MoseFile file;

    vma->address = address;
    if (!mose_object_read(read->kernel, "vm_area_struct", address, &read->object,
                          error) ||
        !mose_object_get(&read->object, "vm_start", &vma->start, error) ||
        !mose_object_get(&read->object, "vm_end", &vma->end, error) ||
        !mose_object_get(&read->object, "vm_flags", &vma->flags, error) ||
        !mose_object_get(&read->object, "vm_pgoff", &vma->pgoff, error) ||
        !mose_object_get(&read->object, "vm_file", &vma->file, error) ||
        (vma->file != 0 && !take_file(read, vma, &file, error)))
        return FALSE;
    vma->pgoff <<= PAGE_BITS;
    vma->name = mose_vma_name(&read->context, &read->object, vma,
                              vma->file != 0 ? &file : NULL, error);
    return vma->name != NULL;
}

static MoseVma *
add_vma(Read *read, guint64 address, GError **error)
{
    MoseVma *vma = g_new0(MoseVma, 1);

    if (!take_vma(read, address, vma, error)) {
        mose_vma_free(vma);
        return NULL;
    }
    g_ptr_array_add(read->vmas, vma);
    return vma;
}

/* --- all, in one kind of tree or the other --- */

static gboolean
add_from_maple(guint64 first, guint64 last, guint64 entry, gpointer data,
               GError **error)
{
    Read *read = data;
    const MoseVma *vma = add_vma(read, entry, error);

    if (!vma || (vma->start == first && vma->end - 1 == last))
        return vma != NULL;
    /* The tree comes before the mapping where one grows. */
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the mapping at 0x%" G_GINT64_MODIFIER
                "x is not where its tree has it: 0x%" G_GINT64_MODIFIER "x",
                vma->address, first);
    return FALSE;
}

static gboolean
add_from_rbtree(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    Read *read = data;
    const MoseVma *before =
        read->vmas->len ? read->vmas->pdata[read->vmas->len - 1] : NULL;
    const MoseVma *vma = add_vma(read, entry, error);

    if (!vma || (vma->start < vma->end && (!before || before->end <= vma->start)))
        return vma != NULL;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the mapping at 0x%" G_GINT64_MODIFIER "x is not in order",
                vma->address);
    return FALSE;
}

/* Linux before 6.1 */
static gboolean
read_rbtree(Read *read, guint64 offset, GError **error)
{
    guint64 node;

    return mose_object_offset(read->kernel, "vm_area_struct", "vm_rb", &node, NULL,
                              error) &&
           mose_rbtree_walk(read->kernel, read->context.mm + offset, node,
                            MOSE_VMAS_MAX, add_from_rbtree, read, error);
}

static gboolean
read_tree(Read *read, GError **error)
{
    MoseLinux *kernel = read->kernel;
    MoseMapleLayout layout;
    guint64 offset;

    if (mose_object_offset(kernel, "mm_struct", "mm_rb", &offset, NULL, NULL))
        return read_rbtree(read, offset, error);
    return mose_object_offset(kernel, "mm_struct", "mm_mt", &offset, NULL, error) &&
           mose_maple_layout(kernel, &layout, error) &&
           mose_maple_walk(kernel->space, &layout, read->context.mm + offset,
                           MOSE_VMAS_MAX, add_from_maple, read, error);
}

/* arch/x86/entry/vsyscall/vsyscall_64.c:get_gate_vma; MM_CONTEXT_HAS_VSYSCALL is bit 1
 * (arch/x86/include/asm/mmu.h), NONE is the last of the three modes. */
static gboolean
read_gate(Read *read, GError **error)
{
    MoseLinux *kernel = read->kernel;
    guint64 gate, mode, flags, value;

    if (!mose_linux_symbol(kernel, "gate_vma", &gate, NULL) ||
        !mose_linux_symbol(kernel, "vsyscall_mode", &mode, NULL) ||
        !mose_object_peek(kernel, "mm_struct", read->context.mm, "context.flags",
                          &flags, NULL))
        return TRUE;
    if (!mose_space_read_number(kernel->space, mode, 4, &value, error))
        return FALSE;
    return value == 2 || !(flags & 2) || add_vma(read, gate, error) != NULL;
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Read *read = data;

    g_ptr_array_set_size(read->vmas, 0);
    return read_tree(read, error) && read_gate(read, error);
}

GPtrArray *
mose_vmas_read(MoseLinux *kernel, const MoseTask *task, guint *ret_retries,
               GError **error)
{
    g_autoptr(GPtrArray) vmas =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_vma_free);
    Read read = { .kernel = kernel, .vmas = vmas };
    gboolean good;

    if (task->mm == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "task %d (%s) has no user memory: it is a kernel thread, or has "
                    "ended",
                    task->pid, task->comm);
        return NULL;
    }
    good = read_context(&read, task, error) &&
           mose_linux_retry(kernel, read_all, &read, ret_retries, error);
    mose_object_clear(&read.object);
    return good ? g_steal_pointer(&vmas) : NULL;
}
