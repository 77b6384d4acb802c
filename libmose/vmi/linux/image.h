/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image of a Linux kernel in a guest: where it begins, and a copy of it. */
#pragma once

#include "vmi/space.h"

/* Where it lies, whatever KASLR did (Linux Documentation/arch/x86/x86_64/mm.rst). */
#define MOSE_LINUX_IMAGE G_GUINT64_CONSTANT(0xffffffff80000000)
#define MOSE_LINUX_IMAGE_END G_GUINT64_CONSTANT(0xffffffffc0000000)

typedef struct {
    MosePaging paging; /* of tables in which it is mapped */
    guint64 text;      /* its beginning */
} MoseLinuxPlace;

/*
 * The places where a kernel's image may begin, of MoseLinuxPlace: eight at most, no two
 * alike. From each vCPU's IDT, whose page fault handler is in it, by the vCPU's page
 * tables and, with page-table isolation, their other half; and by VMCOREINFO. Empty:
 * there are none.
 */
GArray *mose_linux_places(MoseMemory *memory, GError **error);

/* A copy of the image behind @place, with holes as zeros; free with g_free(). At most
 * 256 MB. */
guint8 *mose_linux_image_copy(MoseSpace *space, guint64 text, gsize *ret_size);
