/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's description for a host that has none of its images: each disk becomes an
 * NBD export of the home host. What the guest and a migration stream see of a disk
 * stays as it is: ids, node names, places, cache mode, device properties.
 */
#pragma once

#include "qemu/export.h"
#include "qemu/spec.h"

typedef struct {
    const char *socket; /* unix socket at the far host that leads to the exports */
    /* How long a request waits for a connection that broke, seconds; QEMU's monitor
     * does not answer for as long, a disk after the other, when it is told to stop
     * meanwhile (block.c:bdrv_drain_all_begin). */
    guint reconnect_s;
    /* After that the guest stops (event BLOCK_IO_ERROR, state io-error) where the user
     * did not say werror=, rerror=; `cont` does the requests again. A guest that was
     * told of the error would take it for damage. */
    gboolean stop_on_error;
} MoseSpecNbd;

/*
 * A copy of @spec with @exports (MoseExport *, of that guest) for its images. -hda and
 * the like become a -drive; nodes that only an image consisted of are left out, with
 * their options (aio, locking, caches of qcow2): they are the home host's. UNSUPPORTED,
 * naming the option, for an image that is none of @exports, and for one of @exports
 * that no option speaks of.
 */
MoseSpec *mose_spec_with_nbd(const MoseSpec *spec, const GPtrArray *exports,
                             const MoseSpecNbd *how, GError **error);
