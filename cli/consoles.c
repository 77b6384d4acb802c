/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See consoles.h. */
#include "cli/consoles.h"

#include <stdio.h>
#include <string.h>

#include "util/json.h"

/* {"chardev", "path"} of each socket that is in the guest's own directory. */
static JsonArray *
find(const MoseGuest *guest)
{
    const GPtrArray *options = guest->spec->options;
    g_autofree char *begin = g_strconcat(guest->dir, "/", NULL);
    JsonArray *found = json_array_new();

    for (guint i = 0; i < options->len; i++) {
        const MoseOption *option = options->pdata[i];
        g_autofree char *path = mose_option_get(option, "path");
        g_autofree char *id = mose_option_id(option);

        if (id && path && mose_option_is(option, "-chardev") &&
            g_str_has_prefix(path, begin))
            json_array_add_object_element(
                found, mose_json_object("chardev", "s", id, "path", "s", path, NULL));
    }
    return found;
}

void
mose_cli_print_consoles(const MoseGuest *guest)
{
    g_autoptr(JsonArray) all = find(guest);

    for (guint i = 0; i < json_array_get_length(all); i++) {
        JsonObject *one = mose_json_element(all, i);

        printf("  its %s is %s\n", mose_json_string(one, "chardev", "?"),
               mose_json_string(one, "path", "?"));
    }
}

void
mose_cli_add_consoles(const MoseGuest *guest, JsonObject *object)
{
    json_object_set_array_member(object, "sockets", find(guest));
}
