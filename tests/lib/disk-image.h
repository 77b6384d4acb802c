/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images of the demo guest, made and read by the host: by the pattern of the
 * guest's worker (guest/linux/worker), on its own. What fails ends the test.
 */
#pragma once

#include <glib.h>

/* Run a program, which must succeed: qemu-img and the like. */
void disk_image_tool(const char *word, ...) G_GNUC_NULL_TERMINATED;

/* An empty image of 4 MB. */
void disk_image_make(const char *path, const char *format);

/* A raw one with a whole ring on it, for a drive that the guest only reads. */
void disk_image_fill(const char *path);

/*
 * The image is sound (qemu-img check), and the ring on it is the worker's after at
 * least @steps writes: each block holds its latest write, none is older than a round.
 */
void disk_image_assert_ring(const char *path, const char *format, guint64 steps);
