/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that stay at home; see home-disks.h. */
#include "switch/home-disks.h"

#include <string.h>

#include "qemu/spec-nbd.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

/* For a link that broke to be made again, and for QEMU to notice: it tries after 1, 2,
 * 4, 8 and 16 s (block/nbd.c, nbd/client-connection.c). After that the guest stops
 * until it is woken. */
#define RECONNECT_S 30

/* --- at home --- */

MoseExports *
mose_home_disks_offer(const MoseGuest *guest, MoseQmp *qmp, const MoseProcess *source,
                      MoseLink *link, GError **error)
{
    g_autoptr(MoseExports) exports = mose_exports_start(guest, qmp, source, error);

    if (!exports)
        return NULL;
    if (mose_link_offer(link, MOSE_SERVICE_DISKS, exports->socket, error))
        return g_steal_pointer(&exports);
    mose_exports_end(guest, exports, NULL);
    return NULL;
}

gboolean
mose_home_disks_carry(const MoseGuest *guest, MoseLink *link, GError **error)
{
    g_autoptr(MoseExports) exports = mose_exports_open(guest, error);

    return exports && mose_link_offer(link, MOSE_SERVICE_DISKS, exports->socket, error);
}

gboolean
mose_home_disks_give(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseExports) exports = mose_exports_open(guest, error);

    return exports && mose_exports_activate(exports, error);
}

gboolean
mose_home_disks_take(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseExports) exports = mose_exports_open(guest, error);

    return exports && mose_exports_deactivate(exports, error);
}

/* --- on the other host --- */

static char *
socket_path(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = g_build_filename(guest->dir, "disks.nbd", NULL);

    if (strlen(path) <= MOSE_UNIX_PATH_MAX)
        return g_steal_pointer(&path);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s is too long for QEMU, which takes %d bytes for a socket; set "
                "MOSE_RUNTIME_DIR to something shorter",
                path, MOSE_UNIX_PATH_MAX);
    return NULL;
}

gboolean
mose_home_disks_adopt(MoseGuest *guest, JsonArray *disks, GError **error)
{
    g_autoptr(GPtrArray) exports = mose_exports_from_json(disks, error);
    g_autofree char *path = exports ? socket_path(guest, error) : NULL;
    MoseSpecNbd how = { path, RECONNECT_S, TRUE };
    MoseSpec *spec =
        path ? mose_spec_with_nbd(guest->spec, exports, &how, error) : NULL;

    if (!spec)
        return FALSE;
    mose_spec_free(guest->spec);
    guest->spec = spec;
    return TRUE;
}

gboolean
mose_home_disks_listen(const MoseGuest *guest, MoseLink *link, GError **error)
{
    g_autofree char *path = socket_path(guest, error);
    g_auto(MoseFd) fd = path ? mose_unix_listen(path, error) : MOSE_FD_NONE;

    return fd >= 0 && mose_link_listen(link, MOSE_SERVICE_DISKS, fd, error);
}
