/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel of a guest that is dumped; see dump-kernel.h. */
#include "vmi/dump-kernel.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

/* Linux's is at most one page of text (include/linux/vmcore_info.h: VMCOREINFO_BYTES);
 * it begins with the release (kernel/vmcore_info.c: crash_save_vmcoreinfo_init; up to
 * 6.8 in kernel/crash_core.c). */
#define MAX_VMCOREINFO 65536
#define VMCOREINFO_BEGIN "OSRELEASE="
#define MAX_IMAGE (G_GUINT64_CONSTANT(1) << 30)

/* The pointer, or number, in the kernel's variable @name. */
static gboolean
read_variable(const MoseLinux *found, const char *name, guint64 *ret, GError **error)
{
    guint64 address;

    return mose_linux_symbol(found, name, &address, error) &&
           mose_space_read_number(found->space, address, 8, ret, error);
}

/* The text of vmcoreinfo_data; it is there from the kernel's start, and is added to
 * only by a crash. */
static char *
read_vmcoreinfo(const MoseLinux *found, GError **error)
{
    guint64 data, size;
    g_autofree char *text = NULL;

    if (!read_variable(found, "vmcoreinfo_data", &data, error) ||
        !read_variable(found, "vmcoreinfo_size", &size, error))
        return NULL;
    if (size == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                    "the kernel is still starting, and has not written it yet");
        return NULL;
    }
    if (size > MAX_VMCOREINFO) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the kernel's vmcoreinfo_size is %" G_GUINT64_FORMAT, size);
        return NULL;
    }
    text = g_malloc0(size + 1);
    if (!mose_space_read(found->space, data, text, size, NULL, error))
        return NULL;
    if (g_str_has_prefix(text, VMCOREINFO_BEGIN))
        return g_steal_pointer(&text);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "at vmcoreinfo_data, 0x%" G_GINT64_MODIFIER "x, is no VMCOREINFO",
                data);
    return NULL;
}

/* Linux arch/x86/kernel/machine_kexec_64.c: arch_crash_save_vmcoreinfo, which prints it
 * by %ld. */
static void
read_phys_base(MoseDumpKernel *kernel)
{
    static const char key[] = "\nNUMBER(phys_base)=";
    const char *at = strstr(kernel->vmcoreinfo, key);
    char *end;

    if (!at)
        return;
    errno = 0;
    kernel->phys_base = g_ascii_strtoll(at + strlen(key), &end, 10);
    kernel->has_phys_base = errno == 0 && *end == '\n';
}

/* Its image, which is in one piece of physical memory. */
static void
find_image(MoseDumpKernel *kernel, const MoseLinux *found)
{
    guint64 end, physical, last;

    if (mose_linux_symbol(found, "_end", &end, NULL) && end > found->text &&
        end - found->text <= MAX_IMAGE &&
        mose_space_translate(found->space, found->text, &physical, NULL) &&
        mose_space_translate(found->space, end - 1, &last, NULL) &&
        last - physical == end - 1 - found->text) {
        kernel->image = found->text;
        kernel->image_size = end - found->text;
        kernel->image_physical = physical;
    }
}

/* The direct map's base is a variable where it can move (arch/x86/mm/kaslr.c:
 * page_offset_base), else one of two constants (Documentation/arch/x86/x86_64/mm.rst).
 * Believed if it leads to the kernel's image. */
static void
find_direct_map(MoseDumpKernel *kernel, const MoseLinux *found)
{
    guint64 base, physical;

    if (!read_variable(found, "page_offset_base", &base, NULL))
        base = mose_paging_levels(mose_space_paging(found->space)) == 5
                   ? G_GUINT64_CONSTANT(0xff11000000000000)
                   : G_GUINT64_CONSTANT(0xffff888000000000);
    if (kernel->image_size > 0 &&
        mose_space_translate(found->space, base + kernel->image_physical, &physical,
                             NULL) &&
        physical == kernel->image_physical)
        kernel->direct_map = base;
}

void
mose_dump_kernel_find(MoseDumpKernel *kernel, MoseMemory *memory)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseLinux) found = mose_linux_find(memory, &error);

    *kernel = (MoseDumpKernel){ 0 };
    if (found) {
        kernel->release = g_strdup(found->release);
        kernel->vmcoreinfo = read_vmcoreinfo(found, &error);
        find_image(kernel, found);
        find_direct_map(kernel, found);
    }
    if (kernel->vmcoreinfo)
        read_phys_base(kernel);
    else
        kernel->lacks = g_strdup(error->message);
}

void
mose_dump_kernel_clear(MoseDumpKernel *kernel)
{
    g_clear_pointer(&kernel->release, g_free);
    g_clear_pointer(&kernel->vmcoreinfo, g_free);
    g_clear_pointer(&kernel->lacks, g_free);
}

GByteArray *
mose_dump_kernel_note(const MoseDumpKernel *kernel)
{
    static const char name[] = "VMCOREINFO\0\0"; /* 11 bytes and one of padding */
    GByteArray *note = g_byte_array_new();
    Elf64_Nhdr header = { .n_namesz = strlen(name) + 1, .n_type = 0 };

    if (!kernel->vmcoreinfo)
        return note;
    header.n_descsz = strlen(kernel->vmcoreinfo);
    g_byte_array_append(note, (guint8 *)&header, sizeof(header));
    g_byte_array_append(note, (const guint8 *)name, 12);
    g_byte_array_append(note, (const guint8 *)kernel->vmcoreinfo, header.n_descsz);
    g_byte_array_append(note, (const guint8[4]){ 0 }, -header.n_descsz & 3);
    return note;
}
