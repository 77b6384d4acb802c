/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines; see line.h. */
#include "util/line.h"

#include <string.h>

char *
mose_line_take(GString *input)
{
    const char *end = memchr(input->str, '\n', input->len);
    char *line;

    if (!end)
        return NULL;
    line = g_strndup(input->str, end - input->str);
    g_string_erase(input, 0, end - input->str + 1);
    return line;
}
