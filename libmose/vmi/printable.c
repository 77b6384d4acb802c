/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of a guest's, made fit for a terminal: nothing in it moves the cursor or rings a
 * bell. */
#include <string.h>

#include "vmi/space.h"

char *
mose_vmi_printable(const char *text)
{
    GString *ret = g_string_new(NULL);

    for (const char *at = text; *at != '\0';) {
        gunichar c = g_utf8_get_char_validated(at, -1);

        if (c == (gunichar)-1 || c == (gunichar)-2 || c == '\\' ||
            !g_unichar_isprint(c)) {
            g_string_append_printf(ret, "\\x%02x", (guint8)*at++);
            continue;
        }
        g_string_append_unichar(ret, c);
        at = g_utf8_next_char(at);
    }
    return g_string_free(ret, FALSE);
}
