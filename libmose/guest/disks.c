/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overlays made, recorded and deleted; see disks.h. Their commit: disks-commit.c. */
#include "guest/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "qemu/img.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* An overlay grows with what the guest writes, up to the disk's size: less than this
 * is no room at all. */
#define LEAST_ROOM ((guint64)16 << 20)
/* Files of the same name, which somebody has kept. */
#define MAX_SUFFIX 1000

static char *
record_path(const MoseGuest *guest, guint generation)
{
    return g_strdup_printf("%s/overlays.%u", guest->dir, generation);
}

GPtrArray *
mose_disks_read(const MoseGuest *guest, guint generation, GError **error)
{
    g_autofree char *path = record_path(guest, generation);
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return mose_overlays_new();
    text = mose_guest_dir_read(path, error);
    object = text ? mose_json_parse(text, -1, path, error) : NULL;
    return object ? mose_overlays_from_json(object, error) : NULL;
}

gboolean
mose_disks_write(const MoseGuest *guest, guint generation, const GPtrArray *overlays,
                 GError **error)
{
    g_autofree char *path = record_path(guest, generation);
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = NULL;

    if (overlays->len == 0) {
        if (unlink(path) == 0 || errno == ENOENT)
            return TRUE;
        mose_error_set_errno(error, errno, "cannot remove %s", path);
        return FALSE;
    }
    object = mose_overlays_to_json(overlays);
    text = mose_json_text(object, TRUE);
    return mose_guest_dir_write(path, text, error);
}

/* --- making them --- */

static gboolean
check_room(const MoseOverlay *overlay, gboolean own_dir, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(overlay->file);
    struct statvfs fs;
    struct stat st;
    guint64 room;

    if (own_dir && (stat(overlay->image, &st) < 0 || !S_ISREG(st.st_mode))) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "disk %s is no file, beside which its overlay could be; name a "
                    "directory with --overlay-dir",
                    overlay->image);
        return FALSE;
    }
    if (statvfs(dir, &fs) < 0) {
        mose_error_set_errno(error, errno, "no overlays in %s", dir);
        return FALSE;
    }
    room = (guint64)fs.f_bavail * fs.f_frsize;
    if (room >= LEAST_ROOM)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                "no room for the overlay of disk %s: %s has %" G_GUINT64_FORMAT
                " MB left, at least %" G_GUINT64_FORMAT
                " are needed; name another directory with --overlay-dir",
                overlay->image, dir, room >> 20, LEAST_ROOM >> 20);
    return FALSE;
}

/* A name that no file has: what somebody has kept is not touched. */
static gboolean
choose_name(MoseOverlay *overlay, GError **error)
{
    g_autofree char *stem = g_steal_pointer(&overlay->file);
    struct stat st;

    for (guint i = 1; i <= MAX_SUFFIX; i++) {
        g_free(overlay->file);
        overlay->file = g_strdup_printf("%s.%u", stem, i);
        if (lstat(overlay->file, &st) < 0)
            return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "%s and all before it are there already; commit (qemu-img commit) or "
                "remove them",
                overlay->file);
    return FALSE;
}

/* The file is ours from here on: nobody can put another in its place. */
static gboolean
claim(const MoseOverlay *overlay, GError **error)
{
    g_auto(MoseFd) fd =
        open(overlay->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0)
        return TRUE;
    mose_error_set_errno(error, errno,
                         "cannot make overlay %s; --overlay-dir names another "
                         "directory",
                         overlay->file);
    return FALSE;
}

/* The image is the source's, which has it locked: it is not opened (-u). */
static gboolean
format_qcow2(const MoseOverlay *overlay, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, overlay->size);
    const char *words[] = { "create",      "-q",           "-f", "qcow2",         "-u",
                            "-b",          overlay->image, "-F", overlay->format, "--",
                            overlay->file, size,           NULL };

    if (mose_qemu_img(words, error))
        return TRUE;
    g_prefix_error(error, "cannot make overlay %s: ", overlay->file);
    return FALSE;
}

static gboolean
attach(MoseQmp *qmp, const MoseOverlay *overlay, GError **error)
{
    /* Made by this command the overlay's node belongs to the disk alone, and goes with
     * the commit; and it has the image's way with caches and discards. */
    return mose_qmp_run(
        qmp, "blockdev-snapshot-sync",
        mose_json_object("node-name", "s", overlay->node, "snapshot-file", "s",
                         overlay->file, "snapshot-node-name", "s", overlay->id,
                         "format", "s", "qcow2", "mode", "s", "existing", NULL),
        error);
}

static gboolean
make_one(const MoseGuest *guest, guint generation, MoseQmp *qmp, GPtrArray *overlays,
         guint i, GError **error)
{
    MoseOverlay *overlay = overlays->pdata[i];

    if (!choose_name(overlay, error) ||
        !mose_disks_write(guest, generation, overlays, error) || !claim(overlay, error))
        return FALSE;
    overlay->state = MOSE_OVERLAY_OPEN;
    return mose_disks_write(guest, generation, overlays, error) &&
           format_qcow2(overlay, error) && attach(qmp, overlay, error);
}

