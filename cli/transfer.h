/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose fork --export, --import. */
#pragma once

#include "fork/fork.h"
#include "fork/transfer.h"

/* Guest or fork @name to how->file; of a guest by a fork, made as @options say, that is
 * discarded again. @level is zstd's. The exit status. */
int mose_cli_export(const char *name, const MoseForkOptions *options, int level,
                    const MoseTransfer *how);

/* Guest @name of how->file. */
int mose_cli_import(const char *name, const MoseTransfer *how);
