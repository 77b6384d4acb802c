/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks and accesses of memory, told of as they happen. */
#pragma once

#include "plugin/plan.h"
#include "plugin/qemu-plugin-api.h"

/* Once, at the start. */
void flow_init(void);

/* From here on code is translated with what @plan wants told; NULL: as without us.
 * While no vCPU runs, and nothing that was translated before is there any more. */
void flow_begin(qemu_plugin_id_t id, Plan *plan);

/* The vCPU has nothing to do for now: what it has told is for the reader. */
void flow_flush(guint vcpu);
