/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of modules. See modules.h. What they add to symbols: module-symbols.c. */
#include "vmi/linux/modules.h"

#include <string.h>

#include "util/error.h"

#define MAX_TEXT 4096
#define MAX_USERS 4096
/* No module is so large. */
#define MAX_PART ((guint64)256 << 20)
/* Linux kernel/module/main.c: the list's own reference */
#define REF_BASE 1

void
mose_module_free(MoseModule *module)
{
    if (!module)
        return;
    g_clear_pointer(&module->users, g_ptr_array_unref);
    g_free(module->name);
    g_free(module->state);
    g_free(module->taints);
    g_free(module->version);
    g_free(module->srcversion);
    g_free(module->arguments);
    g_free(module);
}

const MoseModule *
mose_module_at(const GPtrArray *modules, guint64 address)
{
    for (guint i = 0; i < modules->len; i++) {
        const MoseModule *module = modules->pdata[i];

        for (guint p = 0; p < module->n_parts; p++)
            if (address - module->parts[p].base < module->parts[p].size)
                return module;
    }
    return NULL;
}

/* --- texts --- */

static char *
read_name(MoseLinux *kernel, guint64 address, GError **error)
{
    guint64 offset;
    gsize size;
    g_autofree char *text = NULL;

    if (!mose_object_offset(kernel, "module", "name", &offset, &size, error))
        return NULL;
    text = mose_space_read_text(kernel->space, address + offset, MIN(size, MAX_TEXT),
                                error);
    return text ? mose_vmi_printable(text) : NULL;
}

/* What a member points to; NULL where there is no such member or text. */
static char *
read_pointed(const MoseObject *object, const char *member)
{
    guint64 at;
    g_autofree char *text = NULL;

    if (!mose_object_has(object, member) ||
        !mose_object_get(object, member, &at, NULL) || at == 0)
        return NULL;
    text = mose_space_read_text(object->kernel->space, at, MAX_TEXT, NULL);
    return text ? mose_vmi_printable(g_strchomp(text)) : NULL;
}

/* --- where it lies --- */

static gboolean
add_part(MoseModule *module, const char *name, guint64 base, guint64 size,
         guint64 text_size, GError **error)
{
    if (size == 0 || base == 0)
        return TRUE;
    if (size > MAX_PART || base > G_MAXUINT64 - size) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's module %s at 0x%" G_GINT64_MODIFIER
                    "x: its %s of 0x%" G_GINT64_MODIFIER
                    "x bytes at 0x%" G_GINT64_MODIFIER "x makes no sense",
                    module->name, module->address, name, size, base);
        return FALSE;
    }
    module->size += size;
    module->parts[module->n_parts++] =
        (MoseModulePart){ name, base, size, MIN(text_size, size) };
    return TRUE;
}

static const struct {
    const char *enumerator, *name, *base, *size;
    gboolean text;
} memories[MOSE_MODULE_PARTS] = {
    /* Linux include/linux/module.h: enum mod_mem_type */
    { "MOD_TEXT", "text", "mem[0].base", "mem[0].size", TRUE },
    { "MOD_DATA", "data", "mem[1].base", "mem[1].size" },
    { "MOD_RODATA", "rodata", "mem[2].base", "mem[2].size" },
    { "MOD_RO_AFTER_INIT", "ro after init", "mem[3].base", "mem[3].size" },
    { "MOD_INIT_TEXT", "init text", "mem[4].base", "mem[4].size", TRUE },
    { "MOD_INIT_DATA", "init data", "mem[5].base", "mem[5].size" },
    { "MOD_INIT_RODATA", "init rodata", "mem[6].base", "mem[6].size" },
};

