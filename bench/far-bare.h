/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's own migration from one test host to the other, to compare MOSE's with. */
#pragma once

#include "lib/hosts.h"

typedef struct FarBare FarBare;

/* A QEMU without MOSE here, with the command line and the memory's contents of the
 * guest that process @pid has, whose files have names that begin with @name. */
FarBare *far_bare_new(Hosts *hosts, pid_t pid, const char *name);
void far_bare_free(FarBare *bare);

/*
 * It migrates to a QEMU there, from `migrate` to the other one's RESUME in
 * microseconds, and stays here all the same. Through an ssh that is logged in; or, with
 * @channels above 0, by TCP (multifd).
 */
gint64 far_bare_migrate(FarBare *bare, guint channels);
