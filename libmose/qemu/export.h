/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks of a guest that its home host offers to a QEMU elsewhere, over NBD: which there
 * are, and how each is opened. It starts nothing: guest/exports.h does.
 *
 * Which disks there are is asked of the QEMU that has them, by query-block, as for
 * overlays (overlay.h): it does not matter how a disk was spelled.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    char *name;   /* of the export, and of the node behind it: "mose-disk0" */
    char *drive;  /* in the guest's QEMU: id of a -drive, "" for a -blockdev */
    char *node;   /* there: name of the node that the device has */
    char *file;   /* image: an absolute path, or QEMU's "json:{...}" */
    guint64 size; /* of the disk, bytes */
    gboolean read_only;
    JsonObject *options; /* of blockdev-add, complete */
} MoseExport;

/*
 * An export for each medium in @block (the answer to query-block); empty drives have
 * none, a disk of two devices has one. Relative paths start at @cwd. Backing files are
 * found as QEMU finds them. Free with g_ptr_array_unref(). UNSUPPORTED, naming the
 * disk and the reason, where one can't be offered: an overlay of MOSE's, an encrypted
 * image, a filter on top of it, a format that QEMU can't hand from process to process,
 * what is no file of this host.
 *
 * Nodes of disks that can be written are inactive (QEMU 10.0): they take no lock, and
 * other processes may write the image, until they are made active.
 */
GPtrArray *mose_exports_plan(JsonArray *block, const char *cwd, GError **error);

/* An empty array for exports. */
GPtrArray *mose_exports_list_new(void);

/* To and from the record in the guest's directory. */
JsonArray *mose_exports_to_json(const GPtrArray *exports);
GPtrArray *mose_exports_from_json(JsonArray *array, GError **error);
