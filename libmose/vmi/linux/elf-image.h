/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF object (gabi; glibc's elf.h), as a program has it in its memory or as its file
 * has it: segments, build id, name, symbols. Of 32 and 64 bits, little-endian. Knows
 * neither guest nor process: bytes come from a function. They are a stranger's: all
 * sizes are bounded, all places checked.
 */
#pragma once

#include <glib.h>

/* Copy @len bytes at @at; FALSE where they are not all there. */
typedef gboolean (*MoseElfRead)(gpointer data, guint64 at, void *to, gsize len);

typedef struct {
    guint type, flags; /* PT_LOAD, ...; PF_X, ... */
    guint64 offset, address, file_size, size;
} MoseElfSegment;

typedef struct {
    MoseElfRead read;
    gpointer data;
    gboolean in_memory;
    gboolean is_64;
    guint type;         /* ET_EXEC, ET_DYN, ... */
    guint machine;      /* EM_X86_64, EM_386, ... */
    guint64 bias;       /* what is added to its own addresses where it was loaded */
    guint64 entry;      /* with that */
    guint64 begin, end; /* what its PT_LOADs span, with that */
    GArray *segments;   /* MoseElfSegment */
    guint64 sections;   /* the offset of its section headers in the file */
    guint n_sections, section_size;
    char *build_id; /* hexadecimal, or NULL */
    char *soname;   /* as the object has it (a stranger's bytes), or NULL */
} MoseElf;

/*
 * The object whose header is at @base of a memory, or a file's (@in_memory FALSE, and
 * @base 0). INVALID in words for what is none. What lacks of it beyond its headers is
 * no error: then there is no build id, or no name. @data must outlive it.
 */
MoseElf *mose_elf_new(MoseElfRead read, gpointer data, gboolean in_memory, guint64 base,
                      GError **error);
void mose_elf_free(MoseElf *elf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseElf, mose_elf_free)

typedef struct {
    const char *name;    /* a stranger's bytes; valid during the call */
    const char *version; /* "GLIBC_2.2.5" of one that is not the default; NULL */
    guint64 address;     /* where it was loaded; of a file, as the file has it */
    guint64 size;
    char type; /* as nm(1) shows it */
} MoseElfSymbol;

typedef void (*MoseElfSymbolFunc)(const MoseElfSymbol *symbol, gpointer data);

#define MOSE_ELF_MAX_SYMBOLS (4u << 20)

/*
 * Those that it defines for others (DT_SYMTAB; how many there are its hash table tells,
 * DT_HASH or DT_GNU_HASH). Thread-local ones are left out: they have no one address.
 * NOT_FOUND where it has no such table; INVALID where it is broken.
 */
gboolean mose_elf_dynamic_symbols(const MoseElf *elf, MoseElfSymbolFunc func,
                                  gpointer data, GError **error);

/* All that its symbol table has (.symtab), which only a file has, and a stripped one
 * has not: NOT_FOUND. @bias is added to the addresses. */
gboolean mose_elf_table_symbols(const MoseElf *elf, guint64 bias,
                                MoseElfSymbolFunc func, gpointer data, GError **error);
