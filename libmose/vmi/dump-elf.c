/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of an ELF core; see dump-elf.h. */
#include "vmi/dump-elf.h"

#include <elf.h>
#include <string.h>

#define PAGE 4096u

static void
put(GByteArray *to, gconstpointer bytes, gsize len)
{
    g_byte_array_append(to, bytes, len);
}

static void
put_load(GByteArray *to, guint64 offset, guint64 physical, guint64 address,
         guint64 size)
{
    Elf64_Phdr header = { .p_type = PT_LOAD,
                          .p_flags = PF_R | PF_W | PF_X,
                          .p_offset = offset,
                          .p_vaddr = address,
                          .p_paddr = physical,
                          .p_filesz = size,
                          .p_memsz = size };

    put(to, &header, sizeof(header));
}

/* The piece that has the kernel's image, or NULL. */
static const MoseDumpPiece *
piece_of_image(const GArray *pieces, const MoseDumpKernel *kernel)
{
    for (guint i = 0; i < pieces->len && kernel->image_size > 0; i++) {
        const MoseDumpPiece *piece = &g_array_index(pieces, MoseDumpPiece, i);
        guint64 inside = kernel->image_physical - piece->address;

        if (kernel->image_physical >= piece->address && inside < piece->size &&
            kernel->image_size <= piece->size - inside)
            return piece;
    }
    return NULL;
}

static void
put_loads(GByteArray *to, const GArray *pieces, const MoseDumpKernel *kernel,
          guint64 begin)
{
    const MoseDumpPiece *image = piece_of_image(pieces, kernel);

    for (guint i = 0; i < pieces->len; i++) {
        const MoseDumpPiece *piece = &g_array_index(pieces, MoseDumpPiece, i);

        put_load(to, begin + piece->at, piece->address,
                 kernel->direct_map + piece->address, piece->size);
    }
    if (image)
        put_load(to, begin + image->at + (kernel->image_physical - image->address),
                 kernel->image_physical, kernel->image, kernel->image_size);
}

GByteArray *
mose_dump_elf_headers(guint16 machine, const GArray *pieces, const GByteArray *notes,
                      const MoseDumpKernel *kernel)
{
    g_autoptr(GByteArray) note = mose_dump_kernel_note(kernel);
    guint n = 1 + pieces->len + (piece_of_image(pieces, kernel) ? 1 : 0);
    guint64 notes_at = sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr);
    guint64 notes_len = notes->len + note->len;
    guint64 begin = (notes_at + notes_len + PAGE - 1) & ~(guint64)(PAGE - 1);
    GByteArray *ret = g_byte_array_new();
    Elf64_Ehdr header = { .e_type = ET_CORE,
                          .e_machine = machine,
                          .e_version = EV_CURRENT,
                          .e_phoff = sizeof(Elf64_Ehdr),
                          .e_ehsize = sizeof(Elf64_Ehdr),
                          .e_phentsize = sizeof(Elf64_Phdr),
                          .e_phnum = n };
    Elf64_Phdr notes_header = { .p_type = PT_NOTE,
                                .p_offset = notes_at,
                                .p_filesz = notes_len,
                                .p_memsz = notes_len };

    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    put(ret, &header, sizeof(header));
    put(ret, &notes_header, sizeof(notes_header));
    put_loads(ret, pieces, kernel, begin);
    put(ret, notes->data, notes->len);
    put(ret, note->data, note->len);
    while (ret->len < begin)
        put(ret, "", 1);
    return ret;
}