/* Since 6.4. */
static gboolean
read_memories(const MoseObject *object, MoseModule *module, GError **error)
{
    for (guint i = 0; i < MOSE_MODULE_PARTS; i++) {
        guint64 base, size;
        gint64 number;

        if (!mose_types_enumerator(object->kernel->types, memories[i].enumerator,
                                   &number) ||
            number != i) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                        "the guest's kernel counts the parts of modules in a way that "
                        "is not known: %s is not %u",
                        memories[i].enumerator, i);
            return FALSE;
        }
        if (!mose_object_get(object, memories[i].base, &base, error) ||
            !mose_object_get(object, memories[i].size, &size, error) ||
            !add_part(module, memories[i].name, base, size, memories[i].text ? size : 0,
                      error))
            return FALSE;
        if (i == 0)
            module->base = base;
    }
    return TRUE;
}

/* Before; /proc/modules counts both, and the latter goes after init. */
static gboolean
read_layouts(const MoseObject *object, MoseModule *module, GError **error)
{
    guint64 base, size, text, init_base, init_size, init_text;

    if (!mose_object_get(object, "core_layout.base", &base, error) ||
        !mose_object_get(object, "core_layout.size", &size, error) ||
        !mose_object_get(object, "core_layout.text_size", &text, error) ||
        !mose_object_get(object, "init_layout.base", &init_base, error) ||
        !mose_object_get(object, "init_layout.size", &init_size, error) ||
        !mose_object_get(object, "init_layout.text_size", &init_text, error))
        return FALSE;
    module->base = base;
    return add_part(module, "core", base, size, text, error) &&
           add_part(module, "init", init_base, init_size, init_text, error);
}

/* --- who uses it --- */

/* A module that goes while it is looked at leaves a use that cannot be read. */
static gboolean
add_user(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    GPtrArray *users = data;
    guint64 source;
    char *name;

    if (!mose_object_peek(kernel, "module_use", entry, "source", &source, error))
        return FALSE;
    name = read_name(kernel, source, error);
    if (name)
        g_ptr_array_add(users, name);
    return name != NULL;
}

/* Without CONFIG_MODULE_UNLOAD there is none of it (kernel/module/procfs.c). */
static gboolean
read_uses(const MoseObject *object, MoseModule *module, GError **error)
{
    guint64 count, list, offset, init = 0, quit = 0;

    module->refcount = -1;
    if (!mose_object_has(object, "source_list"))
        return TRUE;
    if (!mose_object_get(object, "refcnt.counter", &count, error) ||
        !mose_object_get(object, "init", &init, error) ||
        !mose_object_get(object, "exit", &quit, error) ||
        !mose_object_address(object, "source_list", &list, error) ||
        !mose_object_offset(object->kernel, "module_use", "source_list", &offset, NULL,
                            error))
        return FALSE;
    module->refcount = (gint64)count - REF_BASE;
    module->permanent = init != 0 && quit == 0;
    return mose_list_walk(object->kernel, list, offset, MAX_USERS, add_user,
                          module->users, error);
}

/* --- taints --- */

/* The letters, as the kernel's own table has them: kernel/panic.c: taint_flags. Before
 * 6.13 it says of each whether modules have it. */
static char *
taint_letters(MoseLinux *kernel, guint64 taints)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const MoseSymbol *table =
        mose_symbols_by_name(kernel->symbols, NULL, "taint_flags");
    guint32 type = mose_types_find(kernel->types, "struct taint_flag");
    gint64 size = mose_types_size(kernel->types, type);
    MoseMember member;
    gboolean marked = mose_types_member(kernel->types, type, "module", &member, NULL);

    for (guint i = 0; table && size > 0 && i < 64; i++) {
        guint64 at = table->address + (guint64)i * size, letter, of_module = 1;

        if (!(taints >> i & 1))
            continue;
        if (at - table->address >= table->size ||
            !mose_object_peek(kernel, "struct taint_flag", at, "c_true", &letter,
                              NULL) ||
            (marked && !mose_object_peek(kernel, "struct taint_flag", at, "module",
                                         &of_module, NULL)))
            break;
        if (of_module && g_ascii_isgraph(letter))
            g_string_append_c(text, letter);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* --- one module --- */

/* FALSE without an error: it is not formed yet. */
static gboolean
read_state(const MoseObject *object, MoseModule *module, GError **error)
{
    static const struct {
        const char *enumerator, *name;
    } states[] = {
        { "MODULE_STATE_LIVE", "Live" },
        { "MODULE_STATE_COMING", "Loading" },
        { "MODULE_STATE_GOING", "Unloading" },
        { "MODULE_STATE_UNFORMED", NULL },
    };
    guint64 state;
    gint64 value;

    if (!mose_object_get(object, "state", &state, error))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        if (mose_types_enumerator(object->kernel->types, states[i].enumerator,
                                  &value) &&
            (gint64)state == value) {
            module->state = g_strdup(states[i].name);
            return states[i].name != NULL;
        }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the guest's module at 0x%" G_GINT64_MODIFIER
                "x has the state %" G_GUINT64_FORMAT,
                object->address, state);
    return FALSE;
}

