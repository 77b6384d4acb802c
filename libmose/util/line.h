/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines in what has been read so far. */
#pragma once

#include <glib.h>

/* Take the first line, without its end, out of @input; NULL where none is whole yet.
 * Free with g_free(). */
char *mose_line_take(GString *input);
