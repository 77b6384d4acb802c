/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be told of, as a command asked for it, and where to. */
#pragma once

#include <json-glib/json-glib.h>

#include "analysis/ring.h"
#include "plugin/producer.h"

typedef struct {
    guint64 first, last; /* addresses; both belong to it */
} PlanRange;

typedef struct {
    GArray *ranges;         /* PlanRange; blocks that begin there */
    gboolean accesses;      /* of memory */
    gboolean values;        /* that they have loaded or stored */
    guint64 switch_address; /* where the next task is the second argument; 0: nowhere */
    void *file;
    gsize file_size;
    guint n_vcpus;
    Producer *producers; /* of each vCPU */
    Producer code;       /* of all, one at a time */
    GMutex code_lock;
    guint32 n_blocks;
} Plan;

/*
 * From a request
 *   {"ranges": [[FIRST, LAST], ...], "accesses": B, "values": B, "patience-us": N,
 *    "switch": ADDRESS}
 * with addresses as strings ("0x..."), and the rings' file @fd, which stays the
 * caller's. INVALID: what is wrong in it.
 */
Plan *plan_new(JsonObject *request, int fd, GError **error);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

gboolean plan_wants(const Plan *plan, guint64 address);