static gboolean
read_orcs(const MoseObject *object, MoseModule *module, GError **error)
{
    /* arch/x86/include/asm/module.h; there only with CONFIG_UNWINDER_ORC */
    return !mose_object_has(object, "arch.num_orcs") ||
           (mose_object_get(object, "arch.num_orcs", &module->n_orcs, error) &&
            mose_object_get(object, "arch.orc_unwind_ip", &module->orc_ip, error) &&
            mose_object_get(object, "arch.orc_unwind", &module->orc_unwind, error));
}

static gboolean
fill(const MoseObject *object, MoseModule *module, GError **error)
{
    guint64 taints;

    module->users = g_ptr_array_new_with_free_func(g_free);
    module->name = read_name(object->kernel, object->address, error);
    if (!module->name || !mose_object_get(object, "taints", &taints, error) ||
        !(mose_object_has(object, "mem") ? read_memories(object, module, error)
                                         : read_layouts(object, module, error)) ||
        !read_uses(object, module, error) || !read_orcs(object, module, error))
        return FALSE;
    module->taints = taint_letters(object->kernel, taints);
    module->version = read_pointed(object, "version");
    module->srcversion = read_pointed(object, "srcversion");
    module->arguments = read_pointed(object, "args");
    if (mose_object_has(object, "kallsyms"))
        return mose_object_get(object, "kallsyms", &module->kallsyms, error);
    return TRUE;
}

/* --- all of them --- */

typedef struct {
    GPtrArray *modules;
    MoseObject object; /* its bytes are used again */
} Walk;

static gboolean
add_module(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    Walk *walk = data;
    g_autoptr(MoseModule) module = g_new0(MoseModule, 1);
    g_autoptr(GError) cause = NULL;

    module->address = entry;
    if (!mose_object_read(kernel, "module", entry, &walk->object, error))
        return FALSE;
    if (!read_state(&walk->object, module, &cause)) {
        if (!cause)
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!fill(&walk->object, module, error))
        return FALSE;
    g_ptr_array_add(walk->modules, g_steal_pointer(&module));
    return TRUE;
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Walk *walk = data;
    guint64 head, offset;

    g_ptr_array_set_size(walk->modules, 0);
    return mose_linux_symbol(kernel, "modules", &head, error) &&
           mose_object_offset(kernel, "module", "list", &offset, NULL, error) &&
           mose_list_walk(kernel, head, offset, MOSE_MODULES_MAX, add_module, walk,
                          error);
}

GPtrArray *
mose_modules_read(MoseLinux *kernel, guint *ret_retries, GError **error)
{
    Walk walk = { .modules = g_ptr_array_new_with_free_func(
                      (GDestroyNotify)mose_module_free) };
    gboolean good = mose_linux_retry(kernel, read_all, &walk, ret_retries, error);

    mose_object_clear(&walk.object);
    if (good)
        return walk.modules;
    g_ptr_array_unref(walk.modules);
    return NULL;
}
