/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ELF notes in the guest's memory: build ids. */
#pragma once

#include "vmi/linux/linux.h"

/* The id of the GNU build-id note within @size bytes of notes at @notes, in
 * hexadecimal, and where its bytes are; NULL where there is none. Free with g_free().
 */
char *mose_notes_build_id(const guint8 *notes, gsize size, gsize *ret_offset);

/* That of the kernel (between __start_notes and __stop_notes), and its address. */
char *mose_linux_build_id(const MoseLinux *kernel, guint64 *ret_address);
