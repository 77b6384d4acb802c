/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The number under which each QEMU inherits the memfd that is its guest's memory. Alone
 * in a file for frozen-module.c, which knows no GLib. */
#pragma once

#define MOSE_RAM_FD 3
