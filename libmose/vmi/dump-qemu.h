/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's dump of a guest, received through a pipe. */
#pragma once

#include "vmi/dump-sink.h"
#include "vmi/dump.h"

/* Whether the QEMU behind @qmp can write @format: else UNSUPPORTED. */
gboolean mose_dump_qemu_can(MoseQmp *qmp, const char *format, GError **error);

/*
 * Have it dump the guest into @sink. *@ret_stood_us is how long the guest stood still
 * for that. On failure, and when it is interrupted, the guest is as before.
 */
gboolean mose_dump_qemu(MoseQmp *qmp, MoseDumpSink *sink,
                        const MoseDumpOptions *options, const char *format,
                        gint64 *ret_stood_us, GError **error);
