/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of elf-image.h share. */
#pragma once

#include <elf.h>

#include "vmi/linux/elf-image.h"

gboolean mose_elf_fail(int code, const char *what, guint64 at, GError **error);

/* A little-endian number of @size bytes. */
guint64 mose_elf_number(const guint8 *bytes, gsize size);

/* @len bytes where the object's own address @address was loaded, or is in the file. */
gboolean mose_elf_read_at(const MoseElf *elf, guint64 address, void *to, gsize len);

/* The letter of nm(1) for symbol @info at the object's own @address. */
char mose_elf_letter(const MoseElf *elf, guint info, guint section, guint64 address);

/* One symbol of either size, from its bytes. */
typedef struct {
    guint32 name;
    guint info, section;
    guint64 value, size;
} MoseElfEntry;
gsize mose_elf_entry_size(const MoseElf *elf);
MoseElfEntry mose_elf_entry(const MoseElf *elf, const guint8 *bytes);

/* Whether it is one to tell of, and how; the name is @names + its offset, of @size
 * bytes that end with a NUL. */
gboolean mose_elf_to_symbol(const MoseElf *elf, const MoseElfEntry *entry, guint64 bias,
                            const char *names, gsize size, MoseElfSymbol *ret);

/* The dynamic section: the value behind @tag, as the object's own address where it is
 * one (@is_address). FALSE: there is none. */
gboolean mose_elf_dynamic(const MoseElf *elf, gint64 tag, gboolean is_address,
                          guint64 *ret);
