/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a debug session (debug.h) may have left in a guest's QEMU, in the file `debug`
 * of the guest's directory: there from before the session touches QEMU until nothing of
 * it is left there. Written whole, each time before something is done, so that whoever
 * comes after a MOSE that died undoes too much rather than too little.
 */
#pragma once

#include "qemu/gdb.h"
#include "guest/guest.h"

typedef struct {
    guint generation;     /* of the process that is debugged */
    gboolean was_running; /* the guest ran before, and is to run afterwards */
    GArray *points;       /* MoseGdbPoint: armed, or about to be */
} MoseDebugRecord;

MoseDebugRecord *mose_debug_record_new(guint generation, gboolean was_running);
void mose_debug_record_free(MoseDebugRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDebugRecord, mose_debug_record_free)

/* The number of @point among the record's, or -1. A breakpoint is the same whatever
 * its kind: the stub under TCG makes no difference. */
int mose_debug_record_find(const MoseDebugRecord *record, const MoseGdbPoint *point);

gboolean mose_debug_record_exists(const MoseGuest *guest);
gboolean mose_debug_record_write(const MoseDebugRecord *record, const MoseGuest *guest,
                                 GError **error);

/* NOT_FOUND where there is none. */
MoseDebugRecord *mose_debug_record_read(const MoseGuest *guest, GError **error);

/* Remove it, and what writers that died have left of it. */
gboolean mose_debug_record_remove(const MoseGuest *guest, GError **error);