/* QEMU goes on with an image that it can't open anew for reading (copy-on-read). */
static gboolean
check_read_only(MoseQmp *qmp, const GPtrArray *overlays, GError **error)
{
    g_autoptr(JsonNode) answer =
        mose_qmp_execute(qmp, "query-named-block-nodes",
                         mose_json_object("flat", "b", TRUE, NULL), error);
    JsonArray *nodes = mose_json_node_array(answer);

    for (guint i = 0; nodes && i < json_array_get_length(nodes); i++) {
        JsonObject *node = mose_json_element(nodes, i);
        const char *name = node ? mose_json_string(node, "node-name", "") : "";

        for (guint k = 0; k < overlays->len; k++) {
            const MoseOverlay *overlay = overlays->pdata[k];

            if (strcmp(name, overlay->node) != 0 || mose_json_bool(node, "ro", FALSE))
                continue;
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                        "disk %s can have no overlay: QEMU would still write it "
                        "(copy-on-read)",
                        overlay->image);
            return FALSE;
        }
    }
    return answer != NULL;
}

gboolean
mose_disks_overlay(const MoseGuest *guest, guint generation, MoseQmp *qmp,
                   const char *dir, GError **error)
{
    MoseOverlayPlace where = { guest->name, guest->spec->cwd, dir };
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-block", NULL, error);
    JsonArray *block = mose_json_node_array(answer);
    g_autoptr(GPtrArray) overlays =
        block ? mose_overlay_plan(block, &where, error) : NULL;

    for (guint i = 0; overlays && i < overlays->len; i++)
        if (!check_room(overlays->pdata[i], dir == NULL, error))
            return FALSE;
    for (guint i = 0; overlays && i < overlays->len; i++)
        if (!make_one(guest, generation, qmp, overlays, i, error))
            return FALSE;
    return overlays && check_read_only(qmp, overlays, error);
}

/* --- deleting them --- */

/* Whether nobody would miss the file. */
static gboolean
is_needless(const MoseOverlay *overlay, gboolean never_ran)
{
    struct stat st;

    if (overlay->state == MOSE_OVERLAY_PLANNED)
        return lstat(overlay->file, &st) < 0 || st.st_size == 0;
    return overlay->state == MOSE_OVERLAY_COMMITTED ||
           (overlay->state == MOSE_OVERLAY_OPEN && never_ran);
}

void
mose_disks_forget(const MoseGuest *guest, guint generation)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, generation, NULL);

    for (guint i = overlays ? overlays->len : 0; i-- > 0;) {
        const MoseOverlay *overlay = overlays->pdata[i];

        /* A generation that is newer than the guest's never had the guest. */
        if (!is_needless(overlay, generation > guest->generation))
            continue;
        if (unlink(overlay->file) < 0 && errno != ENOENT)
            g_debug("%s: %s", overlay->file, g_strerror(errno));
        g_ptr_array_remove_index(overlays, i);
    }
    if (overlays)
        mose_disks_write(guest, generation, overlays, NULL);
}

guint64
mose_disks_used(const MoseOverlay *overlay)
{
    struct stat st;

    return stat(overlay->file, &st) == 0 ? (guint64)st.st_blocks * 512 : 0;
}

char *
mose_disks_describe(const MoseOverlay *overlay)
{
    return g_strdup_printf("%s: %s (%.1f MB)", overlay->image, overlay->file,
                           mose_disks_used(overlay) / 1048576.0);
}

gboolean
mose_disks_may_end(const MoseGuest *guest, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, error);
    g_autofree char *first = NULL;

    if (!overlays)
        return FALSE;
    if (overlays->len == 0)
        return TRUE;
    first = mose_disks_describe(overlays->pdata[0]);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "what guest %s wrote in the emulator is in %u overlay%s (%s%s): `mose "
                "virtualize %s` (while it lives) puts it into the images; `mose stop "
                "%s --discard` "
                "throws it away; `mose stop %s --keep` leaves the overlays, for "
                "`qemu-img commit`",
                guest->name, overlays->len, overlays->len == 1 ? "" : "s", first,
                overlays->len == 1 ? "" : ", ...", guest->name, guest->name,
                guest->name);
    return FALSE;
}

gboolean
mose_disks_may_discard(const GPtrArray *overlays, GError **error)
{
    for (guint i = 0; i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        if (overlay->state != MOSE_OVERLAY_COMMITTING)
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "disk %s holds a part of its overlay %s already, and would be "
                    "damaged without it; --keep it, and put in the rest with `qemu-img "
                    "commit %s`",
                    overlay->image, overlay->file, overlay->file);
        return FALSE;
    }
    return TRUE;
}

gboolean
mose_disks_discard(const GPtrArray *overlays, GError **error)
{
    for (guint i = 0; i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        if (unlink(overlay->file) < 0 && errno != ENOENT) {
            mose_error_set_errno(error, errno, "cannot remove %s", overlay->file);
            return FALSE;
        }
    }
    return TRUE;
}
