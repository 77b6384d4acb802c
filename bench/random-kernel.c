/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See random-kernel.h. */
#include "bench/random-kernel.h"

#include <string.h>

#define RANDOM_FROM 0x200000u /* behind the kernel */

void
bench_random_kernel(const char *path, guint ram_mb)
{
    guint8 kernel[] = {
        0x02, 0xb0, 0xad, 0x1b, 0x00, 0x00, 0x01, 0x00, /* magic, flags: addresses */
        0xfe, 0x4f, 0x51, 0xe4, 0x00, 0x00, 0x10, 0x00, /* checksum, header */
        0x00, 0x00, 0x10, 0x00, 0x45, 0x00, 0x10, 0x00, /* load from, to */
        0x45, 0x00, 0x10, 0x00, 0x20, 0x00, 0x10, 0x00, /* bss's end, entry */
        0xbf, 0x00, 0x00, 0x20, 0x00,                   /* mov $RANDOM_FROM, %edi */
        0xb9, 0x00, 0x00, 0x00, 0x00,                   /* mov $bytes, %ecx */
        0xc1, 0xe9, 0x02,                               /* shr $2, %ecx */
        0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00,             /* 1: imul $1664525, %eax */
        0x05, 0x5f, 0xf3, 0x6e, 0x3c,                   /* add $1013904223, %eax */
        0xab, 0xe2, 0xf2,                               /* stosl; loop 1b */
        0x66, 0xba, 0xf8, 0x03, 0xb0, 0x52, 0xee,       /* outb $'R', $0x3f8 */
        0xf4, 0xeb, 0xfd,                               /* 2: hlt; jmp 2b */
    };
    const guint32 bytes = GUINT32_TO_LE((ram_mb << 20) - RANDOM_FROM);
    g_autoptr(GError) error = NULL;

    memcpy(kernel + 38, &bytes, sizeof(bytes));
    g_file_set_contents(path, (const char *)kernel, sizeof(kernel), &error);
    g_assert_no_error(error);
}
