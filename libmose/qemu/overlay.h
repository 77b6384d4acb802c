/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overlays of a guest's disks: which disks need one, and what is known of each.
 *
 * Which disks there are is asked of QEMU (query-block) and not read from its options:
 * so it does not matter how a disk was spelled, -drive, -blockdev or plugged in. Making
 * overlays, and putting them back into the images: guest/disks.h.
 */
#pragma once

#include <json-glib/json-glib.h>

/* Each state says where the guest's data is, and so what may be deleted. */
typedef enum {
    MOSE_OVERLAY_PLANNED,    /* there is no such file yet, or an empty one */
    MOSE_OVERLAY_OPEN,       /* image: as it was; overlay: what was written since */
    MOSE_OVERLAY_COMMITTING, /* image: a part of that; only both together are a disk */
    MOSE_OVERLAY_COMMITTED,  /* image: all; the overlay is not needed any more */
    MOSE_OVERLAY_N_STATES,
} MoseOverlayState;

const char *mose_overlay_state_name(MoseOverlayState state);

typedef struct {
    char *id;     /* of the overlay's node in QEMU: "mose-overlay0" */
    char *node;   /* of the image's node in the process that has the overlay */
    char *image;  /* absolute path, or QEMU's name of what is no file */
    char *format; /* of the image, as QEMU has opened it */
    guint64 size; /* of the disk, bytes */
    char *file;   /* absolute path of the overlay; planned: without its last suffix */
    MoseOverlayState state;
} MoseOverlay;

typedef struct {
    const char *guest; /* name */
    const char *cwd;   /* of its QEMU, where relative paths start */
    const char *dir;   /* for all overlays; NULL: each beside its image */
} MoseOverlayPlace;

/*
 * An overlay for each disk of @block (the answer to query-block) that can be written;
 * a MoseOverlay * each, none for read-only and empty drives. Free with
 * g_ptr_array_unref(). UNSUPPORTED, naming the disk, for one that cannot have an
 * overlay; INVALID for one that needs @where->dir.
 */
GPtrArray *mose_overlay_plan(JsonArray *block, const MoseOverlayPlace *where,
                             GError **error);

/* An empty array for overlays. */
GPtrArray *mose_overlays_new(void);

/* To and from the record in the guest's directory. */
JsonObject *mose_overlays_to_json(const GPtrArray *overlays);
GPtrArray *mose_overlays_from_json(JsonObject *object, GError **error);
