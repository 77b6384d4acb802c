/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Linux kernel, found and opened. See linux.h. */
#include "vmi/linux/linux.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/cache.h"
#include "vmi/linux/image.h"
#include "vmi/linux/notes.h"

#define MAX_BANNER 512
#define MAX_CPUS 8192
/* The tasks whose tables it was found by may end, one after the other. */
#define MAX_TRIES 8
/* That they have gone is not seen where others have come into their place meanwhile: a
 * guest that runs has to fail so often. */
#define MAX_FAILURES 3

void
mose_linux_free(MoseLinux *kernel)
{
    if (!kernel)
        return;
    mose_types_free(kernel->types);
    g_clear_error(&kernel->no_types);
    mose_symbols_free(kernel->symbols);
    mose_space_free(kernel->space);
    mose_members_free(kernel->members);
    g_clear_pointer(&kernel->modules, g_ptr_array_unref);
    g_free(kernel->banner);
    g_free(kernel->release);
    g_free(kernel->build_id);
    g_free(kernel);
}

gboolean
mose_linux_symbol(const MoseLinux *kernel, const char *name, guint64 *ret,
                  GError **error)
{
    const MoseSymbol *symbol = mose_symbols_by_name(kernel->symbols, NULL, name);

    if (symbol) {
        *ret = symbol->address;
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s: its kernel has no symbol %s", mose_memory_name(kernel->memory),
                name);
    return FALSE;
}

/* --- symbols --- */

static gboolean
find_layout(MoseSpace *space, guint64 text, MoseLinuxLayout *ret, GError **error)
{
    g_autofree guint8 *image = NULL;
    gsize size;

    image = mose_linux_image_copy(space, text, &size);
    return mose_kallsyms_find(image, size, text, &ret->kallsyms, error);
}

static gboolean
read_symbols(MoseLinux *kernel, const MoseKallsyms *table, GError **error)
{
    const MoseSymbol *text;

    g_clear_pointer(&kernel->symbols, mose_symbols_free);
    kernel->symbols = mose_symbols_new();
    if (!mose_kallsyms_read(table, kernel->space, kernel->text, kernel->symbols, error))
        return FALSE;
    mose_symbols_finish(kernel->symbols);
    text = mose_symbols_by_name(kernel->symbols, NULL, "_text");
    if (text && text->address == kernel->text)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the guest's kallsyms do not fit its image");
    return FALSE;
}

/* By what is known of it from another time, or by a search. */
static gboolean
open_symbols(MoseLinux *kernel, GError **error)
{
    MoseLinuxLayout layout = { 0 };
    guint64 id;

    if (mose_linux_cache_find(kernel->space, kernel->text, &layout) &&
        read_symbols(kernel, &layout.kallsyms, NULL)) {
        kernel->build_id = mose_linux_build_id(kernel, &id);
        kernel->from_cache = TRUE;
        return TRUE;
    }
    if (!find_layout(kernel->space, kernel->text, &layout, error) ||
        !read_symbols(kernel, &layout.kallsyms, error))
        return FALSE;
    kernel->build_id = mose_linux_build_id(kernel, &id);
    if (kernel->build_id) {
        layout.build_id = id - kernel->text;
        mose_linux_cache_keep(kernel->build_id, &layout);
    }
    return TRUE;
}

/* --- what is read once it has symbols --- */

/* The tables by which it was found may be those of a task that ends: its own stay. */
static void
use_own_tables(MoseLinux *kernel)
{
    MosePaging paging = *mose_space_paging(kernel->space);
    guint64 tables;

    /* arch/x86/include/asm/pgtable_64.h: swapper_pg_dir is init_top_pgt */
    if (!mose_linux_symbol(kernel, "init_top_pgt", &tables, NULL) ||
        !mose_space_translate(kernel->space, tables, &paging.cr3, NULL))
        return;
    mose_space_free(kernel->space);
    kernel->space = mose_space_new(kernel->memory, &paging);
}

static gboolean
read_banner(MoseLinux *kernel, GError **error)
{
    static const char begin[] = "Linux version ";
    guint64 at;
    char *text;

    if (!mose_linux_symbol(kernel, "linux_banner", &at, error))
        return FALSE;
    text = mose_space_read_text(kernel->space, at, MAX_BANNER, error);
    if (!text)
        return FALSE;
    kernel->banner = g_strchomp(mose_vmi_printable(g_strchomp(text)));
    g_free(text);
    if (!g_str_has_prefix(kernel->banner, begin)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "what linux_banner names is no banner of Linux");
        return FALSE;
    }
    at = strlen(begin);
    kernel->release = g_strndup(kernel->banner + at, strcspn(kernel->banner + at, " "));
    return TRUE;
}

/* Without BTF there are symbols all the same: mose_linux_need_types() says what lacks.
 */
static void
read_types(MoseLinux *kernel)
{
    g_autofree guint8 *bytes = NULL;
    guint64 begin, end;

    if (!mose_linux_symbol(kernel, "__start_BTF", &begin, NULL) ||
        !mose_linux_symbol(kernel, "__stop_BTF", &end, NULL) || end <= begin ||
        end - begin > MOSE_TYPES_MAX_SIZE)
        return;
    bytes = g_malloc(end - begin);
    if (mose_space_read(kernel->space, begin, bytes, end - begin, NULL,
                        &kernel->no_types))
        kernel->types = mose_types_new(bytes, end - begin, NULL, &kernel->no_types);
}

