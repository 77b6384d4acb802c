/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF core written out of the memory of a guest that runs on: pages are of different
 * moments, and lists that change meanwhile may lead nowhere. Registers are of one
 * moment (exact.h), before the memory.
 */
#include "vmi/dump-live.h"

#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"
#include "vmi/core-notes.h"
#include "vmi/dump-elf.h"

#define CHUNK (1u << 20)
#define EFER_LMA (1u << 10)

static GArray *
pieces_of(const MoseMemory *memory, GError **error)
{
    const GArray *ranges = mose_memory_ranges(memory);
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MoseDumpPiece));
    guint64 at = 0;

    for (guint i = 0; i < ranges->len; i++) {
        const MoseMemoryRange *range = &g_array_index(ranges, MoseMemoryRange, i);
        MoseDumpPiece piece = { range->address, range->size, at };

        g_array_append_val(pieces, piece);
        at += range->size;
    }
    if (pieces->len > 0 && pieces->len <= MOSE_DUMP_MAX_PIECES)
        return g_steal_pointer(&pieces);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "the guest's memory is in %u pieces", pieces->len);
    return NULL;
}

static gboolean
is_long(const GArray *vcpus)
{
    for (guint i = 0; i < vcpus->len; i++)
        if (g_array_index(vcpus, MoseVcpu, i).paging.efer & EFER_LMA)
            return TRUE;
    return FALSE;
}

static gboolean
copy_piece(MoseMemory *memory, const MoseDumpPiece *piece, guint64 begin,
           MoseDumpFile *file, const MoseDumpOptions *options, guint8 *buffer,
           GError **error)
{
    for (guint64 at = 0; at < piece->size; at += CHUNK) {
        gsize n = MIN(CHUNK, piece->size - at);

        if (mose_fd_is_readable(options->interrupt_fd)) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED, "interrupted");
            return FALSE;
        }
        if (!mose_memory_read(memory, piece->address + at, buffer, n, error) ||
            !mose_dump_file_write(file, begin + piece->at + at, buffer, n, error))
            return FALSE;
        mose_dump_tell(options, piece->at + at + n, mose_memory_size(memory));
    }
    return TRUE;
}

gboolean
mose_dump_live(MoseMemory *memory, const MoseDumpKernel *kernel, MoseDumpFile *file,
               const MoseDumpOptions *options, GError **error)
{
    g_autoptr(GArray) vcpus = mose_memory_vcpus(memory, TRUE, error);
    g_autoptr(GArray) pieces = vcpus ? pieces_of(memory, error) : NULL;
    g_autoptr(GByteArray) notes = NULL, headers = NULL;
    g_autofree guint8 *buffer = g_malloc(CHUNK);

    if (!pieces)
        return FALSE;
    notes = mose_core_notes_make(vcpus, is_long(vcpus));
    headers = mose_dump_elf_headers(is_long(vcpus) ? EM_X86_64 : EM_386, pieces, notes,
                                    kernel);
    if (!mose_dump_file_write(file, 0, headers->data, headers->len, error))
        return FALSE;
    for (guint i = 0; i < pieces->len; i++)
        if (!copy_piece(memory, &g_array_index(pieces, MoseDumpPiece, i), headers->len,
                        file, options, buffer, error))
            return FALSE;
    return TRUE;
}
