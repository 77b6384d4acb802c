/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands that look into a guest begin with: NAME is a guest, on whichever
 * side it is, or a fork; or, with a slash in it, the path of a core file.
 */
#pragma once

#include "guest/guest.h"
#include "vmi/linux/linux.h"

typedef struct {
    const char *name; /* as it was given */
    MoseGuest *guest; /* NULL: it is a core file */
    MoseMemory *memory;
    MoseLinux *kernel; /* NULL until mose_look_open_linux() */
} MoseLook;

/* Its memory; and the Linux in it. What was opened goes with mose_look_clear(). */
gboolean mose_look_open(MoseLook *look, const char *name, GError **error);
/* The same with the guest's lock, after what a command that died may have left there is
 * mended. UNSUPPORTED for a core file. */
gboolean mose_look_open_to_change(MoseLook *look, const char *name, GError **error);
gboolean mose_look_open_linux(MoseLook *look, const char *name, GError **error);
void mose_look_clear(MoseLook *look);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseLook, mose_look_clear)

/* Report @error with what to do next; the exit status. */
int mose_look_fail(const MoseLook *look, const GError *error);
