/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb stub of one QEMU, put up and taken down at run time; and the end of a debug
 * session, whoever ends it. */
#pragma once

#include "switch/debug-record.h"
#include "switch/debug.h"

/* Put the stub up, stop the guest, and connect to it. */
MoseGdb *mose_debug_stub_open(MoseQmp *qmp, const char *name, MoseDebugTell tell,
                              gpointer data, GError **error);

/* Remove what @record tells of, and the stub; the guest is as before. The record is
 * the last thing that is removed. */
gboolean mose_debug_undo(const MoseGuest *guest, const MoseDebugRecord *record,
                         MoseDebugTell tell, gpointer data, GError **error);

/* The monitor that sessions use; and what QEMU says its state is. */
MoseQmp *mose_debug_monitor(const MoseGuest *guest, GError **error);
char *mose_debug_run_state(MoseQmp *qmp, gboolean *ret_live, GError **error);
