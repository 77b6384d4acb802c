/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest without QEMU, for tests of what looks into one: some RAM, with page tables of
 * four levels in it, behind the interface of vmi/memory.h.
 */
#pragma once

#include "vmi/space.h"

typedef struct {
    guint8 *ram; /* guest-physical 0 on */
    gsize size;
    gsize tables; /* its page tables grow from the end of the RAM down to here */
    MoseVcpu vcpu;
    gboolean still; /* set before vmi_world_memory(): it is no guest that may run */
    guint reads;    /* of physical memory, so far */
    /* Called before each read with its number, to change the guest under the reader;
     * may be NULL. */
    void (*before_read)(gpointer data, guint n);
    gpointer data;
} VmiWorld;

/* @size is a multiple of 4 KB; half a MB of it at most are tables. */
VmiWorld *vmi_world_new(gsize size);
void vmi_world_free(VmiWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmiWorld, vmi_world_free)

/* Map @size bytes at @linear to @physical, in pages of 4 KB that the kernel may write.
 */
void vmi_world_map(VmiWorld *world, guint64 linear, guint64 physical, gsize size);

/* Set the entry for @linear in the lowest table, whatever it means. */
void vmi_world_set_entry(VmiWorld *world, guint64 linear, guint64 entry);

/* Write there; it must be mapped. */
void vmi_world_write(VmiWorld *world, guint64 linear, const void *from, gsize len);
void vmi_world_put(VmiWorld *world, guint64 linear, guint64 value, gsize len);

/* Its memory, which is the caller's, with one vCPU; and its address space. */
MoseMemory *vmi_world_memory(VmiWorld *world);
