/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process's memory, with what it has not touched yet. See user.h; its ELF objects:
 * elf-objects.c; their symbols: user-symbols.c. */
#include "vmi/linux/user.h"

#include "util/error.h"
#include "vmi/linux/user-priv.h"

#define PAGE 4096
#define HEX G_GINT64_MODIFIER "x"

MoseUser *
mose_user_new(MoseLinux *kernel, const MoseTask *task, GError **error)
{
    g_autoptr(MoseUser) user = g_new0(MoseUser, 1);

    user->kernel = kernel;
    user->task = task;
    user->files = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    user->space = mose_task_space(kernel, task, error);
    if (!user->space)
        return NULL;
    user->vmas = mose_vmas_read(kernel, task, NULL, error);
    return user->vmas ? g_steal_pointer(&user) : NULL;
}

void
mose_user_free(MoseUser *user)
{
    if (!user)
        return;
    mose_symbols_free(user->symbols);
    g_clear_pointer(&user->unwind, g_hash_table_unref);
    g_clear_pointer(&user->objects, g_ptr_array_unref);
    g_clear_pointer(&user->vmas, g_ptr_array_unref);
    g_hash_table_unref(user->files);
    mose_space_free(user->space);
    g_free(user);
}

MoseLinux *
mose_user_kernel(const MoseUser *user)
{
    return user->kernel;
}

const MoseTask *
mose_user_task(const MoseUser *user)
{
    return user->task;
}

MoseSpace *
mose_user_space(const MoseUser *user)
{
    return user->space;
}

const GPtrArray *
mose_user_vmas(const MoseUser *user)
{
    return user->vmas;
}

const MoseVma *
mose_user_vma_at(const MoseUser *user, guint64 address)
{
    guint low = 0, high = user->vmas->len; /* all before low end at or below it */

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const MoseVma *vma = user->vmas->pdata[middle];

        if (vma->end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == user->vmas->len)
        return NULL;
    return ((const MoseVma *)user->vmas->pdata[low])->start <= address
               ? user->vmas->pdata[low]
               : NULL;
}

/* --- files --- */

gboolean
mose_page_cache_of_file(MoseLinux *kernel, guint64 file, MosePageCache *ret,
                        GError **error)
{
    guint64 mapping, inode;

    return mose_object_peek(kernel, "file", file, "f_mapping", &mapping, error) &&
           mose_object_peek(kernel, "address_space", mapping, "host", &inode, error) &&
           mose_page_cache_of_inode(kernel, inode, ret, error);
}

const MosePageCache *
mose_user_file(MoseUser *user, guint64 file, GError **error)
{
    MosePageCache *known = g_hash_table_lookup(user->files, &file);
    MosePageCache found;

    if (known)
        return known;
    if (!mose_page_cache_of_file(user->kernel, file, &found, error))
        return NULL;
    known = g_new(MosePageCache, 1);
    *known = found;
    g_hash_table_insert(user->files, g_memdup2(&file, sizeof(file)), known);
    return known;
}

/* --- reading --- */

static gboolean
no_page(const MoseUser *user, guint64 address, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "task %d (%s): 0x%" HEX " cannot be read: %s", user->task->pid,
                user->task->comm, address, why);
    return FALSE;
}

/* What a process that touched it would find: @why is what the page tables say. */
static gboolean
read_untouched(MoseUser *user, guint64 address, void *to, gsize len, const char *why,
               GError **error)
{
    const MoseVma *vma = mose_user_vma_at(user, address);
    const MosePageCache *file;
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = NULL;

    if (!vma)
        return no_page(user, address, why, error);
    if (vma->file == 0)
        return no_page(user, address,
                       "it is mapped, and was not touched yet: zeros, unless its "
                       "device or owner says otherwise",
                       error);
    file = mose_user_file(user, vma->file, &cause);
    if (file &&
        mose_page_cache_read(user->kernel, file, vma->pgoff + (address - vma->start),
                             to, len, NULL, &cause))
        return TRUE;
    text = g_strdup_printf("it was not touched yet, and of %s: %s", vma->name,
                           cause->message);
    return no_page(user, address, text, error);
}

/* Within one page. */
static gboolean
read_some(MoseUser *user, guint64 address, void *to, gsize len, GError **error)
{
    MosePageWalk walk;
    const char *why;

    if (mose_space_page(user->space, address, &walk))
        return mose_memory_read(user->kernel->memory, walk.physical, to, len, error);
    why = mose_space_why(user->space, &walk);
    /* An entry that says something is no page that was not touched. */
    if (walk.state == MOSE_PAGE_ABSENT && walk.entry == 0)
        return read_untouched(user, address, to, len, why, error);
    return no_page(user, address, why, error);
}

gboolean
mose_user_read(MoseUser *user, guint64 address, void *to, gsize len, gsize *ret_got,
               GError **error)
{
    gsize got = 0;
    gboolean good = TRUE;

    while (good && got < len) {
        gsize step = MIN(len - got, PAGE - (address + got) % PAGE);

        good = read_some(user, address + got, (guint8 *)to + got, step, error);
        if (good)
            got += step;
    }
    if (ret_got)
        *ret_got = got;
    return good;
}

char *
mose_user_explain(MoseUser *user, guint64 address)
{
    const MoseVma *vma = mose_user_vma_at(user, address);
    const MosePageCache *file;
    guint64 offset, physical;
    MoseCacheState state;

    if (!vma)
        return NULL;
    if (vma->file == 0)
        return g_strdup("mapped without a file, and not touched yet");
    offset = vma->pgoff + (address - vma->start);
    file = mose_user_file(user, vma->file, NULL);
    if (!file || !mose_page_cache_find(user->kernel, file, offset / PAGE, &state,
                                       &physical, NULL))
        return g_strdup_printf("mapped from %s, and not touched yet", vma->name);
    if (state != MOSE_CACHED)
        return g_strdup_printf("mapped from %s at 0x%" HEX
                               ", and not touched yet: in the page cache it is %s",
                               vma->name, offset, mose_cache_state_name(state));
    return g_strdup_printf("mapped from %s at 0x%" HEX
                           ", and not touched yet: in the page cache it is at physical "
                           "%016" HEX,
                           vma->name, offset, physical + offset % PAGE);
}
