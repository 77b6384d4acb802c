/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF object's headers, notes and dynamic section. See elf-image.h; its symbols:
 * elf-symbols.c. */
#include "vmi/linux/elf-image.h"

#include <stddef.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/elf-priv.h"

#define PAGE 4096
#define MAX_SEGMENTS 1024
#define MAX_NOTES (64 << 10)
#define MAX_BUILD_ID 64
#define MAX_DYNAMIC 4096
#define MAX_NAME 4096
/* No object spans as much of an address space. */
#define MAX_SPAN (G_GUINT64_CONSTANT(1) << 47)

gboolean
mose_elf_fail(int code, const char *what, guint64 at, GError **error)
{
    g_set_error(error, MOSE_ERROR, code, "ELF: %s, at 0x%" G_GINT64_MODIFIER "x", what,
                at);
    return FALSE;
}

guint64
mose_elf_number(const guint8 *bytes, gsize size)
{
    guint64 value = 0;

    for (gsize i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

/* The member of one of elf.h's structs, which differ in size and order. */
#define FIELD(elf, bytes, struct_name, member)                                         \
    ((elf)->is_64 ? mose_elf_number((bytes) + offsetof(Elf64_##struct_name, member),   \
                                    sizeof(((Elf64_##struct_name *)NULL)->member))     \
                  : mose_elf_number((bytes) + offsetof(Elf32_##struct_name, member),   \
                                    sizeof(((Elf32_##struct_name *)NULL)->member)))
#define SIZE(elf, struct_name)                                                         \
    ((elf)->is_64 ? sizeof(Elf64_##struct_name) : sizeof(Elf32_##struct_name))

/* --- headers --- */

static gboolean
read_ident(MoseElf *elf, guint64 base, guint8 header[sizeof(Elf64_Ehdr)],
           GError **error)
{
    if (!elf->read(elf->data, base, header, sizeof(Elf32_Ehdr)))
        return mose_elf_fail(MOSE_ERROR_NOT_FOUND, "its header cannot be read", base,
                             error);
    if (memcmp(header, ELFMAG, SELFMAG) != 0 || header[EI_DATA] != ELFDATA2LSB ||
        (header[EI_CLASS] != ELFCLASS64 && header[EI_CLASS] != ELFCLASS32))
        return mose_elf_fail(MOSE_ERROR_INVALID, "this is no object of it", base,
                             error);
    elf->is_64 = header[EI_CLASS] == ELFCLASS64;
    return !elf->is_64 || elf->read(elf->data, base, header, sizeof(Elf64_Ehdr)) ||
           mose_elf_fail(MOSE_ERROR_NOT_FOUND, "its header cannot be read", base,
                         error);
}

static gboolean
add_segment(MoseElf *elf, guint64 at)
{
    guint8 bytes[sizeof(Elf64_Phdr)];
    MoseElfSegment segment;

    if (!elf->read(elf->data, at, bytes, SIZE(elf, Phdr)))
        return FALSE;
    segment = (MoseElfSegment){ .type = FIELD(elf, bytes, Phdr, p_type),
                                .flags = FIELD(elf, bytes, Phdr, p_flags),
                                .offset = FIELD(elf, bytes, Phdr, p_offset),
                                .address = FIELD(elf, bytes, Phdr, p_vaddr),
                                .file_size = FIELD(elf, bytes, Phdr, p_filesz),
                                .size = FIELD(elf, bytes, Phdr, p_memsz) };
    g_array_append_val(elf->segments, segment);
    return TRUE;
}

static gboolean
read_segments(MoseElf *elf, guint64 base, const guint8 *header, GError **error)
{
    guint64 offset = FIELD(elf, header, Ehdr, e_phoff);
    guint n = FIELD(elf, header, Ehdr, e_phnum);

    if (FIELD(elf, header, Ehdr, e_phentsize) != SIZE(elf, Phdr) || n == 0 ||
        n > MAX_SEGMENTS || offset > MAX_SPAN || base > G_MAXUINT64 - 2 * MAX_SPAN)
        return mose_elf_fail(MOSE_ERROR_INVALID, "its program headers make no sense",
                             base, error);
    for (guint i = 0; i < n; i++)
        if (!add_segment(elf, base + offset + i * SIZE(elf, Phdr)))
            return mose_elf_fail(MOSE_ERROR_NOT_FOUND,
                                 "its program headers cannot be read", base + offset,
                                 error);
    return TRUE;
}

/* Its own addresses from the lowest page to the highest; where the header is among
 * them says what was added to all. */
static gboolean
find_span(MoseElf *elf, guint64 base, GError **error)
{
    guint64 low = G_MAXUINT64, high = 0, header = G_MAXUINT64;

    for (guint i = 0; i < elf->segments->len; i++) {
        const MoseElfSegment *one = &g_array_index(elf->segments, MoseElfSegment, i);

        if (one->type != PT_LOAD)
            continue;
        if (one->size > MAX_SPAN || one->address > G_MAXUINT64 - MAX_SPAN)
            return mose_elf_fail(MOSE_ERROR_INVALID, "a segment makes no sense", base,
                                 error);
        low = MIN(low, one->address / PAGE * PAGE);
        high = MAX(high, one->address + one->size);
        if (one->offset < PAGE && header == G_MAXUINT64)
            header = (one->address - one->offset) / PAGE * PAGE;
    }
    if (low > high || high - low > MAX_SPAN ||
        (elf->in_memory && header == G_MAXUINT64))
        return mose_elf_fail(MOSE_ERROR_INVALID, "its segments make no sense", base,
                             error);
    elf->bias = elf->in_memory ? base - header : 0;
    elf->begin = elf->bias + low;
    elf->end = elf->bias + high;
    return TRUE;
}

gboolean
mose_elf_read_at(const MoseElf *elf, guint64 address, void *to, gsize len)
{
    if (elf->in_memory)
        return elf->read(elf->data, elf->bias + address, to, len);
    for (guint i = 0; i < elf->segments->len; i++) {
        const MoseElfSegment *one = &g_array_index(elf->segments, MoseElfSegment, i);
        guint64 in = address - one->address;

        if (one->type == PT_LOAD && address >= one->address && in < one->file_size &&
            len <= one->file_size - in && one->offset <= G_MAXINT64 - in)
            return elf->read(elf->data, one->offset + in, to, len);
    }
    return FALSE;
}

/* --- the build id --- */

static char *
to_hex(const guint8 *bytes, gsize len)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < len; i++)
        g_string_append_printf(text, "%02x", bytes[i]);
    return g_string_free(text, FALSE);
}

/* Each note: sizes of name and description, type, and these two, aligned to 4. */
static char *
find_build_id(const guint8 *notes, gsize len)
{
    gsize at = 0;

    while (len - at >= 12) {
        gsize name = mose_elf_number(notes + at, 4), desc;

        desc = mose_elf_number(notes + at + 4, 4);
        if (name > MAX_NOTES || desc > MAX_NOTES ||
            (name + 3) / 4 * 4 + (desc + 3) / 4 * 4 > len - at - 12)
            return NULL;
        if (mose_elf_number(notes + at + 8, 4) == NT_GNU_BUILD_ID && name == 4 &&
            memcmp(notes + at + 12, "GNU", 4) == 0 && desc > 0 && desc <= MAX_BUILD_ID)
            return to_hex(notes + at + 16, desc);
        at += 12 + (name + 3) / 4 * 4 + (desc + 3) / 4 * 4;
    }
    return NULL;
}

static void
read_build_id(MoseElf *elf)
{
    for (guint i = 0; i < elf->segments->len && !elf->build_id; i++) {
        const MoseElfSegment *one = &g_array_index(elf->segments, MoseElfSegment, i);
        g_autofree guint8 *notes = NULL;

        if (one->type != PT_NOTE || one->file_size > MAX_NOTES || one->file_size < 12)
            continue;
        notes = g_malloc(one->file_size);
        if (mose_elf_read_at(elf, one->address, notes, one->file_size))
            elf->build_id = find_build_id(notes, one->file_size);
    }
}

/* --- the dynamic section --- */

/*
 * ld.so writes the addresses in the memory's copy over with where they are
 * (glibc elf/get-dynamic-info.h: ADJUST_DYN_INFO); musl, and the kernel for its vDSO,
 * do not.
 */
static guint64
own_address(const MoseElf *elf, guint64 value)
{
    return elf->in_memory && value >= elf->begin && value < elf->end ? value - elf->bias
                                                                     : value;
}

gboolean
mose_elf_dynamic(const MoseElf *elf, gint64 tag, gboolean is_address, guint64 *ret)
{
    guint8 bytes[sizeof(Elf64_Dyn)];
    const MoseElfSegment *found = NULL;

    for (guint i = 0; i < elf->segments->len && !found; i++)
        if (g_array_index(elf->segments, MoseElfSegment, i).type == PT_DYNAMIC)
            found = &g_array_index(elf->segments, MoseElfSegment, i);
    for (guint i = 0; found && i < MAX_DYNAMIC; i++) {
        gint64 here;

        if (i * SIZE(elf, Dyn) >= found->size ||
            !mose_elf_read_at(elf, found->address + i * SIZE(elf, Dyn), bytes,
                              SIZE(elf, Dyn)))
            return FALSE;
        here = elf->is_64 ? (gint64)FIELD(elf, bytes, Dyn, d_tag)
                          : (gint32)FIELD(elf, bytes, Dyn, d_tag);
        if (here == DT_NULL)
            return FALSE;
        if (here != tag)
            continue;
        *ret = FIELD(elf, bytes, Dyn, d_un);
        if (is_address)
            *ret = own_address(elf, *ret);
        return TRUE;
    }
    return FALSE;
}

static void
read_soname(MoseElf *elf)
{
    guint64 names, at, size;
    g_autoptr(GString) text = g_string_new(NULL);
    char c;

    if (!mose_elf_dynamic(elf, DT_SONAME, FALSE, &at) ||
        !mose_elf_dynamic(elf, DT_STRTAB, TRUE, &names) ||
        !mose_elf_dynamic(elf, DT_STRSZ, FALSE, &size))
        return;
    for (; at < size && text->len < MAX_NAME; at++) {
        if (!mose_elf_read_at(elf, names + at, &c, 1))
            return;
        if (c == '\0') {
            elf->soname = g_strdup(text->str);
            return;
        }
        g_string_append_c(text, c);
    }
}

/* --- begin and end --- */

MoseElf *
mose_elf_new(MoseElfRead read, gpointer data, gboolean in_memory, guint64 base,
             GError **error)
{
    g_autoptr(MoseElf) elf = g_new0(MoseElf, 1);
    guint8 header[sizeof(Elf64_Ehdr)];

    elf->read = read;
    elf->data = data;
    elf->in_memory = in_memory;
    elf->segments = g_array_new(FALSE, FALSE, sizeof(MoseElfSegment));
    if (!read_ident(elf, base, header, error))
        return NULL;
    elf->type = FIELD(elf, header, Ehdr, e_type);
    elf->machine = FIELD(elf, header, Ehdr, e_machine);
    if (!read_segments(elf, base, header, error) || !find_span(elf, base, error))
        return NULL;
    elf->entry = elf->bias + FIELD(elf, header, Ehdr, e_entry);
    elf->sections = FIELD(elf, header, Ehdr, e_shoff);
    elf->n_sections = FIELD(elf, header, Ehdr, e_shnum);
    elf->section_size = FIELD(elf, header, Ehdr, e_shentsize);
    read_build_id(elf);
    read_soname(elf);
    return g_steal_pointer(&elf);
}

void
mose_elf_free(MoseElf *elf)
{
    if (!elf)
        return;
    g_array_unref(elf->segments);
    g_free(elf->build_id);
    g_free(elf->soname);
    g_free(elf);
}
