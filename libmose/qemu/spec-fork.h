/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The description of a fork, made from its guest's. */
#pragma once

#include "qemu/spec.h"

/*
 * What a fork called @name, with directory @dir, of the guest that @guest describes is
 * started from. It has the same devices, since it loads their state, and nothing on the
 * host but files to read:
 *
 *   unix sockets  one of its own, chardev.ID in @dir
 *   other         a ring in memory (QMP `ringbuf-read` reads it)
 *   chardevs
 *   user network  the same without any way out (restrict=on), since its state is loaded
 *   taps          stay: whoever starts the fork gives each a private one
 *   other nets    a hub with nothing else at it
 *   sound         none
 *   disks         stay, to be put under overlays
 *
 * UNSUPPORTED, with its name, for what would give the fork something of the host's or
 * of another process's: passed-through devices, shared directories, vhost, a TPM.
 */
MoseSpec *mose_spec_fork(const MoseSpec *guest, const char *name, const char *dir,
                         GError **error);
