/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plugin does now, and how that is changed.
 *
 * Code that is translated keeps its instrumentation until it is forgotten, and QEMU
 * forgets it for a plugin only on a vCPU's own thread (qemu-plugin-api.h,
 * qemu_plugin_reset()). So a new plan waits until a vCPU comes by: when it has nothing
 * to do, when the guest is stopped or let run, or, where blocks are told of, when the
 * next one begins. Who cannot wait stops the guest for a moment.
 */
#pragma once

#include "plugin/plan.h"
#include "plugin/qemu-plugin-api.h"

void core_begin(qemu_plugin_id_t id);

/* From here on @plan is wanted, which is taken over; NULL: nothing. What was recorded
 * until now goes no further at once. */
void core_want(Plan *plan);

/* Whether what is wanted is what is done. */
gboolean core_is_settled(void);

/* A descriptor that can be read once it is; core_acknowledge() makes it wait again. */
int core_settled_fd(void);
void core_acknowledge(void);

/* On a vCPU's thread: have it done, if it is not. */
void core_settle(void);

/* The reader did not keep up with what was translated: the rest cannot be told of. */
void core_overrun(void);
gboolean core_was_overrun(void);
