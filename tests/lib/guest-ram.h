/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory seen from the host: the memfd that its QEMU maps, read while the
 * guest stands still.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A checksum of all of it; free with g_free(). */
char *guest_ram_checksum(pid_t qemu);

/* Pages that begin as one of the worker's with a seed below @seeds begins
 * (guest/linux/worker/memory.c, disk.c): how many are whole, and how many not. */
void guest_ram_worker_pages(pid_t qemu, guint64 seeds, guint *ret_whole,
                            guint *ret_broken);
