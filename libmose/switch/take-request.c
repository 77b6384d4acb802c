/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of who takes a guest: read, and judged before anything is started. See
 * take.h. */
#include <string.h>

#include "guest/taken.h"
#include "host/fitness.h"
#include "switch/home-disks.h"
#include "switch/image-locks.h"
#include "switch/take-private.h"
#include "util/error.h"
#include "util/json.h"

/* What can be said without starting anything. */
static gboolean
check_spec(MoseSpec *spec, MoseSide side, GError **error)
{
    if (!g_file_test(spec->cwd, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "there is no directory %s here, from which the guest's files are "
                    "named; use --map",
                    spec->cwd);
        return FALSE;
    }
    if (strcmp(spec->accel[side], "kvm") == 0 && !mose_kvm_fitness()->fit) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "KVM: %s",
                    mose_kvm_fitness()->verdict);
        return FALSE;
    }
    return mose_spec_find_qemu(spec, error);
}

/* Events are objects, and no more than a guest's record keeps. */
static gboolean
is_timeline(JsonArray *timeline)
{
    if (!timeline || json_array_get_length(timeline) > MOSE_GUEST_MAX_TIMELINE)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(timeline); i++)
        if (!mose_json_element(timeline, i))
            return FALSE;
    return TRUE;
}

/* The guest's description, as it is here. Where its disks were at home all the time it
 * is the one that home has: nothing was plugged in or out meanwhile. */
static gboolean
adopt_spec(MoseTake *take, JsonObject *object, GError **error)
{
    MoseGuest *guest = take->guest;
    g_autoptr(MoseSpec) spec = object ? mose_spec_from_json(object, error) : NULL;

    if (!spec)
        return FALSE;
    if (guest == take->options->home && guest->far->home_disks)
        return check_spec(guest->spec, take->side, error);
    /* At home it is the one that the guest was started with. */
    if (guest == take->options->home &&
        g_file_test(guest->spec->qemu, G_FILE_TEST_IS_EXECUTABLE)) {
        g_free(spec->qemu);
        spec->qemu = g_strdup(guest->spec->qemu);
    }
    g_free(spec->name);
    spec->name = g_strdup(guest->name);
    mose_spec_free(guest->spec);
    guest->spec = g_steal_pointer(&spec);
    return check_spec(guest->spec, take->side, error);
}

/* A guest that is new here has no side yet; its record is there for recovery. */
static void
note_origin(MoseTake *take, JsonObject *request)
{
    MoseGuest *guest = take->guest;

    if (!guest->far)
        guest->far = mose_far_new(NULL);
    g_free(guest->far->id);
    guest->far->id = g_strdup(mose_json_string(request, "id", NULL));
    g_free(guest->far->life);
    guest->far->life = g_strdup(mose_json_string(request, "life", NULL));
    if (guest == take->options->home)
        return;
    g_free(guest->far->name);
    guest->far->name = g_strdup(mose_json_string(request, "from", NULL));
    guest->side = take->side;
}

/* What stays on the other host: the guest's QEMU here gets it through the link. */
static gboolean
adopt_home(MoseTake *take, JsonObject *request, GError **error)
{
    JsonArray *disks = mose_json_array(request, "home-disks");
    MoseFar *far = take->guest->far;

    if (take->guest == take->options->home)
        return TRUE;
    far->home_disks = disks != NULL;
    far->home_net = mose_json_bool(request, "home-net", FALSE);
    return !disks || (mose_home_disks_adopt(take->guest, disks, error) &&
                      mose_home_disks_listen(take->guest, take->end->link, error));
}

gboolean
mose_take_read(MoseTake *take, JsonObject *request, GError **error)
{
    JsonObject *spec = mose_json_child(request, "spec");
    JsonArray *timeline = mose_json_array(request, "timeline");
    gint64 generation = mose_json_int(request, "generation", 0);
    MoseGuest *guest = take->guest;

    if (!spec || !is_timeline(timeline) || generation < 1 || generation > G_MAXINT32 ||
        !g_uuid_string_is_valid(mose_json_string(request, "life", "")) ||
        !mose_side_from_name(mose_json_string(request, "side", NULL), &take->side)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the request makes no sense, or is not complete");
        return FALSE;
    }
    if (!mose_taken_check(mose_json_string(request, "id", NULL), error))
        return FALSE;
    if (guest == take->options->home &&
        strcmp(guest->far->life, mose_json_string(request, "life", "")) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "it gives another guest than the one that was asked for");
        return FALSE;
    }
    take->generation = MAX((guint)generation, guest->generations + 1);
    guest->generations = take->generation;
    g_free(guest->machine_type);
    guest->machine_type = g_strdup(mose_json_string(request, "machine-type", NULL));
    json_array_unref(guest->timeline);
    guest->timeline = json_array_ref(timeline);
    note_origin(take, request);
    return adopt_spec(take, spec, error) && adopt_home(take, request, error);
}

gboolean
mose_take_see_locks(JsonObject *request, gboolean *ret_seen, GError **error)
{
    JsonArray *locked = mose_json_array(request, "locked");
    guint n = locked ? json_array_get_length(locked) : 0;

    for (guint i = 0; i < n; i++) {
        JsonNode *node = json_array_get_element(locked, i);

        if (json_node_get_value_type(node) != G_TYPE_STRING ||
            !mose_image_locks_see(json_node_get_string(node), error))
            return FALSE;
    }
    *ret_seen = n > 0;
    return TRUE;
}
