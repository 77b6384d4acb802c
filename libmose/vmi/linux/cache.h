/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a kernel's tables are in its image is the same in every guest that runs it, so
 * it is remembered: $MOSE_CACHE_DIR/kernels (or $XDG_CACHE_HOME/mose/kernels, or
 * ~/.cache/mose/kernels) has a small file for each build id. It holds offsets alone:
 * what the tables say is read out of the guest each time, and checked as if nothing
 * were known.
 */
#pragma once

#include "vmi/linux/kallsyms.h"

typedef struct {
    guint64 build_id; /* its offset in the image */
    MoseKallsyms kallsyms;
} MoseLinuxLayout;

/* The layout of the kernel whose image is at @text, if one of those that are known has
 * its build id at its place. At most 256 are looked at. */
gboolean mose_linux_cache_find(MoseSpace *space, guint64 text, MoseLinuxLayout *ret);

/* Remember it for @build_id (hexadecimal). A cache that cannot be written is no error.
 */
void mose_linux_cache_keep(const char *build_id, const MoseLinuxLayout *layout);
