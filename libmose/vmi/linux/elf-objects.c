/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ELF objects in a process's memory. See user.h. */
#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/user-priv.h"

static void
object_free(gpointer data)
{
    MoseElfObject *object = data;

    mose_elf_free(object->elf);
    g_free(object->path);
    g_free(object->name);
    g_free(object->build_id);
    g_free(object);
}

static gboolean
read_memory(gpointer data, guint64 at, void *to, gsize len)
{
    return mose_user_read(data, at, to, len, NULL, NULL);
}

/* It may begin here: a file's beginning, or the kernel's own object (vDSO), the only
 * one without a file. */
static gboolean
may_begin(const MoseVma *vma)
{
    return vma->file ? vma->pgoff == 0 : strcmp(vma->name, "[vdso]") == 0;
}

/* A file may be mapped as data, too, by who looks into it. */
static gboolean
is_executed(const MoseUser *user, const MoseVma *first, guint64 end)
{
    for (guint i = 0; i < user->vmas->len; i++) {
        const MoseVma *vma = user->vmas->pdata[i];

        if (vma->start >= first->start && vma->start < end &&
            (vma->flags & MOSE_VMA_EXEC) && vma->inode == first->inode &&
            vma->major == first->major && vma->minor == first->minor)
            return TRUE;
    }
    return FALSE;
}

static char *
name_of(const MoseElf *elf, const char *path)
{
    g_autofree char *base = NULL;

    if (elf->soname && *elf->soname != '\0')
        return mose_vmi_printable(elf->soname);
    base = g_path_get_basename(path);
    return g_steal_pointer(&base);
}

static void
add_object(MoseUser *user, const MoseVma *vma, MoseElf *elf, guint64 program)
{
    MoseElfObject *object = g_new0(MoseElfObject, 1);

    object->elf = elf;
    object->base = elf->begin;
    object->end = elf->end;
    object->path = g_strdup(vma->name);
    object->name = name_of(elf, vma->name);
    object->build_id = g_strdup(elf->build_id);
    object->file = vma->file;
    object->is_program = program != 0 && vma->file != 0 && program == vma->inode;
    g_ptr_array_add(user->objects, object);
}

/* What does not begin as an object is none; one that does and goes on otherwise is
 * counted. */
static void
look_at(MoseUser *user, const MoseVma *vma, guint64 program)
{
    char magic[SELFMAG];
    g_autoptr(MoseElf) elf = NULL;

    if (!may_begin(vma))
        return;
    if (!read_memory(user, vma->start, magic, sizeof(magic))) {
        user->unreadable += is_executed(user, vma, vma->end);
        return;
    }
    if (memcmp(magic, ELFMAG, sizeof(magic)) != 0)
        return;
    elf = mose_elf_new(read_memory, user, TRUE, vma->start, NULL);
    if (!elf)
        user->unreadable++;
    else if (is_executed(user, vma, elf->end))
        add_object(user, vma, g_steal_pointer(&elf), program);
}

/* The inode's number of the program's file; 0: it is not known. */
static guint64
program_inode(MoseUser *user)
{
    guint64 file;
    const MosePageCache *cache;

    if (!mose_object_peek(user->kernel, "mm_struct", user->task->mm, "exe_file", &file,
                          NULL) ||
        file == 0)
        return 0;
    cache = mose_user_file(user, file, NULL);
    return cache ? cache->number : 0;
}

const GPtrArray *
mose_user_objects(MoseUser *user, guint *ret_unreadable, GError **error)
{
    guint64 program;

    if (!user->objects) {
        user->objects = g_ptr_array_new_with_free_func(object_free);
        program = program_inode(user);
        for (guint i = 0;
             i < user->vmas->len && user->objects->len < MOSE_USER_MAX_OBJECTS; i++)
            look_at(user, user->vmas->pdata[i], program);
    }
    if (ret_unreadable)
        *ret_unreadable = user->unreadable;
    return user->objects;
}

const MoseElfObject *
mose_user_object_at(MoseUser *user, guint64 address)
{
    const GPtrArray *objects = mose_user_objects(user, NULL, NULL);

    for (guint i = 0; objects && i < objects->len; i++) {
        const MoseElfObject *object = objects->pdata[i];

        if (address >= object->base && address < object->end)
            return object;
    }
    return NULL;
}
