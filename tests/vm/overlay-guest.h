/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A demo guest that works on two or more disks, for tests of `mose emulate --disks
 * overlay`: its images, what the host sees of them, and its overlays.
 */
#pragma once

#include "lib/vm.h"

typedef struct {
    const char *name;    /* in the guest: "vda" */
    const char *format;  /* of the image */
    const char *options; /* of QEMU; @ stands for the image */
    gboolean reads;      /* the guest must not write it */
} OverlayDisk;

/* A qcow2 and a raw image, as most guests have them. */
extern const OverlayDisk overlay_plain[2];

typedef struct {
    VmGuest *vm;
    const OverlayDisk *disks;
    gsize n;
    char *dir; /* of the images */
} OverlayGuest;

/* Start guest @name with @disks, images in @dir; it is at work on all of them. */
OverlayGuest *overlay_guest_new(const char *name, const char *dir,
                                const OverlayDisk *disks, gsize n);
void overlay_guest_free(OverlayGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OverlayGuest, overlay_guest_free)

char *overlay_image(const OverlayGuest *guest, gsize disk);

/* All images' contents; free with g_strfreev(). */
char **overlay_sums(const OverlayGuest *guest);
void overlay_assert_sums(const OverlayGuest *guest, char *const *sums);

/* Wait until the guest has written more to each disk; it has found no damage. */
void overlay_work(const OverlayGuest *guest);

/* How many files besides the images are in their directory; what there is of @guest's
 * overlays, by `mose status`. */
guint overlay_count_files(const OverlayGuest *guest);
JsonArray *overlay_status(const OverlayGuest *guest);

/* End the guest; its images are sound, and hold what it wrote. */
void overlay_end(OverlayGuest *guest);

/* Kill its QEMU. */
void overlay_kill_qemu(const OverlayGuest *guest);
