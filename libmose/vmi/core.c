/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A core file as a source of memory (memory.h): told apart by its first bytes. Which
 * kernel is in it is none of its business.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/core-elf.h"
#include "vmi/core-kdump.h"
#include "vmi/memory.h"

typedef struct {
    MoseCoreFile *file;
    MoseCoreNotes notes;
    GArray *vcpus;
    GArray *segments; /* MoseCoreSegment, of an ELF file */
    MoseKdump *kdump; /* or else */
} Core;

static void
core_free(gpointer data)
{
    Core *core = data;

    g_clear_pointer(&core->vcpus, g_array_unref);
    g_clear_pointer(&core->segments, g_array_unref);
    mose_kdump_free(core->kdump);
    mose_core_notes_clear(&core->notes);
    mose_core_file_free(core->file);
    g_free(core);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Core, core_free)

/* The segment in which @address lies, or NULL. */
static const MoseCoreSegment *
find_segment(const GArray *segments, guint64 address)
{
    guint low = 0, high = segments->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const MoseCoreSegment *segment =
            &g_array_index(segments, MoseCoreSegment, middle);

        if (address < segment->address)
            high = middle;
        else if (address - segment->address < segment->size)
            return segment;
        else
            low = middle + 1;
    }
    return NULL;
}

static gboolean
read_segments(Core *core, guint64 address, guint8 *to, gsize len)
{
    while (len > 0) {
        const MoseCoreSegment *segment = find_segment(core->segments, address);
        guint64 inside = segment ? address - segment->address : 0;
        gsize n = segment ? MIN(len, segment->size - inside) : 0;

        /* Much at once is not what is read again. */
        if (!segment ||
            !(n < 4096
                  ? mose_core_file_peek(core->file, segment->offset + inside, to, n)
                  : mose_core_file_get(core->file, segment->offset + inside, to, n)))
            return FALSE;
        to += n;
        address += n;
        len -= n;
    }
    return TRUE;
}

static gboolean
core_read(gpointer data, guint64 address, void *to, gsize len)
{
    Core *core = data;

    return core->kdump ? mose_kdump_read(core->kdump, address, to, len)
                       : read_segments(core, address, to, len);
}

static GArray *
core_vcpus(gpointer data, gboolean exact, GError **error)
{
    const Core *core = data;

    if (core->vcpus->len > 0)
        return g_array_copy(core->vcpus);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s has no registers in it",
                mose_core_file_name(core->file));
    return NULL;
}

static const MoseMemorySource source = {
    .read = core_read,
    .vcpus = core_vcpus,
    .free = core_free,
};

/* The ranges that the segments make up. */
static GArray *
join_segments(const GArray *segments)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(MoseMemoryRange));

    for (guint i = 0; i < segments->len; i++) {
        const MoseCoreSegment *segment = &g_array_index(segments, MoseCoreSegment, i);
        MoseMemoryRange *last =
            i > 0 ? &g_array_index(ranges, MoseMemoryRange, ranges->len - 1) : NULL;

        if (last && last->address + last->size == segment->address)
            last->size += segment->size;
        else
            g_array_append_val(ranges,
                               ((MoseMemoryRange){ segment->address, segment->size }));
    }
    return ranges;
}

/* Its ranges; a reference. */
static GArray *
open_core(Core *core, GError **error)
{
    guint8 header[8];
    gboolean is_x86_64 = FALSE;
    GArray *ranges = NULL;

    if (!mose_core_file_read(core->file, 0, header, sizeof(header), "the header",
                             error))
        return NULL;
    if (mose_core_elf_is(header, sizeof(header))) {
        core->segments =
            mose_core_elf_read(core->file, &core->notes, &is_x86_64, error);
        ranges = core->segments ? join_segments(core->segments) : NULL;
    } else if (mose_kdump_is(header, sizeof(header))) {
        core->kdump = mose_kdump_new(core->file, &core->notes, error);
        if (core->kdump)
            ranges = g_array_copy((GArray *)mose_kdump_ranges(core->kdump));
    } else {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is neither an ELF core nor a kdump-compressed one",
                    mose_core_file_name(core->file));
    }
    if (ranges)
        core->vcpus = mose_core_notes_vcpus(&core->notes, is_x86_64);
    return ranges;
}

static MoseMemory *
core_memory(MoseCoreFile *file, GError **error)
{
    g_autoptr(Core) core = g_new0(Core, 1);
    g_autoptr(GArray) ranges = NULL;
    MoseMemory *memory;
    char *vmcoreinfo;
    const char *name = mose_core_file_name(file);

    core->file = file;
    mose_core_notes_init(&core->notes);
    ranges = open_core(core, error);
    if (!ranges)
        return NULL;
    vmcoreinfo = g_steal_pointer(&core->notes.vmcoreinfo);
    memory = mose_memory_new(&source, g_steal_pointer(&core), name, ranges, FALSE);
    if (vmcoreinfo)
        mose_memory_set_vmcoreinfo(memory, vmcoreinfo);
    return memory;
}

MoseMemory *
mose_memory_of_core(const char *path, GError **error)
{
    MoseCoreFile *file = mose_core_file_open(path, error);

    return file ? core_memory(file, error) : NULL;
}
