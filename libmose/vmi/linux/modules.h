/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The modules of a Linux guest: which there are, where they lie, whose they are used
 * by; and what they add to the kernel's symbols and types.
 */
#pragma once

#include "vmi/linux/linux.h"

/* A piece of a module: one of mod->mem[] since Linux 6.4, of core_layout and
 * init_layout before. */
typedef struct {
    const char *name; /* "text", "data", "rodata", "init text", ... */
    guint64 base, size;
    guint64 text_size; /* how much of it is code, from its base on */
} MoseModulePart;

#define MOSE_MODULE_PARTS 7

typedef struct {
    guint64 address; /* of its struct module */
    char *name;      /* printable, as the other texts */
    char *state;     /* as /proc/modules has it: Live, Loading, Unloading */
    guint64 size;    /* of all parts */
    guint64 base;    /* of its code */
    gint64 refcount; /* -1: it cannot be unloaded, nor be counted */
    gboolean permanent;
    GPtrArray *users; /* names of the modules that use it, as /proc/modules has them */
    char *taints;     /* its letters, "OE"; "": none */
    char *version;    /* or NULL, as the next ones */
    char *srcversion; /* MODULE_INFO(srcversion) */
    char *arguments;  /* as given by whoever loaded it */
    guint64 orc_ip;   /* its ORC tables (orc.h); n_orcs 0: none */
    guint64 orc_unwind; /* */
    guint64 n_orcs;
    guint64 kallsyms; /* its mod_kallsyms */
    guint n_parts;
    MoseModulePart parts[MOSE_MODULE_PARTS]; /* those that are there */
} MoseModule;

void mose_module_free(MoseModule *module);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseModule, mose_module_free)

/* More modules than that are a list that has been tampered with. */
#define MOSE_MODULES_MAX 4096

/*
 * All of them, of MoseModule, in the order of /proc/modules (the last loaded first), of
 * one moment as far as links tell; without those that are not formed yet, which /proc
 * leaves out, too. *@ret_retries (may be NULL): how often the list changed meanwhile.
 * Free with g_ptr_array_unref().
 */
GPtrArray *mose_modules_read(MoseLinux *kernel, guint *ret_retries, GError **error);

/* The module of @modules in which @address lies; NULL: none. */
const MoseModule *mose_module_at(const GPtrArray *modules, guint64 address);

/* Its build id in hexadecimal, from its notes (module_notes_attrs); NULL: it has none.
 * Free with g_free(). */
char *mose_module_build_id(MoseLinux *kernel, const MoseModule *module);

/* A section of a module's, as /sys/module/NAME/sections has it. */
typedef struct {
    char *name; /* printable */
    guint64 address;
} MoseModuleSection;

/* Of MoseModuleSection; empty where the kernel keeps none (no CONFIG_KALLSYMS). Free
 * with g_ptr_array_unref(). */
GPtrArray *mose_module_sections(MoseLinux *kernel, const MoseModule *module,
                                GError **error);

/*
 * Make kernel->modules (all of them, see above), and add their symbols to
 * kernel->symbols, with those of BPF programs, ftrace's trampolines and kprobes' pages
 * as "bpf", "__builtin__ftrace", "__builtin__kprobes". Once is enough, and is done once
 * only. Pointers to symbols that were looked up before are no longer valid.
 */
gboolean mose_linux_modules(MoseLinux *kernel, GError **error);

/*
 * The symbol in which @address lies, or that is called @name (in @module; NULL: any);
 * the modules are read only where the kernel itself does not have it. NULL: none, or
 * the modules could not be read (@error may be NULL and is then not told).
 */
const MoseSymbol *mose_linux_symbol_at(MoseLinux *kernel, guint64 address);
const MoseSymbol *mose_linux_symbol_named(MoseLinux *kernel, const char *module,
                                          const char *name);

/*
 * The types of the module @name, split BTF on the kernel's (kernel/bpf/btf.c:
 * btf_modules): with all of the kernel's. NOT_FOUND where it has none. Free with
 * mose_types_free() before the kernel.
 */
MoseTypes *mose_linux_module_types(MoseLinux *kernel, const char *name, GError **error);

/* Its bytes as they are in the guest (/sys/kernel/btf/NAME), and how many they are.
 * Free with g_free(). */
guint8 *mose_linux_module_btf(MoseLinux *kernel, const char *name, gsize *ret_size,
                              GError **error);
