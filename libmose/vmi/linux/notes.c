/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Build ids out of notes. See notes.h. */
#include "vmi/linux/notes.h"

#include <elf.h>
#include <string.h>

#define MAX_NOTES (64 << 10)
#define MAX_ID 64

static gsize
align(gsize at)
{
    return (at + 3) & ~(gsize)3;
}

char *
mose_notes_build_id(const guint8 *notes, gsize size, gsize *ret_offset)
{
    gsize at = 0;

    while (size - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        gsize name, content;
        GString *text;

        memcpy(&note, notes + at, sizeof(note));
        name = at + sizeof(note);
        if (note.n_namesz > size - name ||
            (content = align(name + note.n_namesz)) > size ||
            note.n_descsz > size - content)
            return NULL;
        at = align(content + note.n_descsz);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz > 0 &&
            note.n_descsz <= MAX_ID) {
            text = g_string_new(NULL);
            for (gsize i = 0; i < note.n_descsz; i++)
                g_string_append_printf(text, "%02x", notes[content + i]);
            *ret_offset = content;
            return g_string_free(text, FALSE);
        }
        if (at > size)
            return NULL;
    }
    return NULL;
}

char *
mose_linux_build_id(const MoseLinux *kernel, guint64 *ret_address)
{
    g_autofree guint8 *notes = NULL;
    guint64 begin, end;
    gsize offset;
    char *id;

    if (!mose_linux_symbol(kernel, "__start_notes", &begin, NULL) ||
        !mose_linux_symbol(kernel, "__stop_notes", &end, NULL) || end <= begin ||
        end - begin > MAX_NOTES)
        return NULL;
    notes = g_malloc(end - begin);
    if (!mose_space_read(kernel->space, begin, notes, end - begin, NULL, NULL))
        return NULL;
    id = mose_notes_build_id(notes, end - begin, &offset);
    *ret_address = begin + (id ? offset : 0);
    return id;
}
