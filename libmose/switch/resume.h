/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way back from a move that did not happen. */
#pragma once

#include "qemu/qmp.h"

/* Whether query-status says @status of a guest that runs, or that sleeps and will
 * wake: QEMU's `cont` brings both back as they were (system/cpus.c:vm_prepare_start).
 */
gboolean mose_status_is_live(JsonObject *status);

/*
 * Make the source run again (if it is to) after a move that did not happen: cancel
 * what is under way, wait for its end, `cont`. The destination has run nothing of the
 * guest, and its memory was either mapped and not written or a copy. A guest that has
 * stopped of itself (it has shut down, a disk has failed) stays so.
 */
gboolean mose_resume_source(MoseQmp *source, gboolean was_running, GError **error);

/*
 * Whether a migration of @source's that has ended is not cleared away: its thread
 * hangs, and QEMU refuses each later one ("duplicate yank instance"). QEMU 10.0 does
 * that when a channel of several breaks while another has been told to sync and not
 * begun (migration/multifd.c: multifd_send_thread leaves without the sem_sync for which
 * multifd_send_sync_main waits). No command of QEMU's ends it; the guest runs on.
 */
gboolean mose_source_hangs(MoseQmp *source);
