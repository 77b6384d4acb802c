/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's memory and registers, whatever they come from. See memory.h. */
#include "vmi/memory.h"

#include "util/error.h"

struct MoseMemory {
    const MoseMemorySource *source;
    gpointer data;
    char *name;
    GArray *ranges; /* MoseMemoryRange */
    gboolean alive;
    char *vmcoreinfo;
};

MoseMemory *
mose_memory_new(const MoseMemorySource *source, gpointer data, const char *name,
                const GArray *ranges, gboolean alive)
{
    MoseMemory *memory = g_new0(MoseMemory, 1);

    memory->source = source;
    memory->data = data;
    memory->name = g_strdup(name);
    memory->alive = alive;
    memory->ranges =
        g_array_sized_new(FALSE, FALSE, sizeof(MoseMemoryRange), ranges->len);
    g_array_append_vals(memory->ranges, ranges->data, ranges->len);
    return memory;
}

void
mose_memory_free(MoseMemory *memory)
{
    if (!memory)
        return;
    memory->source->free(memory->data);
    g_array_unref(memory->ranges);
    g_free(memory->vmcoreinfo);
    g_free(memory->name);
    g_free(memory);
}

const char *
mose_memory_name(const MoseMemory *memory)
{
    return memory->name;
}

gboolean
mose_memory_is_alive(const MoseMemory *memory)
{
    return memory->alive;
}

const GArray *
mose_memory_ranges(const MoseMemory *memory)
{
    return memory->ranges;
}

guint64
mose_memory_size(const MoseMemory *memory)
{
    guint64 size = 0;

    for (guint i = 0; i < memory->ranges->len; i++)
        size += g_array_index(memory->ranges, MoseMemoryRange, i).size;
    return size;
}

gboolean
mose_memory_peek(gpointer memory, guint64 address, void *to, gsize len)
{
    MoseMemory *of = memory;

    return of->source->read(of->data, address, to, len);
}

gboolean
mose_memory_read(MoseMemory *memory, guint64 address, void *to, gsize len,
                 GError **error)
{
    if (mose_memory_peek(memory, address, to, len))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s: no RAM at physical 0x%" G_GINT64_MODIFIER "x", memory->name,
                address);
    return FALSE;
}

GArray *
mose_memory_vcpus(MoseMemory *memory, gboolean exact, GError **error)
{
    return memory->source->vcpus(memory->data, exact, error);
}

gboolean
mose_memory_still(MoseMemory *memory, MoseStillFunc func, gpointer data, GError **error)
{
    g_autoptr(GArray) vcpus = NULL;

    if (memory->source->still)
        return memory->source->still(memory->data, func, data, error);
    vcpus = mose_memory_vcpus(memory, TRUE, error);
    if (!vcpus)
        return FALSE;
    func(vcpus, data);
    return TRUE;
}

void
mose_memory_forget(MoseMemory *memory)
{
    if (memory->source->forget)
        memory->source->forget(memory->data);
}

const char *
mose_memory_vmcoreinfo(const MoseMemory *memory)
{
    return memory->vmcoreinfo;
}

void
mose_memory_set_vmcoreinfo(MoseMemory *memory, char *text)
{
    g_free(memory->vmcoreinfo);
    memory->vmcoreinfo = text;
}
