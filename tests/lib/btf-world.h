/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small kernel that is none: types, a few tasks in a piece of memory with a hole, and
 * symbols; for tests of types, expressions and what prints them.
 */
#pragma once

#include "vmi/linux/type-expr.h"

struct btf;

#define BTF_WORLD_BASE 0xffff888000000000
#define BTF_WORLD_PAGES 8
#define BTF_WORLD_HOLE 3 /* the page that cannot be read */
/* Task @n of 4: 0 is init_task, 1 to 3 are its children in a list, a hash list, and a
 * tree. */
#define BTF_WORLD_TASK_SIZE 192
#define BTF_WORLD_TASK(n) (BTF_WORLD_BASE + 0x100 + (n)*0x100)
#define BTF_WORLD_FUNCTION 0xffffffff81000000 /* do_it, of 0x100 bytes */
/* Per-CPU variable `counter` of CPU n of 2. */
#define BTF_WORLD_COUNTER(n) (BTF_WORLD_BASE + 0x1000 + (n)*0x800)

typedef struct {
    MoseTypes *types;
    MoseTypeSource source;
    guint8 *memory;
} BtfWorld;

/* Its types as libbpf's object, to which a test may add; and in bytes. */
struct btf *btf_world_btf(void);
MoseTypes *btf_world_parse(const struct btf *btf, const MoseTypes *base,
                           GError **error);

BtfWorld *btf_world_new(void);
void btf_world_free(BtfWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BtfWorld, btf_world_free)

/* Write a number into its memory. */
void btf_world_poke(BtfWorld *world, guint64 address, gsize size, guint64 number);