static void
read_n_cpus(MoseLinux *kernel)
{
    guint64 at, n = 1;

    /* kernel/smp.c; a constant in a kernel for one CPU */
    if (mose_linux_symbol(kernel, "nr_cpu_ids", &at, NULL))
        mose_space_read_number(kernel->space, at, 4, &n, NULL);
    kernel->n_cpus = CLAMP(n, 1, MAX_CPUS);
}

static gboolean
open_kernel(MoseLinux *kernel, GError **error)
{
    if (!open_symbols(kernel, error))
        return FALSE;
    use_own_tables(kernel);
    if (!read_banner(kernel, error))
        return FALSE;
    read_types(kernel);
    read_n_cpus(kernel);
    return TRUE;
}

/* What was read by the tables of a task that has ended since may be anything. */
static gboolean
are_gone(MoseMemory *memory, const MoseLinuxPlace *place, guint64 physical)
{
    g_autoptr(MoseSpace) space = NULL;
    guint64 now;

    if (!mose_memory_is_alive(memory))
        return FALSE;
    mose_memory_forget(memory);
    space = mose_space_new(memory, &place->paging);
    return !mose_space_translate(space, place->text, &now, NULL) || now != physical;
}

static MoseLinux *
open_at(MoseMemory *memory, const MoseLinuxPlace *place, GError **error)
{
    g_autoptr(MoseLinux) kernel = g_new0(MoseLinux, 1);
    g_autoptr(GError) cause = NULL;
    guint64 physical = 0;
    gboolean good;

    kernel->memory = memory;
    kernel->text = place->text;
    kernel->space = mose_space_new(memory, &place->paging);
    good = mose_space_translate(kernel->space, place->text, &physical, &cause) &&
           open_kernel(kernel, &cause);
    if (are_gone(memory, place, physical)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                    "the page tables by which it was read have gone meanwhile");
        return NULL;
    }
    if (good)
        return g_steal_pointer(&kernel);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

/* *@ret_error: AGAIN if there is hope for one of them; else what the first one has
 * against it; NULL: there is none. */
static MoseLinux *
open_any(MoseMemory *memory, const GArray *places, GError **ret_error)
{
    for (guint i = 0; i < places->len; i++) {
        g_autoptr(GError) cause = NULL;
        MoseLinux *kernel =
            open_at(memory, &g_array_index(places, MoseLinuxPlace, i), &cause);

        if (kernel) {
            g_clear_error(ret_error);
            return kernel;
        }
        if (i == 0 || g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN)) {
            g_clear_error(ret_error);
            g_propagate_error(ret_error, g_steal_pointer(&cause));
        }
    }
    return NULL;
}

MoseLinux *
mose_linux_find(MoseMemory *memory, GError **error)
{
    g_autoptr(GError) cause = NULL;
    int failures = 0;

    for (int i = 0; i < MAX_TRIES; i++) {
        g_autoptr(GArray) places = mose_linux_places(memory, error);
        MoseLinux *kernel;

        if (!places)
            return NULL;
        g_clear_error(&cause);
        kernel = open_any(memory, places, &cause);
        if (kernel)
            return kernel;
        /* Without any place, too: a task may end at that very moment. */
        failures += cause && !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN);
        if (!mose_memory_is_alive(memory) || failures == MAX_FAILURES)
            break;
        mose_memory_forget(memory);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s: no Linux kernel was found in it (%s)", mose_memory_name(memory),
                cause ? cause->message
                      : "no vCPU has an interrupt table that leads to one");
    return NULL;
}

gboolean
mose_linux_is_older(const MoseLinux *kernel, int major, int minor)
{
    char *end;
    gint64 own = g_ascii_strtoll(kernel->release, &end, 10);

    return own < major ||
           (own == major && *end == '.' && g_ascii_strtoll(end + 1, NULL, 10) < minor);
}

gboolean
mose_linux_need_types(const MoseLinux *kernel, GError **error)
{
    if (kernel->types)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: its kernel (%s) has no BTF that can be used, without which its "
                "structures are not known%s%s; symbols, memory and registers can be "
                "read all the same",
                mose_memory_name(kernel->memory), kernel->release,
                kernel->no_types ? ": " : "",
                kernel->no_types ? kernel->no_types->message : "");
    return FALSE;
}

gboolean
mose_linux_per_cpu(const MoseLinux *kernel, const char *name, guint cpu, guint64 *ret,
                   GError **error)
{
    guint64 variable, offsets, offset;

    if (!mose_linux_symbol(kernel, name, &variable, error) ||
        !mose_linux_symbol(kernel, "__per_cpu_offset", &offsets, error) ||
        !mose_space_read_number(kernel->space, offsets + (guint64)cpu * 8, 8, &offset,
                                error))
        return FALSE;
    *ret = variable + offset;
    return TRUE;
}

void
mose_linux_forget(MoseLinux *kernel)
{
    mose_space_forget(kernel->space);
}
