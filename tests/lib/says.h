/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which error it is, and that it says what it should. */
#pragma once

#include <string.h>

#include "util/error.h"

static inline void
assert_says(const GError *error, MoseErrorCode code, const char *text)
{
    g_assert_error(error, MOSE_ERROR, (int)code);
    if (!strstr(error->message, text))
        g_error("\"%s\" does not say \"%s\"", error->message, text);
}
