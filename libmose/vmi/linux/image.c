/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Linux kernel's image, by the page tables and the IDT. See image.h. */
#include "vmi/linux/image.h"

#include <string.h>

#include "util/error.h"

#define STEP ((guint64)2 << 20)
/* A hole so large ends the image; smaller ones are what it gave back after its start.
 */
#define MAX_HOLE ((guint64)64 << 20)
#define MAX_SIZE ((guint64)256 << 20)
/* A guest has one kernel; that each vCPU leads somewhere else is a trick. */
#define MAX_PLACES 8
#define PTI_USER 0x1000u /* Linux arch/x86/entry/calling.h: PTI_USER_PGTABLE_MASK */
enum { PAGE_FAULT = 14, GATE = 16 };

static gboolean
in_image(guint64 address)
{
    return address >= MOSE_LINUX_IMAGE && address < MOSE_LINUX_IMAGE_END;
}

/* SDM 3A, figure 6-8: the offset of a gate is in three parts. */
static gboolean
read_handler(MoseSpace *space, guint64 idt, guint64 *ret)
{
    guint8 gate[GATE];

    if (!mose_space_read(space, idt + PAGE_FAULT * GATE, gate, sizeof(gate), NULL,
                         NULL))
        return FALSE;
    *ret = gate[0] | gate[1] << 8 | (guint64)gate[6] << 16 | (guint64)gate[7] << 24 |
           (guint64)gate[8] << 32 | (guint64)gate[9] << 40 | (guint64)gate[10] << 48 |
           (guint64)gate[11] << 56;
    return in_image(*ret);
}

static void
add_place(GArray *places, const MosePaging *paging, guint64 text)
{
    MoseLinuxPlace place = { *paging, text };

    for (guint i = 0; i < places->len; i++) {
        const MoseLinuxPlace *other = &g_array_index(places, MoseLinuxPlace, i);

        if (other->text == text && other->paging.cr3 == paging->cr3)
            return;
    }
    if (places->len < MAX_PLACES)
        g_array_append_val(places, place);
}

/* The image is mapped without a gap at its beginning, which is aligned to 2 MB, and
 * nothing is mapped before it (arch/x86/mm/init_64.c:cleanup_highmap). */
static void
look_below(MoseMemory *memory, const MosePaging *paging, guint64 address,
           GArray *places)
{
    g_autoptr(MoseSpace) space = mose_space_new(memory, paging);
    guint64 text = address & ~(STEP - 1);
    MosePageWalk walk;

    if (!mose_space_page(space, text, &walk))
        return;
    while (in_image(text - STEP) && mose_space_page(space, text - STEP, &walk))
        text -= STEP;
    add_place(places, paging, text);
}

/* A vCPU in user mode may use tables that lack the kernel; the others lie before them.
 */
static void
look_at_vcpu(MoseMemory *memory, const MoseVcpu *vcpu, GArray *places)
{
    g_autoptr(MoseSpace) space = mose_space_new(memory, &vcpu->paging);
    MosePaging paging = vcpu->paging;
    guint64 handler;

    if (mose_paging_levels(&paging) < 4 ||
        !read_handler(space, vcpu->idt_base, &handler))
        return;
    paging.cr3 &= ~(guint64)0xfff;
    if (paging.cr3 & PTI_USER) {
        MosePaging kernel = paging;

        kernel.cr3 &= ~(guint64)PTI_USER;
        look_below(memory, &kernel, handler, places);
    }
    look_below(memory, &paging, handler, places);
}

static gboolean
info_number(const char *info, const char *key, int base, guint64 *ret)
{
    const char *at = strstr(info, key);

    if (!at || (at != info && at[-1] != '\n'))
        return FALSE;
    *ret = g_ascii_strtoull(at + strlen(key), NULL, base);
    return TRUE;
}

/* Linux Documentation/admin-guide/kdump/vmcoreinfo.rst. */
static void
look_at_info(MoseMemory *memory, GArray *places)
{
    const char *info = mose_memory_vmcoreinfo(memory);
    guint64 tables, stext, base, levels5 = 0;
    MosePaging paging = { .cr0 = 1u << 31, .cr4 = 1u << 5, .efer = 1u << 10 };

    if (!info || !info_number(info, "SYMBOL(swapper_pg_dir)=", 16, &tables) ||
        !info_number(info, "SYMBOL(_stext)=", 16, &stext) ||
        !info_number(info, "NUMBER(phys_base)=", 10, &base) || !in_image(tables))
        return;
    if (info_number(info, "NUMBER(pgtable_l5_enabled)=", 10, &levels5) && levels5)
        paging.cr4 |= 1u << 12;
    paging.cr3 = tables - MOSE_LINUX_IMAGE + base;
    look_below(memory, &paging, stext, places);
}

GArray *
mose_linux_places(MoseMemory *memory, GError **error)
{
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(MoseLinuxPlace));
    g_autoptr(GError) cause = NULL;
    g_autoptr(GArray) vcpus = mose_memory_vcpus(memory, FALSE, &cause);

    look_at_info(memory, places);
    for (guint i = 0; vcpus && i < vcpus->len; i++)
        look_at_vcpu(memory, &g_array_index(vcpus, MoseVcpu, i), places);
    if (!vcpus && places->len == 0) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    return g_steal_pointer(&places);
}

/* Where the last page of it ends. */
static guint64
find_end(MoseSpace *space, guint64 text)
{
    guint64 at = text, end = text;
    MosePageWalk walk;

    while (at < MOSE_LINUX_IMAGE_END && at - text < MAX_SIZE && at - end < MAX_HOLE) {
        if (mose_space_page(space, at, &walk))
            end = at + walk.left;
        at += walk.left;
    }
    return MIN(end, MIN(text + MAX_SIZE, MOSE_LINUX_IMAGE_END));
}

guint8 *
mose_linux_image_copy(MoseSpace *space, guint64 text, gsize *ret_size)
{
    guint64 end = find_end(space, text);
    guint8 *image = g_malloc0(end - text + 1);
    MosePageWalk walk;

    /* Offsets, not addresses: tables that have gone meanwhile have holes up to the end
     * of them all, behind which addresses begin anew. */
    for (guint64 at = 0; at < end - text; at += walk.left)
        if (mose_space_page(space, text + at, &walk))
            mose_memory_peek(mose_space_memory(space), walk.physical, image + at,
                             MIN(walk.left, end - text - at));
    *ret_size = end - text;
    return image;
}
