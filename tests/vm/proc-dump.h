/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest's own /proc says of all its processes at a time. It is read before and
 * after somebody looks from outside: what is the same in both has to be seen.
 */
#pragma once

#include "lib/vm.h"

/*
 * Of each process, by names as "141/maps", "141/mountinfo", "141/smaps" (of each
 * mapping the first line and those of Rss, Swap and VmFlags), "141/fdinfo/3" the text;
 * of "141/fd/3", "141/cwd", "141/root", "141/exe" where the link leads. As it is in
 * /proc.
 */
GHashTable *proc_dump(const VmGuest *guest);

/* What is in both, and the same; all else goes. Both are taken over. */
GHashTable *proc_dump_common(GHashTable *one, GHashTable *other);

/* If @name is "141/WHAT": 141; else 0. */
int proc_dump_pid(const char *name, const char *what);

/* @text with the kernel's \ooo (fs/seq_file.c: mangle_path) as the bytes that they
 * stand for. */
char *proc_dump_unescape(const char *text);
