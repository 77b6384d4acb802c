/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks that the emulator must not write: it works on overlays, a fresh qcow2 file for
 * each writable image, which it only reads. On the way back what was written is put
 * into the images, while the guest runs, and the overlays are removed.
 *
 * The file overlays.G in the guest's directory says which overlays the process of
 * generation G has, and where the data is (MoseOverlayState): written before each step
 * of which it tells, so that whoever comes after a MOSE that died knows what may be
 * deleted. An overlay that may hold the only copy of something is never deleted here,
 * but by mose_disks_discard(), which the user asks for.
 */
#pragma once

#include "qemu/overlay.h"
#include "guest/guest.h"

/*
 * Give each writable disk of the process behind @qmp, of generation @generation, which
 * waits for its migration, an overlay in @dir (NULL: beside its image). INVALID,
 * UNSUPPORTED: see mose_overlay_plan(), and a directory that is none; RESOURCES: no
 * room. What was made is taken away by mose_disks_forget().
 *
 * QEMU 10.0 inserts overlays into an image that is not active yet, as an overlay that
 * is not (blockdev.c:external_snapshot_action). It then opens the image for reading
 * only, and at the guest's first instruction reads the image's metadata anew
 * (block.c:bdrv_activate, qcow2_co_invalidate_cache), after the source has let it go.
 */
gboolean mose_disks_overlay(const MoseGuest *guest, guint generation, MoseQmp *qmp,
                            const char *dir, GError **error);

/* The overlays of generation @generation, empty where it has none; NULL, with @error,
 * where the record cannot be read. Free with g_ptr_array_unref(). */
GPtrArray *mose_disks_read(const MoseGuest *guest, guint generation, GError **error);

/* Write the record of @overlays, or remove it where none is left. */
gboolean mose_disks_write(const MoseGuest *guest, guint generation,
                          const GPtrArray *overlays, GError **error);

/* What a commit tells while it is under way: bytes. */
typedef void (*MoseDisksProgress)(guint64 done, guint64 total, gpointer data);

typedef struct {
    int interrupt_fd; /* readable when the user wants no more; 0: nobody can */
    MoseDisksProgress progress; /* or NULL */
    gpointer data;
} MoseDisksCommit;

/*
 * Put what @guest's overlays hold into its images, by the process behind @qmp which it
 * is in, running or not (QEMU's block-commit of the active layer); that process then
 * has the images themselves, and the overlays are gone. On failure (INTERRUPTED among
 * them) it works on with the overlays of the disks that are not done, which are whole;
 * their images hold a part then. *@ret_committed is the number of disks that were done.
 */
gboolean mose_disks_commit(const MoseGuest *guest, MoseQmp *qmp,
                           const MoseDisksCommit *how, guint *ret_committed,
                           GError **error);

/*
 * After a MOSE that died in a commit: end what it left under way in the process behind
 * @qmp, and write down which disks were done. Nothing to do is no error.
 */
gboolean mose_disks_recover(const MoseGuest *guest, MoseQmp *qmp, GError **error);

/*
 * Delete the overlays of generation @generation that hold nothing: those of a process
 * that never had @guest (which must have ended), and those that are in their images.
 */
void mose_disks_forget(const MoseGuest *guest, guint generation);

/* The room that @overlay takes now, bytes. */
guint64 mose_disks_used(const MoseOverlay *overlay);

/* "IMAGE: OVERLAY (SIZE)", for people. Free with g_free(). */
char *mose_disks_describe(const MoseOverlay *overlay);

/* REFUSED, with what to do, where @guest's overlays hold what would be lost with it. */
gboolean mose_disks_may_end(const MoseGuest *guest, GError **error);

/*
 * Delete the files of @overlays, whose guest has ended. REFUSED, before anything is
 * deleted, where an image without its overlay would be damaged.
 */
gboolean mose_disks_may_discard(const GPtrArray *overlays, GError **error);
gboolean mose_disks_discard(const GPtrArray *overlays, GError **error);
