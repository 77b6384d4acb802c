/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the guests of this user are kept: the one place that knows. */
#pragma once

#include <glib.h>

/*
 * $MOSE_RUNTIME_DIR; for root /run/mose, for others $XDG_RUNTIME_DIR/mose. Nothing
 * is made or looked at. INVALID where the environment names no such directory.
 */
char *mose_runtime_path(GError **error);
