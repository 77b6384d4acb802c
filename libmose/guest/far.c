/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a guest's other host; see far.h. */
#include "guest/far.h"

#include <string.h>

#include "util/error.h"
#include "util/json.h"

MoseFar *
mose_far_new(const char *host)
{
    MoseFar *far = g_new0(MoseFar, 1);

    far->host = g_strdup(host);
    far->life = g_uuid_string_random();
    mose_far_renew(far);
    return far;
}

void
mose_far_free(MoseFar *far)
{
    if (!far)
        return;
    g_free(far->life);
    g_free(far->id);
    g_free(far->host);
    g_free(far->rsh);
    g_free(far->command);
    g_free(far->name);
    g_free(far->boot_id);
    g_strfreev(far->maps);
    g_clear_pointer(&far->images, json_array_unref);
    g_free(far);
}

MoseFar *
mose_far_copy(const MoseFar *far)
{
    g_autoptr(JsonObject) object = mose_far_to_json(far);

    return mose_far_from_json(object);
}

void
mose_far_replace(MoseFar **old, const MoseFar *far)
{
    MoseFar *copy = mose_far_copy(far);

    if (*old) {
        g_free(copy->life);
        copy->life = g_steal_pointer(&(*old)->life);
    }
    mose_far_free(*old);
    *old = copy;
}

void
mose_far_renew(MoseFar *far)
{
    g_free(far->id);
    far->id = g_uuid_string_random();
}

gboolean
mose_far_needs_home(const MoseFar *far)
{
    return far->home_disks || far->home_net;
}

const char *
mose_far_label(const MoseFar *far)
{
    return far->host ? far->host : far->name ? far->name : "the other host";
}

static void
set_string(JsonObject *object, const char *name, const char *value)
{
    if (value)
        json_object_set_string_member(object, name, value);
}

JsonObject *
mose_far_to_json(const MoseFar *far)
{
    JsonObject *object =
        mose_json_object("life", "s", far->life, "id", "s", far->id, "away", "b",
                         far->away, "home-disks", "b", far->home_disks, "home-net", "b",
                         far->home_net, "locks-seen", "b", far->locks_seen, NULL);
    JsonArray *maps = json_array_new();

    set_string(object, "host", far->host);
    set_string(object, "rsh", far->rsh);
    set_string(object, "command", far->command);
    set_string(object, "name", far->name);
    set_string(object, "boot-id", far->boot_id);
    for (char **map = far->maps; map && *map; map++)
        json_array_add_string_element(maps, *map);
    json_object_set_array_member(object, "maps", maps);
    if (far->images)
        json_object_set_array_member(object, "images", json_array_ref(far->images));
    return object;
}

static char **
read_maps(JsonArray *array)
{
    g_autoptr(GStrvBuilder) maps = g_strv_builder_new();

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            g_strv_builder_add(maps, json_node_get_string(node));
    }
    return g_strv_builder_end(maps);
}

MoseFar *
mose_far_from_json(JsonObject *object)
{
    const char *id = object ? mose_json_string(object, "id", NULL) : NULL;
    const char *life = object ? mose_json_string(object, "life", NULL) : NULL;
    JsonArray *images = object ? mose_json_array(object, "images") : NULL;
    MoseFar *far;

    if (!id || !life)
        return NULL;
    far = g_new0(MoseFar, 1);
    far->id = g_strdup(id);
    far->life = g_strdup(life);
    far->images = images ? json_array_ref(images) : NULL;
    far->host = g_strdup(mose_json_string(object, "host", NULL));
    far->rsh = g_strdup(mose_json_string(object, "rsh", NULL));
    far->command = g_strdup(mose_json_string(object, "command", NULL));
    far->name = g_strdup(mose_json_string(object, "name", NULL));
    far->boot_id = g_strdup(mose_json_string(object, "boot-id", NULL));
    far->maps = read_maps(mose_json_array(object, "maps"));
    far->away = mose_json_bool(object, "away", FALSE);
    far->home_disks = mose_json_bool(object, "home-disks", FALSE);
    far->home_net = mose_json_bool(object, "home-net", FALSE);
    far->locks_seen = mose_json_bool(object, "locks-seen", FALSE);
    return far;
}

gboolean
mose_far_check_maps(const char *const *maps, GError **error)
{
    for (const char *const *map = maps; map && *map; map++) {
        const char *there = strstr(*map, "=/");

        if (**map == '/' && there && !strchr(there + 1, '='))
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "--map %s: it is /HERE=/THERE, two absolute paths", *map);
        return FALSE;
    }
    return TRUE;
}

/* The path of @map on the side that is looked for, and on the other. */
static void
split_map(const char *map, gboolean back, char **ret_from, char **ret_to)
{
    const char *there = strstr(map, "=/");

    *ret_from = g_strndup(map, there - map);
    *ret_to = g_strdup(there + 1);
    if (back) {
        char *from = *ret_from;

        *ret_from = *ret_to;
        *ret_to = from;
    }
}

/* Whether @text begins with path @from as a whole. */
static gboolean
has_path(const char *text, const char *from)
{
    gsize len = strlen(from);

    while (len > 1 && from[len - 1] == '/')
        len--;
    return strncmp(text, from, len) == 0 &&
           (text[len] == '\0' || strchr("/,'\":", text[len]));
}

/* What replaces the path at @text: how much of it, by what; 0 if nothing does. */
static gsize
find_map(const char *text, char **maps, gboolean back, char **ret_to)
{
    gsize longest = 0;

    for (char **map = maps; map && *map; map++) {
        g_autofree char *from = NULL;
        g_autofree char *to = NULL;

        split_map(*map, back, &from, &to);
        if (strlen(from) <= longest || !has_path(text, from))
            continue;
        longest = strlen(from);
        g_free(*ret_to);
        *ret_to = g_steal_pointer(&to);
    }
    return longest;
}

char *
mose_far_map(const char *text, char **maps, gboolean back)
{
    GString *mapped = g_string_new(NULL);

    for (const char *at = text; *at;) {
        g_autofree char *to = NULL;
        gsize len =
            at == text || strchr("=:,'\"", at[-1]) ? find_map(at, maps, back, &to) : 0;

        g_string_append(mapped, len ? to : (char[]){ *at, '\0' });
        at += MAX(len, 1);
    }
    return g_string_free(mapped, FALSE);
}
