/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of the command line given to a QEMU that runs, and taken back: by the
 * command of its monitor that reads the same words (QEMU hmp-commands.hx:
 * device_add, drive_add, netdev_add, chardev-add, object_add), or, for JSON, the QMP
 * command of the same form. What is in QEMU is asked of QEMU. It knows no guest.
 */
#pragma once

#include "qemu/option.h"
#include "qemu/qmp.h"

/* Whether what @option names is in QEMU. */
gboolean mose_hotplug_present(MoseQmp *qmp, const MoseOption *option, gboolean *ret,
                              GError **error);

/*
 * Add it, with the words @value (mose_command_build_option). @tap_fd: the open tap of a
 * -netdev tap, else -1. QMP error, in QEMU's words, where it would not.
 */
gboolean mose_hotplug_add(MoseQmp *qmp, const MoseOption *option, const char *value,
                          int tap_fd, GError **error);

/*
 * Take it out. A device goes when the guest lets go of it (event DEVICE_DELETED):
 * TIMEOUT after @timeout_ms, REFUSED where the guest says no, CLOSED when @also
 * (a descriptor, or -1) becomes readable.
 */
gboolean mose_hotplug_remove(MoseQmp *qmp, const MoseOption *option, int timeout_ms,
                             int also, GError **error);

/*
 * Write into @device (a -device) the place at which the device at QOM @path really
 * is, where it does not say so: bus, and address on it (PCI, SCSI, USB, virtio-serial).
 */
gboolean mose_hotplug_place(MoseQmp *qmp, const char *path, MoseOption *device,
                            GError **error);

/* The QOM path of a device by its id. */
char *mose_hotplug_path(const char *id);
