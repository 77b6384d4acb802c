/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Symbols of an ELF object: the dynamic ones, with versions, and all of a file's. See
 * elf-image.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/elf-priv.h"

#define MAX_NAMES ((guint64)256 << 20)
#define MAX_BUCKETS (1u << 24)
#define MAX_SECTIONS 65536
#define MAX_VERSIONS 32768
#define HIDDEN 0x8000u

/* --- one symbol --- */

gsize
mose_elf_entry_size(const MoseElf *elf)
{
    return elf->is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

MoseElfEntry
mose_elf_entry(const MoseElf *elf, const guint8 *bytes)
{
    MoseElfEntry entry = { .name = mose_elf_number(bytes, 4) };

    if (elf->is_64) {
        entry.info = bytes[4];
        entry.section = mose_elf_number(bytes + 6, 2);
        entry.value = mose_elf_number(bytes + 8, 8);
        entry.size = mose_elf_number(bytes + 16, 8);
    } else {
        entry.value = mose_elf_number(bytes + 4, 4);
        entry.size = mose_elf_number(bytes + 8, 4);
        entry.info = bytes[12];
        entry.section = mose_elf_number(bytes + 14, 2);
    }
    return entry;
}

static const MoseElfSegment *
segment_of(const MoseElf *elf, guint64 address)
{
    for (guint i = 0; i < elf->segments->len; i++) {
        const MoseElfSegment *one = &g_array_index(elf->segments, MoseElfSegment, i);

        if (one->type == PT_LOAD && address >= one->address &&
            address - one->address < one->size)
            return one;
    }
    return NULL;
}

char
mose_elf_letter(const MoseElf *elf, guint info, guint section, guint64 address)
{
    const MoseElfSegment *segment = segment_of(elf, address);
    gboolean local = ELF64_ST_BIND(info) == STB_LOCAL;
    char letter;

    if (ELF64_ST_TYPE(info) == STT_GNU_IFUNC)
        return 'i';
    if (ELF64_ST_BIND(info) == STB_WEAK)
        return ELF64_ST_TYPE(info) == STT_OBJECT ? 'V' : 'W';
    if (section == SHN_ABS || !segment)
        letter = 'A';
    else if (segment->flags & PF_X)
        letter = 'T';
    else if (!(segment->flags & PF_W))
        letter = 'R';
    else
        letter = address - segment->address >= segment->file_size ? 'B' : 'D';
    return local ? g_ascii_tolower(letter) : letter;
}

gboolean
mose_elf_to_symbol(const MoseElf *elf, const MoseElfEntry *entry, guint64 bias,
                   const char *names, gsize size, MoseElfSymbol *ret)
{
    guint type = ELF64_ST_TYPE(entry->info);

    if (entry->section == SHN_UNDEF || entry->name == 0 || entry->name >= size ||
        type == STT_TLS || type == STT_SECTION || type == STT_FILE)
        return FALSE;
    *ret = (MoseElfSymbol){
        .name = names + entry->name,
        .address = entry->section == SHN_ABS ? entry->value : entry->value + bias,
        .size = entry->size,
        .type = mose_elf_letter(elf, entry->info, entry->section, entry->value),
    };
    return *ret->name != '\0';
}

/* --- how many there are --- */

static gboolean
number_at(const MoseElf *elf, guint64 address, guint64 *ret)
{
    guint8 bytes[4];

    if (!mose_elf_read_at(elf, address, bytes, sizeof(bytes)))
        return FALSE;
    *ret = mose_elf_number(bytes, sizeof(bytes));
    return TRUE;
}

/* The highest chain's beginning, and from there on to its end (bit 0 of a hash). */
static gboolean
count_gnu_hash(const MoseElf *elf, guint64 table, guint64 *ret)
{
    guint64 n_buckets, first, bloom, buckets, last = 0, hash;

    if (!number_at(elf, table, &n_buckets) || !number_at(elf, table + 4, &first) ||
        !number_at(elf, table + 8, &bloom) || n_buckets > MAX_BUCKETS ||
        bloom > MAX_BUCKETS)
        return FALSE;
    buckets = table + 16 + bloom * (elf->is_64 ? 8 : 4);
    for (guint64 i = 0; i < n_buckets; i++) {
        if (!number_at(elf, buckets + i * 4, &hash))
            return FALSE;
        last = MAX(last, hash);
    }
    if (last < first) {
        *ret = first; /* none that is hashed */
        return TRUE;
    }
    for (; last < MOSE_ELF_MAX_SYMBOLS; last++) {
        if (!number_at(elf, buckets + n_buckets * 4 + (last - first) * 4, &hash))
            return FALSE;
        if (hash & 1) {
            *ret = last + 1;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
count_dynamic(const MoseElf *elf, guint64 *ret, GError **error)
{
    guint64 table = 0;
    gboolean good = FALSE;

    if (mose_elf_dynamic(elf, DT_HASH, TRUE, &table))
        good = number_at(elf, table + 4, ret);
    if (!good && mose_elf_dynamic(elf, DT_GNU_HASH, TRUE, &table))
        good = count_gnu_hash(elf, table, ret);
    if (good && *ret <= MOSE_ELF_MAX_SYMBOLS)
        return TRUE;
    return mose_elf_fail(table ? MOSE_ERROR_INVALID : MOSE_ERROR_NOT_FOUND,
                         "no hash table tells how many symbols there are", table,
                         error);
}

/* --- versions (Solaris' linker guide; glibc's elf.h) --- */

typedef struct {
    guint8 *of;        /* 2 bytes a symbol, or NULL */
    GHashTable *names; /* number -> offset in the strings */
} Versions;

static void
versions_clear(Versions *versions)
{
    g_free(versions->of);
    g_clear_pointer(&versions->names, g_hash_table_unref);
}

static void
read_definitions(const MoseElf *elf, Versions *versions)
{
    guint64 at, n, step, aux, name;
    guint8 bytes[sizeof(Elf64_Verdef)];

    if (!mose_elf_dynamic(elf, DT_VERDEF, TRUE, &at) ||
        !mose_elf_dynamic(elf, DT_VERDEFNUM, FALSE, &n))
        return;
    for (guint64 i = 0; i < MIN(n, MAX_VERSIONS); i++, at += step) {
        if (!mose_elf_read_at(elf, at, bytes, sizeof(bytes)))
            return;
        aux = mose_elf_number(bytes + 12, 4);  /* vd_aux */
        step = mose_elf_number(bytes + 16, 4); /* vd_next */
        if (!number_at(elf, at + aux, &name))
            return;
        g_hash_table_insert(versions->names,
                            GUINT_TO_POINTER(mose_elf_number(bytes + 4, 2)),
                            GUINT_TO_POINTER((guint)name));
        if (step == 0)
            return;
    }
}

static void
read_versions(const MoseElf *elf, guint64 n, Versions *versions)
{
    guint64 at;

    versions->names = g_hash_table_new(NULL, NULL);
    if (!mose_elf_dynamic(elf, DT_VERSYM, TRUE, &at))
        return;
    versions->of = g_malloc(n * 2 + 1);
    if (mose_elf_read_at(elf, at, versions->of, n * 2))
        read_definitions(elf, versions);
    else
        g_clear_pointer(&versions->of, g_free);
}

/* Of one that who asks for the name alone does not get. */
static const char *
version_of(const Versions *versions, guint64 number, const char *names, gsize size)
{
    guint version = versions->of ? mose_elf_number(versions->of + number * 2, 2) : 0;
    guint offset;

    if (!(version & HIDDEN))
        return NULL;
    offset = GPOINTER_TO_UINT(
        g_hash_table_lookup(versions->names, GUINT_TO_POINTER(version & ~HIDDEN)));
    return offset > 0 && offset < size ? names + offset : "?";
}

/* --- the dynamic ones --- */

static void
tell(const MoseElf *elf, const guint8 *table, guint64 n, const Versions *versions,
     const char *names, gsize size, MoseElfSymbolFunc func, gpointer data)
{
    for (guint64 i = 0; i < n; i++) {
        MoseElfEntry entry = mose_elf_entry(elf, table + i * mose_elf_entry_size(elf));
        MoseElfSymbol symbol;

        if (!mose_elf_to_symbol(elf, &entry, elf->bias, names, size, &symbol))
            continue;
        if (versions)
            symbol.version = version_of(versions, i, names, size);
        func(&symbol, data);
    }
}

/* A whole table of strings; it ends with a NUL whatever the object has there. */
static char *
read_names(const MoseElf *elf, guint64 at, guint64 size, gboolean by_address)
{
    g_autofree char *names = NULL;

    if (size == 0 || size > MAX_NAMES)
        return NULL;
    names = g_try_malloc(size + 1);
    if (!names || !(by_address ? mose_elf_read_at(elf, at, names, size)
                               : elf->read(elf->data, at, names, size)))
        return NULL;
    names[size] = '\0';
    return g_steal_pointer(&names);
}

gboolean
mose_elf_dynamic_symbols(const MoseElf *elf, MoseElfSymbolFunc func, gpointer data,
                         GError **error)
{
    guint64 symbols, names_at, size, n = 0;
    g_autofree guint8 *table = NULL;
    g_autofree char *names = NULL;
    Versions versions = { 0 };

    if (!mose_elf_dynamic(elf, DT_SYMTAB, TRUE, &symbols) ||
        !mose_elf_dynamic(elf, DT_STRTAB, TRUE, &names_at) ||
        !mose_elf_dynamic(elf, DT_STRSZ, FALSE, &size))
        return mose_elf_fail(MOSE_ERROR_NOT_FOUND, "it has no dynamic symbols",
                             elf->begin, error);
    if (!count_dynamic(elf, &n, error))
        return FALSE;
    names = read_names(elf, names_at, size, TRUE);
    table = g_try_malloc(n * mose_elf_entry_size(elf) + 1);
    if (!names || !table ||
        !mose_elf_read_at(elf, symbols, table, n * mose_elf_entry_size(elf)))
        return mose_elf_fail(MOSE_ERROR_NOT_FOUND, "its dynamic symbols cannot be read",
                             symbols, error);
    read_versions(elf, n, &versions);
    tell(elf, table, n, &versions, names, size + 1, func, data);
    versions_clear(&versions);
    return TRUE;
}

/* --- a file's --- */

typedef struct {
    guint type, link;
    guint64 offset, size, entry_size;
} Section;

static gboolean
read_section(const MoseElf *elf, guint number, Section *ret)
{
    guint8 bytes[sizeof(Elf64_Shdr)];
    guint64 at = elf->sections + (guint64)number * elf->section_size;
    gsize size = elf->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);

    if (number >= elf->n_sections || elf->section_size < size ||
        elf->sections > G_MAXINT64 || !elf->read(elf->data, at, bytes, size))
        return FALSE;
    ret->type = mose_elf_number(bytes + 4, 4);
    if (elf->is_64) {
        ret->offset = mose_elf_number(bytes + 24, 8);
        ret->size = mose_elf_number(bytes + 32, 8);
        ret->link = mose_elf_number(bytes + 40, 4);
        ret->entry_size = mose_elf_number(bytes + 56, 8);
    } else {
        ret->offset = mose_elf_number(bytes + 16, 4);
        ret->size = mose_elf_number(bytes + 20, 4);
        ret->link = mose_elf_number(bytes + 24, 4);
        ret->entry_size = mose_elf_number(bytes + 36, 4);
    }
    return TRUE;
}

static gboolean
find_table(const MoseElf *elf, Section *ret, Section *ret_names, GError **error)
{
    for (guint i = 0; i < MIN(elf->n_sections, MAX_SECTIONS); i++) {
        if (!read_section(elf, i, ret))
            return mose_elf_fail(MOSE_ERROR_NOT_FOUND,
                                 "its section headers cannot be read", elf->sections,
                                 error);
        if (ret->type != SHT_SYMTAB)
            continue;
        return (ret->entry_size == mose_elf_entry_size(elf) &&
                ret->size / ret->entry_size <= MOSE_ELF_MAX_SYMBOLS &&
                read_section(elf, ret->link, ret_names)) ||
               mose_elf_fail(MOSE_ERROR_INVALID, "its symbol table makes no sense",
                             elf->sections, error);
    }
    return mose_elf_fail(MOSE_ERROR_NOT_FOUND, "it has no symbol table", elf->sections,
                         error);
}

gboolean
mose_elf_table_symbols(const MoseElf *elf, guint64 bias, MoseElfSymbolFunc func,
                       gpointer data, GError **error)
{
    Section table, strings;
    g_autofree guint8 *bytes = NULL;
    g_autofree char *names = NULL;
    guint64 n;

    if (!find_table(elf, &table, &strings, error))
        return FALSE;
    n = table.size / table.entry_size;
    bytes = g_try_malloc(table.size + 1);
    names = read_names(elf, strings.offset, strings.size, FALSE);
    if (!bytes || !names ||
        !elf->read(elf->data, table.offset, bytes, n * table.entry_size))
        return mose_elf_fail(MOSE_ERROR_NOT_FOUND, "its symbol table cannot be read",
                             table.offset, error);
    for (guint64 i = 0; i < n; i++) {
        MoseElfEntry entry = mose_elf_entry(elf, bytes + i * table.entry_size);
        MoseElfSymbol symbol;

        if (mose_elf_to_symbol(elf, &entry, bias, names, strings.size + 1, &symbol))
            func(&symbol, data);
    }
    return TRUE;
}
