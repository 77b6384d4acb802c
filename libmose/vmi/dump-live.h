/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core of a guest that runs on. */
#pragma once

#include "vmi/dump-file.h"
#include "vmi/dump-kernel.h"
#include "vmi/dump.h"

/* Write @memory, and the registers that it tells, to @file as an ELF core. */
gboolean mose_dump_live(MoseMemory *memory, const MoseDumpKernel *kernel,
                        MoseDumpFile *file, const MoseDumpOptions *options,
                        GError **error);

/* Tell of progress, in bytes of memory. */
void mose_dump_tell(const MoseDumpOptions *options, guint64 done, guint64 total);
